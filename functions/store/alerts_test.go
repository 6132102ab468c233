package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/local/pubsub"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/topic"
)

// rule makes an alert rule of a project, which tells one channel of its own.
func (b *bundle) rule(t testing.TB, project uuid.UUID, kind alert.Kind, c alert.Condition, f alert.Filter) uuid.UUID {
	t.Helper()
	id, channel := uuid.Must(uuid.NewV7()), uuid.New()
	condition, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	filter, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	b.exec(t, `insert into mesher.alert_rules (id, organization_id, project_id, name, kind, condition, filter, severity)
		values ($1, $2, $3, 'rule', $4, $5::text::jsonb, $6::text::jsonb, 'warning')`, id, b.org, project, string(kind), string(condition), string(filter))
	b.exec(t, "insert into mesher.alert_channels (id, organization_id, name, kind) values ($1, $2, 'team', 'email')", channel, b.org)
	b.exec(t, "insert into mesher.alert_rule_channels (rule_id, channel_id) values ($1, $2)", id, channel)
	return id
}

// alerts returns the alerts of a rule as "status title", in the order of the titles.
func (b *bundle) alerts(t testing.TB, rule uuid.UUID) []string {
	t.Helper()
	var all []string
	err := b.admin.QueryRow(t.Context(), `select coalesce(array_agg(status || ' ' || title order by title, status desc), '{}')
		from mesher.alert_events where rule_id = $1`, rule).Scan(&all)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// notices remembers what was published, each once: by the clock of the database everything here is long overdue and swept.
type notices struct {
	mu  sync.Mutex
	ids []uuid.UUID
	err error
}

func (n *notices) PublishID(_ context.Context, id uuid.UUID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err == nil {
		n.ids = append(n.ids, id)
	}
	return n.err
}

func (n *notices) taken() []uuid.UUID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Compact(slices.SortedFunc(slices.Values(n.ids), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }))
}

// publishing has a function publish to n.
func publishing(f *Function, n *notices) *Function {
	f.writer.outbox = outbox.New(f.pool, n, slog.New(slog.DiscardHandler))
	return f
}

// What a filter lets pass is what raises, in one batch and row by row: a new issue for its first event, and no other.
func TestAlerts_OfNewIssues(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		filter alert.Filter
		change func(*event.Event)
		raised bool
	}{
		"everything":            {alert.Filter{}, func(*event.Event) {}, true},
		"level":                 {alert.Filter{Levels: []string{"error", "fatal"}}, func(*event.Event) {}, true},
		"another level":         {alert.Filter{Levels: []string{"fatal"}}, func(*event.Event) {}, false},
		"environment":           {alert.Filter{Environments: []string{"a", "production"}}, func(e *event.Event) { e.Environment = "production" }, true},
		"no environment":        {alert.Filter{Environments: []string{"production"}}, func(e *event.Event) { e.Environment = "" }, false},
		"release":               {alert.Filter{Releases: []string{"1", "2"}}, func(e *event.Event) { e.Release = "2" }, true},
		"another release":       {alert.Filter{Releases: []string{"1"}}, func(e *event.Event) { e.Release = "2" }, false},
		"tag":                   {alert.Filter{Tags: []alert.Tag{{Key: "region", Value: "eu"}}}, func(e *event.Event) { e.Tags = []byte(`{"region":"eu"}`) }, true},
		"both tags":             {alert.Filter{Tags: []alert.Tag{{Key: "region", Value: "eu"}, {Key: "tier", Value: "1"}}}, func(e *event.Event) { e.Tags = []byte(`{"tier":"1","region":"eu"}`) }, true},
		"one of two tags":       {alert.Filter{Tags: []alert.Tag{{Key: "region", Value: "eu"}, {Key: "tier", Value: "1"}}}, func(e *event.Event) { e.Tags = []byte(`{"region":"eu"}`) }, false},
		"another value":         {alert.Filter{Tags: []alert.Tag{{Key: "region", Value: "eu"}}}, func(e *event.Event) { e.Tags = []byte(`{"region":"us"}`) }, false},
		"escaped tag":           {alert.Filter{Tags: []alert.Tag{{Key: `a"b`, Value: "ü\n"}}}, func(e *event.Event) { e.Tags = []byte(`{"a\"b":"ü\n"}`) }, true},
		"column as tag":         {alert.Filter{Tags: []alert.Tag{{Key: "server_name", Value: "web-1"}}}, func(e *event.Event) { e.ServerName = "web-1" }, true},
		"tag named like column": {alert.Filter{Tags: []alert.Tag{{Key: "server_name", Value: "web-1"}}}, func(e *event.Event) { e.ServerName, e.Tags = "web-2", []byte(`{"server_name":"web-1"}`) }, false},
		"one part of several":   {alert.Filter{Levels: []string{"error"}, Releases: []string{"1"}}, func(e *event.Event) { e.Release = "2" }, false},
	} {
		for _, each := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, row by row: %t", name, each), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				project, fingerprint := b.project(t), uuid.New()
				rule := b.rule(t, project, alert.NewIssue, alert.Condition{}, tt.filter)
				queue := new(notices)
				f := publishing(b.function(t), queue)
				first := at(t, project, fingerprint, 1, event.Error, noon)
				tt.change(&first)
				first.Title = `it "broke" 'here'`
				// A later one of the batch does not open the issue, whatever it is.
				later := at(t, project, fingerprint, 2, event.Fatal, noon.Add(time.Second))
				later.Environment, later.Release, later.Tags = "production", "1", []byte(`{"region":"eu","tier":"1"}`)
				events := []event.Event{first, later}
				if each {
					b.refuseMarked(t, "events", whenMarked, "22P02")
					events = append(events, marked(t, project, 1, func(int) bool { return true })...)
				}
				m := pack(project, events...)
				acked(t, f, m)
				acked(t, f, m)
				want := []string{}
				if tt.raised {
					want = append(want, `active New issue: it "broke" 'here'`)
				}
				if diff := cmp.Diff(want, b.alerts(t, rule)); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				if n := len(queue.taken()); n != len(want) {
					t.Errorf("published = %d, want %d", n, len(want))
				}
				b.stored(t, project, 2)
			})
		}
	}
}

