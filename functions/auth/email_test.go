package auth_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestChangeEmail(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "ada@example.com")
	b.user(t, "bob@example.com")
	session := b.login(t, "ada@example.com", secret1)
	ask := func(email string) answer {
		return b.post(t, "/email", object{"email": email, "password": secret1}, bearer(session.Token)).want(t, 202, "")
	}
	if free, taken := ask("lovelace@example.com"), ask("bob@example.com"); free.body != taken.body {
		t.Errorf("%q for a free address, %q for a taken one", free.body, taken.body)
	}
	b.post(t, "/email", object{"email": "nowhere", "password": secret1}, bearer(session.Token)).want(t, 400, "invalid")
	if data := b.texts(t, "select data::text from mesher.notifications limit 1"); len(data) != 1 || data[0] != `{"user_id": "`+u.ID.String()+`"}` {
		t.Errorf("data %v", data)
	}
	if u, err := account.FindUser(t.Context(), b.admin, u.ID); err != nil || u.Email != "ada@example.com" {
		t.Fatalf("user %+v, %v: asking changes nothing", u, err)
	}

	confirm := func(token string) answer { return b.post(t, "/email/confirm", object{"token": token}) }
	confirm(b.link(t, account.ChangeEmail, u.ID, "bob@example.com")).want(t, 409, "conflict")
	reset := b.link(t, account.ResetPassword, u.ID, "ada@example.com")
	token := b.link(t, account.ChangeEmail, u.ID, "lovelace@example.com")
	confirm(token).want(t, 204, "")
	confirm(token).want(t, 400, "token_invalid")
	if !b.alive(t, session.Token) {
		t.Error("the session has ended")
	}
	b.login(t, "lovelace@example.com", secret1)
	b.post(t, "/login", object{"email": "ada@example.com", "password": secret1}).want(t, 401, "login_failed")
	b.post(t, "/password/reset", object{"token": reset, "password": secret2}).want(t, 400, "token_invalid")
	want := []string{"change_email lovelace@example.com", "change_email bob@example.com", "email_changed ada@example.com"}
	if d := cmp.Diff(want, b.mails(t)); d != "" {
		t.Error(d)
	}
	details := b.texts(t, "select details::text from mesher.audit_log where action = 'email.change'")
	if d := cmp.Diff([]string{`{"email": {"to": "lovelace@example.com", "from": "ada@example.com"}}`}, details); d != "" {
		t.Error(d)
	}
}

func TestDeleteAccount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u, other := b.user(t, "ada@example.com"), b.user(t, "bob@example.com")
	session := b.login(t, "ada@example.com", secret1)
	o, err := tenant.CreateOrganization(t.Context(), b.admin, u.ID, "Acme")
	must(t, err)
	remove := func(password string) answer {
		return b.post(t, "/account/delete", object{"password": password}, bearer(session.Token))
	}
	remove(secret2).want(t, 403, "wrong_password")
	if got := remove(secret1).want(t, 409, "last_owner"); !strings.Contains(got.body, o.Slug) {
		t.Errorf("%s does not name the organization", got.body)
	}
	if !b.alive(t, session.Token) {
		t.Fatal("the account is gone")
	}
	if _, err := tenant.AddMember(t.Context(), b.admin, o.ID, other.ID, tenant.Owner); err != nil {
		t.Fatal(err)
	}
	got := remove(secret1).want(t, 204, "")
	if gone := cookieOf(t, got); gone.MaxAge >= 0 {
		t.Errorf("cookie %v stays", gone)
	}
	if b.alive(t, session.Token) || b.number(t, "select count(*) from mesher.users where id = $1", u.ID) != 0 {
		t.Error("the account is still there")
	}
	if n := b.number(t, "select count(*) from mesher.audit_log where action = 'user.delete' and target_id = $1", u.ID); n != 1 {
		t.Errorf("%d entries in the audit log", n)
	}
	b.post(t, "/login", object{"email": "ada@example.com", "password": secret1}).want(t, 401, "login_failed")
}
