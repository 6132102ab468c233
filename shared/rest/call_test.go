package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/secret"
)

func TestCredentials(t *testing.T) {
	t.Parallel()
	s := setup(t)
	other := s.login(t)
	_, err := s.db.Pool(t, "admin").Exec(t.Context(), "update mesher.sessions set revoked_at = now() where id <> $1", s.who.Credential)
	must(t, err)
	read, admin := s.token(t, account.ScopeRead), s.token(t, account.ScopeAdmin)
	cookie := rest.CookieName + "="
	for _, tt := range []struct {
		name, path string
		headers    []string
		status     int
		code       string
	}{
		{"a session", "session", []string{"Authorization", "Bearer " + s.session}, 200, ""},
		{"a session, oddly written", "session", []string{"Authorization", "bEARER   " + s.session + " "}, 200, ""},
		{"a session in the cookie", "session", []string{"Cookie", cookie + s.session}, 200, ""},
		{"a token", "read", []string{"Authorization", "Bearer " + read}, 200, ""},
		{"a token whose scope holds another", "write", []string{"Authorization", "Bearer " + admin}, 200, ""},
		{"a token whose scope is too low", "write", []string{"Authorization", "Bearer " + read}, 403, "scope_too_low"},
		{"a token where a session is needed", "session", []string{"Authorization", "Bearer " + admin}, 403, "scope_too_low"},
		{"nothing", "read", nil, 401, "unauthenticated"},
		{"an empty header", "read", []string{"Authorization", ""}, 401, "unauthenticated"},
		{"another scheme", "read", []string{"Authorization", "Basic " + s.session}, 401, "unauthenticated"},
		{"no token", "read", []string{"Authorization", "Bearer "}, 401, "unauthenticated"},
		{"no scheme", "read", []string{"Authorization", s.session}, 401, "unauthenticated"},
		{"a revoked session", "read", []string{"Authorization", "Bearer " + other}, 401, "unauthenticated"},
		{"an API key", "read", []string{"Authorization", "Bearer " + secret.APIKey.New()}, 401, "unauthenticated"},
		{"a token in the cookie", "read", []string{"Cookie", cookie + admin}, 401, "unauthenticated"},
		{"an API key in the cookie", "read", []string{"Cookie", cookie + secret.APIKey.New()}, 401, "unauthenticated"},
		{"garbage in the cookie", "read", []string{"Cookie", cookie + "x"}, 401, "unauthenticated"},
		{"an empty cookie", "read", []string{"Cookie", cookie}, 401, "unauthenticated"},
		{"a bad header and a good cookie", "read", []string{"Authorization", "Bearer x", "Cookie", cookie + s.session}, 401, "unauthenticated"},
		{"another scheme and a good cookie", "read", []string{"Authorization", "Basic x", "Cookie", cookie + s.session}, 401, "unauthenticated"},
		{"two headers, of which the first counts", "read", []string{"Authorization", "Bearer x", "Authorization", "Bearer " + s.session}, 401, "unauthenticated"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := s.send(t, "GET", "/api/v1/who/"+tt.path, "", tt.headers...)
			if !a.is(tt.status, tt.code) || tt.status == 200 && !strings.Contains(a.text, s.user.ID.String()) {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
			for _, secret := range []string{s.session, read, admin, other} {
				if strings.Contains(a.text+s.log.String(), secret) {
					t.Errorf("a secret is shown: %s", a.text)
				}
			}
		})
	}
	t.Run("who sends none is told what the route takes", func(t *testing.T) {
		t.Parallel()
		for scope, token := range map[string]bool{"read": true, "session": false} {
			for _, headers := range [][]string{nil, {"Authorization", "Basic x"}} {
				a := s.send(t, "GET", "/api/v1/who/"+scope, "", headers...)
				if strings.Contains(a.text, "personal access token") != token || !strings.Contains(a.text, "session token") && !strings.Contains(a.text, "log in") {
					t.Errorf("%s: %s", scope, a.text)
				}
			}
		}
	})
	t.Run("where none is needed a bad one is told from none", func(t *testing.T) {
		t.Parallel()
		for _, tt := range []struct {
			want    string
			headers []string
		}{
			{s.user.Email, []string{"Authorization", "Bearer " + s.session}},
			{"", nil},
			{"", []string{"Cookie", cookie}},
			{"unauthenticated", []string{"Authorization", "Bearer " + other}},
			{"unauthenticated", []string{"Authorization", "Basic x"}},
			{"unauthenticated", []string{"Cookie", cookie + "x"}},
		} {
			a := s.send(t, "GET", "/page", "", tt.headers...)
			if got := strings.TrimSpace(strings.TrimSuffix(a.text, "none")); got != tt.want {
				t.Errorf("%v: %q, want %q", tt.headers, got, tt.want)
			}
		}
	})
	t.Run("the header wins over the cookie", func(t *testing.T) {
		t.Parallel()
		a := s.send(t, "GET", "/api/v1/who/read", "", "Authorization", "Bearer "+read, "Cookie", cookie+s.session)
		if !strings.Contains(a.text, `"kind":"token"`) {
			t.Errorf("%s", a.text)
		}
	})
	t.Run("a stranger learns nothing of what is wrong besides", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/things?limit=0", "/things?x=1", "/things/x", "/things/%00"} {
			if a := s.send(t, "GET", "/api/v1"+path, ""); !a.is(401, "unauthenticated") {
				t.Errorf("%s: %d %s", path, a.StatusCode, a.text)
			}
		}
		if a := s.send(t, "POST", "/api/v1/things", "{", "Content-Type", "text/plain"); !a.is(401, "unauthenticated") {
			t.Errorf("%d %s", a.StatusCode, a.text)
		}
	})
	t.Run("with the database away it says so, not that the credential is wrong", func(t *testing.T) {
		t.Parallel()
		away := setup(t)
		away.app.Close()
		a := away.send(t, "GET", "/api/v1/who/read", "", "Authorization", "Bearer "+s.session)
		if a.StatusCode < 500 {
			t.Errorf("%d %s", a.StatusCode, a.text)
		}
	})
}

