package auth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/functions/auth"
	"github.com/mesherhq/mesher/shared/account"
)

func TestRegister(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.post(t, "/register", object{"email": " Ada@example.com ", "password": secret1, "name": "Ada"}).want(t, 202, "")
	u, hash, err := account.FindLogin(t.Context(), b.admin, "ada@example.com")
	must(t, err)
	if u.Email != "Ada@example.com" || u.Name != "Ada" || u.Verified || !strings.HasPrefix(hash, "$argon2id$") {
		t.Errorf("user %+v", u)
	}

	t.Run("a registration of a taken address is answered the same, and replaces what nobody verified", func(t *testing.T) {
		again := b.post(t, "/register", object{"email": "ada@EXAMPLE.com", "password": secret2, "name": "Eve"}).want(t, 202, "")
		if again.body != got.body || again.header.Get("Content-Length") != got.header.Get("Content-Length") {
			t.Errorf("%q for a taken address, %q for another", again.body, got.body)
		}
		still, now, err := account.FindLogin(t.Context(), b.admin, "ada@example.com")
		must(t, err)
		if still.ID != u.ID || still.Email != u.Email || still.Verified || still.Name != "Eve" || now == hash {
			t.Errorf("user %+v, was %+v", still, u)
		}
	})
	t.Run("one that is verified stays as it is", func(t *testing.T) {
		was := b.user(t, "bob@example.com")
		_, hash, err := account.FindLogin(t.Context(), b.admin, "bob@example.com")
		must(t, err)
		again := b.post(t, "/register", object{"email": "bob@example.com", "password": secret2, "name": "Eve"}).want(t, 202, "")
		still, now, err := account.FindLogin(t.Context(), b.admin, "bob@example.com")
		if err != nil || still != was || now != hash || again.body != got.body {
			t.Errorf("user %+v, was %+v; %v, %q", still, was, err, again.body)
		}
	})
	t.Run("both get a mail and stand in the audit log", func(t *testing.T) {
		if d := cmp.Diff([]string{"registration Ada@example.com", "registration ada@EXAMPLE.com", "registration bob@example.com"}, b.mails(t)); d != "" {
			t.Error(d)
		}
		want := []string{"user.register anonymous Ada@example.com", "user.register_again anonymous Ada@example.com", "user.register_again anonymous bob@example.com"}
		if d := cmp.Diff(want, b.actions(t)); d != "" {
			t.Error(d)
		}
	})
	t.Run("the password is in no log and no table", func(t *testing.T) {
		if strings.Contains(b.logs.String(), secret1) || strings.Contains(hash, secret1) {
			t.Error("the password shows")
		}
	})
}

func TestRegister_Refuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, tt := range map[string]struct {
		body   any
		status int
		code   string
	}{
		"a weak password":             {object{"email": "a@example.com", "password": "password1234"}, 400, "weak_password"},
		"a short password":            {object{"email": "a@example.com", "password": "kV8#q"}, 400, "weak_password"},
		"the address as the password": {object{"email": "long.address@example.com", "password": "long.address@example.com"}, 400, "weak_password"},
		"no address":                  {object{"email": "nobody", "password": secret1}, 400, "invalid"},
		"a missing password":          {object{"email": "a@example.com"}, 400, "invalid"},
		"an unknown field":            {object{"email": "a@example.com", "password": secret1, "admin": true}, 400, "invalid"},
		"a name that is too long":     {object{"email": "a@example.com", "password": secret1, "name": strings.Repeat("x", 201)}, 400, "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			got := b.post(t, "/register", tt.body).want(t, tt.status, tt.code)
			if strings.Contains(got.body, secret1) {
				t.Errorf("the answer repeats the password: %s", got.body)
			}
		})
	}
	if len(b.mails(t)) > 0 || b.number(t, "select count(*) from mesher.users") > 0 {
		t.Error("something is left of what was refused")
	}
}

