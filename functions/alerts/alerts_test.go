package alerts_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/postgres"
)

// raise opens an alert as whoever sees something does, and returns the notifications.
func (b *bundle) raise(t testing.TB, r alert.Rule, subject uuid.UUID, change ...func(*alert.New)) []uuid.UUID {
	t.Helper()
	n := alert.New{RuleID: r.ID, Subject: subject, Title: "title", At: b.clock()}
	for _, f := range change {
		f(&n)
	}
	ids, err := alert.Create(t.Context(), b.app, n)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func ofIssue(id uuid.UUID) func(*alert.New) { return func(n *alert.New) { n.IssueID = id } }

func TestEnded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		kind alert.Kind
		end  string // with $1 the issue, $2 the rule
		why  string // "": it has not ended
	}{
		"nothing happened":      {alert.NewIssue, "select $1::uuid, $2::uuid", ""},
		"the issue is resolved": {alert.NewIssue, "update mesher.issues set status = 'resolved' where id = $1 and $2::uuid is not null", "the issue was resolved"},
		"ignored":               {alert.Regression, "update mesher.issues set status = 'ignored' where id = $1 and $2::uuid is not null", "the issue was ignored"},
		"discarded":             {alert.NewIssue, "update mesher.issues set status = 'discarded' where id = $1 and $2::uuid is not null", "the issue was discarded"},
		"merged":                {alert.Regression, "update mesher.issues set status = 'resolved', merged_into = gen_random_uuid() where id = $1 and $2::uuid is not null", "the issue was merged into another"},
		"deleted":               {alert.NewIssue, "delete from mesher.issues where id = $1 and $2::uuid is not null", "the issue was deleted"},
		"the rule is disabled":  {alert.NewIssue, "update mesher.alert_rules set enabled = false where id = $2 and $1::uuid is not null", "its rule was disabled"},
		"the rule is deleted":   {alert.NewIssue, "delete from mesher.alert_rules where id = $2 and $1::uuid is not null", "its rule was deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r, issue, other := b.rule(t, tt.kind, alert.Condition{}), b.issue(t, "issue"), b.issue(t, "other")
			b.raise(t, r, issue, ofIssue(issue))
			unrelated := b.rule(t, alert.NewIssue, alert.Condition{})
			b.raise(t, unrelated, other, ofIssue(other))
			b.exec(t, tt.end, issue, r.ID)
			s := b.run(t, minute)
			var status, why string
			err := b.admin.QueryRow(t.Context(), "select status, coalesce(resolved_why, '') from mesher.alert_events where rule_id = $1", r.ID).Scan(&status, &why)
			if err != nil || why != tt.why || (status == "resolved") != (tt.why != "") || s.Done["ended"] != int64(min(1, len(tt.why))) {
				t.Errorf("status %s because of %q, %d ended, %v; want %q", status, why, s.Done["ended"], err, tt.why)
			}
			if got := b.list(t, unrelated); !strings.HasPrefix(got[0], "active") {
				t.Errorf("the alert of another issue is %v", got)
			}
			told := []string{"fired"}
			if tt.why != "" {
				told = append(told, "resolved")
			}
			if diff := cmp.Diff(told, b.told(t, r)); diff != "" {
				t.Errorf("told (-want +got)\n%s", diff)
			}
		})
	}
}

func (b *bundle) monitor(t testing.TB, status string) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	b.exec(t, `insert into mesher.monitors (id, organization_id, project_id, name, kind, config, interval_s, timeout_ms, failures, failures_of,
		recoveries, status, due_at) values ($1, $2, $3, 'shop', 'http', '{}', 60, 1000, 1, 1, 1, $4, now())`, id, b.org, b.project, status)
	return id
}

func TestEnded_OfMonitors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ end, why string }{
		"is still down":      {"select $1::uuid", ""},
		"is not known":       {"update mesher.monitors set status = 'unknown' where id = $1", ""},
		"is well":            {"update mesher.monitors set status = 'healthy' where id = $1", "the monitor is healthy"},
		"is degraded only":   {"update mesher.monitors set status = 'degraded' where id = $1", "the monitor is degraded"},
		"is disabled":        {"update mesher.monitors set enabled = false where id = $1", "the monitor was disabled"},
		"is gone":            {"delete from mesher.monitors where id = $1", "the monitor was deleted"},
		"is another's":       {`update mesher.alert_rules set condition = '{"statuses": ["down"], "monitors": ["00000000-0000-0000-0000-000000000001"]}' where $1::uuid is not null`, "its rule is about other monitors"},
		"is about to be two": {`update mesher.alert_rules set condition = '{"statuses": ["down", "degraded"]}' where $1::uuid is not null`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r, m := b.rule(t, alert.MonitorStatus, alert.Condition{}), b.monitor(t, "down")
			if _, err := alert.MonitorChanged(t.Context(), b.app, m, "down", map[string]any{"code": "timeout"}, noon); err != nil {
				t.Fatal(err)
			}
			b.exec(t, tt.end, m)
			b.run(t, minute)
			var why string
			if err := b.admin.QueryRow(t.Context(), "select coalesce(resolved_why, '') from mesher.alert_events where rule_id = $1", r.ID).Scan(&why); err != nil || why != tt.why {
				t.Errorf("resolved because of %q, %v; want %q", why, err, tt.why)
			}
		})
	}
}