func TestOtherSites(t *testing.T) {
	t.Parallel()
	s := setup(t)
	cross, origin := []string{"Sec-Fetch-Site", "cross-site"}, []string{"Origin", "https://evil.example"}
	cookie := []string{"Cookie", rest.CookieName + "=" + s.session}
	bearer := []string{"Authorization", "Bearer " + s.session}
	for _, tt := range []struct {
		name, method, path string
		headers            [][]string
		status             int
		code               string
	}{
		{"a cookie from another site", "POST", "things", [][]string{cross, cookie}, 403, "cross_origin"},
		{"a cookie from a sister site", "POST", "things", [][]string{{"Sec-Fetch-Site", "same-site"}, cookie}, 403, "cross_origin"},
		{"a cookie from another origin", "POST", "things", [][]string{origin, cookie}, 403, "cross_origin"},
		{"a cookie from a page without an origin", "POST", "things", [][]string{{"Origin", "null"}, cookie}, 403, "cross_origin"},
		{"a login from another site", "POST", "login", [][]string{cross}, 403, "cross_origin"},
		{"a login from another site with a header of another scheme", "POST", "login", [][]string{cross, {"Authorization", "Basic eDp5"}}, 403, "cross_origin"},
		{"a cookie and an empty header", "POST", "things", [][]string{cross, {"Authorization", ""}, cookie}, 403, "cross_origin"},
		{"a cookie and a header without a token", "POST", "things", [][]string{cross, {"Authorization", "Bearer"}, cookie}, 403, "cross_origin"},
		{"a cookie and a bogus token", "POST", "things", [][]string{cross, {"Authorization", "Bearer x"}, cookie}, 401, "unauthenticated"},
		{"a path that is none", "POST", "nothing", [][]string{cross, cookie}, 403, "cross_origin"},
		{"a token from another site", "POST", "things", [][]string{cross, bearer}, 201, ""},
		{"a cookie from this site", "POST", "things", [][]string{{"Sec-Fetch-Site", "same-origin"}, cookie}, 201, ""},
		{"a cookie from no site", "POST", "things", [][]string{{"Sec-Fetch-Site", "none"}, cookie}, 201, ""},
		{"a cookie from a program", "POST", "things", [][]string{cookie}, 201, ""},
		{"a link on another site", "GET", "who/read", [][]string{cross, cookie}, 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body := ""
			if tt.method == http.MethodPost {
				body = `{"name":"x"}`
			}
			var headers []string
			for _, h := range tt.headers {
				headers = append(headers, h...)
			}
			if a := s.send(t, tt.method, "/api/v1/"+tt.path, body, headers...); !a.is(tt.status, tt.code) {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
		})
	}
}

