package alert_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
)

// propose returns a rule of the project that does not exist.
func (b *bundle) propose(t testing.TB, k alert.Kind, c alert.Condition, f alert.Filter, change ...func(*alert.RuleChange)) alert.Rule {
	t.Helper()
	ch := alert.RuleChange{Name: ptr("rule"), Condition: &c, Filter: &f}
	for _, do := range change {
		do(&ch)
	}
	r, err := alert.ProposeRule(b.place(), k, ch, alert.Bounds{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// try returns the answer of a dry run at noon as "answer: times and values", and its notes.
func (b *bundle) try(t testing.TB, r alert.Rule) (answer string, notes string) {
	t.Helper()
	d, err := alert.Try(t.Context(), b.app, r, noon)
	if err != nil {
		t.Fatal(err)
	}
	fired := "?"
	if d.Fired != nil {
		fired = fmt.Sprint(*d.Fired)
	}
	parts := []string{}
	for _, f := range d.Firings {
		part := f.At.Format("02 15:04")
		if f.Value != 0 {
			part += fmt.Sprintf(" %g", f.Value)
		}
		if f.What != "" {
			part += " " + f.What
		}
		parts = append(parts, part)
	}
	return fmt.Sprintf("%s %s [%s]", d.Answer, fired, strings.Join(parts, ", ")), strings.Join(d.Notes, "; ")
}

// tried fails the test unless the answer is as it is to be, and the notes say something.
func (b *bundle) tried(t testing.TB, r alert.Rule, want, note string) {
	t.Helper()
	got, notes := b.try(t, r)
	if got != want || (note == "") != (notes == "") || !strings.Contains(notes, note) {
		t.Errorf("%s, notes %q\nwant %s, notes with %q", got, notes, want, note)
	}
}

// issue makes an issue that was first seen some time before noon, with a fingerprint and its tags.
func (b *bundle) issue(t testing.TB, title string, before time.Duration, tags ...string) (id, fingerprint uuid.UUID) {
	t.Helper()
	id, fingerprint = uuid.Must(uuid.NewV7()), uuid.New()
	b.exec(t, `insert into mesher.issues (project_id, id, title, level, event_count, first_seen, last_seen, active_hour, first_release)
		values ($1, $2, $3, 'error', 1, $4, $5, date_trunc('hour', $5::timestamptz, 'UTC'), '1')`, b.project, id, title, noon.Add(-before), noon)
	b.exec(t, "insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version) values ($1, $2, $3, 1)", b.project, fingerprint, id)
	for i := 0; i < len(tags); i += 2 {
		b.exec(t, "insert into mesher.issue_tags (project_id, fingerprint, key, value, seen_hour) values ($1, $2, $3, $4, $5)", b.project, fingerprint, tags[i], tags[i+1], noon)
	}
	return id, fingerprint
}

// put counts events of the project in a minute before noon.
func (b *bundle) put(t testing.TB, before time.Duration, level, environment string, n int) {
	t.Helper()
	b.exec(t, "insert into mesher.project_minute_counts (project_id, minute, level, environment, events) values ($1, $2, $3, $4, $5)",
		b.project, noon.Add(-before).Truncate(time.Minute), level, environment, n)
}

func TestTry_NewIssues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.issue(t, "old", 7*day+time.Second)
	b.issue(t, "first", 7*day-time.Minute, "level", "error", "environment", "production", "region", "eu", "tier", "1")
	b.issue(t, "second", time.Hour, "level", "info", "environment", "staging", "region", "us")
	b.tried(t, b.propose(t, alert.NewIssue, alert.Condition{}, alert.Filter{}), "exact 2 [10 11:00 second, 03 12:01 first]", "")
	b.tried(t, b.propose(t, alert.NewIssue, alert.Condition{}, alert.Filter{Releases: []string{"1"}}), "exact 2 [10 11:00 second, 03 12:01 first]", "")
	b.tried(t, b.propose(t, alert.NewIssue, alert.Condition{}, alert.Filter{Releases: []string{"2"}}), "exact 0 []", "")
	for _, f := range []alert.Filter{
		{Levels: []string{"error", "fatal"}},
		{Environments: []string{"production"}},
		{Tags: []alert.Tag{{Key: "region", Value: "eu"}, {Key: "tier", Value: "1"}}},
		{Levels: []string{"error"}, Environments: []string{"production"}, Tags: []alert.Tag{{Key: "region", Value: "eu"}}},
	} {
		b.tried(t, b.propose(t, alert.NewIssue, alert.Condition{}, f), "approximate 1 [03 12:01 first]", "not of the one that opened it")
	}
	b.tried(t, b.propose(t, alert.NewIssue, alert.Condition{}, alert.Filter{Levels: []string{"error"}, Environments: []string{"staging"}}), "approximate 0 []", "of all events")
}

func TestTry_ListsTheLatest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `insert into mesher.issues (project_id, id, title, level, event_count, first_seen, last_seen, active_hour)
		select $1::uuid, gen_random_uuid(), n::text, 'error', 1, $2::timestamptz - n * interval '1 minute', $2::timestamptz, $2::timestamptz from generate_series(1, 250) n`, b.project, noon)
	d, err := alert.Try(t.Context(), b.app, b.propose(t, alert.NewIssue, alert.Condition{}, alert.Filter{}), noon)
	if err != nil || d.Fired == nil || *d.Fired != 250 || len(d.Firings) != 100 || d.Firings[0].What != "1" || d.Firings[99].What != "100" {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestTry_Regressions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, _ := b.issue(t, "back", 30*day, "environment", "production")
	for _, a := range []struct {
		action  string
		before  time.Duration
		release string
	}{
		{"regressed", 8 * day, "1"}, {"regressed", 2 * day, "1"}, {"regressed", day, "2"}, {"resolved", day, "2"},
	} {
		b.exec(t, `insert into mesher.issue_activity (id, project_id, issue_id, created_at, action, details) values (gen_random_uuid(), $1, $2, $3, $4, jsonb_build_object('release', $5::text))`,
			b.project, id, noon.Add(-a.before), a.action, a.release)
	}
	b.tried(t, b.propose(t, alert.Regression, alert.Condition{}, alert.Filter{}), "exact 2 [09 12:00 back, 08 12:00 back]", "")
	b.tried(t, b.propose(t, alert.Regression, alert.Condition{}, alert.Filter{Releases: []string{"2"}}), "exact 1 [09 12:00 back]", "")
	b.tried(t, b.propose(t, alert.Regression, alert.Condition{}, alert.Filter{Environments: []string{"staging"}}), "approximate 0 []", "reopened it")
}

func TestTry_EventCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	count := alert.Condition{WindowMinutes: 5, Threshold: 100}
	b.tried(t, b.propose(t, alert.EventCount, count, alert.Filter{}), "exact 0 []", "")
	b.put(t, 7*day+time.Hour, "error", "", 1000)
	// 60 and 50 within a window raise it, and it ends when less than 90 are left; then again.
	b.put(t, 3*day, "error", "production", 60)
	b.put(t, 3*day-4*time.Minute, "info", "production", 50)
	b.put(t, 3*day-5*time.Minute, "error", "production", 49)
	b.put(t, 2*day, "error", "staging", 300)
	b.put(t, 2*day-time.Hour, "error", "production", 99)
	b.tried(t, b.propose(t, alert.EventCount, count, alert.Filter{}), "exact 2 [08 12:00 300, 07 12:04 110]", "")
	b.tried(t, b.propose(t, alert.EventCount, count, alert.Filter{Environments: []string{"production"}}), "exact 1 [07 12:04 110]", "")
	b.tried(t, b.propose(t, alert.EventCount, count, alert.Filter{Levels: []string{"error"}}), "exact 1 [08 12:00 300]", "")
	// With a wait: the first holds from 12:04 to 12:11, since windows that ended up to two minutes before count.
	wait := func(n int) func(*alert.RuleChange) { return func(c *alert.RuleChange) { c.ForMinutes = &n } }
	b.tried(t, b.propose(t, alert.EventCount, count, alert.Filter{}, wait(6)), "exact 1 [08 12:06 300]", "")
	b.tried(t, b.propose(t, alert.EventCount, count, alert.Filter{}, wait(7)), "exact 0 []", "")
	// Where events of some time were not counted by the minute, that is said.
	b.exec(t, "delete from mesher.project_minute_counts where minute < $1", noon.Add(-3*day+time.Hour))
	b.exec(t, "insert into mesher.project_hourly_counts (project_id, hour, level, events) values ($1, $2, 'error', 1)", b.project, noon.Add(-5*day))
	b.tried(t, b.propose(t, alert.EventCount, count, alert.Filter{}), "approximate 1 [08 12:00 300]", "counted by the minute since 2026-03-08T12:00:00Z")
	b.exec(t, "delete from mesher.project_minute_counts")
	b.tried(t, b.propose(t, alert.EventCount, count, alert.Filter{}), "unknown ? []", "no event was counted by the minute yet")
}

