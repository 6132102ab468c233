package monitor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

func ptr[T any](v T) *T { return &v }

func TestCreate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	t.Run("of every kind, read as it was made", func(t *testing.T) {
		t.Parallel()
		for kind, s := range specs() {
			s.Mute = []Mute{{Days: []string{"mon"}, From: "01:00", To: "02:00"}}
			m, token := b.make(t, s, noon)
			if got := b.find(t, m.ID); !cmp.Equal(got, m, cmpopts.EquateEmpty(), cmp.AllowUnexported(Monitor{})) {
				t.Errorf("%s: %s", kind, cmp.Diff(m, got, cmpopts.EquateEmpty(), cmp.AllowUnexported(Monitor{})))
			}
			if (token != "") != (kind == Heartbeat) || m.Status != Unknown {
				t.Errorf("%s: token %q, status %s", kind, token, m.Status)
			}
			if m.ID.Version() != 7 || m.ID.Time() == 0 {
				t.Errorf("%s: id %s", kind, m.ID)
			}
		}
	})
	t.Run("keeps secrets sealed", func(t *testing.T) {
		t.Parallel()
		for _, kind := range []Kind{HTTP, Postgres} {
			m, _ := b.make(t, specs()[kind], noon)
			if n := b.number(t, `select count(*) from mesher.monitors where id = $1::uuid and (config::text || encode(secret, 'escape')) ~ 'Bearer|p%40ss'`, m.ID); n != 0 {
				t.Errorf("%s: the secret stands in the row", kind)
			}
			s, err := m.Open(b.Sealer)
			must(t, err)
			if text := fmt.Sprint(s); !strings.Contains(text, "Bearer x") && !strings.Contains(text, "p%40ss") {
				t.Errorf("%s: opened %s", kind, text)
			}
			other := m
			other.ID = uuid.New()
			if _, err := other.Open(b.Sealer); !fault.Is(err, fault.NotConfigured) {
				t.Errorf("%s: it opens for another monitor: %v", kind, err)
			}
		}
	})
	t.Run("of a project of others is refused", func(t *testing.T) {
		t.Parallel()
		_, theirs := b.tenant(t, "rival")
		s := web()
		s.ProjectID = theirs.ID
		if err := b.try(t, b.organization.ID, s); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "project_id") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("with a slug that is taken is refused", func(t *testing.T) {
		t.Parallel()
		s := heartbeat()
		s.ProjectID, s.Slug = b.project.ID, "nightly"
		b.make(t, s, noon)
		if err := b.try(t, b.organization.ID, s); fault.CodeOf(err) != "slug_taken" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("by who pretends to be an SDK is refused", func(t *testing.T) {
		t.Parallel()
		s := heartbeat()
		s.Config.Heartbeat.FromSDK = true
		if err := b.try(t, b.organization.ID, s); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "from_sdk") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("of more than there may be is refused", func(t *testing.T) {
		t.Parallel()
		o, _ := b.tenant(t, "many")
		b.Exec(t, fmt.Sprintf(`insert into mesher.monitors (id, organization_id, name, kind, config, interval_s, timeout_ms, failures, failures_of,
			recoveries, due_at) select gen_random_uuid(), '%s', 'x', 'tcp', '{}', 60, 1000, 1, 1, 1, now() from generate_series(1, %d)`, o.ID, Most-1))
		must(t, b.try(t, o.ID, web()))
		if err := b.try(t, o.ID, web()); fault.CodeOf(err) != "too_many_monitors" {
			t.Errorf("got %v", err)
		}
	})
}

func TestList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	theirs, _ := b.tenant(t, "rival")
	must(t, b.try(t, theirs.ID, web()))
	var want []uuid.UUID
	for i := range 5 {
		s := web()
		s.Name = fmt.Sprint("Shop ", i)
		if i == 3 {
			s = heartbeat()
			s.ProjectID = b.project.ID
		}
		m, _ := b.make(t, s, noon.Add(time.Duration(i)*time.Second))
		want = append([]uuid.UUID{m.ID}, want...)
	}
	var got []uuid.UUID
	for r := (page.Request{Limit: 2}); ; {
		p, err := List(t.Context(), b.app, b.organization.ID, Filter{}, r)
		must(t, err)
		for _, m := range p.Rows {
			got = append(got, m.ID)
		}
		if r.After = p.Next; p.Next == (page.Mark{}) {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for name, tt := range map[string]struct {
		filter Filter
		want   int
	}{
		"by kind": {Filter{Kind: HTTP}, 4}, "by project": {Filter{ProjectID: b.project.ID}, 1}, "by name": {Filter{Search: "SHOP 1"}, 1},
		"by status": {Filter{Status: Unknown}, 5}, "by another status": {Filter{Status: Down}, 0},
	} {
		p, err := List(t.Context(), b.app, b.organization.ID, tt.filter, page.Request{Limit: 10})
		must(t, err)
		if len(p.Rows) != tt.want {
			t.Errorf("%s: %d", name, len(p.Rows))
		}
	}
}

// change changes a monitor.
func (b *bundle) change(t testing.TB, organization, id uuid.UUID, c Change, at time.Time) (is Monitor, err error) {
	t.Helper()
	err = postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) error {
		_, is, _, err = b.Change(t.Context(), tx, organization, id, c, at)
		return err
	})
	return is, err
}

func TestChange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	t.Run("keeps the headers that it does not name", func(t *testing.T) {
		t.Parallel()
		m, _ := b.make(t, specs()[HTTP], noon)
		config := m.Config.clone()
		config.HTTP.Headers = nil
		config.HTTP.Body = ""
		is, err := b.change(t, b.organization.ID, m.ID, Change{Config: &config}, noon)
		must(t, err)
		s, err := is.Open(b.Sealer)
		must(t, err)
		if !slices.Equal(is.Config.HTTP.Headers, []string{"Authorization", "x-b"}) || !slices.Equal(s.Headers, []string{"Bearer x", ""}) {
			t.Errorf("%v with %v", is.Config.HTTP.Headers, s.Headers)
		}
		config.HTTP.Headers = []string{"authorization"}
		is, err = b.change(t, b.organization.ID, m.ID, Change{Config: &config}, noon)
		must(t, err)
		s, err = is.Open(b.Sealer)
		must(t, err)
		if !slices.Equal(s.Headers, []string{"Bearer x"}) {
			t.Errorf("of one named: %v", s.Headers)
		}
		config.HTTP.Headers = []string{"X-Unknown"}
		if _, err := b.change(t, b.organization.ID, m.ID, Change{Config: &config}, noon); !fault.Is(err, fault.Invalid) {
			t.Errorf("of an unknown one: %v", err)
		}
		config.HTTP.Headers = []string{}
		is, err = b.change(t, b.organization.ID, m.ID, Change{Config: &config}, noon)
		must(t, err)
		if got := b.find(t, m.ID); got.sealed != nil || len(is.Config.HTTP.Headers) != 0 {
			t.Errorf("of none: %v", got.Config.HTTP.Headers)
		}
	})
	t.Run("hands no header to another server", func(t *testing.T) {
		t.Parallel()
		m, _ := b.make(t, specs()[HTTP], noon)
		config := m.Config.clone()
		config.HTTP.URL = "https://evil.example.org/"
		_, err := b.change(t, b.organization.ID, m.ID, Change{Config: &config}, noon)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "secrets.headers") {
			t.Errorf("got %v", err)
		}
		config.HTTP.Headers = nil
		is, err := b.change(t, b.organization.ID, m.ID, Change{Config: &config, Secrets: Confidential{Headers: map[string]string{"X-New": "1"}}}, noon)
		must(t, err)
		if s, err := is.Open(b.Sealer); err != nil || !slices.Equal(s.Headers, []string{"1"}) {
			t.Errorf("%v, %v", s, err)
		}
	})
	t.Run("keeps the URL of a database", func(t *testing.T) {
		t.Parallel()
		m, _ := b.make(t, specs()[Postgres], noon)
		config := m.Config.clone()
		config.Postgres.Query = "select 2"
		is, err := b.change(t, b.organization.ID, m.ID, Change{Config: &config}, noon)
		must(t, err)
		if s, err := is.Open(b.Sealer); err != nil || !strings.Contains(s.URL, "p%40ss") || is.Config.Postgres.Address != "db.example.com:5432/shop" {
			t.Errorf("%v, %v, %s", s, err, is.Config.Postgres.Address)
		}
		config.Postgres.Address = "db2.example.com:5432/shop"
		if _, err := b.change(t, b.organization.ID, m.ID, Change{Config: &config}, noon); !fault.Is(err, fault.Invalid) {
			t.Errorf("another address: %v", err)
		}
	})
	t.Run("is checked as a new monitor is", func(t *testing.T) {
		t.Parallel()
		m, _ := b.make(t, specs()[HTTP], noon)
		for name, c := range map[string]Change{
			"name": {Name: ptr("")}, "interval_s": {IntervalS: ptr(1)}, "timeout_ms": {TimeoutMS: ptr(1)}, "failures": {Failures: ptr(9)},
			"failures_of": {FailuresOf: ptr(0)}, "recoveries": {Recoveries: ptr(0)}, "mute": {Mute: &[]Mute{{}}}, "slug": {Slug: ptr("a")},
			"config": {Config: &Config{}}, "kind": {Config: ptr(specs()[TCP].Config)}, "degraded_after_ms": {TimeoutMS: ptr(400)},
		} {
			if _, err := b.change(t, b.organization.ID, m.ID, c, noon); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := b.find(t, m.ID); !cmp.Equal(got, m, cmpopts.EquateEmpty(), cmp.AllowUnexported(Monitor{})) {
			t.Errorf("it was changed: %s", cmp.Diff(m, got, cmpopts.EquateEmpty(), cmp.AllowUnexported(Monitor{})))
		}
	})
	t.Run("of another organization's is not found", func(t *testing.T) {
		t.Parallel()
		theirs, _ := b.tenant(t, "rival")
		m, _ := b.make(t, web(), noon)
		if _, err := b.change(t, theirs.ID, m.ID, Change{Name: ptr("x")}, noon); !fault.Is(err, fault.NotFound) {
			t.Errorf("change: %v", err)
		}
		for name, f := range map[string]func(postgres.Tx) error{
			"find":   func(tx postgres.Tx) error { _, err := Find(t.Context(), tx, theirs.ID, m.ID); return err },
			"delete": func(tx postgres.Tx) error { _, _, err := Delete(t.Context(), tx, theirs.ID, m.ID, noon); return err },
			"ask":    func(tx postgres.Tx) error { _, err := Ask(t.Context(), tx, theirs.ID, m.ID, noon); return err },
			"rotate": func(tx postgres.Tx) error { _, _, err := Rotate(t.Context(), tx, theirs.ID, m.ID); return err },
			"latest": func(tx postgres.Tx) error { _, err := LatestCheck(t.Context(), tx, theirs.ID, m.ID); return err },
			"summary": func(tx postgres.Tx) error {
				_, err := Summarize(t.Context(), tx, theirs.ID, m.ID, noon, noon.Add(time.Hour))
				return err
			},
			"history": func(tx postgres.Tx) error {
				_, err := History(t.Context(), tx, theirs.ID, m.ID, CheckFilter{}, page.Request{Limit: 1})
				return err
			},
			"check": func(tx postgres.Tx) error {
				_, err := CreateCheck(t.Context(), tx, theirs.ID, m.ID, Look{Status: Healthy, Details: Details{Code: CodeOK}}, noon)
				return err
			},
		} {
			if err := postgres.InTx(t.Context(), b.app, f); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("of the schedule waits for its next run", func(t *testing.T) {
		t.Parallel()
		m, _ := b.make(t, heartbeat(), noon)
		if want := noon.Add(time.Hour); !m.ExpectedAt.Equal(want) || !m.DueAt.Equal(want.Add(5*time.Minute+Settle)) {
			t.Errorf("at first: %s, %s", m.ExpectedAt, m.DueAt)
		}
		is, err := b.change(t, b.organization.ID, m.ID, Change{Config: &Config{Heartbeat: &HeartbeatConfig{Cron: "30 * * * *", GraceS: 60}}}, noon)
		must(t, err)
		if want := noon.Add(30 * time.Minute); !is.ExpectedAt.Equal(want) || is.IntervalS != 0 {
			t.Errorf("by cron: %s, interval %d", is.ExpectedAt, is.IntervalS)
		}
		is, err = b.change(t, b.organization.ID, m.ID, Change{Config: &Config{Heartbeat: &HeartbeatConfig{}}, IntervalS: ptr(120)}, noon)
		must(t, err)
		if got := b.find(t, m.ID); !got.ExpectedAt.Equal(noon.Add(2*time.Minute)) || is.IntervalS != 120 {
			t.Errorf("by interval: %s", got.ExpectedAt)
		}
	})
	t.Run("of a token makes the old one worthless", func(t *testing.T) {
		t.Parallel()
		m, old := b.make(t, heartbeat(), noon)
		var fresh string
		must(t, postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) (err error) {
			_, fresh, err = Rotate(t.Context(), tx, b.organization.ID, m.ID)
			return err
		}))
		if known := b.beat(t, old, Ok, noon); known {
			t.Error("the old token is good")
		}
		if known := b.beat(t, fresh, Ok, noon); !known {
			t.Error("the new token is not")
		}
	})
}

func TestEnsurePlatform(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, want := range []int{5, 0, 1} {
		if i == 2 {
			b.Exec(t, `delete from mesher.monitors where config -> 'platform' ->> 'part' = 'queue'`)
		}
		must(t, postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) error {
			made, err := EnsurePlatform(t.Context(), tx, b.organization.ID, noon)
			if len(made) != want {
				t.Errorf("time %d: %d made, want %d", i, len(made), want)
			}
			return err
		}))
	}
	s := specs()[Platform]
	if err := b.try(t, b.organization.ID, s); fault.CodeOf(err) != "part_taken" {
		t.Errorf("a second one of a part: %v", err)
	}
	for _, part := range []Part{PartDatabase, PartQueue, PartDeadLetters} {
		look, err := Measure(t.Context(), b.app, part, time.Now())
		if err != nil || look.Status != Healthy || len(look.Details.Facts) == 0 {
			t.Errorf("%s: %+v, %v", part, look, err)
		}
	}
	if _, err := Measure(t.Context(), b.app, PartScheduler, noon); err == nil {
		t.Error("the database knows of the scheduler")
	}
}

