package issue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// merge merges issues of the project; into may be uuid.Nil.
func (f *fixture) merge(t *testing.T, into uuid.UUID, ids ...uuid.UUID) (m issue.Merged, err error) {
	t.Helper()
	err = f.tx(t, func(tx postgres.Tx) (err error) {
		m, err = issue.Merge(t.Context(), tx, f.project.ID, f.member, ids, into)
		return err
	})
	return m, err
}

func (f *fixture) unmerge(t *testing.T, id uuid.UUID, fingerprints ...uuid.UUID) (u issue.Unmerged, err error) {
	t.Helper()
	err = f.tx(t, func(tx postgres.Tx) (err error) {
		u, err = issue.Unmerge(t.Context(), tx, f.project.ID, f.member, id, fingerprints)
		return err
	})
	return u, err
}

// described is what merging and unmerging shares out.
func described(i issue.Issue) string {
	return fmt.Sprint(i.Title, " ", i.Level, " ", i.Status, " ", i.EventCount, " events ", i.UserCount, " users ", i.Fingerprints, " fingerprints ",
		i.FirstRelease, "-", i.LastRelease, " ", i.FirstSeen.Format(time.TimeOnly), "-", i.LastSeen.Format(time.TimeOnly))
}

// two stores the issues a and b.
func (f *fixture) two(t *testing.T) (a, b uuid.UUID, at func(minutes int) time.Time) {
	t.Helper()
	start := f.now.Truncate(24 * time.Hour).Add(-24 * time.Hour)
	at = func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	release := func(s string) map[string]string { return map[string]string{"release": s} }
	a = f.record(t, f.project.ID,
		occurrence{fingerprint: fingerprint("a"), message: "a", at: at(10), user: "1", tags: release("r1"), level: "warning"},
		occurrence{fingerprint: fingerprint("a"), message: "a", at: at(200), user: "2", tags: release("r2"), level: "warning"},
		occurrence{fingerprint: fingerprint("a"), message: "a", at: at(190), user: "1"},
	)
	b = f.record(t, f.project.ID,
		occurrence{fingerprint: fingerprint("b"), message: "b", at: at(5), user: "2", tags: release("r0")},
		occurrence{fingerprint: fingerprint("b"), message: "b", kind: "T", value: "b2\nmore", at: at(300), user: "3", tags: release("r3"), level: "fatal"},
	)
	return a, b, at
}

