package api_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestMembers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	ben := b.member(t, acme, "ben", tenant.Admin)
	cara := b.member(t, acme, "cara", tenant.Member)
	dora := b.member(t, acme, "dora", tenant.Member)
	path := "/organizations/" + acme.ID.String() + "/members"
	of := func(p person) string { return path + "/" + p.ID.String() }

	t.Run("are listed by filters", func(t *testing.T) {
		for query, want := range map[string][]string{
			"":                        {"dora", "cara", "ben", "anna"},
			"role=member":             {"dora", "cara"},
			"search=CARA@":            {"cara"},
			"role=owner&search=cara":  {},
			"role=admin&search=ben@e": {"ben"},
		} {
			got := names(items[tenant.Colleague](t, b, cara, path+"?"+query), func(c tenant.Colleague) string { return c.Name })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", query, diff)
			}
		}
		b.get(t, cara, path+"?role=boss").refused(http.StatusBadRequest, "invalid", "query.role: must be one of")
	})

	t.Run("change roles, and leave", func(t *testing.T) {
		got := read[tenant.Colleague](b.patch(t, ben, of(cara), `{"role":"admin"}`), http.StatusOK)
		if got.Role != tenant.Admin || got.UserID != cara.ID || got.Email != cara.Email {
			t.Errorf("%+v", got)
		}
		b.patch(t, ben, of(cara), `{"role":"admin"}`).is(http.StatusOK)
		b.patch(t, ben, of(cara), `{"role":"owner"}`).refused(http.StatusForbidden, "role_too_low", "owner")
		b.patch(t, ben, of(anna), `{"role":"member"}`).refused(http.StatusForbidden, "role_too_low", "owner")
		b.patch(t, anna, of(anna), `{"role":"member"}`).refused(http.StatusConflict, "last_owner", "last owner")
		b.patch(t, ben, of(cara), `{"role":"boss"}`).refused(http.StatusBadRequest, "invalid", "body.role: ")
		b.patch(t, ben, of(cara), `{}`).refused(http.StatusBadRequest, "invalid", "role")
		b.patch(t, ben, of(ben), `{"role":"member"}`).is(http.StatusOK)
		b.patch(t, ben, of(ben), `{"role":"admin"}`).refused(http.StatusForbidden, "role_too_low", "admin")

		b.delete(t, ben, of(dora)).refused(http.StatusForbidden, "role_too_low", "admin")
		b.delete(t, cara, of(anna)).refused(http.StatusForbidden, "role_too_low", "owner")
		b.delete(t, anna, of(anna)).refused(http.StatusConflict, "last_owner", "last owner")
		b.delete(t, cara, of(dora)).is(http.StatusNoContent)
		b.delete(t, cara, of(dora)).refused(http.StatusNotFound, "not_found", "no member")
		b.get(t, dora, path).refused(http.StatusNotFound, "not_found", "there is no organization")
		b.delete(t, ben, of(ben)).is(http.StatusNoContent)
		b.delete(t, ben, of(ben)).refused(http.StatusNotFound, "not_found", "there is no organization")

		want := []string{
			`member.role member cara@example.com {"role": {"to": "admin", "from": "member"}}`,
			`member.role member ben@example.com {"role": {"to": "member", "from": "admin"}}`,
			`member.remove member dora@example.com {"role": {"to": null, "from": "member"}}`,
			`member.leave member ben@example.com {"role": {"to": null, "from": "member"}}`,
		}
		if diff := cmp.Diff(want, b.trail(t)); diff != "" {
			t.Errorf("audit log (-want +got):\n%s", diff)
		}
	})
}

// TestRoles_ThatAreTakenMeanwhile has ben do something for which he still has the role when he begins, and cara take it
// from him just before.
func TestRoles_ThatAreTakenMeanwhile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		role       tenant.Role // of both
		takes      string      // how cara takes ben's role
		takesBody  string
		method     string // what ben does
		path, body string
		code       string // how that is refused
	}{
		{"to demote who demotes him", tenant.Admin, http.MethodPatch, `{"role":"member"}`, http.MethodPatch, "/members/cara", `{"role":"member"}`, "role_too_low"},
		{"to remove who removes him", tenant.Admin, http.MethodDelete, "", http.MethodDelete, "/members/cara", "", "not_found"},
		{"to rename the organization", tenant.Admin, http.MethodPatch, `{"role":"member"}`, http.MethodPatch, "", `{"name":"x"}`, "role_too_low"},
		{"to delete the organization", tenant.Owner, http.MethodPatch, `{"role":"admin"}`, http.MethodDelete, "", "", "role_too_low"},
		{"to invite an owner", tenant.Owner, http.MethodPatch, `{"role":"admin"}`, http.MethodPost, "/invitations", `{"email":"x@example.com","role":"owner"}`, "role_too_low"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			acme := b.organization(t, b.user(t, "anna"), "Acme")
			ben, cara := b.member(t, acme, "ben", tt.role), b.member(t, acme, "cara", tt.role)
			at := "/organizations/" + acme.ID.String()
			tx, err := b.Conn(t, pgtest.Admin).Begin(t.Context())
			must(t, err)
			_, err = tx.Exec(t.Context(), `select from mesher.organizations where id = $1 for no key update`, acme.ID)
			must(t, err)

			var first, second answer
			var calls sync.WaitGroup
			calls.Go(func() { first = b.call(t, cara, tt.takes, at+"/members/"+ben.ID.String(), tt.takesBody) })
			b.waitForLocks(t, 1) // who waits first goes first
			calls.Go(func() {
				second = b.call(t, ben, tt.method, at+strings.Replace(tt.path, "cara", cara.ID.String(), 1), tt.body)
			})
			b.waitForLocks(t, 2)
			must(t, tx.Commit(t.Context()))
			calls.Wait()

			var p rest.Problem
			if second.into(&p); first.status >= 300 || p.Code != tt.code {
				t.Errorf("%d %s, then %d %s; want the second to be refused as %s", first.status, first.body, second.status, second.body, tt.code)
			}
			if n := len(b.trail(t)); n != 1 {
				t.Errorf("%d entries in the audit log, want that of the first", n)
			}
		})
	}
}

// waitForLocks returns once n sessions of this database wait for a lock.
func (b *bundle) waitForLocks(t *testing.T, n int) {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for {
		if b.count(t, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == n {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%d calls do not wait for the lock", n)
		}
	}
}