func TestRegister_Closed(t *testing.T) {
	t.Parallel()
	register := func(t *testing.T, b *bundle, email string) answer {
		t.Helper()
		return b.post(t, "/register", object{"email": email, "password": secret1})
	}
	t.Run("open lets anybody register", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		register(t, b, "a@example.com").want(t, 202, "")
		register(t, b, "b@example.com").want(t, 202, "")
	})
	t.Run("invite lets nobody register", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(c *auth.Config) { c.Registration = auth.InviteOnly })
		first := register(t, b, "a@example.com").want(t, 403, "registration_closed")
		b.user(t, "b@example.com")
		if got := register(t, b, "b@example.com").want(t, 403, "registration_closed"); got.body != first.body {
			t.Errorf("%s for a known address, %s for another", got.body, first.body)
		}
	})
	t.Run("empty lets the first user register", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(c *auth.Config) { c.Registration = auth.FirstOnly })
		register(t, b, "a@example.com").want(t, 202, "")
		register(t, b, "b@example.com").want(t, 202, "") // a stranger who verifies nothing keeps nobody out
		b.user(t, "c@example.com")
		register(t, b, "d@example.com").want(t, 403, "registration_closed")
		register(t, b, "a@example.com").want(t, 403, "registration_closed")
		b.post(t, "/verify/resend", object{"email": "a@example.com"}).want(t, 202, "")
	})
}

// A stranger registers somebody's address and waits for its owner to follow the link.
func TestRegister_BeforeTheOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const attacker, owner = secret1, secret2
	b.post(t, "/register", object{"email": "ada@example.com", "password": attacker}).want(t, 202, "")
	u, _, err := account.FindLogin(t.Context(), b.admin, "ada@example.com")
	must(t, err)
	b.post(t, "/register", object{"email": "ada@example.com", "password": owner}).want(t, 202, "")

	verify := b.link(t, account.VerifyEmail, u.ID, u.Email)
	b.post(t, "/verify", object{"token": verify, "password": attacker}).want(t, 401, "wrong_password")
	b.post(t, "/login", object{"email": "ada@example.com", "password": attacker}).want(t, 401, "login_failed")
	if u, _, err = account.FindLogin(t.Context(), b.admin, "ada@example.com"); err != nil || u.Verified {
		t.Fatalf("user %+v, %v: the link alone must not verify", u, err)
	}

	reset := b.link(t, account.ResetPassword, u.ID, u.Email)
	got := decode[entered](t, b.post(t, "/password/reset", object{"token": reset, "password": owner}).want(t, 200, ""))
	if !got.User.Verified || !b.alive(t, got.Token) {
		t.Errorf("answer %+v, want a session of a verified user", got)
	}
	b.post(t, "/login", object{"email": "ada@example.com", "password": attacker}).want(t, 401, "login_failed")
	b.post(t, "/verify", object{"token": verify, "password": attacker}).want(t, 401, "wrong_password")
	b.login(t, "ada@example.com", owner)

	t.Run("the owner verifies with the own password", func(t *testing.T) {
		b.post(t, "/register", object{"email": "bob@example.com", "password": attacker, "name": "Eve"}).want(t, 202, "")
		u, _, err := account.FindLogin(t.Context(), b.admin, "bob@example.com")
		must(t, err)
		verify := b.link(t, account.VerifyEmail, u.ID, u.Email)
		b.post(t, "/register", object{"email": "bob@example.com", "password": owner, "name": "Bob"}).want(t, 202, "")
		got := decode[entered](t, b.post(t, "/verify", object{"token": verify, "password": owner}).want(t, 200, ""))
		if !got.User.Verified || got.User.Name != "Bob" {
			t.Errorf("user %+v", got.User)
		}
	})
	t.Run("a reset takes the name away that a stranger chose", func(t *testing.T) {
		b.post(t, "/register", object{"email": "cy@example.com", "password": attacker, "name": "Eve"}).want(t, 202, "")
		u, _, err := account.FindLogin(t.Context(), b.admin, "cy@example.com")
		must(t, err)
		reset := b.link(t, account.ResetPassword, u.ID, u.Email)
		got := decode[entered](t, b.post(t, "/password/reset", object{"token": reset, "password": owner}).want(t, 200, ""))
		if got.User.Name != "" || !got.User.Verified {
			t.Errorf("user %+v", got.User)
		}
	})
}