// Whoever sees it, however many at once: one alert is open, and each channel is told once.
func TestRaces(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, "insert into mesher.alert_channels (id, organization_id, name, kind) values ($1, $2, 'chat', 'slack')", uuid.New(), b.org)
	down, counted := b.rule(t, alert.MonitorStatus, alert.Condition{}), b.rule(t, alert.EventCount, events(1, 10))
	b.exec(t, "insert into mesher.alert_rule_channels select r.id, c.id from mesher.alert_rules r, mesher.alert_channels c on conflict do nothing")
	m := b.monitor(t, "down")
	b.count(t, counted, counted.ID, 0, 10, 0)
	const rounds, workers = 5, 8
	for round := range rounds {
		at := noon.Add(time.Duration(round) * sec)
		together(workers, func(int) {
			err := postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) error {
				_, err := alert.MonitorChanged(t.Context(), tx, m, "down", nil, at)
				return err
			})
			if err != nil {
				t.Error(err)
			}
			if _, err := alert.Evaluate(t.Context(), b.app, uuid.Nil, at); err != nil {
				t.Error(err)
			}
		})
		for _, r := range []alert.Rule{down, counted} {
			if n := b.number(t, "select count(*) from mesher.alert_events where rule_id = $1 and status = 'active'", r.ID); n != 1 {
				t.Errorf("%d alerts of the rule about %s are open, want 1", n, r.Kind)
			}
			if n := b.number(t, "select count(*) from mesher.notifications where rule_id = $1", r.ID); n != 2*(2*round+1) {
				t.Errorf("round %d: %d notifications of the rule about %s, want 2 for each time", round, n, r.Kind)
			}
		}
		b.exec(t, "update mesher.alert_counts set events = 0")
		together(workers, func(int) {
			err := postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) error {
				_, err := alert.MonitorChanged(t.Context(), tx, m, "healthy", nil, at)
				return err
			})
			if err != nil {
				t.Error(err)
			}
			if _, err := alert.Evaluate(t.Context(), b.app, uuid.Nil, at); err != nil {
				t.Error(err)
			}
		})
		if n := b.number(t, "select count(*) from mesher.alert_events where status <> 'resolved'"); n != 0 {
			t.Errorf("%d alerts are open, want none", n)
		}
		b.exec(t, "update mesher.alert_counts set events = 10")
	}
	if n := b.number(t, "select count(*) from mesher.notifications"); n != 2*2*2*rounds {
		t.Errorf("notifications = %d, want %d", n, 8*rounds)
	}
}

func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// Two runs at once, of two instances, do the work once.
func TestAlerts_TwiceAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.rule(t, alert.EventCount, events(1, 10))
	b.count(t, r, r.ID, 0, 10, 0)
	other := b.function(t)
	together(6, func(i int) {
		f := b.f
		if i%2 == 0 {
			f = other
		}
		if s := call(t, f); len(s.Failed) > 0 {
			t.Errorf("%+v", s)
		}
	})
	if diff := cmp.Diff([]string{"active rule: 10 events in 1 minute"}, b.list(t, r)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if n := len(b.queue.taken()); n != 1 {
		t.Errorf("published = %d, want 1", n)
	}
}

// An acknowledged alert is told of once more when it is resolved, and again when it comes back.
func TestAlerts_KeepQuietOnceAcknowledged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.rule(t, alert.EventCount, events(1, 10))
	b.count(t, r, r.ID, 0, 10, 0)
	b.run(t, sec)
	a, err := alert.FindActive(t.Context(), b.app, b.org, r.ID, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	err = postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) error {
		_, _, err := alert.Acknowledge(t.Context(), tx, b.org, a.ID, uuid.New(), noon)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	open := []string{"acknowledged rule: 10 events in 1 minute"}
	b.count(t, r, r.ID, 1, 100, 0)
	b.steps(t, r, step{minute, open, []string{"fired"}}, step{2 * minute, open, []string{"fired"}},
		step{4 * minute, []string{"resolved rule: 10 events in 1 minute"}, []string{"fired", "resolved"}})
	b.count(t, r, r.ID, 4, 10, 0)
	b.steps(t, r, step{4*minute + sec, []string{"resolved rule: 10 events in 1 minute", "active rule: 10 events in 1 minute"}, []string{"fired", "resolved", "fired"}})
}

