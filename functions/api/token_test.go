package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/functions/api"
	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna, ben := b.user(t, "anna"), b.user(t, "ben")
	acme, bens := b.organization(t, anna, "Acme"), b.organization(t, ben, "Ben's")
	b.project(t, acme, "Shop")

	all := read[api.IssuedToken](b.post(t, anna, "/user/tokens", `{"label":"all","scope":"admin","password":"`+password+`"}`), http.StatusCreated)
	one := read[api.IssuedToken](b.post(t, anna, "/user/tokens",
		map[string]any{"label": "One", "scope": "read", "organization_id": acme.ID, "expires_in_days": 30, "password": password}), http.StatusCreated)

	t.Run("are shown once and work", func(t *testing.T) {
		if one.ExpiresAt.Sub(one.CreatedAt) != 30*24*time.Hour || one.OrganizationID != acme.ID || !all.ExpiresAt.IsZero() {
			t.Errorf("tokens are %+v and %+v", all, one)
		}
		who := read[api.Profile](b.get(t, person{Secret: one.Token}, "/user"), http.StatusOK)
		if who.ID != anna.ID || who.Credential.ID != one.ID {
			t.Errorf("the token is of %+v", who)
		}
	})

	t.Run("of one organization see that one only", func(t *testing.T) {
		mine := b.organization(t, anna, "Another")
		token := person{Secret: one.Token}
		got := names(items[tenant.Organization](t, b, token, "/organizations"), func(o tenant.Organization) string { return o.Name })
		if diff := cmp.Diff([]string{"Acme"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		b.get(t, token, "/organizations/"+acme.ID.String()+"/projects").is(http.StatusOK)
		b.get(t, token, "/organizations/"+mine.ID.String()+"/projects").refused(http.StatusNotFound, "not_found", "there is no organization")
		b.post(t, b.token(t, anna, account.ScopeAdmin, acme.ID), "/organizations", `{"name":"x"}`).
			refused(http.StatusForbidden, "token_bound", "one organization")
	})

	t.Run("are listed by filters", func(t *testing.T) {
		cara := b.user(t, "cara")
		for _, s := range []string{"read", "write", "admin"} {
			b.post(t, cara, "/user/tokens", `{"label":"Laptop `+s+`","scope":"`+s+`","password":"`+password+`"}`).is(http.StatusCreated)
		}
		gone := read[api.IssuedToken](b.post(t, cara, "/user/tokens", `{"label":"gone","scope":"read","password":"`+password+`"}`), http.StatusCreated)
		b.delete(t, cara, "/user/tokens/"+gone.ID.String()).is(http.StatusNoContent)
		for query, want := range map[string][]string{
			"":                         {"gone", "Laptop admin", "Laptop write", "Laptop read"},
			"state=revoked":            {"gone"},
			"state=active&scope=write": {"Laptop write"},
			"label=LAPTOP":             {"Laptop admin", "Laptop write", "Laptop read"},
			"scope=read":               {"gone", "Laptop read"},
			"label=%25":                {},
		} {
			got := names(items[account.PersonalToken](t, b, cara, "/user/tokens?"+query), func(k account.PersonalToken) string { return k.Label })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", query, diff)
			}
		}
	})

	t.Run("are worthless once revoked, and only their owner revokes them", func(t *testing.T) {
		path := "/user/tokens/" + all.ID.String()
		b.delete(t, ben, path).refused(http.StatusNotFound, "not_found", "no personal access token")
		b.get(t, person{Secret: all.Token}, "/user").is(http.StatusOK)
		for range 2 {
			if a := b.delete(t, anna, path).is(http.StatusNoContent); len(a.body) != 0 {
				t.Errorf("the answer is %s", a.body)
			}
		}
		b.get(t, person{Secret: all.Token}, "/user").refused(http.StatusUnauthorized, "unauthenticated", "revoked")
		revoked := items[tenant.AuditEntry](t, b, anna, "/user/activity?action=token.revoke")
		if len(revoked) != 1 || revoked[0].Target.ID != all.ID || revoked[0].OrganizationID != uuid.Nil ||
			string(revoked[0].Details) != `{"state":{"to":"revoked","from":"active"}}` {
			t.Errorf("the revocation is recorded as %+v", revoked)
		}
		if n := b.count(t, `select count(*) from mesher.audit_log where action = 'token.create' and target_id = $1 and organization_id = $2
			and actor_id = $3`, one.ID, acme.ID, anna.ID); n != 1 {
			t.Errorf("the creation is recorded %d times", n)
		}
	})

	t.Run("are refused where they make no sense", func(t *testing.T) {
		for body, says := range map[string]string{
			`{"label":"x","scope":"read"}`:                                                        "password is missing",
			`{"scope":"read","password":"` + password + `"}`:                                      "label is missing",
			`{"label":"","scope":"read","password":"` + password + `"}`:                           "body.label: must not be empty",
			`{"label":"x","scope":"session","password":"` + password + `"}`:                       "body.scope: must be one of",
			`{"label":"x","scope":"read","expires_in_days":0,"password":"` + password + `"}`:      "body.expires_in_days: must be 1 or more",
			`{"label":"x","scope":"read","expires_in_days":3651,"password":"` + password + `"}`:   "body.expires_in_days: must be 3650 or less",
			`{"label":"x","scope":"read","expires_in_days":1.5,"password":"` + password + `"}`:    "body.expires_in_days: must be a whole number",
			`{"label":"x","scope":"read","organization_id":"acme","password":"` + password + `"}`: "body.organization_id: ",
			`{"label":" x","scope":"read","password":"` + password + `"}`:                         "label",
		} {
			b.post(t, anna, "/user/tokens", body).refused(http.StatusBadRequest, "invalid", says)
		}
		for _, o := range []uuid.UUID{bens.ID, uuid.New()} {
			b.post(t, anna, "/user/tokens", map[string]any{"label": "x", "scope": "read", "organization_id": o, "password": password}).
				refused(http.StatusNotFound, "not_found", "there is no organization")
		}
	})
}
