package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/functions/api"
	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestIssues_Change(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	shop := b.project(t, acme, "Shop")
	ben := b.member(t, acme, "ben", tenant.Member)
	program := b.token(t, ben, account.ScopeWrite, acme.ID)
	stranger := b.user(t, "stranger")
	id := b.issue(t, shop, "a")
	path := "/projects/" + shop.ID.String() + "/issues"
	at := path + "/" + id.String()

	t.Run("in what is named", func(t *testing.T) {
		for _, step := range []struct {
			body  string
			check func(issue.Detail) bool
		}{
			{`{"status":"resolved"}`, func(d issue.Detail) bool { return d.Status == "resolved" && !d.ResolvedAt.IsZero() && !d.ResolvedNext }},
			{`{"status":"resolved","in_next_release":true}`, func(d issue.Detail) bool { return d.ResolvedNext }},
			{`{"assignee":"me"}`, func(d issue.Detail) bool { return d.Assignee.ID == ben.ID && d.Status == "resolved" }},
			{`{"assignee":"` + anna.ID.String() + `"}`, func(d issue.Detail) bool { return d.Assignee.Email == anna.Email }},
			{`{"unassign":true,"status":"unresolved"}`, func(d issue.Detail) bool { return d.Assignee == nil && d.Status == "unresolved" }},
			{`{"status":"ignored","ignore_for_minutes":90}`, func(d issue.Detail) bool {
				left := time.Until(d.IgnoredUntil)
				return left > 80*time.Minute && left <= 90*time.Minute
			}},
			{`{"status":"ignored","ignore_events":3,"ignore_until":"2199-01-01T00:00:00Z"}`, func(d issue.Detail) bool {
				return d.IgnoredUntil.Year() == 2199 && d.IgnoredUntilEvents == 3
			}},
			{`{"status":"ignored","ignore_events":0}`, func(d issue.Detail) bool { return d.IgnoredUntil.IsZero() && d.IgnoredUntilEvents == 0 }},
		} {
			if got := read[issue.Detail](b.patch(t, program, at, step.body), http.StatusOK); !step.check(got) {
				t.Errorf("%s: %+v", step.body, got)
			}
		}
		did := names(items[issue.Activity](t, b, anna, at+"/activity"), func(a issue.Activity) string { return a.ActorName + " " + a.Action })
		want := []string{
			"ben ignored", "ben ignored", "ben ignored", "ben unassigned", "ben unresolved", "ben assigned", "ben assigned", "ben resolved", "ben resolved",
		}
		// The two of one call have no order.
		want[3], want[4] = did[3], did[4]
		if diff := cmp.Diff(want, did); diff != "" {
			t.Errorf("activity (-want +got):\n%s", diff)
		}
		if trail := b.trail(t); len(trail) != 0 {
			t.Errorf("the audit log has %v", trail)
		}
	})

	t.Run("not as they cannot be", func(t *testing.T) {
		for body, says := range map[string]string{
			`{}`:                                "nothing is to be changed",
			`{"status":"open"}`:                 "body.status",
			`{"assignee":"ben"}`:                "body.assignee: expected a user's id",
			`{"assignee":"me","unassign":true}`: "either assigned or unassigned",
			`{"status":"resolved","ignore_events":1}`:                                           "goes with the status ignored",
			`{"status":"ignored","in_next_release":true}`:                                       "goes with the status resolved",
			`{"status":"ignored","ignore_for_minutes":-1}`:                                      "body.ignore_for_minutes",
			`{"status":"ignored","ignore_until":"2001-01-01T00:00:00Z"}`:                        "in the future",
			`{"status":"ignored","ignore_until":"9999-12-31T23:59:59-23:59"}`:                   "the year 9999",
			`{"status":"ignored","ignore_for_minutes":1,"ignore_until":"2199-01-01T00:00:00Z"}`: "either this or ignore_for_minutes",
		} {
			b.patch(t, anna, at, body).refused(http.StatusBadRequest, "invalid", says)
		}
		b.patch(t, anna, at, `{"assignee":"`+stranger.ID.String()+`"}`).refused(http.StatusBadRequest, "assignee_not_a_member", "members")
	})

	t.Run("many at once", func(t *testing.T) {
		other, nowhere := b.issue(t, shop, "b"), uuid.New()
		theirs := b.issue(t, b.project(t, b.organization(t, stranger, "Rival"), "Shop"), "c")
		body := fmt.Sprintf(`{"ids":["%s","%s","%s","%s"],"status":"resolved","assignee":"me"}`, id, nowhere, other, theirs)
		want := api.ChangedIssues{Changed: 2, NotFound: []uuid.UUID{nowhere, theirs}}
		if diff := cmp.Diff(want, read[api.ChangedIssues](b.patch(t, ben, path, body), http.StatusOK)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		want = api.ChangedIssues{Unchanged: 2, NotFound: []uuid.UUID{nowhere, theirs}}
		if diff := cmp.Diff(want, read[api.ChangedIssues](b.patch(t, ben, path, body), http.StatusOK)); diff != "" {
			t.Errorf("again (-want +got):\n%s", diff)
		}
		b.patch(t, ben, path, `{"ids":[],"status":"resolved"}`).refused(http.StatusBadRequest, "invalid", "body.ids")
		b.patch(t, ben, path, `{"ids":[`+strings.Repeat(`"`+id.String()+`",`, 1000)+`"`+id.String()+`"],"status":"resolved"}`).
			refused(http.StatusBadRequest, "invalid", "body.ids")
	})

	t.Run("to discarded by admins only", func(t *testing.T) {
		b.patch(t, ben, at, `{"status":"discarded"}`).refused(http.StatusForbidden, "role_too_low", "needs the role admin")
		b.patch(t, ben, path, `{"ids":["`+id.String()+`"],"status":"discarded"}`).refused(http.StatusForbidden, "role_too_low", "needs the role admin")
		if got := read[issue.Detail](b.patch(t, anna, at, `{"status":"discarded"}`), http.StatusOK); got.Status != issue.Discarded {
			t.Errorf("%+v", got)
		}
		if diff := cmp.Diff([]string{`issue.discard issue  {"project_id": "` + shop.ID.String() + `"}`}, b.trail(t)); diff != "" {
			t.Errorf("audit log (-want +got):\n%s", diff)
		}
	})
}

func TestIssues_AreDeleted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	shop := b.project(t, acme, "Shop")
	ben := b.member(t, acme, "ben", tenant.Member)
	var ids []uuid.UUID
	for n := range 4 {
		ids = append(ids, b.issue(t, shop, fmt.Sprint(n)))
	}
	path := "/projects/" + shop.ID.String() + "/issues"
	b.delete(t, ben, path+"/"+ids[0].String()).refused(http.StatusForbidden, "role_too_low", "admin")
	b.delete(t, anna, path+"/"+ids[0].String()).is(http.StatusNoContent)
	b.delete(t, anna, path+"/"+ids[0].String()).refused(http.StatusNotFound, "not_found", "there is no issue")
	body := fmt.Sprintf(`{"ids":["%s","%s","%s"]}`, ids[0], ids[1], ids[2])
	b.post(t, ben, path+"/delete", body).refused(http.StatusForbidden, "role_too_low", "admin")
	want := api.DeletedIssues{Deleted: 2, NotFound: ids[:1]}
	if diff := cmp.Diff(want, read[api.DeletedIssues](b.post(t, anna, path+"/delete", body), http.StatusOK)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"3"}, names(items[issue.Issue](t, b, anna, path), titled)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	trail := b.trail(t)
	if len(trail) != 2 || trail[0] != `issue.delete issue 0 {"project_id": "`+shop.ID.String()+`"}` ||
		!strings.HasPrefix(trail[1], "issue.delete project Shop ") || !strings.Contains(trail[1], ids[1].String()) || !strings.Contains(trail[1], ids[2].String()) {
		t.Errorf("audit log: %v", trail)
	}
}

