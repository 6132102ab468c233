package alerts_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
)

// step is a run at a time after noon, and what the rule's alerts and notifications are afterwards.
type step struct {
	at     time.Duration
	alerts []string
	told   []string
}

func (b *bundle) steps(t *testing.T, r alert.Rule, steps ...step) {
	t.Helper()
	for _, s := range steps {
		b.run(t, s.at)
		if diff := cmp.Diff(s.alerts, b.list(t, r)); diff != "" {
			t.Fatalf("alerts %s after noon (-want +got)\n%s", s.at, diff)
		}
		if s.told == nil {
			continue
		}
		if diff := cmp.Diff(s.told, b.told(t, r)); diff != "" {
			t.Fatalf("told %s after noon (-want +got)\n%s", s.at, diff)
		}
	}
}

const (
	sec    = time.Second
	minute = time.Minute
)

func events(window, threshold int) alert.Condition {
	return alert.Condition{WindowMinutes: window, Threshold: int64(threshold)}
}

func TestWindows_CountEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.rule(t, alert.EventCount, events(5, 100))
	none, one := []string{}, []string{"active rule: 100 events in 5 minutes"}
	b.count(t, r, r.ID, -4, 60, 0)
	b.steps(t, r, step{5 * sec, none, none})
	b.count(t, r, r.ID, 0, 39, 0)
	b.steps(t, r, step{50 * sec, none, none})
	b.count(t, r, r.ID, 0, 1, 0) // the present minute counts
	b.steps(t, r, step{55 * sec, one, []string{"fired"}})
	if diff := cmp.Diff(1, len(b.queue.taken())); diff != "" {
		t.Errorf("published (-want +got)\n%s", diff)
	}
	// Runs that follow tell nobody again; a window that ended up to two minutes ago still counts.
	b.steps(t, r, step{minute, one, []string{"fired"}}, step{2*minute + 59*sec, one, []string{"fired"}})
	// 40 are left in the window, which is below nine tenths.
	resolved := []string{"resolved rule: 100 events in 5 minutes"}
	b.steps(t, r, step{3 * minute, resolved, []string{"fired", "resolved"}}, step{4 * minute, resolved, nil})
	b.count(t, r, r.ID, 4, 200, 0)
	b.steps(t, r, step{4*minute + sec, append(resolved, "active rule: 240 events in 5 minutes"), []string{"fired", "resolved", "fired"}})
}

func TestWindows_HoldNearTheThreshold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.rule(t, alert.EventCount, events(1, 100))
	open := []string{"active rule: 120 events in 1 minute"}
	for at, n := range map[int]int{0: 120, 1: 95, 2: 90, 3: 91, 4: 89, 5: 89, 6: 89} {
		b.count(t, r, r.ID, at, n, 0)
	}
	for at := range 6 {
		b.steps(t, r, step{time.Duration(at) * minute, open, nil})
	}
	b.steps(t, r, step{6 * minute, []string{"resolved rule: 120 events in 1 minute"}, nil})
}

// Events that were stored late are seen as long as their window ended less than two minutes before.
func TestWindows_SeeWhatIsStoredLate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	early, late := b.rule(t, alert.EventCount, events(1, 10)), b.rule(t, alert.EventCount, events(1, 10))
	b.run(t, 2*minute)
	b.count(t, early, early.ID, 1, 10, 0)
	b.count(t, late, late.ID, 0, 10, 0)
	b.run(t, 3*minute+30*sec)
	if got := len(b.list(t, early)) + 10*len(b.list(t, late)); got != 1 {
		t.Errorf("%v and %v, want an alert of the first only", b.list(t, early), b.list(t, late))
	}
}