// What was not counted is not known, rather than none.
func TestTry_EventCountsByTag(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(t, time.Hour, "error", "", 1000)
	count, filter := alert.Condition{WindowMinutes: 5, Threshold: 10}, alert.Filter{Tags: []alert.Tag{{Key: "region", Value: "eu"}}}
	b.tried(t, b.propose(t, alert.EventCount, count, filter), "unknown ? []", "only for rules that exist")
	b.tried(t, b.propose(t, alert.EventCount, count, alert.Filter{Releases: []string{"1"}}), "unknown ? []", "only for rules that exist")
	r := b.rule(t, alert.EventCount, alert.RuleChange{Condition: &count, Filter: &filter})
	from := noon.Add(-2 * day)
	b.exec(t, "update mesher.alert_rules set counts_from = $1", from)
	for _, at := range []time.Duration{2*day + time.Minute, day, time.Hour} {
		b.exec(t, "insert into mesher.alert_counts (rule_id, subject, minute, events) values ($1, $1, $2, 10)", r.ID, noon.Add(-at))
	}
	r, err := alert.FindRule(t.Context(), b.app, b.org, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	b.tried(t, r, "approximate 2 [10 11:00 10, 09 12:00 10]", "since 2026-03-08T12:00:00Z")
	b.exec(t, "update mesher.alert_rules set counts_from = $1", noon.Add(-8*day))
	r.CountsFrom = noon.Add(-8 * day)
	b.tried(t, r, "exact 3 [10 11:00 10, 09 12:00 10, 08 11:59 10]", "")
}

func TestTry_ByIssue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, one := b.issue(t, "one", 30*day, "level", "error", "release", "1")
	id, two := b.issue(t, "two", 30*day)
	_, three := b.issue(t, "three", 30*day)
	b.exec(t, "update mesher.issue_fingerprints set issue_id = $1 where fingerprint = $2", id, three) // merged
	hour := func(f uuid.UUID, before, n int) {
		b.exec(t, "insert into mesher.issue_hourly_counts (project_id, fingerprint, hour, events) values ($1, $2, $3, $4)", b.project, f, noon.Add(-time.Duration(before)*time.Hour), n)
	}
	hour(one, 50, 100)
	hour(one, 20, 60)
	hour(one, 19, 50)
	hour(two, 10, 60)
	hour(three, 10, 40)
	hour(one, 200, 1000)
	c := alert.Condition{WindowMinutes: 5, Threshold: 100, Scope: alert.ByIssue}
	b.tried(t, b.propose(t, alert.EventCount, c, alert.Filter{}), "approximate 2 [10 02:00 100 two, 08 10:00 100 one]", "by the hour")
	b.tried(t, b.propose(t, alert.EventCount, c, alert.Filter{Levels: []string{"error"}}), "approximate 1 [08 10:00 100 one]", "levels, environments and tags")
	b.tried(t, b.propose(t, alert.EventCount, c, alert.Filter{Releases: []string{"1"}}), "approximate 1 [08 10:00 100 one]", "releases are those")
	c.WindowMinutes = 61 // two hours
	b.tried(t, b.propose(t, alert.EventCount, c, alert.Filter{}), "approximate 3 [10 02:00 100 two, 09 17:00 110 one, 08 10:00 100 one]", "by the hour")
}