// TestIssues_ChangeInSpiteOfADeadlock has a batch of events and a call wait for each other: the call is tried again.
func TestIssues_ChangeInSpiteOfADeadlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	shop := b.project(t, b.organization(t, anna, "Acme"), "Shop")
	first, second := b.issue(t, shop, "first"), b.issue(t, shop, "second")
	batch, err := b.admin.Begin(t.Context())
	must(t, err)
	defer func() { _ = batch.Rollback(t.Context()) }()
	// Who looks first is ended, and that has to be the call.
	if _, err := batch.Exec(t.Context(), "set local deadlock_timeout = '1min'"); err != nil {
		t.Skipf("only a superuser can have a deadlock end as it has to: %v", err)
	}
	count := func(id uuid.UUID) {
		_, err := batch.Exec(t.Context(), "update mesher.issues set event_count = event_count + 1 where id = $1::uuid", id)
		must(t, err)
	}
	count(second)
	done := make(chan answer)
	go func() {
		done <- b.patch(t, anna, "/projects/"+shop.ID.String()+"/issues", fmt.Sprintf(`{"ids":["%s","%s"],"status":"resolved"}`, first, second))
	}()
	for b.count(t, "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'") == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	count(first)
	must(t, batch.Commit(t.Context()))
	if got := read[api.ChangedIssues](<-done, http.StatusOK); got.Changed != 2 {
		t.Errorf("%+v", got)
	}
	if n := b.count(t, "select count(*) from mesher.issues where status = 'resolved' and event_count = 5"); n != 2 {
		t.Errorf("%d issues are counted and resolved, want 2", n)
	}
}