func TestAlerts_KnowTheEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project, fingerprint := b.project(t), uuid.New()
	rule := b.rule(t, project, alert.NewIssue, alert.Condition{}, alert.Filter{})
	e := at(t, project, fingerprint, 1, event.Error, noon)
	e.Environment, e.Release = "production", "1.2"
	acked(t, b.function(t), pack(project, e))
	a, err := alert.FindActive(t.Context(), b.admin, b.org, rule, b.issueOf(t, project, fingerprint))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(a.Snapshot, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"title": "title error", "culprit": "culprit", "level": "error", "environment": "production", "release": "1.2",
		"event_id": e.EventID.String(), "received_at": "2026-03-10T12:00:00Z",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !a.StartedAt.Equal(noon) || a.IssueID != a.Subject || a.ProjectID != project || a.OrganizationID != b.org {
		t.Errorf("the alert is %+v", a)
	}
}

func TestAlerts_OfRegressions(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, b *bundle, project uuid.UUID, spoil func(...event.Event) []event.Event) {
		fingerprint := uuid.New()
		all := b.rule(t, project, alert.Regression, alert.Condition{}, alert.Filter{})
		some := b.rule(t, project, alert.Regression, alert.Condition{}, alert.Filter{Environments: []string{"production"}})
		queue := new(notices)
		f := publishing(b.function(t), queue)
		acked(t, f, pack(project, at(t, project, fingerprint, 1, event.Error, noon.Add(-time.Hour))))
		if got := append(b.alerts(t, all), b.alerts(t, some)...); len(got) > 0 {
			t.Errorf("a new issue raises %v", got)
		}
		regress := func(i int, environment string) {
			b.edit(t, fingerprint, fmt.Sprintf("status = 'resolved', resolved_at = '%s'", noon.Add(time.Duration(i)*time.Second).Format(time.RFC3339)))
			e := at(t, project, fingerprint, i, event.Error, noon.Add(time.Duration(i+1)*time.Second))
			e.Environment = environment
			acked(t, f, pack(project, spoil(e)...))
		}
		regress(10, "staging")
		if diff := cmp.Diff([]string{"active Regression: title error"}, b.alerts(t, all)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if got := b.alerts(t, some); len(got) > 0 {
			t.Errorf("one of another environment raises %v", got)
		}
		// It was resolved, and regresses again before anybody looked: that is told of as well.
		regress(20, "production")
		if diff := cmp.Diff([]string{"resolved Regression: title error", "active Regression: title error"}, b.alerts(t, all)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]string{"active Regression: title error"}, b.alerts(t, some)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if n := len(queue.taken()); n != 4 {
			t.Errorf("published = %d, want 4", n)
		}
		// An ignored issue that comes back did not regress.
		b.edit(t, fingerprint, "status = 'ignored', ignored_events = 1")
		acked(t, f, pack(project, at(t, project, fingerprint, 30, event.Error, noon.Add(time.Minute))))
		if n := len(b.alerts(t, all)); n != 2 {
			t.Errorf("alerts = %d, want 2", n)
		}
	})
}