// What could not be published is swept by a later run.
func TestAlerts_SweepTheOutbox(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.rule(t, alert.EventCount, events(1, 10))
	b.count(t, r, r.ID, 0, 10, 0)
	b.queue.fail(errAway)
	if w := httptest.NewRecorder(); true {
		b.f.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil))
		if !strings.Contains(w.Body.String(), "outbox") {
			t.Errorf("the answer does not say that sweeping failed: %s", w.Body)
		}
	}
	if got := b.list(t, r); len(got) != 1 || len(b.queue.taken()) != 0 {
		t.Fatalf("alerts %v, published %v", got, b.queue.taken())
	}
	b.exec(t, "update mesher.notifications set swept_at = null")
	b.queue.fail(nil)
	b.run(t, minute)
	if n := len(b.queue.taken()); n != 1 {
		t.Errorf("published = %d, want 1", n)
	}
}

func TestAlerts_CleanUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, users := b.rule(t, alert.EventCount, events(1, 1000)), b.rule(t, alert.UserCount, events(30, 3))
	day := 24 * 60
	for _, at := range []int{0, -8*day + 1, -8*day - 1, -9 * day} {
		b.count(t, r, r.ID, at, 1, 0)
		b.exec(t, "insert into mesher.project_minute_counts (project_id, minute, level, environment, events) values ($1, $2, 'error', '', 1)",
			b.project, noon.Add(time.Duration(at)*minute))
	}
	for rule, ats := range map[uuid.UUID][]int{users.ID: {0, -39, -41}, uuid.New(): {0, 0}} {
		for _, at := range ats {
			b.exec(t, "insert into mesher.alert_users (rule_id, subject, user_hash, minute) values ($1, $1, gen_random_uuid(), $2)", rule, noon.Add(time.Duration(at)*minute))
		}
	}
	s := b.run(t, 0)
	if got := fmt.Sprint(s.Done["clean"], s.Remaining["clean"]); got != "7 0" {
		t.Errorf("cleaned, left = %s, want 7 0", got)
	}
	for table, want := range map[string]int{"alert_counts": 2, "project_minute_counts": 2, "alert_users": 2} {
		if got := b.number(t, "select count(*) from mesher."+table); got != want {
			t.Errorf("%s: %d rows are left, want %d", table, got, want)
		}
	}
}

// A rule that has all the users that are kept says so, until there is room again.
func TestAlerts_SayWhenUsersAreEnough(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.rule(t, alert.UserCount, events(30, 3))
	crowded := func() int {
		return b.number(t, "select count(*) from mesher.alert_rules where id = $1 and crowded", r.ID)
	}
	b.exec(t, `insert into mesher.alert_users (rule_id, subject, user_hash, minute)
		select $1::uuid, $1::uuid, gen_random_uuid(), case when n <= 20000 then $2::timestamptz else $2::timestamptz + interval '1 hour' end
		from generate_series(1, $3::int) n`, r.ID, noon, alert.UsersKept-1)
	b.run(t, 0)
	if crowded() != 0 {
		t.Error("it is full with one less")
	}
	b.exec(t, "insert into mesher.alert_users (rule_id, subject, user_hash, minute) values ($1, $1, gen_random_uuid(), $2)", r.ID, noon)
	b.run(t, minute)
	if crowded() != 1 {
		t.Error("it is not full")
	}
	b.run(t, 41*minute) // 20,000 have left, some at a time
	b.run(t, 42*minute)
	if n := b.number(t, "select count(*) from mesher.alert_users"); crowded() != 0 || n != 79_999 {
		t.Errorf("with %d users it is full: %d", n, crowded())
	}
}

func TestAlerts_ChangeNothingInADryRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.rule(t, alert.EventCount, events(1, 10))
	b.count(t, r, r.ID, 0, 10, 0)
	w := httptest.NewRecorder()
	b.f.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/?dry_run=true", nil))
	if got := b.list(t, r); w.Code != http.StatusOK || len(got) != 0 {
		t.Errorf("%d %s, alerts %v", w.Code, w.Body, got)
	}
}

func TestAlerts_Health(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.f.Health(t.Context()); err != nil {
		t.Error(err)
	}
	f := b.function(t)
	b.app.Close()
	if err := f.Health(context.Background()); err == nil {
		t.Error("without a database it says that it is well")
	}
}