func TestActor(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, tt := range []struct {
		name, path string
		headers    []string
		want       who
	}{
		{"a stranger", "/who", []string{"X-Forwarded-For", "6.6.6.6, 192.0.2.7"}, who{Kind: "anonymous", IP: "192.0.2.7"}},
		{"a user", "/who/session", []string{"Authorization", "Bearer " + s.session, "User-Agent", "x\xffy"}, who{s.user.ID, "user", "127.0.0.1", "x\uFFFDy"}},
		{"a token", "/who/read", []string{"Authorization", "Bearer " + s.token(t, account.ScopeRead)}, who{s.user.ID, "token", "127.0.0.1", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(strings.Join(tt.headers, " "), "User-Agent") {
				tt.headers = append(tt.headers, "User-Agent", "")
			}
			a := s.send(t, "GET", "/api/v1"+tt.path, "", tt.headers...)
			var got who
			must(t, json.Unmarshal([]byte(a.text), &got))
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestClientOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		hops    int
		remote  string
		headers []string
		want    string
	}{
		{"no hops: what clients claim counts for nothing", 0, "192.0.2.1:80", []string{"6.6.6.6"}, "192.0.2.1"},
		{"one", 1, "192.0.2.1:80", []string{"203.0.113.5"}, "203.0.113.5"},
		{"one, behind what the client claims", 1, "192.0.2.1:80", []string{"6.6.6.6, 7.7.7.7,203.0.113.5"}, "203.0.113.5"},
		{"one, in several headers", 1, "192.0.2.1:80", []string{"6.6.6.6", "7.7.7.7 , 203.0.113.5"}, "203.0.113.5"},
		{"two", 2, "192.0.2.1:80", []string{"6.6.6.6, 203.0.113.5, 10.0.0.1"}, "203.0.113.5"},
		{"two, in several headers", 2, "192.0.2.1:80", []string{"6.6.6.6, 203.0.113.5", "10.0.0.1"}, "203.0.113.5"},
		{"two, of one", 2, "192.0.2.1:80", []string{"203.0.113.5"}, "192.0.2.1"},
		{"one, of none", 1, "192.0.2.1:80", nil, "192.0.2.1"},
		{"one, empty", 1, "192.0.2.1:80", []string{""}, "192.0.2.1"},
		{"one, empty at the end", 1, "192.0.2.1:80", []string{"6.6.6.6, "}, "192.0.2.1"},
		{"less than none", -1, "192.0.2.1:80", []string{"6.6.6.6"}, "192.0.2.1"},
		{"garbage", 1, "192.0.2.1:80", []string{"6.6.6.6, unknown"}, "192.0.2.1"},
		{"with a port", 1, "192.0.2.1:80", []string{"203.0.113.5:4711"}, "203.0.113.5"},
		{"IPv6 with a port", 1, "192.0.2.1:80", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"IPv6 with a zone", 1, "192.0.2.1:80", []string{"fe80::1%eth0"}, "fe80::1"},
		{"IPv4 as IPv6", 1, "192.0.2.1:80", []string{"::ffff:203.0.113.5"}, "203.0.113.5"},
		{"the connection, IPv6 with a zone", 0, "[fe80::1%eth0]:80", nil, "fe80::1"},
		{"the connection, IPv4 as IPv6", 0, "[::ffff:192.0.2.1]:80", nil, "192.0.2.1"},
		{"the connection, without a port", 0, "192.0.2.1", nil, "192.0.2.1"},
		{"a connection without an address", 1, "@", []string{"garbage"}, "invalid IP"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{"X-Forwarded-For": tt.headers}}
			if got := rest.ClientOf(r, tt.hops).IP.String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	long := &http.Request{Header: http.Header{"User-Agent": {strings.Repeat("é", 401)}}}
	if got := rest.ClientOf(long, 0).UserAgent; got != strings.Repeat("é", 400) {
		t.Errorf("user agent of %d bytes", len(got))
	}
}

func FuzzClientOf(f *testing.F) {
	f.Add("6.6.6.6, 203.0.113.5", "[::1%x]:1", "192.0.2.1:80", "agent\xff", 1)
	f.Add(",,,", "", "@", "", 2)
	f.Fuzz(func(t *testing.T, first, second, remote, agent string, hops int) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {first, second}, "User-Agent": {agent}}}
		c := rest.ClientOf(r, hops)
		if c.IP.Zone() != "" || c.IP.Is4In6() || !utf8.ValidString(c.UserAgent) || utf8.RuneCountInString(c.UserAgent) > 400 {
			t.Errorf("client %+v", c)
		}
		if own := rest.ClientOf(&http.Request{RemoteAddr: remote}, 0); (own.IP.IsValid() && !c.IP.IsValid()) || hops <= 0 && own.IP != c.IP {
			t.Errorf("client %s, connection %s", c.IP, own.IP)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"email":"a","inner":{"level":"x"}}`)
	f.Add(`{"a":1,"a":2}`)
	f.Add(`[{"a":[{"a":1}]},"x"]`)
	f.Fuzz(func(t *testing.T, in string) {
		var seen any
		if rest.Decode([]byte(in), &seen) != nil {
			return
		}
		if !json.Valid([]byte(in)) {
			t.Errorf("%q was taken", in)
		}
		// What was validated is what the input holds: writing it and reading it again changes nothing.
		var direct, again login
		written, err := json.Marshal(seen)
		must(t, err)
		if rest.Decode([]byte(in), &direct) == nil && rest.Decode(written, &again) == nil && direct.Inner != again.Inner {
			t.Errorf("%q is %+v, then %+v", in, direct, again)
		}
	})
}

func BenchmarkServeHTTP(b *testing.B) {
	api := rest.New(rest.Options{Prefix: "/api/v1"})
	rest.Handle(api, rest.Route{ID: "ping", Method: http.MethodGet, Path: "/ping"}, ping)
	r := httptest.NewRequest(http.MethodGet, "/api/v1/ping", nil)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
	}
}
