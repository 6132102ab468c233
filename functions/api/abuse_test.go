package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/functions/api"
	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/tenant"
)

// A session that somebody found must not become a token, which would outlive it.
func TestTokens_TakeThePassword(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	ask := func(p, key string) answer {
		return b.post(t, anna, "/user/tokens", `{"label":"x","scope":"admin","password":"`+p+`"}`, idempotency, key)
	}
	first := read[api.IssuedToken](ask(password, "once"), http.StatusCreated)
	wrong := ask("something-else-3-entirely", "once")
	wrong.refused(http.StatusForbidden, "wrong_password", "password")
	if strings.Contains(string(wrong.body), first.Token) {
		t.Error("a wrong password is answered with the token of the right one")
	}
	if n := b.count(t, `select count(*) from mesher.audit_log where action = 'session.refuse' and actor_id = $1 and target_id = $1`, anna.ID); n != 1 {
		t.Errorf("%d wrong passwords are recorded", n)
	}
	if n := b.count(t, `select count(*) from mesher.personal_access_tokens`); n != 1 {
		t.Errorf("%d tokens", n)
	}

	t.Run("guessing it is throttled", func(t *testing.T) {
		for i := 0; ; i++ {
			got := ask("something-else-3-entirely", "")
			if got.status == http.StatusTooManyRequests {
				break
			}
			if got.refused(http.StatusForbidden, "wrong_password", "password"); i > 20 {
				t.Fatal("twenty wrong passwords are not throttled")
			}
		}
	})
}

// Who knows the old password must not be given a token while it is being replaced.
func TestTokens_WhileThePasswordIsReset(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	tx, err := b.admin.Begin(t.Context())
	must(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	must(t, account.SetPassword(t.Context(), tx, anna.ID, "another"))
	done := make(chan answer, 1)
	go func() {
		done <- b.post(t, anna, "/user/tokens", `{"label":"x","scope":"admin","password":"`+password+`"}`)
	}()
	for b.count(t, "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'") == 0 {
	}
	must(t, tx.Commit(t.Context()))
	got := <-done
	got.refused(http.StatusForbidden, "wrong_password", "password")
	if n := b.count(t, `select count(*) from mesher.personal_access_tokens`); n != 0 {
		t.Errorf("%d tokens", n)
	}
}

// A token that leaked must not make somebody an owner, who could stay when it is revoked.
func TestTokens_MakeNoOwners(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	ben := b.member(t, acme, "ben", tenant.Admin)
	token, path := b.token(t, anna, account.ScopeAdmin, acme.ID), "/organizations/"+acme.ID.String()
	b.post(t, token, path+"/invitations", `{"email":"x@example.com","role":"owner"}`).refused(http.StatusForbidden, "scope_too_low", "owner")
	b.patch(t, token, path+"/members/"+ben.ID.String(), `{"role":"owner"}`).refused(http.StatusForbidden, "scope_too_low", "owner")
	b.post(t, token, path+"/invitations", `{"email":"y@example.com","role":"admin"}`).is(http.StatusCreated)
	i := read[tenant.Invitation](b.post(t, anna, path+"/invitations", `{"email":"x@example.com","role":"owner"}`), http.StatusCreated)
	b.post(t, token, path+"/invitations/"+i.ID.String()+"/resend", nil).refused(http.StatusForbidden, "scope_too_low", "owner")
	b.post(t, anna, path+"/invitations/"+i.ID.String()+"/resend", nil).is(http.StatusOK)
}

// An answer that was kept may show a secret: who lost the right to ask for it does not get it again.
func TestIdempotency_ForWhoMayNotAnyMore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	ben := b.member(t, acme, "ben", tenant.Admin)
	path := "/projects/" + b.project(t, acme, "Shop").ID.String() + "/keys"
	b.post(t, ben, path, `{"label":"x"}`, idempotency, "k").is(http.StatusCreated)
	b.delete(t, anna, "/organizations/"+acme.ID.String()+"/members/"+ben.ID.String()).is(http.StatusNoContent)
	b.post(t, ben, path, `{"label":"x"}`, idempotency, "k").refused(http.StatusNotFound, "not_found", "")
}

func TestInvitations_OfOneUserAreLimited(t *testing.T) {
	t.Parallel()
	b := setup(t, "open")
	anna := b.user(t, "anna")
	for i := 0; ; i++ {
		o := b.organization(t, anna, fmt.Sprint("Acme ", i))
		got := b.post(t, anna, "/organizations/"+o.ID.String()+"/invitations", fmt.Sprintf(`{"email":"u%d@example.com","role":"member"}`, i))
		if got.status == http.StatusTooManyRequests {
			break
		}
		if got.is(http.StatusCreated); i > 30 {
			t.Fatal("thirty mails of one user are not limited")
		}
	}
}

// Revoking costs one look-up, however many tokens there are.
func TestTokens_AreRevokedByTheirID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	_, err := b.admin.Exec(t.Context(), `
		insert into mesher.personal_access_tokens (id, user_id, hash, prefix, last_four, label, scope, expires_at)
		select gen_random_uuid(), $1, sha256(n::text::bytea), 'p', 'l', 'x', 'read', now() - interval '1 day' from generate_series(1, 500) n`, anna.ID)
	must(t, err)
	var id string
	must(t, b.admin.QueryRow(t.Context(), `select id::text from mesher.personal_access_tokens limit 1`).Scan(&id))
	b.delete(t, anna, "/user/tokens/"+id).is(http.StatusNoContent)
	if n := b.count(t, `select count(*) from mesher.audit_log where action = 'token.revoke' and details = '{"state": {"from": "expired", "to": "revoked"}}'`); n != 1 {
		t.Errorf("%d entries", n)
	}
}
