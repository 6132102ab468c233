package auth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/functions/auth"
	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/rest"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "Ada@example.com")
	got := b.login(t, "ada@EXAMPLE.com", secret1, from("198.51.100.7"))
	if got.User.ID != u.ID || !strings.HasPrefix(got.Token, "mshs_") || !got.Session.Current || got.Session.IP != "198.51.100.7" || got.Session.UserAgent != "test" {
		t.Errorf("answer %+v", got)
	}
	if !b.alive(t, got.Token) {
		t.Error("the session is not good")
	}
	if d := cmp.Diff([]string{"session.create Ada@example.com Ada@example.com"}, b.actions(t)); d != "" {
		t.Error(d)
	}
	if strings.Contains(b.logs.String(), got.Token) || strings.Contains(b.logs.String(), secret1) {
		t.Error("a secret is in the log")
	}
}

func TestLogin_AnUnknownAddressLooksLikeAWrongPassword(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user(t, "ada@example.com")
	try := func(email string) (answer, []string) {
		b.statements.take()
		got := b.post(t, "/login", object{"email": email, "password": secret2}).want(t, 401, "login_failed")
		return got, b.statements.take()
	}
	known, knownDid := try("ada@example.com")
	unknown, unknownDid := try("bob@example.com")
	if known.body != unknown.body {
		t.Errorf("%q for an account, %q for none", known.body, unknown.body)
	}
	known.header.Del("Date")
	unknown.header.Del("Date")
	if d := cmp.Diff(known.header, unknown.header); d != "" {
		t.Errorf("the headers differ: %s", d)
	}
	if d := cmp.Diff(knownDid, unknownDid); d != "" || len(knownDid) == 0 {
		t.Errorf("the statements differ: %s", d)
	}
	if d := cmp.Diff([]string{"session.refuse anonymous ada@example.com", "session.refuse anonymous bob@example.com"}, b.actions(t)); d != "" {
		t.Error(d)
	}
}

// A stranger who registers an address and logs in must not learn whether it had an account before.
func TestLogin_OfAnUnverifiedAddress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.newUser(t, "ada@example.com", secret1, false)
	wrong := b.post(t, "/login", object{"email": "ada@example.com", "password": secret2}).want(t, 401, "login_failed")
	right := b.post(t, "/login", object{"email": "ada@example.com", "password": secret1}).want(t, 401, "login_failed")
	if wrong.body != right.body {
		t.Errorf("%s for the wrong password, %s for the right one", wrong.body, right.body)
	}
	if n := b.number(t, "select count(*) from mesher.sessions"); n != 0 {
		t.Errorf("%d sessions began", n)
	}
}

