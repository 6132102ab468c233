package issue_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/issue"
)

// settle waits until no transaction runs, of other tests that is, that is older than what was written to issues: lists would
// take that for written while they are read.
func (f *fixture) settle(t *testing.T) {
	t.Helper()
	for f.text(t, `select count(*) from mesher.issues
		where xmin::text::bigint >= pg_snapshot_xmin(pg_current_snapshot())::text::bigint`) != "0" {
		time.Sleep(time.Millisecond)
	}
}

// titles returns the titles of a list that is read a few issues at a time.
func (f *fixture) titles(t *testing.T, filter issue.Filter, by issue.Sort) []string {
	t.Helper()
	f.settle(t)
	out := []string{}
	for r := (issue.Request{Sort: by, Limit: 2}); ; {
		p, err := issue.List(t.Context(), f.app, f.project.ID, filter, r)
		must(t, err)
		for _, i := range p.Issues {
			out = append(out, i.Title)
		}
		if r.Cursor = p.Next; p.Next == "" {
			return out
		}
		if len(p.Issues) != 2 || len(out) > 1000 {
			t.Fatalf("a page of %d issues that is not the last", len(p.Issues))
		}
	}
}

// seed stores four issues. Their letters are in the order in which they were last seen, the latest last.
func (f *fixture) seed(t *testing.T) map[string]uuid.UUID {
	t.Helper()
	ago := func(d time.Duration) time.Time { return f.now.Add(-d) }
	const day = 24 * time.Hour
	ids := map[string]uuid.UUID{}
	for _, o := range []occurrence{
		{message: "a", at: ago(20 * day), level: "warning", tags: map[string]string{"environment": "staging", "release": "1", "region": "eu"}},
		{message: "a", at: ago(4 * day), level: "warning", user: "u1", tags: map[string]string{"release": "2"}},
		{message: "b", at: ago(3 * day), kind: "TypeError", value: "x is undefined", user: "u1", tags: map[string]string{"environment": "production", "region": "us"}},
		{message: "b", at: ago(3*day - time.Second), user: "u2", tags: map[string]string{"region": "eu", "shop": "a:b"}},
		{message: "b", at: ago(2 * day), user: "u3"},
		{message: "c", at: ago(2*day - time.Second), level: "fatal", tags: map[string]string{"environment": "production", "release": "2"}},
		{message: "d", at: ago(10 * day), user: "u2"},
		{message: "d", at: ago(time.Second)},
		{message: "d", at: ago(time.Second)},
		{message: "d", at: ago(time.Second)},
	} {
		o.fingerprint = fingerprint(o.message)
		ids[o.message] = f.record(t, f.project.ID, o)
	}
	return ids
}