func TestWindows_WaitForTheTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	wait := 3
	r := b.rule(t, alert.EventCount, events(1, 10), func(c *alert.RuleChange) { c.ForMinutes = &wait })
	none := []string{}
	for at := range 3 {
		b.count(t, r, r.ID, at, 10, 0)
		b.steps(t, r, step{time.Duration(at) * minute, none, none})
	}
	// It does not hold any more, and begins anew.
	b.steps(t, r, step{6 * minute, none, none})
	if n := b.number(t, "select count(*) from mesher.alert_pending"); n != 0 {
		t.Errorf("%d conditions are said to hold", n)
	}
	for at := 7; at < 10; at++ {
		b.count(t, r, r.ID, at, 10, 0)
		b.steps(t, r, step{time.Duration(at) * minute, none, none})
	}
	b.count(t, r, r.ID, 10, 11, 0)
	b.steps(t, r, step{10 * minute, []string{"active rule: 11 events in 1 minute"}, []string{"fired"}})
	if n := b.number(t, "select count(*) from mesher.alert_pending"); n != 0 {
		t.Errorf("%d conditions are said to hold though the alert is open", n)
	}
	b.steps(t, r, step{15 * minute, []string{"resolved rule: 11 events in 1 minute"}, []string{"fired", "resolved"}})
}

func TestWindows_TellNobodyWithinTheCooldown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cooldown := 30
	r := b.rule(t, alert.EventCount, events(1, 10), func(c *alert.RuleChange) { c.CooldownMinutes = &cooldown })
	var want []string
	for at := 0; at <= 50; at += 10 {
		b.count(t, r, r.ID, at, 10, 0)
		b.run(t, time.Duration(at)*minute)
		b.run(t, time.Duration(at+5)*minute)
		want = append(want, "resolved rule: 10 events in 1 minute")
	}
	if diff := cmp.Diff(want, b.list(t, r)); diff != "" {
		t.Errorf("alerts (-want +got)\n%s", diff)
	}
	// The first, and the first that was raised 30 minutes after that one was resolved.
	if diff := cmp.Diff([]string{"fired", "resolved", "fired", "resolved"}, b.told(t, r)); diff != "" {
		t.Errorf("told (-want +got)\n%s", diff)
	}
}

func TestWindows_TellNobodyWhileMuted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.rule(t, alert.EventCount, events(1, 10))
	mute := 10
	b.change(t, r, alert.RuleChange{MuteMinutes: &mute})
	b.count(t, r, r.ID, 5, 10, 0)
	b.count(t, r, r.ID, 11, 10, 0)
	b.steps(t, r,
		step{5 * minute, []string{"active rule: 10 events in 1 minute"}, []string{}},
		step{9 * minute, []string{"resolved rule: 10 events in 1 minute"}, []string{}},
		step{11 * minute, []string{"resolved rule: 10 events in 1 minute", "active rule: 10 events in 1 minute"}, []string{"fired"}})
	b.change(t, r, alert.RuleChange{MuteMinutes: &mute})
	b.steps(t, r, step{15 * minute, []string{"resolved rule: 10 events in 1 minute", "resolved rule: 10 events in 1 minute"}, []string{"fired", "resolved"}})
}

// Each issue is counted by itself, over all of its fingerprints; those that somebody has dealt with are not.
func TestWindows_CountByIssue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := events(2, 10)
	c.Scope = alert.ByIssue
	r := b.rule(t, alert.EventCount, c)
	one, two, three, four := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	merged, quiet, ignored := b.issue(t, "merged", one, two), b.issue(t, "quiet", three), b.issue(t, "ignored", four)
	b.exec(t, "update mesher.issues set status = 'ignored' where id = $1", ignored)
	for f, n := range map[uuid.UUID]int{one: 6, two: 5, three: 9, four: 100, uuid.New(): 100} {
		b.count(t, r, f, 0, n, 0)
	}
	b.steps(t, r, step{minute, []string{"active 11 events in 2 minutes: merged"}, []string{"fired"}})
	a, err := alert.FindActive(t.Context(), b.app, b.org, r.ID, merged)
	if err != nil || a.IssueID != merged || a.ProjectID != b.project || a.Kind != alert.EventCount || !a.Told {
		t.Errorf("the alert is %+v, %v", a, err)
	}
	if want := `{"scope": "issue", "title": "merged", "value": 11, "needed": 10, "window_minutes": 2}`; string(a.Snapshot) != want {
		t.Errorf("snapshot = %s, want %s", a.Snapshot, want)
	}
	// Resolving the issue ends it, though the events are still in the window.
	b.exec(t, "update mesher.issues set status = 'resolved' where id = $1", merged)
	b.steps(t, r, step{minute + 30*sec, []string{"resolved 11 events in 2 minutes: merged"}, []string{"fired", "resolved"}})
	b.count(t, r, three, 1, 1, 0)
	b.steps(t, r, step{minute + 40*sec, []string{"resolved 11 events in 2 minutes: merged", "active 10 events in 2 minutes: quiet"}, nil})
	_ = quiet
}

