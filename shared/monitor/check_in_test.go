package monitor

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/secret"
)

// beat calls a heartbeat as Ingest does.
func (b *bundle) beat(t testing.TB, token string, s CheckInStatus, at time.Time) bool {
	t.Helper()
	hash, err := secret.Heartbeat.Hash(token)
	must(t, err)
	known, err := RecordBeats(t.Context(), b.ingest, []Beat{{hash, s, at}})
	must(t, err)
	return known[0]
}

func (b *bundle) checkIn(t testing.TB, c ...CheckIn) int64 {
	t.Helper()
	n, err := RecordCheckIns(t.Context(), b.ingest, c)
	must(t, err)
	return n
}

func (b *bundle) digest(t testing.TB, at time.Time) Digested {
	t.Helper()
	_, err := b.Adopt(t.Context(), b.app, at)
	must(t, err)
	d, err := Digest(t.Context(), b.app, at, 1000)
	must(t, err)
	return d
}

// codes returns what was found of a monitor, the oldest first.
func (b *bundle) codes(t testing.TB, id uuid.UUID) string {
	t.Helper()
	p, err := History(t.Context(), b.app, b.organization.ID, id, CheckFilter{}, page.Request{Limit: 1000})
	must(t, err)
	var out []string
	for _, c := range p.Rows {
		out = append([]string{c.CreatedAt.Format("15:04:05 ") + c.Details.Code}, out...)
	}
	return strings.Join(out, ", ")
}

func TestRecordBeats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, token := b.make(t, heartbeat(), noon)
	s := heartbeat()
	s.Disabled = true
	_, disabled := b.make(t, s, noon)
	hash := func(token string) secret.Hash {
		h, err := secret.Heartbeat.Hash(token)
		must(t, err)
		return h
	}
	known, err := RecordBeats(t.Context(), b.ingest, []Beat{
		{hash(token), Began, noon},
		{hash(secret.Heartbeat.New()), Ok, noon},
		{hash(token), Ok, noon.Add(time.Millisecond)},
		{hash(token), Ok, noon.Add(999 * time.Millisecond)},
		{hash(disabled), Ok, noon},
		{hash(token), Ok, noon.Add(time.Second)},
	})
	must(t, err)
	if fmt.Sprint(known) != "[true false true true true true]" {
		t.Errorf("known: %v", known)
	}
	if n := b.number(t, `select count(*) from mesher.check_ins where monitor_id = $1::uuid`, m.ID); n != 3 {
		t.Errorf("%d rows: one of each status a second is kept", n)
	}
	if n := b.number(t, `select count(*) from mesher.check_ins`); n != 3 {
		t.Errorf("%d rows, also of the disabled one", n)
	}
}