func TestList_Filters(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ids := f.seed(t)
	const day = 24 * time.Hour
	other := f.newProject(t, "other")
	f.record(t, other.ID, occurrence{fingerprint: fingerprint("x"), message: "x", at: f.now, user: "u1", tags: map[string]string{"environment": "production"}})
	gone := f.record(t, f.project.ID, occurrence{fingerprint: fingerprint("merged"), message: "merged", at: f.now.Add(-30 * day)})
	f.Exec(t,
		fmt.Sprintf("update mesher.issues set status = 'resolved', assignee_id = '%s' where id = '%s'", f.member.ID, ids["c"]),
		fmt.Sprintf("update mesher.issues set merged_into = '%s', status = 'resolved' where id = '%s'", ids["a"], gone))
	ago := func(d time.Duration) time.Time { return f.now.Add(-d) }
	tag := func(pairs ...string) (out []issue.TagValue) {
		for n := 0; n < len(pairs); n += 2 {
			out = append(out, issue.TagValue{Key: pairs[n], Value: pairs[n+1]})
		}
		return out
	}
	all := issue.AnyStatus
	for _, tt := range []struct {
		name   string
		filter issue.Filter
		want   []string
	}{
		{"what is unresolved, when nothing else is asked for", issue.Filter{}, []string{"d", "b", "a"}},
		{"one status", issue.Filter{Status: issue.Resolved}, []string{"c"}},
		{"a status that none has", issue.Filter{Status: issue.Discarded}, []string{}},
		{"every status", issue.Filter{Status: all}, []string{"d", "c", "b", "a"}},
		{"a level", issue.Filter{Status: all, Level: "fatal"}, []string{"c"}},
		{"an environment", issue.Filter{Status: all, Environment: "production"}, []string{"c", "b"}},
		{"a release", issue.Filter{Status: all, Release: "2"}, []string{"c", "a"}},
		{"a release and an environment", issue.Filter{Status: all, Release: "2", Environment: "staging"}, []string{"a"}},
		{"a tag", issue.Filter{Tags: tag("region", "eu")}, []string{"b", "a"}},
		{"a tag with a colon", issue.Filter{Tags: tag("shop", "a:b")}, []string{"b"}},
		{"two values of a tag", issue.Filter{Tags: tag("region", "eu", "region", "us")}, []string{"b"}},
		{"five tags and more", issue.Filter{Tags: tag("region", "eu", "region", "us", "shop", "a:b", "level", "error", "user", "u1"), Environment: "production", User: "u3"}, []string{"b"}},
		{"a value of another tag", issue.Filter{Tags: tag("shop", "eu")}, []string{}},
		{"an assignee", issue.Filter{Status: all, Assignee: f.member.ID}, []string{"c"}},
		{"no assignee", issue.Filter{Status: all, Unassigned: true}, []string{"d", "b", "a"}},
		{"a user", issue.Filter{Status: all, User: "u1"}, []string{"b", "a"}},
		{"another user", issue.Filter{Status: all, User: "u2"}, []string{"d", "b"}},
		{"since", issue.Filter{Status: all, Since: ago(2 * day)}, []string{"d", "c", "b"}},
		{"since, a little later", issue.Filter{Status: all, Since: ago(2*day - time.Microsecond)}, []string{"d", "c"}},
		{"until", issue.Filter{Status: all, Until: ago(5 * day)}, []string{"d", "a"}},
		{"until is not included", issue.Filter{Status: all, Until: ago(20 * day)}, []string{}},
		{"a span, by the hour", issue.Filter{Status: all, Since: ago(6 * day), Until: ago(2*day + 2*time.Hour)}, []string{"b", "a"}},
		{"a span between two events", issue.Filter{Status: all, Since: ago(19 * day), Until: ago(11 * day)}, []string{}},
		{"first seen since", issue.Filter{Status: all, FirstSeenSince: ago(3 * day)}, []string{"c", "b"}},
		{"words of a type", issue.Filter{Search: "typeerror"}, []string{"b"}},
		{"words of a value and a title", issue.Filter{Search: "undefined b"}, []string{"b"}},
		{"a phrase", issue.Filter{Search: `"x is undefined"`}, []string{"b"}},
		{"a phrase in another order", issue.Filter{Search: `"undefined is x"`}, []string{}},
		{"one or the other", issue.Filter{Search: "a or undefined"}, []string{"b", "a"}},
		{"not a word", issue.Filter{Search: "-undefined"}, []string{"d", "a"}},
		{"quotes and operators that do not fit", issue.Filter{Search: `"&|!(:*`}, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, by := range []issue.Sort{issue.ByLastSeen, issue.ByFirstSeen, issue.ByEvents, issue.ByUsers} {
				got := f.titles(t, tt.filter, by)
				if by != issue.ByLastSeen {
					slices.SortFunc(got, func(a, b string) int { return slices.Index(tt.want, a) - slices.Index(tt.want, b) })
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("by %s (-want +got):\n%s", by, diff)
				}
			}
		})
	}
}

func TestList_Sorts(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.seed(t)
	for by, want := range map[issue.Sort][]string{
		"":                {"d", "c", "b", "a"},
		issue.ByLastSeen:  {"d", "c", "b", "a"},
		issue.ByFirstSeen: {"c", "b", "d", "a"},
		issue.ByEvents:    {"d", "b", "a", "c"},
		issue.ByUsers:     {"b", "d", "a", "c"},
	} {
		if diff := cmp.Diff(want, f.titles(t, issue.Filter{Status: issue.AnyStatus}, by)); diff != "" {
			t.Errorf("by %q (-want +got):\n%s", by, diff)
		}
	}
}

func TestList_OfIssuesThatAreAlike(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for n := range 7 {
		f.record(t, f.project.ID, occurrence{fingerprint: fingerprint(fmt.Sprint(n)), message: fmt.Sprint(n), at: f.now})
	}
	for _, by := range []issue.Sort{issue.ByLastSeen, issue.ByFirstSeen, issue.ByEvents, issue.ByUsers} {
		got := f.titles(t, issue.Filter{}, by)
		slices.Sort(got)
		if diff := cmp.Diff([]string{"0", "1", "2", "3", "4", "5", "6"}, got); diff != "" {
			t.Errorf("by %s (-want +got):\n%s", by, diff)
		}
	}
}