func TestAlerts_OfDiscardedIssues(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, b *bundle, project uuid.UUID, spoil func(...event.Event) []event.Event) {
		unwanted, heir := uuid.New(), uuid.New()
		f := b.function(t)
		acked(t, f, pack(project, at(t, project, unwanted, 1, event.Error, noon)))
		b.edit(t, unwanted, "status = 'discarded', resolved_at = '2020-01-01'")
		opened, regressed := b.rule(t, project, alert.NewIssue, alert.Condition{}, alert.Filter{}), b.rule(t, project, alert.Regression, alert.Condition{}, alert.Filter{})
		counted := b.rule(t, project, alert.EventCount, alert.Condition{Scope: alert.ByProject}, alert.Filter{})
		acked(t, f, pack(project, spoil(at(t, project, unwanted, 2, event.Error, noon), once(unwanted, heir, "u", noon))...))
		if got := slices.Concat(b.alerts(t, opened), b.alerts(t, regressed)); len(got) > 0 {
			t.Errorf("raised %v", got)
		}
		if n := b.number(t, "select count(*) from mesher.alert_counts where rule_id = $1", counted); n > 0 {
			t.Errorf("%d minutes are counted", n)
		}
	})
}

// A fingerprint that gets the issue of its former one opens none.
func TestAlerts_OfHeirs(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, b *bundle, project uuid.UUID, spoil func(...event.Event) []event.Event) {
		rule := b.rule(t, project, alert.NewIssue, alert.Condition{}, alert.Filter{})
		f := b.function(t)
		former, late := uuid.New(), uuid.New()
		acked(t, f, pack(project, spoil(once(former, late, "u", noon), by(former, "u", noon))...))
		acked(t, f, pack(project, once(former, uuid.New(), "u", noon)))
		if n := len(b.alerts(t, rule)); n != 1 {
			t.Errorf("alerts = %d, want 1", n)
		}
	})
}