func TestRecordCheckIns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, other := b.tenant(t, "rival")
	run := uuid.New()
	one := CheckIn{ProjectID: b.project.ID, Slug: "job", ID: run, Status: Began, At: noon}
	if n := b.checkIn(t, one, one); n != 1 {
		t.Errorf("the same twice: %d", n)
	}
	one.At = noon.Add(time.Second)
	if n := b.checkIn(t, one); n != 0 {
		t.Errorf("the same again: %d", n)
	}
	one.Status, one.Duration = Ok, time.Second
	if n := b.checkIn(t, one); n != 1 {
		t.Errorf("its end: %d", n)
	}
	var many []CheckIn
	for i := range CheckInsMinute {
		many = append(many, CheckIn{ProjectID: b.project.ID, Slug: "flood", Status: Ok, At: noon.Add(time.Duration(i) * time.Millisecond)})
	}
	if n := b.checkIn(t, many...); n != CheckInsMinute-2 {
		t.Errorf("%d of a flood are kept", n)
	}
	if n := b.checkIn(t, CheckIn{ProjectID: other.ID, Slug: "job", Status: Ok, At: noon}); n != 1 {
		t.Error("another project is held back")
	}
	if n := b.checkIn(t, CheckIn{ProjectID: b.project.ID, Slug: "job", Status: Ok, At: noon.Add(2 * time.Minute)}); n != 1 {
		t.Error("it is held back after the minute")
	}
	for name, c := range map[string]CheckIn{
		"no project": {Slug: "a", Status: Ok, At: noon}, "no slug": {ProjectID: b.project.ID, Status: Ok, At: noon},
		"an odd slug": {ProjectID: b.project.ID, Slug: "A b", Status: Ok, At: noon}, "no status": {ProjectID: b.project.ID, Slug: "a", At: noon},
		"a negative duration": {ProjectID: b.project.ID, Slug: "a", Status: Ok, Duration: -1, At: noon},
		"a long environment":  {ProjectID: b.project.ID, Slug: "a", Status: Ok, Environment: strings.Repeat("a", 65), At: noon},
	} {
		if _, err := RecordCheckIns(t.Context(), b.ingest, []CheckIn{c}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	t.Run("judges what jobs say and do not say", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m, token := b.make(t, heartbeat(), noon) // hourly, five minutes of grace
		at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
		b.beat(t, token, Ok, at(59))
		if d := b.digest(t, at(60)); d.CheckIns != 1 || d.Checks != 1 || d.Changed != 1 {
			t.Errorf("the first: %+v", d)
		}
		if m := b.find(t, m.ID); m.Status != Healthy || !m.ExpectedAt.Equal(at(119)) || !m.CheckedAt.Equal(at(59)) {
			t.Errorf("after the first: %+v", m)
		}
		if d := b.digest(t, at(124)); d.Monitors != 0 {
			t.Errorf("before it is late: %+v", d)
		}
		if d := b.digest(t, at(125)); d.Checks != 1 || d.Changed != 1 {
			t.Errorf("when it is late: %+v", d)
		}
		b.digest(t, at(126))
		b.beat(t, token, Began, at(130))
		b.beat(t, token, Error, at(131))
		b.beat(t, token, Ok, at(132))
		b.digest(t, at(133))
		if got := b.codes(t, m.ID); got != "12:59:00 ok, 14:04:00 missed, 14:11:00 error, 14:12:00 ok" {
			t.Errorf("found %s", got)
		}
		if m := b.find(t, m.ID); m.Status != Healthy || !m.StatusSince.Equal(at(132)) {
			t.Errorf("in the end: %s since %s", m.Status, m.StatusSince)
		}
	})
	t.Run("makes monitors as SDKs describe them, and follows", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := CheckIn{ProjectID: b.project.ID, Slug: "nightly", Environment: "production", ID: uuid.New(), Status: Began, At: noon, Schedule: &SDKSchedule{
			Cron: "0 * * * *", Timezone: "Europe/Berlin", MaxRuntimeS: 600, Failures: 2, Recoveries: 1,
		}}
		staging := c
		staging.Environment, staging.ID = "staging", uuid.New()
		b.checkIn(t, c, staging)
		b.digest(t, noon.Add(time.Minute))
		p, err := List(t.Context(), b.app, b.organization.ID, Filter{}, page.Request{Limit: 9})
		must(t, err)
		if len(p.Rows) != 2 {
			t.Fatalf("%d monitors", len(p.Rows))
		}
		var m Monitor
		for _, found := range p.Rows {
			if found.Environment == "production" {
				m = found
			}
		}
		h := m.Config.Heartbeat
		if m.Slug != "nightly" || m.ProjectID != b.project.ID || !h.FromSDK || h.Cron != "0 * * * *" || h.GraceS != 60 || m.Failures != 2 || m.RunningSince.IsZero() {
			t.Errorf("made %+v of %+v", m, h)
		}
		b.digest(t, noon.Add(11*time.Minute)) // it did not end in time
		c.Status, c.At, c.Schedule = Ok, noon.Add(20*time.Minute), &SDKSchedule{IntervalS: 7200, GraceS: 120}
		b.checkIn(t, c)
		b.digest(t, noon.Add(21*time.Minute))
		if got := b.codes(t, m.ID); got != "12:10:00 timeout, 12:20:00 ok" {
			t.Errorf("found %s", got)
		}
		m = b.find(t, m.ID)
		if h := m.Config.Heartbeat; h.Cron != "" || m.IntervalS != 7200 || h.GraceS != 120 || h.MaxRuntimeS != 600 || m.Failures != 2 || !m.ExpectedAt.Equal(c.At.Add(2*time.Hour)) {
			t.Errorf("follows to %+v of %+v", m, h)
		}
		c.ID, c.Schedule = uuid.New(), &SDKSchedule{Cron: "not one"}
		b.checkIn(t, c)
		b.digest(t, noon.Add(22*time.Minute))
		if got := b.find(t, m.ID); got.IntervalS != 7200 {
			t.Errorf("follows nonsense to %+v", got.Config.Heartbeat)
		}
	})
	t.Run("finds the monitor that somebody made, of any environment", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		s := heartbeat()
		s.ProjectID, s.Slug = b.project.ID, "nightly"
		m, _ := b.make(t, s, noon)
		for _, environment := range []string{"production", "staging"} {
			b.checkIn(t, CheckIn{
				ProjectID: b.project.ID, Slug: "nightly", Environment: environment, ID: uuid.New(), Status: Ok, At: noon.Add(time.Minute),
				Schedule: &SDKSchedule{Cron: "0 0 1 1 *"},
			})
		}
		b.digest(t, noon.Add(2*time.Minute))
		if got := b.codes(t, m.ID); got != "12:01:00 ok, 12:01:00 ok" {
			t.Errorf("found %s", got)
		}
		if m := b.find(t, m.ID); m.Config.Heartbeat.Cron != "" {
			t.Errorf("an SDK changed it: %+v", m.Config.Heartbeat)
		}
	})
	t.Run("ignores what nobody described, and what there may not be more of", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var all []CheckIn
		for i := range SDKMost + 2 {
			all = append(all, CheckIn{ProjectID: b.project.ID, Slug: fmt.Sprint("job-", i), Status: Ok, At: noon, Schedule: &SDKSchedule{IntervalS: 60}})
		}
		all = append(all, CheckIn{ProjectID: b.project.ID, Slug: "bare", Status: Ok, At: noon}, CheckIn{
			ProjectID: b.project.ID, Slug: "alas", Status: Ok, At: noon,
			Schedule: &SDKSchedule{Cron: "0 0 30 2 *"},
		})
		b.checkIn(t, all...)
		a, err := b.Adopt(t.Context(), b.app, noon.Add(time.Minute))
		must(t, err)
		if a.Created != SDKMost || a.Ignored != 4 || len(a.Refused) != 3 {
			t.Errorf("made %d, ignored %d, because of %v", a.Created, a.Ignored, a.Refused)
		}
		b.digest(t, noon.Add(time.Minute))
		if n := b.number(t, `select count(*) from mesher.check_ins where digested_at is null`); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
	t.Run("takes the end of a run before its beginning", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := CheckIn{ProjectID: b.project.ID, Slug: "job", ID: uuid.New(), Status: Ok, At: noon, Schedule: &SDKSchedule{Cron: "0 0 * * *", MaxRuntimeS: 60}}
		b.checkIn(t, c)
		c.Status, c.At = Began, noon.Add(time.Second)
		b.checkIn(t, c)
		b.digest(t, noon.Add(time.Minute))
		b.digest(t, noon.Add(time.Hour))
		if n := b.number(t, `select count(*) from mesher.service_health_checks`); n != 1 {
			t.Errorf("%d looks", n)
		}
	})
	t.Run("of several at once judges each once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for i := range 120 {
			_, token := b.make(t, heartbeat(), noon)
			if i%2 == 0 {
				b.beat(t, token, Ok, noon.Add(time.Minute))
			}
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { b.digest(t, noon.Add(70*time.Minute)) })
		}
		wg.Wait()
		b.digest(t, noon.Add(70*time.Minute))
		if n := b.number(t, `select count(*) from mesher.service_health_checks where status = 'down'`); n != 120 {
			t.Errorf("%d missed: each of 60 was not there at 13:00, and each of the others at 13:01", n)
		}
		if n := b.number(t, `select count(*) from mesher.service_health_checks where status = 'healthy'`); n != 60 {
			t.Errorf("%d were there", n)
		}
	})
	t.Run("judges the others where one cannot be judged", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		bad, _ := b.make(t, heartbeat(), noon)
		good, _ := b.make(t, heartbeat(), noon.Add(time.Second))
		admin := b.Pool(t, pgtest.Admin)
		for _, sql := range []string{
			`create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'no' using errcode = '22003'; end $$`,
			`create trigger refuse before insert on mesher.service_health_checks for each row
				when (new.monitor_id = '` + bad.ID.String() + `') execute function public.refuse()`,
		} {
			_, err := admin.Exec(t.Context(), sql)
			must(t, err)
		}
		late := noon.Add(2 * time.Hour)
		d, err := Digest(t.Context(), b.app, late, 1000)
		if err == nil || !strings.Contains(err.Error(), bad.ID.String()) || d.Monitors != 1 || d.Remaining != 1 {
			t.Errorf("got %+v, %v", d, err)
		}
		if m := b.find(t, good.ID); m.Status != Down {
			t.Errorf("the other is %s", m.Status)
		}
		if m := b.find(t, bad.ID); m.Status != Unknown || !m.DueAt.After(late) {
			t.Errorf("the one is %s and due at %s", m.Status, m.DueAt)
		}
		_, err = admin.Exec(t.Context(), `drop trigger refuse on mesher.service_health_checks`)
		must(t, err)
		b.digest(t, late.Add(2*time.Minute))
		if m := b.find(t, bad.ID); m.Status != Down {
			t.Errorf("afterwards it is %s", m.Status)
		}
	})
	t.Run("makes the monitors of all projects, whatever one of them sends", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, other := b.tenant(t, "rival")
		loud, quiet := b.project.ID, other.ID
		if quiet.String() < loud.String() {
			loud, quiet = quiet, loud
		}
		at := noon
		for minute := range 3 {
			var flood []CheckIn
			for i := range CheckInsMinute {
				flood = append(flood, CheckIn{ProjectID: loud, Slug: fmt.Sprint("a-", minute, "-", i), Status: Ok, At: at})
			}
			b.checkIn(t, flood...)
			at = at.Add(2 * time.Minute)
		}
		b.checkIn(t, CheckIn{ProjectID: quiet, Slug: "job", Status: Ok, At: at, Schedule: &SDKSchedule{IntervalS: 60}})
		_, err := b.Adopt(t.Context(), b.app, at.Add(time.Minute))
		must(t, err)
		if n := b.number(t, `select count(*) from mesher.monitors where project_id = $1::uuid`, quiet); n != 1 {
			t.Errorf("%d monitors of the other project", n)
		}
	})
	t.Run("forgets monitors that are disabled", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m, token := b.make(t, heartbeat(), noon)
		b.beat(t, token, Ok, noon)
		_, err := b.change(t, b.organization.ID, m.ID, Change{Enabled: ptr(false)}, noon)
		must(t, err)
		if d := b.digest(t, noon.AddDate(0, 0, 9)); d.Checks != 0 || d.Monitors != 0 {
			t.Errorf("%+v", d)
		}
		_, err = b.change(t, b.organization.ID, m.ID, Change{Enabled: ptr(true)}, noon.AddDate(0, 0, 9))
		must(t, err)
		if m := b.find(t, m.ID); !m.ExpectedAt.Equal(noon.AddDate(0, 0, 9).Add(time.Hour)) {
			t.Errorf("enabled again it is expected at %s", m.ExpectedAt)
		}
	})
}

// A heartbeat whose time zone is gone does not keep others from being judged.
func TestDigest_Broken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	broken, _ := b.make(t, heartbeat(), noon)
	good, _ := b.make(t, heartbeat(), noon)
	b.Exec(t, fmt.Sprintf(`update mesher.monitors set config = '{"heartbeat":{"cron":"0 * * * *","timezone":"Atlantis/Center"}}' where id = '%s'`, broken.ID))
	for range 2 {
		b.digest(t, noon.Add(70*time.Minute))
	}
	if got := b.codes(t, good.ID); got != "13:05:00 missed" {
		t.Errorf("the other one: %s", got)
	}
	if got := b.codes(t, broken.ID); got != "13:10:00 configuration" {
		t.Errorf("the broken one: %s", got)
	}
}