func TestList_Counts(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.seed(t)
	for window, steps := range map[issue.Window]int{"": 24, issue.LastDay: 24, issue.LastFortnight: 14} {
		p, err := issue.List(t.Context(), f.app, f.project.ID, issue.Filter{}, issue.Request{Window: window, Limit: 10})
		must(t, err)
		for n, want := range map[issue.Window][]int64{"": {3, 0, 0}, issue.LastDay: {3, 0, 0}, issue.LastFortnight: {4, 1, 3}}[window] {
			sum := int64(0)
			for _, events := range p.Issues[n].Counts.Events {
				sum += events
			}
			if sum != want || len(p.Issues[n].Counts.Events) != steps {
				t.Errorf("%q: issue %s has %d events in %d steps, want %d in %d", window, p.Issues[n].Title, sum,
					len(p.Issues[n].Counts.Events), want, steps)
			}
		}
	}
}

func TestList_Refuses(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.seed(t)
	list := func(filter issue.Filter, by issue.Sort, cursor string) (issue.Page, error) {
		return issue.List(t.Context(), f.app, f.project.ID, filter, issue.Request{Sort: by, Limit: 1, Cursor: cursor})
	}
	p, err := list(issue.Filter{}, issue.ByLastSeen, "")
	must(t, err)
	const other = "cursor_of_another_list"
	for name, tt := range map[string]struct {
		filter issue.Filter
		by     issue.Sort
		cursor string
		code   string
	}{
		"a cursor of another status":   {issue.Filter{Status: issue.AnyStatus}, "", p.Next, other},
		"a cursor of another search":   {issue.Filter{Search: "x"}, "", p.Next, other},
		"a cursor of another sort":     {issue.Filter{}, issue.ByEvents, p.Next, other},
		"a cursor that is cut off":     {issue.Filter{}, "", p.Next[:len(p.Next)-6], "invalid"},
		"a cursor with more behind it": {issue.Filter{}, "", p.Next + "AAAA", "invalid"},
		"a cursor of other lists":      {issue.Filter{}, "", "AAWk0Md5SAABlGGyxWh2SgAAAAAAAAAA", "invalid"},
		"nonsense":                     {issue.Filter{}, "", "nonsense", "invalid"},
		"another sort":                 {issue.Filter{}, "title", "", "invalid"},
		"too many tags":                {issue.Filter{Tags: make([]issue.TagValue, 6)}, "", "", "invalid"},
		"a span that ends before it begins": {
			issue.Filter{Since: f.now, Until: f.now.Add(-time.Second)}, "", "", "invalid",
		},
	} {
		_, err := list(tt.filter, tt.by, tt.cursor)
		wants(t, name, err, fault.Invalid, tt.code)
	}
	theirs := f.newProject(t, "other")
	_, err = issue.List(t.Context(), f.app, theirs.ID, issue.Filter{}, issue.Request{Cursor: p.Next})
	wants(t, "a cursor of another project", err, fault.Invalid, other)
	if _, err := list(issue.Filter{Status: issue.Unresolved}, "", p.Next); err != nil {
		t.Errorf("the same list: %v", err)
	}
}

// TestList_SurvivesForgedCursors changes every byte of a cursor: what that gives is refused or read, but never an error of
// the database.
func TestList_SurvivesForgedCursors(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.seed(t)
	for _, by := range []issue.Sort{issue.ByLastSeen, issue.ByEvents} {
		for _, limit := range []int{1, 3} {
			p, err := issue.List(t.Context(), f.app, f.project.ID, issue.Filter{}, issue.Request{Sort: by, Limit: 1})
			must(t, err)
			cursor, err := base64.RawURLEncoding.DecodeString(p.Next)
			must(t, err)
			for n := range cursor {
				for _, other := range []byte{0, 1, 0x7f, 0x80, 0xff} {
					forged := slices.Clone(cursor)
					forged[n] = other
					_, err := issue.List(t.Context(), f.app, f.project.ID, issue.Filter{},
						issue.Request{Sort: by, Limit: limit, Cursor: base64.RawURLEncoding.EncodeToString(forged)})
					if err != nil && !fault.Is(err, fault.Invalid) {
						t.Fatalf("by %s, byte %d is %x: %v", by, n, other, err)
					}
				}
			}
		}
	}
}

// TestUserHash holds the hash to what Store writes.
func TestUserHash(t *testing.T) {
	t.Parallel()
	project := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	sum := sha256.Sum256([]byte("\x01\x89\x0a\x5d\xac\x96\x77\x4b\xbc\xce\xb3\x02\x09\x9a\x80\x57" + "u1"))
	if got := issue.UserHash(project, "u1"); got != uuid.UUID(sum[:16]) {
		t.Errorf("the hash is %s", got)
	}
}