// What rules count, in one batch and row by row, and duplicates not at all.
func TestAlerts_Count(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, b *bundle, project uuid.UUID, spoil func(...event.Event) []event.Event) {
		errorsOnly := alert.Filter{Levels: []string{"error"}}
		all := b.rule(t, project, alert.EventCount, alert.Condition{Scope: alert.ByProject}, errorsOnly)
		each := b.rule(t, project, alert.EventCount, alert.Condition{Scope: alert.ByIssue}, alert.Filter{})
		rate := b.rule(t, project, alert.ReleaseErrorRate, alert.Condition{Releases: alert.EachRelease}, alert.Filter{})
		users := b.rule(t, project, alert.UserCount, alert.Condition{Scope: alert.ByProject}, errorsOnly)
		crowded := b.rule(t, project, alert.UserCount, alert.Condition{Scope: alert.ByProject}, alert.Filter{})
		b.exec(t, "update mesher.alert_rules set crowded = true where id = $1", crowded)
		b.rule(t, project, alert.Spike, alert.Condition{}, alert.Filter{})
		one, two := uuid.New(), uuid.New()
		e := func(fingerprint uuid.UUID, level event.Level, after time.Duration, user, release string) event.Event {
			v := by(fingerprint, user, noon.Add(after))
			v.Level, v.Release, v.Environment = level, release, "e"
			return v
		}
		events := []event.Event{
			e(one, event.Error, 0, "u1", "1"), e(one, event.Error, 59*time.Second, "u2", "1"), e(one, event.Fatal, 61*time.Second, "u3", "1"),
			e(two, event.Error, 61*time.Second, "u1", ""), e(two, event.Info, 0, "u4", "2"),
		}
		f := b.function(t)
		m := pack(project, spoil(events...)...)
		acked(t, f, m)
		acked(t, f, m)
		acked(t, f, pack(project, e(one, event.Error, time.Second, "u2", "1")))
		rows := func(sql string, args ...any) []string {
			t.Helper()
			var got []string
			if err := b.admin.QueryRow(t.Context(), "select coalesce(array_agg(r order by r), '{}') from ("+sql+") q (r)", args...).Scan(&got); err != nil {
				t.Fatal(err)
			}
			return got
		}
		counts := func(rule uuid.UUID) []string {
			return rows(`select to_char(minute at time zone 'utc', 'HH24:MI') || ' ' || case subject when rule_id then 'all' when $2 then 'one' when $3 then 'two' else label end
				|| ' ' || events || ' ' || errors from mesher.alert_counts where rule_id = $1`, rule, one, two)
		}
		for _, want := range []struct {
			rule uuid.UUID
			rows []string
		}{
			{all, []string{"12:00 all 3 3", "12:01 all 1 1"}},
			{each, []string{"12:00 one 3 3", "12:00 two 1 0", "12:01 one 1 1", "12:01 two 1 1"}},
			{rate, []string{"12:00 1 3 3", "12:00 2 1 0", "12:01 1 1 1"}},
			{users, []string{}},
		} {
			if diff := cmp.Diff(want.rows, counts(want.rule)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		}
		if diff := cmp.Diff([]string{"12:00", "12:01"}, rows("select to_char(minute at time zone 'utc', 'HH24:MI') from mesher.alert_users where rule_id = $1", users)); diff != "" {
			t.Errorf("users (-want +got)\n%s", diff)
		}
		if n := b.number(t, "select count(*) from mesher.alert_users where rule_id = $1", crowded); n != 0 {
			t.Errorf("%d users are kept for a rule that has enough", n)
		}
		b.stored(t, project, 6)
	})
}

// The most frequent environments of a batch are counted by themselves, and the rest without a name.
func TestAlerts_CountFewEnvironments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	var events []event.Event
	for i := range 30 {
		for range 1 + i/15 {
			e := at(t, project, uuid.New(), len(events), event.Error, noon)
			e.Environment = fmt.Sprintf("e'%02d", i)
			events = append(events, e)
		}
	}
	acked(t, b.function(t), pack(project, events...))
	if n := b.number(t, "select count(*) from mesher.project_minute_counts where environment like 'e''%'"); n != environmentsMost {
		t.Errorf("environments = %d, want %d", n, environmentsMost)
	}
	if n := b.number(t, "select sum(events) from mesher.project_minute_counts where environment = ''"); n != 10 {
		t.Errorf("events without one = %d, want 10", n)
	}
	b.stored(t, project, 45)
}

// Rules that an instance knows already are looked for anew in each transaction.
func TestAlerts_FollowTheRules(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	f := b.function(t)
	n := 0
	opens := func() {
		n++
		acked(t, f, pack(project, at(t, project, uuid.New(), n, event.Error, noon)))
	}
	opens()
	rule := b.rule(t, project, alert.NewIssue, alert.Condition{}, alert.Filter{})
	opens()
	b.exec(t, `update mesher.alert_rules set filter = '{"levels": ["fatal"]}'`)
	opens()
	b.exec(t, `update mesher.alert_rules set filter = '{}', muted_until = $1`, noon.Add(time.Second))
	opens()
	b.exec(t, "update mesher.alert_rules set enabled = false")
	opens()
	b.exec(t, "update mesher.alert_rules set kind = 'event_count', enabled = true")
	opens()
	if got := b.alerts(t, rule); len(got) != 2 {
		t.Errorf("alerts = %v, want those of the second and fourth issue", got)
	}
	if n := b.number(t, "select count(*) from mesher.notifications"); n != 1 {
		t.Errorf("notifications = %d, want 1: the rule was muted for the other", n)
	}
	b.stored(t, project, n)
}