func TestVerify(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.newUser(t, "ada@example.com", secret1, false)
	token, second := b.link(t, account.VerifyEmail, u.ID, u.Email), b.link(t, account.VerifyEmail, u.ID, u.Email)
	b.post(t, "/verify", object{"token": token, "password": secret2}).want(t, 401, "wrong_password")
	b.post(t, "/verify", object{"token": "msho_nonsense", "password": secret1}).want(t, 400, "token_invalid")
	reset := b.link(t, account.ResetPassword, u.ID, u.Email)
	b.post(t, "/verify", object{"token": reset, "password": secret1}).want(t, 400, "token_invalid")

	got := decode[entered](t, b.post(t, "/verify", object{"token": token, "password": secret1}).want(t, 200, ""))
	if !got.User.Verified || !got.Session.Current || !b.alive(t, got.Token) {
		t.Errorf("answer %+v", got)
	}
	for _, used := range []string{token, second} {
		b.post(t, "/verify", object{"token": used, "password": secret1}).want(t, 400, "token_invalid")
	}
	want := []string{"session.refuse anonymous ada@example.com", "user.verify ada@example.com ada@example.com", "session.create ada@example.com ada@example.com"}
	if d := cmp.Diff(want, b.actions(t)); d != "" {
		t.Error(d)
	}
}

func TestVerify_GuessingThePasswordIsThrottled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.newUser(t, "ada@example.com", secret1, false)
	token := b.link(t, account.VerifyEmail, u.ID, u.Email)
	for i := 0; ; i++ {
		got := b.post(t, "/verify", object{"token": token, "password": secret2})
		if got.status == http.StatusTooManyRequests {
			break
		}
		if got.want(t, 401, "wrong_password"); i > 20 {
			t.Fatal("twenty wrong passwords are not throttled")
		}
	}
	b.later(t, time.Hour)
	b.post(t, "/verify", object{"token": token, "password": secret1}).want(t, 200, "")
}

func TestMailsThatAnybodyCanAskFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ path, template string }{{"/verify/resend", "verify_email"}, {"/password/forgot", "password_reset"}} {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.user(t, "ada@example.com")
			b.statements.take()
			known := b.post(t, tt.path, object{"email": "ada@example.com"}).want(t, 202, "")
			did := b.statements.take()
			unknown := b.post(t, tt.path, object{"email": "bob@example.com"}).want(t, 202, "")
			if known.body != unknown.body {
				t.Errorf("%q for an account, %q for none", known.body, unknown.body)
			}
			// The first publishing of an instance sweeps, too.
			if d := cmp.Diff(withoutSweep(did), withoutSweep(b.statements.take())); d != "" {
				t.Errorf("the statements differ: %s", d)
			}
			b.post(t, tt.path, object{"email": "not an address"}).want(t, 400, "invalid")
			if d := cmp.Diff([]string{tt.template + " ada@example.com", tt.template + " bob@example.com"}, b.mails(t)); d != "" {
				t.Error(d)
			}
			// Nobody is flooded, and who asks is told the same.
			for i := range 8 {
				if got := b.post(t, tt.path, object{"email": "ada@example.com"}, from(fmt.Sprintf("198.51.100.%d", i))).want(t, 202, ""); got.body != known.body {
					t.Errorf("%q after many mails, %q before", got.body, known.body)
				}
			}
			if n := len(b.mails(t)); n > 6 {
				t.Errorf("%d mails are written", n)
			}
		})
	}
}

func withoutSweep(all []string) []string {
	var out []string
	for _, s := range all {
		if !strings.Contains(s, "order by attempts, created_at") {
			out = append(out, s)
		}
	}
	return out
}

func TestThrottle_OfANetwork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := 0; ; i++ {
		got := b.post(t, "/password/forgot", object{"email": fmt.Sprintf("u%d@example.com", i)}, from("198.51.100.1"))
		if got.status == http.StatusTooManyRequests {
			if got.header.Get("Retry-After") == "" {
				t.Error("there is no Retry-After")
			}
			break
		}
		if got.want(t, 202, ""); i > 200 {
			t.Fatal("two hundred requests of one network are not throttled")
		}
	}
	b.post(t, "/password/forgot", object{"email": "x@example.com"}, from("198.51.100.2")).want(t, 202, "")
}
