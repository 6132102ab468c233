package issue_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/page"
)

// sent is an event as it is stored.
type sent struct {
	print       string
	at          time.Time
	environment string
	user, email string
	tags        string
	client      uuid.UUID
}

// send stores events without counting them and returns their ids.
func (f *fixture) send(t *testing.T, project uuid.UUID, events ...sent) []uuid.UUID {
	t.Helper()
	var out []uuid.UUID
	for _, e := range events {
		at := e.at.UTC().Truncate(time.Millisecond)
		id := event.NewID(at)
		if e.client == uuid.Nil {
			e.client = uuid.New()
		}
		if e.tags == "" {
			e.tags = "{}"
		}
		_, err := f.admin.Exec(t.Context(), `
			insert into mesher.events (project_id, received_at, id, event_id, fingerprint, occurred_at, level, message, environment,
				user_id, user_info, tags, extra)
			values ($1::uuid, $2::timestamptz, $3::uuid, $4::uuid, $5::uuid, $2::timestamptz, 'error', 'it failed', nullif($6::text, ''),
				nullif($7::text, ''), json_build_object('email', $8::text), $9::text::jsonb, '{}')`,
			project, at, id, e.client, fingerprint(e.print), e.environment, e.user, e.email, e.tags)
		must(t, err)
		out = append(out, id)
	}
	return out
}

// open makes an issue of fingerprints that was seen all the while.
func (f *fixture) open(t *testing.T, project uuid.UUID, prints ...string) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	_, err := f.admin.Exec(t.Context(), `
		insert into mesher.issues (project_id, id, title, level, event_count, first_seen, last_seen, active_hour)
		values ($1::uuid, $2::uuid, $3::text, 'error', 1, $4::timestamptz - interval '40 days', $4::timestamptz, date_trunc('hour', $4::timestamptz, 'UTC'))`,
		project, id, prints[0], f.now)
	must(t, err)
	for _, p := range prints {
		_, err := f.admin.Exec(t.Context(), `
			insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version) values ($1::uuid, $2::uuid, $3::uuid, 1)`,
			project, fingerprint(p), id)
		must(t, err)
	}
	return id
}

// pages reads a list to its end and returns the ids, and how many pages there were.
func pages(t *testing.T, limit int, list func(page.Request) (page.Of[issue.EventSummary], error)) (ids []uuid.UUID, n int) {
	t.Helper()
	for r := (page.Request{Limit: limit}); ; n++ {
		p, err := list(r)
		must(t, err)
		for _, e := range p.Rows {
			ids = append(ids, e.ID)
		}
		if r.After = p.Next; p.Next == (page.Mark{}) || n > 1000 {
			return ids, n + 1
		}
	}
}

