package issue_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// apply changes issues of the project in the name of the member.
func (f *fixture) apply(t *testing.T, c issue.Change, ids ...uuid.UUID) (out issue.Changed, err error) {
	t.Helper()
	err = f.tx(t, func(tx postgres.Tx) (err error) {
		out, err = issue.Apply(t.Context(), tx, f.project.ID, f.member, ids, c)
		return err
	})
	return out, err
}

func (f *fixture) find(t *testing.T, id uuid.UUID) issue.Detail {
	t.Helper()
	d, err := issue.Find(t.Context(), f.app, f.project.ID, id)
	must(t, err)
	return d
}

// activity returns what happened to an issue as "actor action details", the oldest first.
func (f *fixture) activity(t *testing.T, id uuid.UUID) []string {
	t.Helper()
	out := []string{}
	for r := (page.Request{Limit: 2}); ; {
		p, err := issue.ListActivity(t.Context(), f.app, f.project.ID, id, r)
		must(t, err)
		for _, a := range p.Rows {
			out = append(out, strings.TrimSpace(fmt.Sprint(a.ActorName, " ", a.Action, " ", string(a.Details))))
		}
		if r.After = p.Next; p.Next == (page.Mark{}) {
			slices.Reverse(out)
			return out
		}
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ben := f.newMember(t, f.project, "ben")
	until := f.now.Add(time.Hour)
	id := f.record(t, f.project.ID, occurrence{fingerprint: fingerprint("a"), at: f.now}, occurrence{fingerprint: fingerprint("a"), at: f.now})
	f.Exec(t, "update mesher.issues set regressed_at = now(), regressed_release = '3'")
	var log []string
	for n, step := range []struct {
		change  issue.Change
		changed bool
		log     []string
		check   func(issue.Issue) bool
	}{
		{issue.Change{Status: issue.Unresolved}, false, nil, func(i issue.Issue) bool { return !i.RegressedAt.IsZero() }},
		{issue.Change{Status: issue.Resolved}, true, []string{"anna resolved"}, func(i issue.Issue) bool {
			return i.Status == "resolved" && !i.ResolvedAt.IsZero() && !i.ResolvedNext && i.RegressedAt.IsZero() && i.RegressedRelease == ""
		}},
		{issue.Change{Status: issue.Resolved}, false, nil, func(i issue.Issue) bool { return i.Status == "resolved" }},
		{issue.Change{Status: issue.Resolved, NextRelease: true}, true, []string{`anna resolved {"in_next_release": true}`}, func(i issue.Issue) bool { return i.ResolvedNext }},
		{issue.Change{Status: issue.Resolved, NextRelease: true}, false, nil, func(i issue.Issue) bool { return i.ResolvedNext }},
		{issue.Change{Status: issue.Ignored, IgnoreEvents: 5}, true, []string{`anna ignored {"events": 5}`}, func(i issue.Issue) bool {
			return i.Status == "ignored" && i.IgnoredUntilEvents == 5 && i.ResolvedAt.IsZero() && !i.ResolvedNext
		}},
		{issue.Change{Status: issue.Ignored, IgnoreUntil: until}, true, []string{`anna ignored {"until": "` + until.Format(time.RFC3339Nano) + `"}`}, func(i issue.Issue) bool {
			return i.IgnoredUntil.Equal(until) && i.IgnoredUntilEvents == 0
		}},
		{issue.Change{Status: issue.Ignored, IgnoreUntil: until}, false, nil, func(i issue.Issue) bool { return i.IgnoredUntil.Equal(until) }},
		{issue.Change{Status: issue.Ignored}, true, []string{"anna ignored"}, func(i issue.Issue) bool { return i.IgnoredUntil.IsZero() }},
		{issue.Change{Status: issue.Ignored}, false, nil, func(i issue.Issue) bool { return i.Status == "ignored" }},
		{issue.Change{Assignee: ben.ID}, true, []string{`anna assigned {"assignee": "ben", "assignee_id": "` + ben.ID.String() + `"}`}, func(i issue.Issue) bool {
			return i.Status == "ignored" && *i.Assignee == issue.Assignee{ID: ben.ID, Name: "ben", Email: "ben@example.com"}
		}},
		{issue.Change{Assignee: ben.ID}, false, nil, func(i issue.Issue) bool { return i.Assignee != nil }},
		{issue.Change{Status: issue.Discarded, Unassign: true}, true, []string{"anna discarded", "anna unassigned"}, func(i issue.Issue) bool {
			return i.Status == "discarded" && i.Assignee == nil
		}},
		{issue.Change{Unassign: true}, false, nil, func(i issue.Issue) bool { return i.Assignee == nil }},
		{issue.Change{Status: issue.Unresolved, Assignee: f.member.ID}, true, []string{"anna unresolved", `anna assigned {"assignee": "anna", "assignee_id": "` + f.member.ID.String() + `"}`}, func(i issue.Issue) bool {
			return i.Status == "unresolved" && i.Assignee.ID == f.member.ID
		}},
	} {
		out, err := f.apply(t, step.change, id)
		must(t, err)
		if len(out.Changed)+len(out.Unchanged) != 1 || (len(out.Changed) == 1) != step.changed || len(out.NotFound) != 0 {
			t.Errorf("step %d: %+v", n, out)
		}
		if got := f.find(t, id); !step.check(got.Issue) {
			t.Errorf("step %d: %+v", n, got.Issue)
		}
		log = append(log, step.log...)
	}
	if diff := cmp.Diff(log, f.activity(t, id)); diff != "" {
		t.Errorf("activity (-want +got):\n%s", diff)
	}
}

func TestApply_ToMany(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var ids []uuid.UUID
	for n := range 5 {
		ids = append(ids, f.record(t, f.project.ID, occurrence{fingerprint: fingerprint(fmt.Sprint(n)), at: f.now}))
	}
	_, err := f.apply(t, issue.Change{Status: issue.Resolved}, ids[1])
	must(t, err)
	other := f.newProject(t, "other")
	theirs := f.record(t, other.ID, occurrence{fingerprint: fingerprint("0"), at: f.now})
	nowhere := uuid.New()
	got, err := f.apply(t, issue.Change{Status: issue.Resolved}, nowhere, ids[4], ids[0], ids[1], theirs, ids[0], nowhere)
	must(t, err)
	want := issue.Changed{Changed: []uuid.UUID{ids[0], ids[4]}, Unchanged: []uuid.UUID{ids[1]}, NotFound: []uuid.UUID{nowhere, theirs}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s := f.text(t, "select string_agg(status, ' ' order by project_id = $1::uuid, id) from mesher.issues", f.project.ID); s != "unresolved resolved resolved unresolved unresolved resolved" {
		t.Errorf("statuses are %s", s)
	}
	if s := f.text(t, "select count(*) from mesher.issue_activity"); s != "3" {
		t.Errorf("%s activities, want 3", s)
	}
}

func TestApply_Refuses(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.record(t, f.project.ID, occurrence{fingerprint: fingerprint("a"), at: f.now})
	stranger := f.newMember(t, f.newProject(t, "other"), "stranger")
	for name, tt := range map[string]struct {
		change issue.Change
		code   string
	}{
		"nothing":                      {issue.Change{}, "invalid"},
		"both to assign and not to":    {issue.Change{Assignee: f.member.ID, Unassign: true}, "invalid"},
		"the next release, unresolved": {issue.Change{Status: issue.Unresolved, NextRelease: true}, "invalid"},
		"an end without ignoring":      {issue.Change{Status: issue.Resolved, IgnoreEvents: 1}, "invalid"},
		"an end in the past":           {issue.Change{Status: issue.Ignored, IgnoreUntil: f.now.Add(-time.Second)}, "invalid"},
		"an end before the next event": {issue.Change{Status: issue.Ignored, IgnoreEvents: -1}, "invalid"},
		"somebody of elsewhere":        {issue.Change{Assignee: stranger.ID}, "assignee_not_a_member"},
		"nobody at all":                {issue.Change{Assignee: uuid.New()}, "assignee_not_a_member"},
	} {
		_, err := f.apply(t, tt.change, id)
		wants(t, name, err, fault.Invalid, tt.code)
	}
	_, err := f.apply(t, issue.Change{Status: issue.Resolved}, make([]uuid.UUID, issue.ChangesMost+1)...)
	wants(t, "too many", err, fault.Invalid, "")
	if s := f.text(t, "select count(*) from mesher.issue_activity"); s != "0" {
		t.Errorf("%s activities of what was refused", s)
	}
}

// TestApply_Together has many change the same issues in different orders, while events arrive.
func TestApply_Together(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const issues, callers, events = 20, 4, 10
	var ids []uuid.UUID
	for n := range issues {
		ids = append(ids, f.record(t, f.project.ID, occurrence{fingerprint: fingerprint(fmt.Sprint(n)), at: f.now}))
	}
	var calls sync.WaitGroup
	for n := range callers {
		calls.Go(func() {
			for k := range 5 {
				mine := slices.Clone(ids)
				if n%2 == 1 {
					slices.Reverse(mine)
				}
				status := []issue.Status{issue.Resolved, issue.Ignored, issue.Unresolved}[(n+k)%3]
				if _, err := f.apply(t, issue.Change{Status: status}, mine...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	calls.Go(func() {
		for n := range events {
			if _, err := storeOne(t.Context(), f.store, f.project.ID, occurrence{fingerprint: fingerprint(fmt.Sprint(n)), at: f.now}); err != nil {
				t.Error(err)
			}
		}
	})
	calls.Wait()
	if s := f.text(t, "select count(distinct status) || ' ' || sum(event_count) from mesher.issues"); s != fmt.Sprint(1, " ", issues+events) {
		t.Errorf("statuses and events are %s", s)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var ids []uuid.UUID
	for n := range 5 {
		ids = append(ids, f.record(t, f.project.ID, occurrence{fingerprint: fingerprint(fmt.Sprint(n)), at: f.now}))
	}
	other := f.newProject(t, "other")
	theirs := f.record(t, other.ID, occurrence{fingerprint: fingerprint("0"), at: f.now})
	// 1 into 2 into 0; 4 stays.
	_, err := f.merge(t, ids[2], ids[1], ids[2])
	must(t, err)
	_, err = f.merge(t, ids[0], ids[2], ids[0])
	must(t, err)
	nowhere := uuid.New()
	gone, missing, err := deleteIssues(t, f, ids[0], theirs, nowhere, ids[3])
	must(t, err)
	if diff := cmp.Diff([]uuid.UUID{theirs, nowhere}, missing); diff != "" || len(gone) != 2 {
		t.Errorf("deleted %v, missing (-want +got):\n%s", gone, diff)
	}
	if s := f.text(t, "select string_agg(id::text, ' ') from mesher.issues where project_id = $1::uuid", f.project.ID); s != ids[4].String() {
		t.Errorf("left is %s, want %s alone", s, ids[4])
	}
	if s := f.text(t, "select count(*) from mesher.issue_fingerprints where project_id = $1::uuid", f.project.ID); s != "1" {
		t.Errorf("%s fingerprints are left, want 1", s)
	}
	if _, err := issue.Find(t.Context(), f.app, other.ID, theirs); err != nil {
		t.Errorf("another project's issue: %v", err)
	}
	again := f.record(t, f.project.ID, occurrence{fingerprint: fingerprint("1"), at: f.now})
	if slices.Contains(ids, again) || f.find(t, again).EventCount != 1 {
		t.Error("the next event does not open a new issue")
	}
}
