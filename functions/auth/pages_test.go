package auth_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/account"
)

func TestPages_OpeningChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.newUser(t, "ada@example.com", secret1, false)
	_, invitation := b.invite(t, "new@example.com")
	before := b.state(t)
	for path, token := range map[string]string{
		"/auth/verify":       b.link(t, account.VerifyEmail, u.ID, u.Email),
		"/auth/reset":        b.link(t, account.ResetPassword, u.ID, u.Email),
		"/auth/change-email": b.link(t, account.ChangeEmail, u.ID, "b@example.com"),
		"/auth/invitation":   invitation,
		"/auth/forgot":       "",
	} {
		before = b.state(t)
		for range 2 {
			got := b.open(t, path, token).says(t, 200, "<form")
			fill(t, got, nil)
			checkPage(t, got)
		}
		b.open(t, path, "msho_wrong")
		if d := cmp.Diff(before, b.state(t)); d != "" {
			t.Errorf("%s: %s", path, d)
		}
	}
	if len(before) == 0 {
		t.Error("there is nothing to compare")
	}
}

func TestPages_Verify(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.newUser(t, "ada@example.com", secret1, false)
	token := b.link(t, account.VerifyEmail, u.ID, u.Email)
	path, form := fill(t, b.open(t, "/auth/verify", token), map[string]string{"password": secret2})
	wrong := b.submit(t, path, form).says(t, 401, "not the password that was chosen at registration")
	checkPage(t, wrong)
	if form.Get("username") != u.Email {
		t.Errorf("the browser would keep the password for %q", form.Get("username"))
	}
	if !strings.Contains(wrong.body, `role="alert"`) || !strings.Contains(wrong.body, `href="/auth/forgot"`) {
		t.Errorf("page %s", wrong.body)
	}
	path, form = fill(t, wrong, map[string]string{"password": secret1})
	done := b.submit(t, path, form).says(t, 200, "Your address is verified").says(t, 200, "You can close this page. Programs log in at POST /auth/v1/login")
	checkPage(t, done)
	if strings.Contains(done.body, "<form") || !b.alive(t, cookieOf(t, done).Value) {
		t.Errorf("page %s", done.body)
	}
	for _, again := range []answer{b.submit(t, path, form), b.open(t, "/auth/verify", token)} {
		again.says(t, 400, "if you have just used it, it has worked").says(t, 400, `href="/auth/forgot"`)
		if strings.Contains(again.body, "<form") {
			t.Errorf("a used link still has a form: %s", again.body)
		}
		checkPage(t, again)
	}
}

func TestPages_ForgotAndReset(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "ada@example.com")
	path, form := fill(t, b.open(t, "/auth/forgot", ""), map[string]string{"email": "ada@example.com"})
	b.submit(t, path, form).says(t, 200, "a mail with a link is on its way")
	form.Set("email", "nobody")
	b.submit(t, path, form).says(t, 400, "The e-mail address is not one")
	if d := cmp.Diff([]string{"password_reset ada@example.com"}, b.mails(t)); d != "" {
		t.Error(d)
	}

	token := b.link(t, account.ResetPassword, u.ID, u.Email)
	path, form = fill(t, b.open(t, "/auth/reset", token), map[string]string{"password": "short"})
	weak := b.submit(t, path, form).says(t, 400, "12")
	checkPage(t, weak)
	path, form = fill(t, weak, map[string]string{"password": secret2})
	if form.Get("username") != u.Email {
		t.Errorf("the browser would keep the password for %q", form.Get("username"))
	}
	b.submit(t, path, form).says(t, 200, "The new password is set")
	b.login(t, "ada@example.com", secret2)
	b.submit(t, path, form).says(t, 400, "no longer good").says(t, 400, `<a href="/auth/forgot"`)
}

func TestPages_ChangeEmail(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "ada@example.com")
	b.user(t, "bob@example.com")
	path, form := fill(t, b.open(t, "/auth/change-email", b.link(t, account.ChangeEmail, u.ID, "bob@example.com")), nil)
	b.submit(t, path, form).says(t, 409, "Another account has this address")
	path, form = fill(t, b.open(t, "/auth/change-email", b.link(t, account.ChangeEmail, u.ID, "new@example.com")), nil)
	b.submit(t, path, form).says(t, 200, "The new address is yours")
	b.login(t, "new@example.com", secret1)
	b.submit(t, path, form).says(t, 400, "Ask for the change again")
}