func TestMerge(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a, b, at := f.two(t)
	f.record(t, f.newProject(t, "other").ID, occurrence{fingerprint: fingerprint("a"), at: f.now, user: "9"})
	_, err := f.apply(t, issue.Change{Status: issue.Ignored, IgnoreEvents: 7, Assignee: f.member.ID}, a)
	must(t, err)
	got, err := f.merge(t, a, b, a)
	must(t, err)
	if diff := cmp.Diff(issue.Merged{Into: a, Title: "a", Issues: []uuid.UUID{b}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	t.Run("adds up", func(t *testing.T) {
		i := f.find(t, a).Issue
		if diff := cmp.Diff("a fatal ignored 5 events 3 users 2 fingerprints r0-r3 00:05:00-05:00:00", described(i)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if i.IgnoredUntilEvents != 7 || i.Assignee == nil {
			t.Errorf("ignored for %d more events, want 7; assignee %v", i.IgnoredUntilEvents, i.Assignee)
		}
	})

	t.Run("leaves the other behind as an address", func(t *testing.T) {
		if diff := cmp.Diff(f.find(t, a), f.find(t, b)); diff != "" {
			t.Errorf("(-it +its address):\n%s", diff)
		}
		if s := f.text(t, "select (merged_into, status, event_count, user_count) from mesher.issues where id = $1::uuid", b); s != fmt.Sprintf("(%s,resolved,0,0)", a) {
			t.Error(s)
		}
		if diff := cmp.Diff([]string{"a"}, f.titles(t, issue.Filter{Status: issue.AnyStatus}, "")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		want := []string{
			`anna ignored {"events": 7}`, `anna assigned {"assignee": "anna", "assignee_id": "` + f.member.ID.String() + `"}`,
			`anna merged {"issues": ["` + b.String() + `"], "titles": ["b"]}`,
		}
		for _, id := range []uuid.UUID{a, b} {
			if diff := cmp.Diff(want, f.activity(t, id)); diff != "" {
				t.Errorf("activity (-want +got):\n%s", diff)
			}
		}
	})

	t.Run("gets later events", func(t *testing.T) {
		if id := f.record(t, f.project.ID, occurrence{fingerprint: fingerprint("b"), at: at(400), user: "1"}); id != a {
			t.Errorf("the event went to %s", id)
		}
		if got := described(f.find(t, a).Issue); got != "a error ignored 6 events 3 users 2 fingerprints r0-r3 00:05:00-06:40:00" {
			t.Error(got)
		}
	})

	t.Run("changes nothing when done again", func(t *testing.T) {
		before := f.text(t, "select string_agg(i::text, ',' order by id) from mesher.issues i")
		got, err := f.merge(t, b, b, a)
		must(t, err)
		if diff := cmp.Diff(issue.Merged{Into: a, Title: "a"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if after := f.text(t, "select string_agg(i::text, ',' order by id) from mesher.issues i"); after != before {
			t.Errorf("%s became %s", before, after)
		}
	})

	t.Run("goes on with what was merged", func(t *testing.T) {
		c := f.record(t, f.project.ID, occurrence{fingerprint: fingerprint("c"), message: "c", at: at(1)})
		got, err := f.merge(t, uuid.Nil, b, c)
		must(t, err)
		if got.Into != c { // the one that was first seen
			t.Errorf("merged into %s, want %s", got.Into, c)
		}
		for _, id := range []uuid.UUID{a, b, c} {
			if got := f.find(t, id); got.ID != c || got.EventCount != 7 || got.Fingerprints != 3 {
				t.Errorf("%+v", got)
			}
		}
		out, err := f.apply(t, issue.Change{Status: issue.Resolved}, a, b)
		must(t, err)
		if diff := cmp.Diff(issue.Changed{Changed: []uuid.UUID{c}}, out); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestMerge_Refuses(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a, b, _ := f.two(t)
	theirs := f.record(t, f.newProject(t, "other").ID, occurrence{fingerprint: fingerprint("a"), at: f.now})
	_, err := f.merge(t, uuid.Nil, a, theirs)
	wants(t, "an issue of another project", err, fault.NotFound, "")
	_, err = f.merge(t, theirs, a, theirs)
	wants(t, "into an issue of another project", err, fault.NotFound, "")
	_, err = f.merge(t, uuid.New(), a, b)
	wants(t, "into one that is not among them", err, fault.Invalid, "")
	_, err = f.merge(t, uuid.Nil, make([]uuid.UUID, 101)...)
	wants(t, "too many", err, fault.Invalid, "")
	_, err = f.apply(t, issue.Change{Status: issue.Discarded}, b)
	must(t, err)
	_, err = f.merge(t, a, a, b)
	wants(t, "one that is discarded", err, fault.Conflict, "issue_discarded")
	if s := f.text(t, "select count(*) from mesher.issues where merged_into is not null"); s != "0" {
		t.Errorf("%s issues were merged", s)
	}
}

func TestUnmerge(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a, b, at := f.two(t)
	_, err := f.merge(t, a, a, b)
	must(t, err)
	_, err = f.apply(t, issue.Change{Status: issue.Ignored, IgnoreEvents: 7}, a)
	must(t, err)
	u, err := f.unmerge(t, b, fingerprint("b"))
	must(t, err)
	if u.From != a || u.ID == b || u.Title != "T: b2" {
		t.Errorf("%+v", u)
	}

	t.Run("gives each what is its own", func(t *testing.T) {
		it, rest := f.find(t, u.ID).Issue, f.find(t, a).Issue
		if diff := cmp.Diff("T: b2 fatal unresolved 2 events 2 users 1 fingerprints r0-r3 00:05:00-05:00:00", described(it)); diff != "" {
			t.Errorf("the new issue (-want +got):\n%s", diff)
		}
		if it.ExceptionType != "T" || it.ExceptionValue != "b2\nmore" || it.Message != "b" {
			t.Errorf("%+v", it)
		}
		if diff := cmp.Diff("a warning ignored 3 events 2 users 1 fingerprints r1-r2 00:10:00-03:20:00", described(rest)); diff != "" {
			t.Errorf("the other issue (-want +got):\n%s", diff)
		}
		if rest.IgnoredUntilEvents != 7 {
			t.Errorf("it is ignored for %d more events, want 7", rest.IgnoredUntilEvents)
		}
		if diff := cmp.Diff([]string{`anna unmerged {"from": "` + a.String() + `"}`}, f.activity(t, u.ID)); diff != "" {
			t.Errorf("activity (-want +got):\n%s", diff)
		}
	})

	t.Run("gives it later events", func(t *testing.T) {
		if id := f.record(t, f.project.ID, occurrence{fingerprint: fingerprint("b"), at: at(400)}); id != u.ID {
			t.Errorf("the event went to %s", id)
		}
	})

	t.Run("lists fingerprints", func(t *testing.T) {
		for _, id := range []uuid.UUID{a, b} {
			p, err := issue.ListFingerprints(t.Context(), f.app, f.project.ID, id, page.Request{Limit: 10})
			must(t, err)
			if len(p.Rows) != 1 || p.Rows[0].CreatedAt.IsZero() {
				t.Fatalf("%+v", p)
			}
			p.Rows[0].CreatedAt = time.Time{}
			want := issue.Fingerprint{Fingerprint: fingerprint("a"), GroupingVersion: 1, EventCount: 3, FirstHour: at(0), LastHour: at(180)}
			if diff := cmp.Diff(want, p.Rows[0]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
	})

	t.Run("refuses what is not its own, and all that it has", func(t *testing.T) {
		_, err := f.unmerge(t, a, fingerprint("a"))
		wants(t, "all", err, fault.Conflict, "all_fingerprints")
		_, err = f.unmerge(t, a, fingerprint("b"))
		wants(t, "another's", err, fault.NotFound, "")
		_, err = f.unmerge(t, a)
		wants(t, "none", err, fault.Invalid, "")
		_, err = f.unmerge(t, uuid.New(), fingerprint("a"))
		wants(t, "of no issue", err, fault.NotFound, "")
		other := f.newProject(t, "other")
		theirs := f.record(t, other.ID, occurrence{fingerprint: fingerprint("x"), at: f.now})
		_, err = f.unmerge(t, theirs, fingerprint("x"))
		wants(t, "of another project's", err, fault.NotFound, "")
	})
}

func TestUnmerge_WithoutEvents(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a, b, _ := f.two(t)
	_, err := f.merge(t, b, a, b)
	must(t, err)
	f.Exec(t, "truncate mesher.events")
	u, err := f.unmerge(t, b, fingerprint("a"))
	must(t, err)
	// Hours are all that is known, and titles those of the issue that they come from.
	if got := described(f.find(t, u.ID).Issue); got != "b fatal unresolved 3 events 2 users 1 fingerprints - 00:05:00-03:00:00" {
		t.Error(got)
	}
	if got := described(f.find(t, b).Issue); got != "b fatal unresolved 2 events 2 users 1 fingerprints r0-r3 00:05:00-05:00:00" {
		t.Error(got)
	}
}
