package auth_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/account"
)

func TestChangePassword(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "ada@example.com")
	one, two := b.login(t, "ada@example.com", secret1), b.login(t, "ada@example.com", secret1)
	reset, email := b.link(t, account.ResetPassword, u.ID, u.Email), b.link(t, account.ChangeEmail, u.ID, "eve@example.com")
	change := func(current, next string, o option) answer {
		return b.post(t, "/password", object{"current_password": current, "new_password": next}, o)
	}
	change(secret1, "short", bearer(one.Token)).want(t, 400, "weak_password")
	change(secret2, secret3, bearer(one.Token)).want(t, 403, "wrong_password")

	got := change(secret1, secret2, bearer(one.Token)).want(t, 200, "")
	fresh := decode[entered](t, got)
	if b.alive(t, one.Token) || b.alive(t, two.Token) || !b.alive(t, fresh.Token) || got.header.Get("Set-Cookie") != "" {
		t.Errorf("answer %+v: one new session is to be left", fresh)
	}
	b.post(t, "/login", object{"email": "ada@example.com", "password": secret1}).want(t, 401, "login_failed")
	if d := cmp.Diff([]string{"password_changed ada@example.com"}, b.mails(t)); d != "" {
		t.Error(d)
	}
	t.Run("links of before are worthless", func(t *testing.T) {
		b.post(t, "/password/reset", object{"token": reset, "password": secret3}).want(t, 400, "token_invalid")
		b.post(t, "/email/confirm", object{"token": email}).want(t, 400, "token_invalid")
	})
	t.Run("a cookie is replaced by a cookie", func(t *testing.T) {
		got := change(secret2, secret3, cookie(fresh.Token)).want(t, 200, "")
		if strings.Contains(got.body, "mshs_") || !b.alive(t, cookieOf(t, got).Value) || b.alive(t, fresh.Token) {
			t.Errorf("answer %s", got.body)
		}
	})
	if n := b.number(t, "select count(*) from mesher.audit_log where action = 'password.change' and actor_id = $1", u.ID); n != 2 {
		t.Errorf("%d entries in the audit log, want 2", n)
	}
}

func TestProvingThePasswordIsThrottled(t *testing.T) {
	t.Parallel()
	for path, body := range map[string]object{
		"/password":       {"current_password": secret2, "new_password": secret3},
		"/email":          {"email": "new@example.com", "password": secret2},
		"/account/delete": {"password": secret2},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.user(t, "ada@example.com")
			token := b.login(t, "ada@example.com", secret1).Token
			for i := 0; ; i++ {
				got := b.post(t, path, body, bearer(token))
				if got.status == http.StatusTooManyRequests {
					break
				}
				if got.want(t, 403, "wrong_password"); i > 20 {
					t.Fatal("twenty wrong passwords are not throttled")
				}
			}
		})
	}
}

func TestResetPassword(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "ada@example.com")
	old := b.login(t, "ada@example.com", secret1)
	token, second := b.link(t, account.ResetPassword, u.ID, u.Email), b.link(t, account.ResetPassword, u.ID, u.Email)
	email := b.link(t, account.ChangeEmail, u.ID, "eve@example.com")
	reset := func(token, password string) answer {
		return b.post(t, "/password/reset", object{"token": token, "password": password})
	}
	reset(token, "ada@example.com").want(t, 400, "weak_password")
	reset("msho_x", secret2).want(t, 400, "token_invalid")
	reset(b.link(t, account.VerifyEmail, u.ID, u.Email), secret2).want(t, 400, "token_invalid")

	got := decode[entered](t, reset(token, secret2).want(t, 200, ""))
	if b.alive(t, old.Token) || !b.alive(t, got.Token) {
		t.Error("one new session is to be left")
	}
	for _, used := range []string{token, second} {
		reset(used, secret3).want(t, 400, "token_invalid")
	}
	b.post(t, "/email/confirm", object{"token": email}).want(t, 400, "token_invalid")
	b.post(t, "/login", object{"email": "ada@example.com", "password": secret1}).want(t, 401, "login_failed")
	b.login(t, "ada@example.com", secret2)
	if d := cmp.Diff([]string{"password_changed ada@example.com"}, b.mails(t)); d != "" {
		t.Error(d)
	}
	want := []string{"session.create", "password.reset", "session.revoke", "session.create", "session.refuse", "session.create"}
	if d := cmp.Diff(want, b.texts(t, "select action from mesher.audit_log order by id")); d != "" {
		t.Error(d)
	}
}

func TestResetPassword_WorksOnceOfMany(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.newUser(t, "ada@example.com", secret1, false)
	token := b.link(t, account.ResetPassword, u.ID, u.Email)
	var wg sync.WaitGroup
	var won atomic.Int32
	for range 6 {
		wg.Go(func() {
			got := b.post(t, "/password/reset", object{"token": token, "password": secret2})
			switch {
			case got.status == http.StatusOK:
				won.Add(1)
			case got.status != http.StatusBadRequest:
				t.Errorf("answer %d %s", got.status, got.body)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || b.number(t, "select count(*) from mesher.sessions where revoked_at is null") != 1 {
		t.Errorf("the link worked %d times", won.Load())
	}
	if u, err := account.FindUser(t.Context(), b.admin, u.ID); err != nil || !u.Verified {
		t.Errorf("user %+v, %v: want it verified", u, err)
	}
}

func TestResetPassword_EndsTheSessionOfTheRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "ada@example.com")
	b.user(t, "bob@example.com")
	planted := b.login(t, "bob@example.com", secret1)
	token := b.link(t, account.ResetPassword, u.ID, u.Email)
	got := b.post(t, "/password/reset", object{"token": token, "password": secret2, "cookie": true}, cookie(planted.Token)).want(t, 200, "")
	if b.alive(t, planted.Token) || !b.alive(t, cookieOf(t, got).Value) {
		t.Error("the session that was there before is still good")
	}
}

// What changes one user at the same time waits for each other, never for good, and leaves no more than one way in.
func TestChangesOfOneUserAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, email := range []string{"ada@example.com", "bob@example.com", "eve@example.com"} {
		u := b.user(t, email)
		session := bearer(b.login(t, email, secret1).Token)
		reset, change := b.link(t, account.ResetPassword, u.ID, email), b.link(t, account.ChangeEmail, u.ID, "new-"+email)
		calls := []func() answer{
			func() answer { return b.post(t, "/login", object{"email": email, "password": secret1}) },
			func() answer {
				return b.post(t, "/password", object{"current_password": secret1, "new_password": secret2}, session)
			},
			func() answer { return b.post(t, "/password/reset", object{"token": reset, "password": secret3}) },
			func() answer { return b.post(t, "/email/confirm", object{"token": change}) },
			func() answer { return b.post(t, "/logout-all", nil, session) },
			func() answer { return b.post(t, "/account/delete", object{"password": secret1}, session) },
		}
		var wg sync.WaitGroup
		for _, call := range calls {
			wg.Go(func() {
				if got := call(); got.status >= 500 {
					t.Errorf("answer %d %s", got.status, got.body)
				}
			})
		}
		wg.Wait()
		open := b.number(t, "select count(*) from mesher.sessions where user_id = $1 and revoked_at is null", u.ID)
		if open > 1 {
			t.Errorf("%d sessions of %s are open", open, email)
		}
	}
}
