package rest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/rest"
)

func TestRequests_Refused(t *testing.T) {
	t.Parallel()
	s := setup(t)
	good := `{"email":"a@b.cd","password":"pw-good"}`
	long := strings.Repeat("x", 300)
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		detail                   string
	}{
		{name: "no body", body: "", detail: "required"},
		{name: "malformed JSON", body: `{"email":"a@b.cd","password":hunter2}`, detail: "not valid JSON"},
		{name: "JSON that is cut off", body: `{"email":"a@b.cd","password":"hunter2`, detail: "not valid JSON"},
		{name: "two values", body: good + good, detail: "not valid JSON"},
		{name: "null", body: "null", detail: "must be an object"},
		{name: "an array", body: `["hunter2"]`, detail: "must be an object"},
		{name: "deep nesting", body: strings.Repeat("[", 30000), detail: "body"},
		{name: "a field that is missing", body: `{"password":"hunter2"}`, detail: "body: email is missing"},
		{name: "a field that is unknown", body: `{"email":"a@b.cd","password":"hunter2","x":"hunter2"}`, detail: "body.x: unexpected"},
		{name: "a field in another case", body: `{"email":"a@b.cd","password":"pw-good","PASSWORD":"hunter2"}`, detail: "body.PASSWORD"},
		{name: "a field twice", body: `{"email":"a@b.cd","password":"hunter2","password":"hunter2x"}`, detail: "twice"},
		{
			name: "an inner object twice", detail: "twice",
			body: `{"email":"a@b.cd","password":"pw-good","inner":{"level":"hunter2"},"inner":{}}`,
		},
		{name: "a NUL", body: `{"email":"a@b.cd","password":"hunter2\u0000"}`, detail: "NUL"},
		{name: "a wrong type", body: `{"email":"a@b.cd","password":["hunter2"]}`, detail: "body.password: must be a string"},
		{name: "too short", body: `{"email":"a@b.cd","password":"hu"}`, detail: "body.password: must have at least 3 characters"},
		{name: "too long", body: `{"email":"a@b.cd","password":"hunter2` + long + `"}`, detail: "body.password: must have at most 12 characters"},
		{name: "no email", body: `{"email":"hunter2 hunter2@x hunter2","password":"pw-good"}`, detail: "body.email: must be an e-mail address"},
		{name: "no URI", body: `{"email":"a@b.cd","password":"pw-good","site":"http://x:hunter2@%zz"}`, detail: "body.site: must be a URI"},
		{name: "a number out of range", body: `{"email":"a@b.cd","password":"pw-good","count":12345}`, detail: "count has a value"},
		{name: "a number out of all ranges", body: `{"email":"a@b.cd","password":"pw-good","count":1e999}`, detail: "range"},
		{name: "a number with a point", body: `{"email":"a@b.cd","password":"pw-good","count":1.0}`, detail: "count has a value"},
		{name: "no time", body: `{"email":"a@b.cd","password":"pw-good","until":"hunter2"}`, detail: "body.until: write a time as RFC 3339, e.g. 2026"},
		{name: "no UUID", body: `{"email":"a@b.cd","password":"pw-good","owner":"urn:hunter2:0000000-0000-0000-0000-000000000000"}`, detail: "body.owner: must be a UUID"},
		{name: "many mistakes", body: `{` + strings.TrimSuffix(manyFields(2000), ",") + `}`, detail: "body.f0"},
		{name: "one byte too much", body: pad(good, rest.BodyMost+1), status: 413, detail: "64 KiB"},
		{name: "much too much", body: pad(good, 10*rest.BodyMost), status: 413, detail: "64 KiB"},
		{name: "another content type", body: good, headers: []string{"Content-Type", "text/plain"}, status: 415, detail: "application/json"},
		{name: "a form", body: "password=hunter2", headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 415, detail: "application/json"},
		{name: "an odd content type", body: good, headers: []string{"Content-Type", ";+"}, status: 415, detail: "application/json"},
		{name: "a content encoding", body: good, headers: []string{"Content-Encoding", "gzip"}, status: 415, detail: "Content-Encoding"},
		{name: "an unknown query parameter", path: "/login?password=hunter2", body: good, detail: "query.password: unknown"},
		{name: "a malformed query", path: "/login?a=%zz", body: good, detail: "percent-encoded"},
		{name: "a semicolon in the query", path: "/login?a;b", body: good, detail: "percent-encoded"},
		{name: "a NUL in the query", method: "GET", path: "/things?cursor=%00", detail: "NUL"},
		{name: "a parameter twice", method: "GET", path: "/things?limit=1&limit=2", detail: "query.limit: given more than once"},
		{name: "limit 0", method: "GET", path: "/things?limit=0", detail: "query.limit: must be 1 or more"},
		{name: "limit 101", method: "GET", path: "/things?limit=101", detail: "query.limit: must be 100 or less"},
		{name: "limit too large for any number", method: "GET", path: "/things?limit=99999999999999999999", detail: "query.limit: must be a whole number"},
		{name: "an invalid cursor", method: "GET", path: "/things?cursor=hunter2", detail: "cursor"},
		{name: "a long cursor", method: "GET", path: "/things?cursor=" + long, detail: "query.cursor: must have at most 200 characters"},
		{name: "not one of", method: "GET", path: "/things?state=hunter2", detail: "query.state[0]: must be one of a, b"},
		{name: "a path parameter that is no UUID", method: "GET", path: "/things/hunter2", detail: "path.id: must be a UUID"},
		{name: "one that is the wrong URN", method: "GET", path: "/things/hunter2:x00000000-0000-0000-0000-000000000000", detail: "path.id: must be a UUID"},
		{name: "a query parameter that is no time", method: "GET", path: "/things/00000000-0000-0000-0000-000000000001?since=hunter2", detail: "query.since: write a time as RFC 3339, e.g. 2026"},
		{name: "a NUL in the path", method: "GET", path: "/things/%00", detail: "NUL"},
		{name: "a path that is not UTF-8", method: "GET", path: "/things/%ff", detail: "UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			method, path, status := tt.method, tt.path, tt.status
			if method == "" {
				method = http.MethodPost
			}
			if path == "" {
				path = "/login"
			}
			if status == 0 {
				status = 400
			}
			code := map[int]string{400: "invalid", 413: "too_large", 415: "unsupported"}[status]
			a := s.send(t, method, "/api/v1"+path, tt.body, append(tt.headers, "Authorization", "Bearer "+s.session)...)
			if !a.is(status, code) || !strings.Contains(fmt.Sprint(a.problem["detail"]), tt.detail) {
				t.Errorf("%d %s, want %d %s", a.StatusCode, a.text, status, tt.detail)
			}
			if strings.Contains(a.text, "hunter2") || strings.Contains(a.text, "Go ") || len(a.text) > 4000 {
				t.Errorf("the answer repeats what was sent, or is long: %s", a.text)
			}
		})
	}
	t.Cleanup(func() {
		// The path itself is logged; it holds no secret.
		log := strings.NewReplacer("/api/v1/things/hunter2", "").Replace(s.log.String())
		if strings.Contains(log, "hunter2") || strings.Contains(log, s.session) {
			t.Errorf("a value is logged: %s", log)
		}
		if !strings.Contains(log, `"code":"invalid"`) {
			t.Errorf("refused requests are not logged: %s", log)
		}
	})
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"f%d":"hunter2",`, i)
	}
	return b.String()
}

func pad(s string, n int) string { return s + strings.Repeat(" ", n-len(s)) }

func TestRequests_Taken(t *testing.T) {
	t.Parallel()
	s := setup(t)
	good := `{"email":"a@b.cd","password":"pw-good"}`
	for _, tt := range []struct {
		name, body string
		headers    []string
	}{
		{"without a content type", good, nil},
		{"with a charset", good, []string{"Content-Type", "Application/JSON; charset=utf-8"}},
		{"of a type that is JSON too", good, []string{"Content-Type", "application/merge-patch+json"}},
		{"of the greatest size", pad(good, rest.BodyMost), nil},
		{"with null for what is optional", `{"email":"a@b.cd","password":"pw-good","site":null}`, nil},
		{"with the same name in two objects", `{"email":"a@b.cd","password":"pw-good","inner":{"level":"low"}}`, nil},
		{"with an Accept header that huma's parser does not bear", good, []string{"Accept", "a;b,c"}},
		{"with another Accept header", good, []string{"Accept", "text/html;q=1"}},
		{"in English", good, []string{"Accept", "application/json;"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := s.send(t, "POST", "/api/v1/login", tt.body, tt.headers...)
			h := a.Header
			if a.StatusCode != 200 || !strings.Contains(a.text, `"pw-good"`) || h.Get("Content-Type") != "application/json" ||
				h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Length") != fmt.Sprint(len(a.text)) {
				t.Errorf("%d %s %v", a.StatusCode, a.text, h)
			}
		})
	}
	if a := s.send(t, "GET", "/page", "", "Accept", "text/html", "Cookie", rest.CookieName+"="+s.session); a.text != "text/html anna@example.org none" {
		t.Errorf("page = %q", a.text)
	}
}

func TestRequests_SlowOrCutOff(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.api.SetBodyTime(500 * time.Millisecond)
	for _, tt := range []struct{ name, head, detail string }{
		{"a body that does not come", "Content-Length: 100\r\n\r\n{", "did not arrive within 500ms"},
		{"chunks that are none", "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "could not be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			must(t, err)
			defer conn.Close()
			_, err = fmt.Fprintf(conn, "POST /api/v1/login HTTP/1.1\r\nHost: x\r\n%s", tt.head)
			must(t, err)
			all, err := io.ReadAll(conn) // the server ends the connection
			must(t, err)
			if !bytes.HasPrefix(all, []byte("HTTP/1.1 400 ")) || !bytes.Contains(all, []byte(tt.detail)) || !bytes.Contains(all, []byte(`"code":"invalid"`)) {
				t.Errorf("answer %s", all)
			}
		})
	}
	t.Run("and a page that takes longer than the body may is not disturbed", func(t *testing.T) {
		t.Parallel()
		if a := s.send(t, "POST", "/page", "x"); a.StatusCode != 200 {
			t.Errorf("%d %s", a.StatusCode, a.text)
		}
	})
	t.Run("and a handler that takes longer than the body may is not disturbed", func(t *testing.T) {
		t.Parallel()
		s.mu.Lock()
		s.hooks["slow"] = func() { time.Sleep(time.Second) }
		s.mu.Unlock()
		if a := s.send(t, "POST", "/api/v1/things", `{"name":"slow"}`, "Authorization", "Bearer "+s.session); a.StatusCode != 201 {
			t.Errorf("%d %s", a.StatusCode, a.text)
		}
	})
}

func TestHandlers_Failing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, tt := range []struct {
		how, code, retry string
		status           int
		logged           bool
	}{
		{"panic", "internal", "", 500, true},
		{"internal", "internal", "", 500, true},
		{"nan", "internal", "", 500, false},
		{"limited", "limited", "90", 429, false},
		{"unauthenticated", "wrong_password", "", 401, false},
		{"canceled", "unavailable", "1", 503, false},
		{"other", "thing_missing", "", 404, false},
	} {
		before := len(s.log.String())
		a := s.send(t, "GET", "/api/v1/fail/"+tt.how, "")
		if !a.is(tt.status, tt.code) || a.Header.Get("Retry-After") != tt.retry {
			t.Errorf("%s: %d %s %v", tt.how, a.StatusCode, a.text, a.Header)
		}
		line := s.log.String()[before:]
		if strings.Contains(line, "secret cause") != tt.logged || !strings.Contains(line, `"code":"`+tt.code+`"`) {
			t.Errorf("%s: log %q", tt.how, line)
		}
		if strings.Count(line, "\n") != 1 || !json.Valid([]byte(line)) {
			t.Errorf("%s: not one line: %q", tt.how, line)
		}
	}
}

func TestPathsAndMethods(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, tt := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/api/v1/nothing", 404, ""},
		{"POST", "/api/v1/things/", 404, ""},
		{"GET", "/api/v1/things/a/b", 404, ""},
		{"PUT", "/api/v1/things", 405, "GET, HEAD, POST"},
		{"OPTIONS", "/api/v1/things", 405, "GET, HEAD, POST"},
		{"BREW", "/api/v1/things/x", 405, "DELETE, GET, HEAD"},
		{"GET", "/api/v1/login", 405, "POST"},
		{"HEAD", "/api/v1/login", 405, "POST"},
		{"POST", "/api/v1/openapi.json", 405, "GET, HEAD"},
		{"HEAD", "/api/v1/who", 200, ""},
		{"HEAD", "/api/v1/openapi.json", 200, ""},
		{"HEAD", "/api/v1/things", 401, ""},
	} {
		a := s.send(t, tt.method, tt.path, "")
		if a.StatusCode != tt.status || a.Header.Get("Allow") != tt.allow {
			t.Errorf("%s %s: %d, allow %q: %s", tt.method, tt.path, a.StatusCode, a.Header.Get("Allow"), a.text)
		}
	}
}