func TestTry_UserCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, one := b.issue(t, "one", 30*day)
	_, two := b.issue(t, "two", 30*day, "environment", "production")
	shared := uuid.New()
	for i, f := range []uuid.UUID{one, one, two, two, two} {
		user := uuid.New()
		if i == 0 || i == 2 {
			user = shared
		}
		b.exec(t, "insert into mesher.issue_users (project_id, fingerprint, user_hash, seen_hour) values ($1, $2, $3, $4)", b.project, f, user, noon.Add(-5*time.Hour))
	}
	c := alert.Condition{WindowMinutes: 30, Threshold: 4}
	b.tried(t, b.propose(t, alert.UserCount, c, alert.Filter{}), "approximate 1 [10 07:00 4]", "only the hour of the last event")
	c.Threshold = 5
	b.tried(t, b.propose(t, alert.UserCount, c, alert.Filter{}), "approximate 0 []", "of each user")
	c.Threshold, c.Scope = 3, alert.ByIssue
	b.tried(t, b.propose(t, alert.UserCount, c, alert.Filter{}), "approximate 1 [10 07:00 3 two]", "of each user")
	c.Threshold = 2
	b.tried(t, b.propose(t, alert.UserCount, c, alert.Filter{Environments: []string{"production"}}), "approximate 1 [10 07:00 3 two]", "of each user")
}