func TestMeasure(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		part Part
		rows string // :p is the project
		want Status
		code string
	}{
		"events that are stored": {PartQueue, `insert into mesher.usage (project_id, minute, accepted, stored) values
			(:p, '2026-05-04 11:00', 5, 0), (:p, '2026-05-04 11:31', 0, 5)`, Healthy, CodeOK},
		"events that came just now": {PartQueue, `insert into mesher.usage (project_id, minute, accepted) values (:p, '2026-05-04 11:59', 5)`, Healthy, CodeOK},
		"events that wait": {PartQueue, `insert into mesher.usage (project_id, minute, accepted, stored) values
			(:p, '2026-05-04 11:40', 5, 5), (:p, '2026-05-04 11:50', 5, 0)`, Degraded, "events"},
		"events that wait for long": {PartQueue, `insert into mesher.usage (project_id, minute, accepted) values
			(:p, '2026-05-04 11:30', 5), (:p, '2026-05-04 11:59', 5)`, Down, "events"},
		"a notification that waits": {PartQueue, `insert into mesher.notifications (id, channel, template, recipient, created_at)
			values (gen_random_uuid(), 'email', 'alert', 'x', '2026-05-04 11:54')`, Degraded, "notifications"},
		"a notification that waits for long": {PartQueue, `insert into mesher.notifications (id, channel, template, recipient, created_at)
			values (gen_random_uuid(), 'email', 'alert', 'x', '2026-05-04 11:44')`, Down, "notifications"},
		"a notification that is tried": {PartQueue, `insert into mesher.notifications (id, channel, template, recipient, created_at, attempts)
			values (gen_random_uuid(), 'email', 'alert', 'x', '2026-05-04 11:44', 1)`, Healthy, CodeOK},
		"an old dead letter": {PartDeadLetters, `insert into mesher.dead_letters (id, source, reason, payload, created_at)
			values (gen_random_uuid(), 'event', 'x', '', '2026-05-01 11:00')`, Healthy, CodeOK},
		"a new dead letter": {PartDeadLetters, `insert into mesher.dead_letters (id, source, reason, payload, created_at)
			values (gen_random_uuid(), 'event', 'x', '', '2026-05-04 11:00')`, Degraded, "dead_letters"},
		"one that was replayed": {PartDeadLetters, `insert into mesher.dead_letters (id, source, reason, payload, created_at, replayed_at)
			values (gen_random_uuid(), 'event', 'x', '', '2026-05-04 11:00', now())`, Healthy, CodeOK},
		"many dead letters": {PartDeadLetters, `insert into mesher.dead_letters (id, source, reason, payload, created_at)
			select gen_random_uuid(), 'event', 'x', '', '2026-05-04 11:30' from generate_series(1, 100)`, Down, "dead_letters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.Exec(t, "set timezone = 'UTC'; "+strings.ReplaceAll(tt.rows, ":p", "'"+b.project.ID.String()+"'"))
			look, err := Measure(t.Context(), b.app, tt.part, noon)
			if err != nil || look.Status != tt.want || look.Details.Code != tt.code {
				t.Errorf("%s: %+v, %v", tt.part, look, err)
			}
		})
	}
	for _, tt := range []struct {
		days, gaps int
		want       Status
	}{{14, 0, Healthy}, {7, 0, Healthy}, {6, 0, Degraded}, {3, 0, Degraded}, {2, 0, Down}, {-1, 0, Down}, {14, 1, Down}} {
		if look := Horizon(tt.days, tt.gaps); look.Status != tt.want {
			t.Errorf("%d days and %d gaps: %+v", tt.days, tt.gaps, look)
		}
	}
}