func TestPages_Invitation(t *testing.T) {
	t.Parallel()
	accept := func(t *testing.T, b *bundle, token string, values map[string]string, o ...option) answer {
		t.Helper()
		path, form := fill(t, b.open(t, "/auth/invitation", token, o...), values)
		return b.submit(t, path, form, o...)
	}
	t.Run("makes an account", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		inv, token := b.invite(t, "ada@example.com")
		weak := accept(t, b, token, map[string]string{"name": `Ada "><script>`, "password": "short"}).says(t, 400, "12")
		checkPage(t, weak)
		if !strings.Contains(weak.body, `value="Ada &#34;&gt;&lt;script&gt;"`) {
			t.Errorf("the name is not there again: %s", weak.body)
		}
		done := accept(t, b, token, map[string]string{"name": "Ada", "password": secret1}).says(t, 200, "You are a member of Acme now, as ada@example.com, with the role admin.")
		u, _, err := account.FindLogin(t.Context(), b.admin, "ada@example.com")
		must(t, err)
		if b.role(t, inv.OrganizationID, u.ID) != "admin" || !b.alive(t, cookieOf(t, done).Value) {
			t.Errorf("user %+v", u)
		}
		b.open(t, "/auth/invitation", token).says(t, 400, "no longer good").says(t, 400, "Ask who invited you for a new one")
	})
	t.Run("logs in to the account of the address", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		u := b.user(t, "ada@example.com")
		inv, token := b.invite(t, "ada@example.com")
		accept(t, b, token, map[string]string{"password": secret2}).says(t, 401, "The address or the password is wrong")
		if b.role(t, inv.OrganizationID, u.ID) != "" {
			t.Fatal("a wrong password is enough")
		}
		done := accept(t, b, token, map[string]string{"password": secret1}).says(t, 200, "You are a member of Acme now")
		if b.role(t, inv.OrganizationID, u.ID) != "admin" || !b.alive(t, cookieOf(t, done).Value) {
			t.Error("who logged in is no member")
		}
	})
	t.Run("takes the session of the browser", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		u := b.user(t, "ada@example.com")
		inv, token := b.invite(t, "Ada@example.com")
		session := cookie(b.login(t, "ada@example.com", secret1).Token)
		b.open(t, "/auth/invitation", token, session).says(t, 200, "You are logged in as ada@example.com.</p>")
		accept(t, b, token, nil, session).says(t, 200, "as ada@example.com")
		if b.role(t, inv.OrganizationID, u.ID) != "admin" {
			t.Error("the user of the session is no member")
		}
	})
	for name, account := range map[string]bool{"": false, " that has an account": true} {
		t.Run("is for the invited address"+name+", not for the session of the browser", func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			bob := b.user(t, "bob@example.com")
			inv, token := b.invite(t, "ada@example.com")
			values := map[string]string{"password": secret1}
			if account {
				b.user(t, "ada@example.com")
			} else {
				values["name"] = "Ada"
			}
			bobs := b.login(t, "bob@example.com", secret1).Token
			b.open(t, "/auth/invitation", token, cookie(bobs)).says(t, 200, "You are logged in as bob@example.com. The invitation is for ada@example.com")
			done := accept(t, b, token, values, cookie(bobs)).says(t, 200, "as ada@example.com")
			if b.role(t, inv.OrganizationID, bob.ID) != "" || b.alive(t, bobs) || !b.alive(t, cookieOf(t, done).Value) {
				t.Error("the session of the browser is not replaced")
			}
		})
	}
	t.Run("says who invites, and requires a name", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, token := b.invite(t, "ada@example.com")
		got := b.open(t, "/auth/invitation", token).says(t, 200, "Somebody invites ada@example.com to Acme with the role admin")
		if !regexp.MustCompile(`name="name"[^>]* required>`).MatchString(got.body) {
			t.Errorf("page %s", got.body)
		}
	})
}

func TestPages_Front(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.send(t, "GET", "/auth/", "", "").says(t, 200, `<a href="/auth/forgot"`)
	checkPage(t, got)
	b.send(t, "GET", "/auth/else", "", "").want(t, 404, "not_found")
}

func TestPages_Refuse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.newUser(t, "ada@example.com", secret1, false)
	token := b.link(t, account.VerifyEmail, u.ID, u.Email)
	form := url.Values{"token": {token}, "password": {secret1}}
	t.Run("forms of other sites", func(t *testing.T) {
		b.submit(t, "/auth/verify", form, header("Sec-Fetch-Site", "cross-site")).says(t, 403, "another site")
		got := b.submit(t, "/auth/verify", form, func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") }).says(t, 403, "The request comes from a page of another site.")
		checkPage(t, got)
		if strings.Contains(got.body, "<form") {
			t.Errorf("page %s", got.body)
		}
		b.send(t, "POST", "/auth/v1/login", "application/json", "{}", header("Sec-Fetch-Site", "cross-site")).want(t, 403, "cross_origin")
	})
	t.Run("what is no form", func(t *testing.T) {
		b.send(t, "POST", "/auth/verify", "text/plain", form.Encode()).says(t, 415, "The form must be sent as")
		b.send(t, "POST", "/auth/verify", "application/x-www-form-urlencoded", "%zz").says(t, 400, "could not be read")
		b.send(t, "POST", "/auth/verify", "application/x-www-form-urlencoded", "token=%00").says(t, 400, "cannot be stored")
		b.send(t, "POST", "/auth/verify", "application/x-www-form-urlencoded", "a="+strings.Repeat("x", 100_000)).says(t, 413, "too large")
	})
	t.Run("a password in the address", func(t *testing.T) {
		b.send(t, "POST", "/auth/verify?"+form.Encode(), "application/x-www-form-urlencoded", "x=y").says(t, 400, "The link is incomplete; open it from the mail again.")
	})
	t.Run("a token with markup", func(t *testing.T) {
		checkPage(t, b.open(t, "/auth/verify", `"><script>alert(1)</script>`).says(t, 400, `role="alert"`))
	})
	t.Run("another method", func(t *testing.T) {
		b.send(t, "PUT", "/auth/verify", "text/plain", "x").want(t, 405, "method_not_allowed")
	})
	t.Run("too many attempts", func(t *testing.T) {
		form := url.Values{"token": {token}, "password": {secret2}}
		for i := 0; ; i++ {
			got := b.submit(t, "/auth/verify", form)
			if got.status == http.StatusTooManyRequests {
				checkPage(t, got.says(t, 429, "Too many attempts"))
				if got.header.Get("Retry-After") == "" {
					t.Error("there is no Retry-After")
				}
				break
			}
			if got.says(t, 401, "<form"); i > 20 {
				t.Fatal("twenty wrong passwords are not throttled")
			}
		}
	})
	if u, err := account.FindUser(t.Context(), b.admin, u.ID); err != nil || u.Verified {
		t.Errorf("user %+v, %v", u, err)
	}
	if logged := b.logs.String(); strings.Contains(logged, token) || strings.Contains(logged, secret1) {
		t.Error("a secret is in the log")
	}
}