func TestTry_Spikes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := alert.Condition{WindowMinutes: 10, Factor: 3, Minimum: 10}
	for d := range 8 {
		b.put(t, time.Duration(d)*day+30*time.Minute, "error", "", 60) // 10 in ten minutes are usual at noon
	}
	b.put(t, 2*day, "error", "", 30)
	b.put(t, day, "error", "", 29)
	b.put(t, 12*time.Hour, "error", "", 10) // nothing is usual at midnight
	b.put(t, 5*day+12*time.Hour, "error", "", 9)
	// An hour of 60 at once is six times what is usual for ten minutes.
	got, notes := b.try(t, b.propose(t, alert.Spike, c, alert.Filter{}))
	want := "approximate 9 [10 11:30 60, 10 00:00 10, 09 11:30 60, 08 12:00 30, 08 11:30 60, 07 11:30 60, 06 11:30 60, 05 11:30 60, 04 11:30 60]"
	if got != want || !strings.Contains(notes, "kept for eight days") {
		t.Errorf("%s\nwant %s, notes %q", got, want, notes)
	}
}

func TestTry_ReleaseErrorRates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := alert.Condition{WindowMinutes: 5, Percent: 50, Minimum: 10, Releases: alert.EachRelease}
	b.tried(t, b.propose(t, alert.ReleaseErrorRate, c, alert.Filter{}), "unknown ? []", "only for rules that exist")
	each := b.rule(t, alert.ReleaseErrorRate, alert.RuleChange{Condition: &c})
	c.Releases = alert.NewestRelease
	newest := b.rule(t, alert.ReleaseErrorRate, alert.RuleChange{Condition: &c})
	for i, v := range []string{"1", "2"} {
		b.exec(t, "insert into mesher.releases (project_id, version, first_seen) values ($1, $2, $3)", b.project, v, noon.Add(-time.Duration(4-2*i)*day))
	}
	for _, r := range []*alert.Rule{&each, &newest} {
		r.CountsFrom = noon.Add(-8 * day)
		for _, v := range []struct {
			release        string
			before         time.Duration
			events, errors int
		}{
			{"1", 3 * day, 10, 5}, {"1", day, 10, 9}, {"2", day, 9, 9}, {"2", time.Hour, 20, 9}, {"2", time.Hour - time.Minute, 20, 11},
		} {
			b.exec(t, "insert into mesher.alert_counts (rule_id, subject, minute, label, events, errors) values ($1, $2, $3, $4, $5, $6)",
				r.ID, alert.ReleaseSubject(v.release), noon.Add(-v.before), v.release, v.events, v.errors)
		}
	}
	b.tried(t, each, "exact 3 [10 11:01 50 2, 09 12:00 90 1, 07 12:00 50 1]", "")
	b.tried(t, newest, "exact 2 [10 11:01 50 2, 07 12:00 50 1]", "")
}

func TestTry_Monitors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, other := b.monitor(t, b.org, b.project), b.monitor(t, b.org, uuid.Nil)
	theirs := b.monitor(t, b.other, b.foreign)
	for i, status := range []string{"down", "healthy", "down", "down", "degraded", "healthy", "degraded"} {
		for _, id := range []uuid.UUID{m, other, theirs} {
			b.exec(t, "insert into mesher.service_health_checks (id, monitor_id, status, created_at) values (gen_random_uuid(), $1, $2, $3)",
				id, status, noon.Add(-day+time.Duration(i)*time.Minute))
		}
	}
	b.tried(t, b.propose(t, alert.MonitorStatus, alert.Condition{}, alert.Filter{}), "approximate 2 [09 12:02 shop, 09 12:00 shop]", "single checks")
	b.tried(t, b.propose(t, alert.MonitorStatus, alert.Condition{Statuses: []string{"down", "degraded"}}, alert.Filter{}),
		"approximate 3 [09 12:06 shop, 09 12:02 shop, 09 12:00 shop]", "single checks")
	whole, err := alert.ProposeRule(alert.Place{OrganizationID: b.org}, alert.MonitorStatus, alert.RuleChange{Name: ptr("r")}, alert.Bounds{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	d, err := alert.Try(t.Context(), b.app, whole, noon)
	if err != nil || d.Fired == nil || *d.Fired != 4 {
		t.Errorf("of the organization: %+v, %v; want 4", d, err)
	}
	whole.Condition.Monitors = []uuid.UUID{m}
	if d, err := alert.Try(t.Context(), b.app, whole, noon); err != nil || *d.Fired != 2 || d.Firings[0].MonitorID != m {
		t.Errorf("of one: %+v, %v; want 2", d, err)
	}
}

func TestTry_OfAnEmptyProject(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, k := range kinds() {
		d, err := alert.Try(t.Context(), b.app, b.propose(t, k, usual(k), alert.Filter{}), noon)
		if err != nil || d.Fired != nil && *d.Fired != 0 {
			t.Errorf("%s: %+v, %v", k, d, err)
		}
		if diff := cmp.Diff([]time.Time{noon.Add(-7 * day), noon}, []time.Time{d.From, d.Until}); diff != "" {
			t.Errorf("%s (-want +got)\n%s", k, diff)
		}
	}
}