// Rules that this version cannot read raise nothing, and keep nothing from being stored.
func TestAlerts_OfRulesOfAnotherVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	b.rule(t, project, alert.NewIssue, alert.Condition{}, alert.Filter{})
	b.exec(t, `update mesher.alert_rules set filter = '{"levels": "error"}'`)
	acked(t, b.function(t), pack(project, samples(t, project, 0, 5)...))
	b.stored(t, project, 5)
	if n := b.number(t, "select count(*) from mesher.alert_events"); n != 0 {
		t.Errorf("alerts = %d, want none", n)
	}
}

// Should the database refuse what is done for alerts, the events are stored all the same.
func TestAlerts_KeepNoEventFromBeingStored(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"alert_events", "alert_counts", "project_minute_counts"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			project := b.project(t)
			b.rule(t, project, alert.NewIssue, alert.Condition{}, alert.Filter{})
			b.rule(t, project, alert.EventCount, alert.Condition{Scope: alert.ByProject}, alert.Filter{})
			b.refuseMarked(t, table, "true", "22003")
			acked(t, b.function(t), pack(project, samples(t, project, 0, 150)...))
			if n := b.number(t, "select count(*) from mesher.events"); n != 150 {
				t.Errorf("stored = %d, want 150", n)
			}
			if n := b.number(t, "select count(*) from mesher.alert_events"); n != 0 {
				t.Errorf("alerts = %d, want none", n)
			}
			if n := len(b.deadLetters(t, "")); n != 0 {
				t.Errorf("dead letters = %d, want none", n)
			}
		})
	}
}

// Many rules and many new issues at once raise all their alerts, and no transaction raises more than it has time for.
func TestAlerts_OfManyRulesAndIssues(t *testing.T) {
	t.Parallel()
	const rules, issues = 30, 20
	for _, each := range []bool{false, true} {
		t.Run(fmt.Sprintf("row by row: %t", each), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			project := b.project(t)
			for range rules {
				b.rule(t, project, alert.NewIssue, alert.Condition{}, alert.Filter{})
			}
			var events []event.Event
			for i := range issues {
				events = append(events, at(t, project, uuid.New(), i, event.Error, noon))
			}
			if each {
				b.refuseMarked(t, "events", whenMarked, "22P02")
				events = append(events, marked(t, project, 1, func(int) bool { return true })...)
			}
			acked(t, b.function(t), pack(project, events...))
			b.stored(t, project, issues)
			if n := b.number(t, "select count(*) from mesher.alert_events"); n != rules*issues {
				t.Errorf("alerts = %d, want %d", n, rules*issues)
			}
			if n := b.number(t, "select coalesce(max(n), 0) from (select count(*) as n from mesher.alert_events group by xmin) t"); n > candidatesMost {
				t.Errorf("one transaction raised %d alerts, want at most %d", n, candidatesMost)
			}
		})
	}
}