func TestLogin_WithACookie(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user(t, "ada@example.com")
	got := b.post(t, "/login", object{"email": "ada@example.com", "password": secret1, "cookie": true}).want(t, 200, "")
	if strings.Contains(got.body, "mshs_") || decode[entered](t, got).Token != "" {
		t.Errorf("the body has the token, too: %s", got.body)
	}
	c := cookieOf(t, got)
	want := &http.Cookie{Name: "__Host-mesher", Value: c.Value, Path: "/", MaxAge: 720 * 3600, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	c.Raw = ""
	if d := cmp.Diff(want, c); d != "" {
		t.Error(d)
	}
	if got.header.Get("Cache-Control") != "no-store" {
		t.Error("a cache may keep the answer")
	}

	me := b.send(t, "GET", "/auth/v1/session", "", "", cookie(c.Value)).want(t, 200, "")
	if got := decode[entered](t, me); got.User.Email != "ada@example.com" || !got.Session.Current {
		t.Errorf("session %+v", got)
	}

	t.Run("a page of another site cannot use it", func(t *testing.T) {
		for _, o := range []option{header("Sec-Fetch-Site", "cross-site"), header("Origin", "https://evil.example")} {
			b.post(t, "/logout", nil, cookie(c.Value), o).want(t, 403, "cross_origin")
			b.post(t, "/login", object{"email": "ada@example.com", "password": secret1, "cookie": true}, o).want(t, 403, "cross_origin")
		}
		if !b.alive(t, c.Value) {
			t.Error("the session has ended")
		}
	})
	t.Run("a bearer token works from anywhere", func(t *testing.T) {
		token := b.login(t, "ada@example.com", secret1).Token
		b.post(t, "/logout", nil, bearer(token), header("Sec-Fetch-Site", "cross-site")).want(t, 204, "")
	})
	t.Run("logging out forgets it", func(t *testing.T) {
		got := b.post(t, "/logout", nil, cookie(c.Value), header("Sec-Fetch-Site", "same-origin")).want(t, 204, "")
		if gone := cookieOf(t, got); gone.Value != "" || gone.MaxAge >= 0 || !gone.Secure || gone.Path != "/" {
			t.Errorf("cookie %v", gone)
		}
		b.send(t, "GET", "/auth/v1/session", "", "", cookie(c.Value)).want(t, 401, "")
	})
}

func cookieOf(t *testing.T, a answer) *http.Cookie {
	t.Helper()
	got := (&http.Response{Header: a.header}).Cookies()
	if len(got) != 1 || got[0].Name != rest.CookieName {
		t.Fatalf("cookies %v", got)
	}
	return got[0]
}

func TestLogin_EndsTheSessionOfTheRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user(t, "ada@example.com")
	b.user(t, "bob@example.com")
	other, planted := b.login(t, "ada@example.com", secret1), b.login(t, "bob@example.com", secret1)
	body := object{"email": "ada@example.com", "password": secret1, "cookie": true}
	fresh := cookieOf(t, b.post(t, "/login", body, cookie(planted.Token)).want(t, 200, ""))
	if fresh.Value == planted.Token || b.alive(t, planted.Token) {
		t.Error("a session that was there before the login is still good")
	}
	if !b.alive(t, fresh.Value) || !b.alive(t, other.Token) {
		t.Error("another session has ended")
	}
	b.post(t, "/login", object{"email": "ada@example.com", "password": secret2}, bearer(other.Token)).want(t, 401, "login_failed")
	if !b.alive(t, other.Token) {
		t.Error("a failed login has ended a session")
	}
}

func TestLogin_RehashesWithHigherParameters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user(t, "ada@example.com")
	b.url = b.serve(t, func(c *auth.Config) {
		c.Passwords = account.PasswordConfig{Memory: 9216, Iterations: 5, Parallelism: 1, Concurrency: 1}
	})
	b.login(t, "ada@example.com", secret1)
	_, hash, err := account.FindLogin(t.Context(), b.admin, "ada@example.com")
	must(t, err)
	if !strings.Contains(hash, "m=9216,") {
		t.Error("the hash is not made anew")
	}
	b.login(t, "ada@example.com", secret1)
}

