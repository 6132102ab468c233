package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/functions/api"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/tenant"
)

// opens returns what a key opens, as Ingest looks it up.
func (b *bundle) opens(t *testing.T, secret string) (tenant.Access, error) {
	t.Helper()
	hash, err := tenant.HashKey(secret)
	must(t, err)
	return tenant.FindAccess(t.Context(), b.app, hash)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	shop := b.project(t, acme, "Shop")
	path := "/projects/" + shop.ID.String() + "/keys"
	made := read[api.IssuedKey](b.post(t, anna, path, `{"label":"web","environment":"production","expires_in_days":30,"rate_limit":7}`), http.StatusCreated)
	at := path + "/" + made.Key.ID.String()

	t.Run("let events in", func(t *testing.T) {
		access, err := b.opens(t, made.Secret)
		must(t, err)
		if access.ProjectID != shop.ID || access.Environment != "production" || access.KeyID != made.Key.ID {
			t.Errorf("%+v", access)
		}
		if k := made.Key; k.Label != "web" || k.State != tenant.KeyActive || k.ExpiresAt.Sub(k.CreatedAt) != 30*24*time.Hour {
			t.Errorf("%+v", k)
		}
		if diff := cmp.Diff(made.Key, read[tenant.Key](b.get(t, anna, at), http.StatusOK)); diff != "" {
			t.Errorf("(-created +got):\n%s", diff)
		}
	})

	t.Run("are of their project only", func(t *testing.T) {
		other := b.project(t, acme, "Other")
		wrong := "/projects/" + other.ID.String() + "/keys/" + made.Key.ID.String()
		b.get(t, anna, wrong).refused(http.StatusNotFound, "not_found", "no API key")
		b.patch(t, anna, wrong, `{"label":"x"}`).refused(http.StatusNotFound, "not_found", "no API key")
		b.post(t, anna, wrong+"/rotate", nil).refused(http.StatusNotFound, "not_found", "no API key")
		b.post(t, anna, wrong+"/revoke", nil).refused(http.StatusNotFound, "not_found", "no API key")
		b.get(t, anna, path+"/"+uuid.NewString()).refused(http.StatusNotFound, "not_found", "no API key")
	})

	t.Run("get another label", func(t *testing.T) {
		for _, body := range []string{`{"label":"website"}`, `{"label":"website"}`, `{}`, `{"label":null}`} {
			if k := read[tenant.Key](b.patch(t, anna, at, body), http.StatusOK); k.Label != "website" || k.Environment != "production" {
				t.Errorf("%s: %+v", body, k)
			}
		}
		for body, limit := range map[string]int{`{"rate_limit":9}`: 9, `{}`: -1} {
			before := read[tenant.Key](b.get(t, anna, at), http.StatusOK).RateLimit
			k := read[tenant.Key](b.patch(t, anna, at, body), http.StatusOK)
			if limit >= 0 && k.RateLimit != limit || limit < 0 && k.RateLimit != before || k.Label != "website" {
				t.Errorf("%s: %+v", body, k)
			}
		}
		b.patch(t, anna, at, `{"rate_limit":-1}`).refused(http.StatusBadRequest, "invalid", "body.rate_limit: ")
		b.patch(t, anna, at, `{"label":""}`).refused(http.StatusBadRequest, "invalid", "body.label: ")
		b.patch(t, anna, at, `{"environment":"x"}`).refused(http.StatusBadRequest, "invalid", "body.environment: unexpected property")
	})

	t.Run("are refused where they make no sense", func(t *testing.T) {
		for body, says := range map[string]string{
			`{}`:                                  "label is missing",
			`{"label":"x","expires_in_days":0}`:   "body.expires_in_days: must be 1 or more",
			`{"label":"x","expires_in_days":1e9}`: "body.expires_in_days: must be 3650 or less",
			`{"label":"x ","environment":"e"}`:    "label",
		} {
			b.post(t, anna, path, body).refused(http.StatusBadRequest, "invalid", says)
		}
		b.post(t, anna, at+"/rotate", `{"overlap":"soon"}`).refused(http.StatusBadRequest, "invalid", "length of time")
		b.post(t, anna, at+"/rotate", `{"overlap":"3651d"}`).refused(http.StatusBadRequest, "invalid", "3650 days")
	})

	var next api.RotatedKey
	t.Run("are replaced, and live on for a while", func(t *testing.T) {
		next = read[api.RotatedKey](b.post(t, anna, at+"/rotate", nil), http.StatusCreated)
		if next.Old.ID != made.Key.ID || next.New.Label != "website" || next.New.Environment != "production" {
			t.Errorf("%+v", next)
		}
		if lives := next.Old.ExpiresAt.Sub(next.New.CreatedAt); lives < 23*time.Hour || lives > 25*time.Hour {
			t.Errorf("the old key lives on for %s, want a day", lives)
		}
		for _, secret := range []string{made.Secret, next.Secret} {
			if _, err := b.opens(t, secret); err != nil {
				t.Error(err)
			}
		}
		b.post(t, anna, at+"/rotate", nil).refused(http.StatusConflict, "conflict", "rotated already")
	})

	t.Run("are replaced at once", func(t *testing.T) {
		last := read[api.RotatedKey](b.post(t, anna, path+"/"+next.New.ID.String()+"/rotate", `{"overlap":"0m"}`), http.StatusCreated)
		if _, err := b.opens(t, next.Secret); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("the old key: %v", err)
		}
		_, err := b.opens(t, last.Secret)
		must(t, err)
	})

	t.Run("are revoked for good", func(t *testing.T) {
		first := read[tenant.Key](b.post(t, anna, at+"/revoke", nil), http.StatusOK)
		again := read[tenant.Key](b.post(t, anna, at+"/revoke", nil), http.StatusOK)
		if first.State != tenant.KeyRevoked || !again.RevokedAt.Equal(first.RevokedAt) {
			t.Errorf("%+v, then %+v", first, again)
		}
		if _, err := b.opens(t, made.Secret); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("the key: %v", err)
		}
		single := b.key(t, shop, "single")
		b.post(t, anna, path+"/"+single.ID.String()+"/revoke", nil).is(http.StatusOK)
		b.post(t, anna, path+"/"+single.ID.String()+"/rotate", nil).refused(http.StatusConflict, "conflict", "revoked")
	})

	t.Run("leave a trail without their secrets", func(t *testing.T) {
		got := names(items[tenant.AuditEntry](t, b, anna, "/organizations/"+acme.ID.String()+"/audit?target="+made.Key.ID.String()),
			func(e tenant.AuditEntry) string { return e.Action + " " + e.Target.Name })
		name := made.Key.Name()
		if diff := cmp.Diff([]string{"key.revoke " + name, "key.rotate " + name, "key.update " + name, "key.update " + name, "key.create " + name}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, secret := range []string{made.Secret, next.Secret} {
			if n := b.count(t, `select count(*) from mesher.audit_log a where position($1 in a::text) > 0`, secret); n != 0 {
				t.Error("the audit log holds a key")
			}
		}
	})
}

func TestKeys_AreListedByFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	shop := b.project(t, b.organization(t, anna, "Acme"), "Shop")
	path := "/projects/" + shop.ID.String() + "/keys"
	for i, label := range []string{"Web", "App", "webhook"} {
		b.post(t, anna, path, fmt.Sprintf(`{"label":%q,"environment":"e%d"}`, label, i)).is(http.StatusCreated)
	}
	b.Exec(t, `update mesher.api_keys set revoked_at = now() where label = 'App'`,
		`update mesher.api_keys set expires_at = now() where label = 'webhook'`)
	for query, want := range map[string][]string{
		"":                       {"webhook", "App", "Web"},
		"state=active":           {"Web"},
		"state=revoked":          {"App"},
		"state=expired":          {"webhook"},
		"environment=e1":         {"App"},
		"environment=e":          {},
		"label=WEB":              {"webhook", "Web"},
		"label=web&state=active": {"Web"},
	} {
		got := names(items[tenant.Key](t, b, anna, path+"?"+query), func(k tenant.Key) string { return k.Label })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	b.get(t, anna, path+"?state=lost").refused(http.StatusBadRequest, "invalid", "query.state: must be one of")
}