func TestWindows_CountUsers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	byIssue := events(10, 3)
	byIssue.Scope = alert.ByIssue
	project, issue := b.rule(t, alert.UserCount, events(10, 3)), b.rule(t, alert.UserCount, byIssue)
	one, two := uuid.New(), uuid.New()
	b.issue(t, "both", one, two)
	users := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	see := func(r alert.Rule, subject, user uuid.UUID, at int) {
		b.exec(t, "insert into mesher.alert_users (rule_id, subject, user_hash, minute) values ($1, $2, $3, $4)",
			r.ID, subject, user, noon.Add(time.Duration(at)*minute))
	}
	see(project, project.ID, users[0], 0)
	see(project, project.ID, users[1], 1)
	see(issue, one, users[0], 0)
	see(issue, two, users[0], 0) // the same user
	see(issue, two, users[1], 1)
	b.run(t, 2*minute)
	if all := append(b.list(t, project), b.list(t, issue)...); len(all) > 0 {
		t.Errorf("two users raise %v", all)
	}
	see(project, project.ID, users[2], 2)
	see(issue, one, users[2], 2)
	b.exec(t, "update mesher.alert_rules set updated_at = $1", noon.Add(2*minute)) // looked at, though no event is counted here
	b.run(t, 2*minute+sec)
	want := []string{"active rule: 3 users affected in 10 minutes", "active 3 users affected in 10 minutes: both"}
	if diff := cmp.Diff(want, append(b.list(t, project), b.list(t, issue)...)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	b.run(t, 11*minute+sec) // the first has left the window, the begun minute not counted
	if got := b.list(t, project); !strings.HasPrefix(got[0], "resolved") {
		t.Errorf("after the window: %v", got)
	}
}

func TestWindows_CompareErrorsOfReleases(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := alert.Condition{WindowMinutes: 5, Percent: 20, Minimum: 50}
	newest := b.rule(t, alert.ReleaseErrorRate, c)
	c.Releases = alert.EachRelease
	each := b.rule(t, alert.ReleaseErrorRate, c)
	for i, v := range []string{"1", "2", "3"} {
		b.exec(t, "insert into mesher.releases (project_id, version, first_seen) values ($1, $2, $3)", b.project, v, noon.Add(time.Duration(i)*minute-time.Hour))
	}
	for _, r := range []alert.Rule{newest, each} {
		b.count(t, r, alert.ReleaseSubject("1"), 0, 100, 30)
		b.count(t, r, alert.ReleaseSubject("2"), 0, 49, 49) // too few
		b.count(t, r, alert.ReleaseSubject("3"), 0, 100, 19)
	}
	b.run(t, sec)
	if diff := cmp.Diff([]string{"active rule: 30 % of 100 events of 1 in 5 minutes are errors"}, b.list(t, each)); diff != "" {
		t.Errorf("each (-want +got)\n%s", diff)
	}
	if got := b.list(t, newest); len(got) > 0 {
		t.Errorf("newest: %v, though its rate is below", got)
	}
	b.count(t, newest, alert.ReleaseSubject("3"), 1, 20, 10)
	b.steps(t, newest, step{minute, []string{"active rule: 24.2 % of 120 events of 3 in 5 minutes are errors"}, []string{"fired"}})
	// A newer release is out.
	b.exec(t, "insert into mesher.releases (project_id, version, first_seen) values ($1, '4', $2)", b.project, noon)
	b.steps(t, newest, step{2 * minute, []string{"resolved rule: 24.2 % of 120 events of 3 in 5 minutes are errors"}, []string{"fired", "resolved"}})
}