func TestListIssueEvents_OverAllFingerprints(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id, other := f.open(t, f.project.ID, "a", "b", "c"), f.open(t, f.project.ID, "d")
	var want []uuid.UUID
	for n := range 60 { // several at the same moment, and days without any
		at := f.now.Add(-time.Duration(n/3) * 40 * time.Hour)
		got := f.send(t, f.project.ID, sent{print: string("abcd"[n%4]), at: at, environment: string("xy"[n%2])})
		if n%4 != 3 {
			want = append(want, got...)
		}
	}
	slices.SortFunc(want, func(a, b uuid.UUID) int {
		if c := slices.Compare(b[:6], a[:6]); c != 0 {
			return c
		}
		return slices.Compare(b[:], a[:])
	})
	for _, limit := range []int{1, 2, 7, 44, 45, 46, 100} {
		got, _ := pages(t, limit, func(r page.Request) (page.Of[issue.EventSummary], error) {
			return issue.ListIssueEvents(t.Context(), f.app, f.project.ID, id, issue.EventFilter{}, r)
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d at a time (-want +got):\n%s", limit, diff)
		}
		x, _ := pages(t, limit, func(r page.Request) (page.Of[issue.EventSummary], error) {
			return issue.ListIssueEvents(t.Context(), f.app, f.project.ID, id, issue.EventFilter{Environment: "x"}, r)
		})
		y, _ := pages(t, limit, func(r page.Request) (page.Of[issue.EventSummary], error) {
			return issue.ListIssueEvents(t.Context(), f.app, f.project.ID, id, issue.EventFilter{Environment: "y"}, r)
		})
		if len(x)+len(y) != len(want) || len(x) != 30 {
			t.Errorf("%d at a time: %d of x and %d of y", limit, len(x), len(y))
		}
	}

	t.Run("leads from one to the next", func(t *testing.T) {
		e, err := issue.LatestEvent(t.Context(), f.app, f.project.ID, id)
		must(t, err)
		walked := []uuid.UUID{e.ID}
		for later := uuid.Nil; e.Previous != uuid.Nil; walked = append(walked, e.ID) {
			if e.Next != later {
				t.Fatalf("after %s comes %s, want %s", e.ID, e.Next, later)
			}
			later = e.ID
			e, err = issue.FindEvent(t.Context(), f.app, f.project.ID, e.Previous, time.Time{})
			must(t, err)
		}
		if diff := cmp.Diff(want, walked); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		oldest, err := issue.OldestEvent(t.Context(), f.app, f.project.ID, id)
		must(t, err)
		if oldest.ID != want[len(want)-1] {
			t.Errorf("the oldest is %s", oldest.ID)
		}
	})
	t.Run("follows a merge", func(t *testing.T) {
		_, err := f.admin.Exec(t.Context(), "update mesher.issue_fingerprints set issue_id = $2::uuid where project_id = $1::uuid", f.project.ID, id)
		must(t, err)
		_, err = f.admin.Exec(t.Context(), "update mesher.issues set merged_into = $2::uuid where id = $1::uuid", other, id)
		must(t, err)
		got, _ := pages(t, 100, func(r page.Request) (page.Of[issue.EventSummary], error) {
			return issue.ListIssueEvents(t.Context(), f.app, f.project.ID, other, issue.EventFilter{}, r)
		})
		if len(got) != 60 {
			t.Errorf("%d events", len(got))
		}
	})
}

func TestListEvents_LooksAtSoManyOnly(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, err := f.admin.Exec(t.Context(), floodSQL, f.project.ID, f.now, 13_000, 2)
	must(t, err)
	last := f.send(t, f.project.ID, sent{print: "a", at: f.now.AddDate(0, 0, -3), environment: "rare"})[0]
	got, n := pages(t, 10, func(r page.Request) (page.Of[issue.EventSummary], error) {
		return issue.ListEvents(t.Context(), f.app, f.project.ID, issue.EventFilter{Environment: "rare"}, r)
	})
	if len(got) != 1 || got[0] != last || n != 6 {
		t.Errorf("%d events in %d pages", len(got), n)
	}
}

func TestFindEvent(t *testing.T) {
	t.Parallel()
	f := setup(t)
	other := f.newProject(t, "other").ID
	f.open(t, f.project.ID, "a")
	twice, seven := uuid.New(), event.NewID(f.now.AddDate(0, 0, -30))
	ids := f.send(t, f.project.ID, sent{print: "a", at: f.now, client: twice}, sent{print: "a", at: f.now.AddDate(0, 0, -20), client: twice},
		sent{print: "a", at: f.now.AddDate(0, 0, -30), client: seven}, sent{print: "nobody's", at: f.now})
	for name, tt := range map[string]struct {
		id   uuid.UUID
		at   time.Time
		want uuid.UUID
	}{
		"by its id":                           {ids[1], time.Time{}, ids[1]},
		"by the client's, the newest":         {twice, time.Time{}, ids[0]},
		"by the client's and when":            {twice, f.now.AddDate(0, 0, -19), ids[1]},
		"by the client's and when it was not": {twice, f.now.AddDate(0, 0, -7), ids[0]},
		"by the client's that tells a time":   {seven, time.Time{}, ids[2]},
		"by its id, without an issue":         {ids[3], time.Time{}, ids[3]},
	} {
		e, err := issue.FindEvent(t.Context(), f.app, f.project.ID, tt.id, tt.at)
		must(t, err)
		if e.ID != tt.want {
			t.Errorf("%s: %s, want %s", name, e.ID, tt.want)
		}
	}
	for _, id := range []uuid.UUID{ids[0], twice, seven, uuid.New(), uuid.Nil, uuid.Max, event.NewID(f.now)} {
		_, err := issue.FindEvent(t.Context(), f.app, other, id, time.Time{})
		wants(t, "of another project", err, fault.NotFound, "")
	}
}

func TestListIssueEvents_KeepsTheOrder(t *testing.T) {
	t.Parallel()
	f := setup(t)
	read := func(id uuid.UUID, limit int, filter issue.EventFilter) []uuid.UUID {
		got, _ := pages(t, limit, func(r page.Request) (page.Of[issue.EventSummary], error) {
			return issue.ListIssueEvents(t.Context(), f.app, f.project.ID, id, filter, r)
		})
		return got
	}
	t.Run("when one fingerprint has many events that the filter leaves out", func(t *testing.T) {
		id := f.open(t, f.project.ID, "many", "few")
		for n := range 50 {
			f.send(t, f.project.ID, sent{print: "many", at: f.now.Add(-time.Duration(n) * time.Second), environment: "x"})
		}
		want := f.send(t, f.project.ID, sent{print: "many", at: f.now.Add(-time.Minute), environment: "y"},
			sent{print: "few", at: f.now.Add(-2 * time.Minute), environment: "y"}, sent{print: "many", at: f.now.Add(-3 * time.Minute), environment: "y"})
		for limit := 1; limit < 5; limit++ {
			if diff := cmp.Diff(want, read(id, limit, issue.EventFilter{Environment: "y"})); diff != "" {
				t.Errorf("%d at a time (-want +got):\n%s", limit, diff)
			}
		}
	})
	t.Run("of events of one moment", func(t *testing.T) {
		id := f.open(t, f.project.ID, "moment")
		var want []uuid.UUID
		for range 40 {
			want = append(want, f.send(t, f.project.ID, sent{print: "moment", at: f.now})...)
		}
		slices.SortFunc(want, func(a, b uuid.UUID) int { return slices.Compare(b[:], a[:]) })
		for _, limit := range []int{1, 3, 39} {
			if diff := cmp.Diff(want, read(id, limit, issue.EventFilter{})); diff != "" {
				t.Errorf("%d at a time (-want +got):\n%s", limit, diff)
			}
		}
	})
}