// Whatever happens on the way, there are as many alerts as issues, and each channel is told of each once.
func TestAlerts_OnceWhileConnectionsBreak(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	fs := b.functions(t, 3)
	opened, regressed := b.rule(t, project, alert.NewIssue, alert.Condition{}, alert.Filter{}), b.rule(t, project, alert.Regression, alert.Condition{}, alert.Filter{})
	counted := b.rule(t, project, alert.EventCount, alert.Condition{Scope: alert.ByProject}, alert.Filter{})
	release := b.rule(t, project, alert.ReleaseErrorRate, alert.Condition{Releases: alert.EachRelease}, alert.Filter{})
	send := func(from, messages int, received time.Time) {
		stop := b.terminate(t, 10*time.Millisecond)
		inParallel(8, func(i int) {
			for n := i; n < messages; n += 8 {
				events := samples(t, project, from+20*n, 20)
				for j := range events {
					events[j].ReceivedAt = received
					events[j].ID = event.NewID(received)
				}
				m := pack(project, events...)
				insist(t, fs[n%3], m)
				insist(t, fs[(n+1)%3], m)
			}
		})
		t.Logf("%d backends were terminated", stop())
	}
	const messages = 40
	send(0, messages, noon)
	issues := b.number(t, "select count(*) from mesher.issues where project_id = $1", project)
	b.exec(t, "update mesher.issues set status = 'resolved', resolved_at = $1", noon)
	send(20*messages, messages, noon.Add(time.Second))
	back := b.number(t, "select count(*) from mesher.issue_activity where action = 'regressed'")
	issues, was := b.number(t, "select count(*) from mesher.issues where project_id = $1", project), issues
	if back == 0 || was == 0 {
		t.Errorf("%d issues were opened at first, and %d regressed", was, back)
	}
	for rule, want := range map[uuid.UUID]int{opened: issues, regressed: back} {
		if n := len(b.alerts(t, rule)); n != want {
			t.Errorf("alerts = %d, want %d", n, want)
		}
		if n := b.number(t, "select count(*) from mesher.notifications where rule_id = $1 and template = 'alert'", rule); n != want {
			t.Errorf("notifications = %d, want %d", n, want)
		}
	}
	b.stored(t, project, 2*20*messages)
	for rule, sql := range map[uuid.UUID]string{
		counted: "select count(*) from mesher.events", release: "select count(*) from mesher.events where release is not null",
	} {
		if want, got := b.number(t, sql), b.number(t, "select sum(events) from mesher.alert_counts where rule_id = $1", rule); got != want {
			t.Errorf("counted = %d, want %d", got, want)
		}
	}
}

// The queue may be away: the events are stored and acknowledged, and the notifications wait.
func TestAlerts_WaitForTheQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	b.rule(t, project, alert.NewIssue, alert.Condition{}, alert.Filter{})
	queue := &notices{err: errors.New("the queue is away")}
	f := publishing(b.function(t), queue)
	acked(t, f, pack(project, at(t, project, uuid.New(), 1, event.Error, noon)))
	acked(t, b.function(t), pack(project, at(t, project, uuid.New(), 2, event.Error, noon))) // nobody listens there
	b.stored(t, project, 2)
	if n := b.number(t, "select count(*) from mesher.notifications where status = 'pending'"); n != 2 {
		t.Errorf("notifications that wait = %d, want 2", n)
	}
}

// Notifications go through a real Pub/Sub.
func TestAlerts_ArePublished(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, err := pubsub.Open(t.Context(), pubsub.Options{Path: filepath.Join(t.TempDir(), "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close(context.Background()) })
	if err := pubsub.Declare(t.Context(), q.Addr(), "p", pubsub.Topology{Topic: "notifications", Subscription: "notify"}); err != nil {
		t.Fatal(err)
	}
	project := b.project(t)
	b.rule(t, project, alert.NewIssue, alert.Condition{}, alert.Filter{})
	f := b.function(t, func(c *Config) { c.Outbox.Queue = topic.Config{Project: "p", EmulatorHost: q.Addr()} })
	acked(t, f, pack(project, at(t, project, uuid.New(), 1, event.Error, noon), at(t, project, uuid.New(), 2, event.Error, noon)))
	if got := q.Backlog("notify"); got < 2 { // and once more when they are swept, being long overdue
		t.Errorf("%d messages wait, want 2 at least", got)
	}
}

// A transaction that fails after its alerts are raised raises none.
func TestAlerts_AreRaisedOnlyWithTheirCause(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	rule := b.rule(t, project, alert.NewIssue, alert.Condition{}, alert.Filter{})
	queue := new(notices)
	f := publishing(b.function(t), queue)
	b.refuseMarked(t, "usage", "true", "40001")
	m := pack(project, at(t, project, uuid.New(), 1, event.Error, noon))
	if w := deliver(f, m); w.Code != http.StatusServiceUnavailable {
		t.Fatalf("answer = %d, want 503", w.Code)
	}
	if got := b.alerts(t, rule); len(got) > 0 || len(queue.taken()) > 0 {
		t.Errorf("alerts %v, published %v", got, queue.taken())
	}
	b.db.Exec(t, "drop function mesher.refuse() cascade")
	acked(t, f, m)
	if got := b.alerts(t, rule); len(got) != 1 || len(queue.taken()) != 1 {
		t.Errorf("alerts %v, published %v", got, queue.taken())
	}
}