func TestWindows_FindSpikes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.rule(t, alert.Spike, alert.Condition{WindowMinutes: 10, Factor: 3, Minimum: 50}, func(c *alert.RuleChange) {
		c.Filter = &alert.Filter{Levels: []string{"error", "fatal"}, Environments: []string{"production"}}
	})
	put := func(at time.Time, level, environment string, n int) {
		b.exec(t, `insert into mesher.project_minute_counts (project_id, minute, level, environment, events) values ($1, $2, $3, $4, $5)`,
			b.project, at, level, environment, n)
	}
	// 120 an hour on each of three days: 20 in ten minutes are usual. What is not of the filter is not counted.
	for d := 1; d <= 3; d++ {
		day := noon.AddDate(0, 0, -d)
		put(day, "error", "production", 60)
		put(day.Add(-59*minute), "fatal", "production", 60)
		put(day.Add(-60*minute), "error", "production", 1000)
		put(day.Add(minute), "error", "production", 1000)
		put(day, "info", "production", 1000)
		put(day.Add(-minute), "error", "staging", 1000)
	}
	put(noon, "error", "production", 30)
	put(noon.Add(-minute), "fatal", "production", 29)
	put(noon.Add(-minute), "error", "staging", 1000)
	b.steps(t, r, step{sec, []string{}, nil})
	b.exec(t, "update mesher.project_minute_counts set events = 31 where minute = $1 and environment = 'production'", noon)
	b.steps(t, r, step{2 * sec, []string{"active rule: 60 events in 10 minutes, usual are 20"}, []string{"fired"}})
	b.steps(t, r, step{13 * minute, []string{"resolved rule: 60 events in 10 minutes, usual are 20"}, []string{"fired", "resolved"}})

	// Where nothing is known of days before, nothing is a spike.
	b.project = b.newProject(t)
	fresh := b.rule(t, alert.Spike, alert.Condition{WindowMinutes: 1, Factor: 2, Minimum: 1})
	put(noon.Add(13*minute), "error", "", 1_000_000)
	put(noon.Add(-23*time.Hour), "error", "", 1)
	b.steps(t, fresh, step{13 * minute, []string{}, nil})
}

// What was counted by another filter is not looked at.
func TestWindows_BeginWhenTheFilterChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.rule(t, alert.EventCount, events(60, 10))
	b.count(t, r, r.ID, 0, 10, 0)
	b.steps(t, r, step{sec, []string{"active rule: 10 events in 1 hour"}, nil})
	b.change(t, r, alert.RuleChange{Filter: &alert.Filter{Levels: []string{"error"}}})
	b.count(t, r, r.ID, 1, 9, 0)
	resolved := []string{"resolved rule: 10 events in 1 hour"}
	b.steps(t, r, step{minute, append([]string{}, "active rule: 10 events in 1 hour"), nil}) // 9 are near enough
	b.exec(t, "update mesher.alert_counts set events = 8 where minute = $1", noon.Add(minute))
	b.steps(t, r, step{minute + sec, resolved, nil})
}

func TestWindows_AreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := events(5, 1)
	c.Scope = alert.ByIssue
	r := b.rule(t, alert.EventCount, c)
	const issues = 1200
	b.exec(t, `
		with made as (
			insert into mesher.issues (project_id, id, title, level, event_count, first_seen, last_seen, active_hour)
			select $1::uuid, gen_random_uuid(), 'issue ' || n, 'error', 1, $2::timestamptz, $2::timestamptz, $2::timestamptz from generate_series(1, $4::int) n returning id),
		bound as (
			insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
			select $1::uuid, id, id, 1 from made returning fingerprint)
		insert into mesher.alert_counts (rule_id, subject, minute, events) select $3::uuid, fingerprint, $2::timestamptz, 1 from bound`,
		b.project, noon, r.ID, issues)
	for i := range 3 {
		if s := b.run(t, time.Duration(i)*sec); s.Remaining["windows"] != 200 {
			t.Errorf("left = %d, want 200", s.Remaining["windows"])
		}
		if n := b.number(t, "select count(*) from mesher.alert_events where status = 'active'"); n != 1000 {
			t.Errorf("open alerts = %d, want 1000", n)
		}
	}
	if n := b.number(t, "select count(*) from mesher.alert_events"); n != 1000 {
		t.Errorf("alerts = %d, want 1000: none is resolved and raised again", n)
	}
}

