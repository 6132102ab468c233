package auth_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/tenant"
)

// Somebody got into an account; its owner resets the password. Nothing that the stranger has may be left.
func TestResetPassword_LeavesAStrangerNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "ada@example.com")
	session := b.login(t, "ada@example.com", secret1)
	_, token, err := account.IssueToken(t.Context(), b.admin, u.ID, account.TokenSpec{Label: "ci", Scope: account.ScopeAdmin})
	must(t, err)
	b.post(t, "/email", object{"email": "eve@example.com", "password": secret1}, bearer(session.Token)).want(t, 202, "")

	reset := b.link(t, account.ResetPassword, u.ID, u.Email)
	b.post(t, "/password/reset", object{"token": reset, "password": secret2}).want(t, 200, "")
	if _, err := account.Identify(t.Context(), b.admin, b.sessions, token); err == nil {
		t.Error("the personal access token is still good")
	}
	if d := cmp.Diff([]string{"change_email skipped {}", `password_changed pending {"tokens": 1}`},
		b.texts(t, `select template || ' ' || status || ' ' || (data - 'user_id')::text from mesher.notifications order by id`)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{`{"tokens": 1}`}, b.texts(t, `select details::text from mesher.audit_log where action = 'password.reset'`)); d != "" {
		t.Error(d)
	}
}

// The mail is asked for with the old password while that is being replaced.
func TestChangeEmail_WhileThePasswordIsReset(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "ada@example.com")
	session := b.login(t, "ada@example.com", secret1)
	tx, err := b.admin.Begin(t.Context())
	must(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	must(t, account.SetPassword(t.Context(), tx, u.ID, "$argon2id$v=19$m=7168,t=5,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
	done := make(chan answer, 1)
	go func() {
		done <- b.post(t, "/email", object{"email": "eve@example.com", "password": secret1}, bearer(session.Token))
	}()
	b.awaitWaiting(t)
	must(t, tx.Commit(t.Context()))
	(<-done).want(t, 403, "wrong_password")
	if n := b.number(t, "select count(*) from mesher.notifications"); n != 0 {
		t.Errorf("%d mails are written", n)
	}
}

func TestWrongPasswordsAreRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user(t, "ada@example.com")
	session := bearer(b.login(t, "ada@example.com", secret1).Token)
	b.post(t, "/password", object{"current_password": secret2, "new_password": secret3}, session).want(t, 403, "wrong_password")
	b.post(t, "/email", object{"email": "new@example.com", "password": secret2}, session).want(t, 403, "wrong_password")
	b.post(t, "/account/delete", object{"password": secret2}, session).want(t, 403, "wrong_password")
	want := []string{"session.create ada@example.com", "session.refuse ada@example.com", "session.refuse ada@example.com", "session.refuse ada@example.com"}
	if d := cmp.Diff(want, b.texts(t, "select action || ' ' || actor_name from mesher.audit_log order by id")); d != "" {
		t.Error(d)
	}
}

func TestMailsOfOneAccountAreLimited(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user(t, "ada@example.com")
	session := bearer(b.login(t, "ada@example.com", secret1).Token)
	for i := 0; ; i++ {
		got := b.post(t, "/email", object{"email": fmt.Sprintf("u%d@example.com", i), "password": secret1}, session, from(fmt.Sprintf("192.0.2.%d", i)))
		if got.status == http.StatusTooManyRequests {
			break
		}
		if got.want(t, 202, ""); i > 30 {
			t.Fatal("thirty mails of one account are not limited")
		}
	}
}

// What is asked for in the name of an address keeps no other mail away from it.
func TestMailsOfOneKindKeepNoOtherAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.newUser(t, "ada@example.com", secret1, false)
	for range 8 {
		b.post(t, "/verify/resend", object{"email": "ada@example.com"}).want(t, 202, "")
		b.post(t, "/register", object{"email": "ada@example.com", "password": secret1}).want(t, 202, "")
	}
	b.post(t, "/password/forgot", object{"email": "ada@example.com"}).want(t, 202, "")
	if n := b.number(t, "select count(*) from mesher.notifications where template = 'password_reset'"); n != 1 {
		t.Errorf("%d mails with a link for a new password", n)
	}
}

func TestDeleteAccount_RevokesItsInvitations(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u, other := b.user(t, "ada@example.com"), b.user(t, "bob@example.com")
	session := b.login(t, "ada@example.com", secret1)
	o, err := tenant.CreateOrganization(t.Context(), b.admin, other.ID, "Acme")
	must(t, err)
	_, err = tenant.AddMember(t.Context(), b.admin, o.ID, u.ID, tenant.Owner)
	must(t, err)
	inv, err := tenant.Invite(t.Context(), b.admin, o.ID, "again@example.com", tenant.Owner, u.ID, tenant.Owner)
	must(t, err)
	link := b.link(t, account.Invitation, inv.ID, inv.Email)
	b.post(t, "/account/delete", object{"password": secret1}, bearer(session.Token)).want(t, 204, "")
	b.post(t, "/invitations/accept", object{"token": link, "name": "Ada", "password": secret2}).want(t, 409, "invitation_closed")
}

// A good link works in a network that others have exhausted; guesses are counted.
func TestLinks_InABusyNetwork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.newUser(t, "ada@example.com", secret1, false)
	b.post(t, "/verify", object{"token": "msho_x", "password": secret1}).want(t, 400, "token_invalid")
	if n := b.number(t, "select count(*) from mesher.throttles where kind = 'any_from' and level > 0"); n != 1 {
		t.Error("a guess is not counted")
	}
	_, err := b.admin.Exec(t.Context(), "update mesher.throttles set blocked_until = now() + interval '1 hour'")
	must(t, err)
	b.post(t, "/verify", object{"token": "msho_x", "password": secret1}).want(t, 429, "limited")
	reset := b.link(t, account.ResetPassword, u.ID, u.Email)
	b.post(t, "/password/reset", object{"token": reset, "password": secret2}).want(t, 200, "")
	_, link := b.invite(t, "bob@example.com")
	b.post(t, "/invitations/preview", object{"token": link}).want(t, 200, "")
	b.post(t, "/invitations/accept", object{"token": link, "password": secret3}).want(t, 200, "")
}

// Two dozen networks try one account whenever they may. Its user, who comes from a network that was never seen and waits as
// long as is asked, gets in with the right password.
func TestLogin_WhileOthersPoll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user(t, "ada@example.com")
	refused := 0
	for i := range 24 * 4 {
		if b.post(t, "/login", object{"email": "ada@example.com", "password": secret2}, from(fmt.Sprintf("198.51.100.%d", i%24))).status == 429 {
			refused++
		}
	}
	if refused < 24 {
		t.Errorf("%d of 96 guesses are refused", refused)
	}
	_, err := b.admin.Exec(t.Context(), "update mesher.throttles set blocked_until = now() + interval '1 minute' where kind = 'login_to'")
	must(t, err)
	b.login(t, "ada@example.com", secret1, from("203.0.113.5"))
}