func TestLogin_IsThrottled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user(t, "ada@example.com")
	const home = "192.0.2.10"
	b.login(t, "ada@example.com", secret1, from(home))

	// Guesses from many networks: each has its own few, then all of them together are slowed down.
	wrong := func(email, ip string) answer {
		return b.post(t, "/login", object{"email": email, "password": secret2}, from(ip))
	}
	refusals := func(email string) (refused int, last answer) {
		for i := range 80 {
			if got := wrong(email, fmt.Sprintf("198.51.100.%d", i%40)); got.status == http.StatusTooManyRequests {
				refused, last = refused+1, got
			}
		}
		return refused, last
	}
	known, last := refusals("ada@example.com")
	if known < 15 {
		t.Errorf("%d of 80 guesses from 40 networks are refused", known)
	}
	if last.want(t, 429, "limited"); last.header.Get("Retry-After") == "" {
		t.Error("there is no Retry-After")
	}
	if unknown, _ := refusals("bob@example.com"); unknown < 15 {
		t.Errorf("%d of 80 guesses are refused for an address without an account, %d for one with", unknown, known)
	}

	// However slow the machine is, the pause lasts for as long as the test needs it.
	b.exec(t, "update mesher.throttles set blocked_until = blocked_until + interval '30 minutes' where kind = 'login_to'")
	t.Run("the right password does not help from a network that guessed", func(t *testing.T) {
		wrong("ada@example.com", "198.51.100.200").want(t, 401, "login_failed")
		b.post(t, "/login", object{"email": "ada@example.com", "password": secret1}, from("198.51.100.200")).want(t, 429, "limited")
	})
	t.Run("the user gets in from a fresh network at the first attempt", func(t *testing.T) {
		b.login(t, "ada@example.com", secret1, from("198.51.100.202"))
	})
	t.Run("the user gets in from a known network", func(t *testing.T) {
		b.login(t, "ada@example.com", secret1, from(home))
	})
	t.Run("who waits gets in from an unknown network", func(t *testing.T) {
		b.later(t, time.Hour)
		b.login(t, "ada@example.com", secret1, from("198.51.100.200"))
	})
	t.Run("logging in often is fine", func(t *testing.T) {
		for range 12 {
			b.login(t, "ada@example.com", secret1, from(home))
		}
		if n := b.number(t, "select count(*) from mesher.throttles where kind like 'login%' and level > 0 and updated_at > now() - interval '30 minutes'"); n != 0 {
			t.Errorf("%d attempts are not forgiven", n)
		}
	})
	t.Run("the pauses of a network grow", func(t *testing.T) {
		pause := func() int {
			return b.number(t, "select coalesce(max(extract(epoch from blocked_until - now())), 0)::int from mesher.throttles where kind = 'login_from'")
		}
		b.later(t, 24*time.Hour)
		var longest int
		for range 12 {
			wrong("ada@example.com", "198.51.100.201")
			longest = max(longest, pause())
			b.later(t, time.Duration(longest+1)*time.Second)
		}
		if longest < 8 {
			t.Errorf("the longest pause is %d s after a dozen wrong passwords", longest)
		}
	})
}

// A password is reset while a login with the old one is on its way: it must not leave a session behind.
func TestLogin_WhileThePasswordIsReset(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "ada@example.com")
	tx, err := b.admin.Begin(t.Context())
	must(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	must(t, account.SetPassword(t.Context(), tx, u.ID, "$argon2id$v=19$m=7168,t=5,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
	done := make(chan answer, 1)
	go func() { done <- b.post(t, "/login", object{"email": "ada@example.com", "password": secret1}) }()
	b.awaitWaiting(t)
	must(t, tx.Commit(t.Context()))
	(<-done).want(t, 401, "login_failed")
	if n := b.number(t, "select count(*) from mesher.sessions"); n != 0 {
		t.Errorf("%d sessions began with the old password", n)
	}
}

// awaitWaiting returns when a connection waits for a lock.
func (b *bundle) awaitWaiting(t *testing.T) {
	t.Helper()
	for {
		if b.number(t, "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'") > 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestAPersonalTokenDoesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "ada@example.com")
	_, token, err := account.IssueToken(t.Context(), b.admin, u.ID, account.TokenSpec{Label: "ci", Scope: account.ScopeAdmin})
	must(t, err)
	for _, r := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/session", nil},
		{"GET", "/sessions", nil},
		{"DELETE", "/sessions/" + uuid.NewString(), nil},
		{"POST", "/logout", nil},
		{"POST", "/logout-all", nil},
		{"POST", "/password", object{"current_password": secret1, "new_password": secret2}},
		{"POST", "/email", object{"email": "b@example.com", "password": secret1}},
		{"POST", "/account/delete", object{"password": secret1}},
	} {
		path := "/auth/v1" + r.path
		b.send(t, r.method, path, "application/json", "{}", bearer(token)).want(t, 403, "scope_too_low")
		b.send(t, r.method, path, "application/json", "{}").want(t, 401, "unauthenticated")
	}
	_, link := b.invite(t, "ada@example.com")
	b.post(t, "/invitations/accept", object{"token": link}, bearer(token)).want(t, 403, "scope_too_low")
}