// What one organization has rules for takes no more of a run than its share: the rest follows in the next ones.
func TestWindows_ShareTheRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const channels, issues = 20, 130
	all := []uuid.UUID{b.channel}
	for len(all) < channels {
		id := uuid.New()
		b.exec(t, "insert into mesher.alert_channels (id, organization_id, name, kind) values ($1, $2, 'team', 'email')", id, b.org)
		all = append(all, id)
	}
	c := events(5, 1)
	c.Scope = alert.ByIssue
	loud := b.rule(t, alert.EventCount, c, func(ch *alert.RuleChange) { ch.ChannelIDs = &all })
	late := b.rule(t, alert.EventCount, events(5, 1))
	b.count(t, late, late.ID, 0, 1, 0)
	b.exec(t, `
		with made as (
			insert into mesher.issues (project_id, id, title, level, event_count, first_seen, last_seen, active_hour)
			select $1::uuid, gen_random_uuid(), 'issue ' || n, 'error', 1, $2::timestamptz, $2::timestamptz, $2::timestamptz from generate_series(1, $4::int) n returning id),
		bound as (
			insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
			select $1::uuid, id, id, 1 from made returning fingerprint)
		insert into mesher.alert_counts (rule_id, subject, minute, events) select $3::uuid, fingerprint, $2::timestamptz, 1 from bound`,
		b.project, noon, loud.ID, issues)
	count := func(r alert.Rule, status string) int {
		return b.number(t, "select count(*) from mesher.alert_events where rule_id = $1 and status = $2", r.ID, status)
	}
	first := b.run(t, 0)
	if n := count(loud, "active"); n != 119 || first.Remaining["windows"] != 11 { // of 21 changes each
		t.Errorf("raised = %d and left = %d, want 119 and 11", n, first.Remaining["windows"])
	}
	if n := count(late, "active"); n != 1 {
		t.Errorf("the other rule raised %d, want 1", n)
	}
	b.run(t, sec)
	if n := count(loud, "active"); n != issues {
		t.Errorf("raised = %d after the next run, want %d", n, issues)
	}
	b.run(t, 20*minute)
	if n := count(loud, "resolved"); n == 0 || n > 29 { // each costs four times as much
		t.Errorf("resolved = %d at once, want at most 29", n)
	}
}

func TestWindows_OfManyRules(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const rules = 1100
	b.exec(t, `
		with made as (
			insert into mesher.alert_rules (id, organization_id, project_id, name, kind, condition, severity, counts_from, updated_at)
			select gen_random_uuid(), $1::uuid, $2::uuid, 'rule ' || n, 'event_count', '{"window_minutes": 5, "scope": "project", "threshold": 10}', 'info',
				$3::timestamptz - interval '1 day', $3::timestamptz - interval '1 day'
			from generate_series(1, $4::int) n returning id, name)
		insert into mesher.alert_counts (rule_id, subject, minute, events)
		select id, id, $3::timestamptz, case when name like '%0' then 10 else 1 end from made`, b.org, b.project, noon, rules)
	s := b.run(t, sec)
	if s.Done["windows"] != rules {
		t.Errorf("rules = %d, want %d", s.Done["windows"], rules)
	}
	if n := b.number(t, "select count(*) from mesher.alert_events"); n != rules/10 {
		t.Errorf("alerts = %d, want %d", n, rules/10)
	}
	// Of those that nothing was counted for lately, only those with an open alert are looked at.
	if s := b.run(t, 4*minute); s.Done["windows"] != rules/10 {
		t.Errorf("rules = %d, want %d", s.Done["windows"], rules/10)
	}
	if got := fmt.Sprint(s.Report); got != "map[raised:110 resolved:0]" {
		t.Errorf("report = %s", got)
	}
}
