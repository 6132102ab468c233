package ingest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/fault"
)

func TestOriginAllowed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		allowed, origin string // allowed: with spaces between
		want            bool
	}{
		{"", "https://anything.example", true},
		{"", "null", true},
		{"https://a.example", "https://a.example", true},
		{"https://a.example", "HTTPS://A.Example", true},
		{"https://a.example", "https://a.example:443", true},
		{"http://a.example", "http://a.example:80", true},
		{"https://b.example https://a.example", "https://a.example", true},
		{"http://localhost:3000", "http://localhost:3000", true},
		{"http://[::1]:3000", "http://[::1]:3000", true},
		{"https://a.example", "http://a.example", false},
		{"https://a.example", "https://a.example:8443", false},
		{"https://a.example", "https://a.example.evil", false},
		{"https://a.example", "https://b.a.example", false},
		{"https://a.example:80", "https://a.example", false},
		{"http://localhost:3000", "http://localhost", false},
		{"http://localhost:3000", "http://localhost:30000", false},
		{"https://a.example", "null", false},
		{"https://*.a.example", "https://b.a.example", true},
		{"https://*.a.example", "https://c.b.a.example", true},
		{"https://*.a.example", "https://B.A.example:443", true},
		{"https://*.a.example:8443", "https://b.a.example:8443", true},
		{"https://*.a.example", "https://a.example", false},
		{"https://*.a.example", "https://.a.example", false},
		{"https://*.a.example", "https://ba.example", false},
		{"https://*.a.example", "https://evila.example", false},
		{"https://*.a.example", "http://b.a.example", false},
		{"https://*.a.example", "https://b.a.example:8443", false},
		{"https://*.a.example:8443", "https://b.a.example", false},
		{"https://*.a.example", "https://b.a.example.evil", false},
		{"https://*.a.example", "https://*.a.example.evil", false},
	} {
		if got := originAllowed(strings.Fields(tt.allowed), tt.origin); got != tt.want {
			t.Errorf("%q with %q allowed: %t", tt.origin, tt.allowed, got)
		}
	}
	if err := checkOrigin([]string{"https://a.example"}, ""); err != nil {
		t.Errorf("without an origin: %v", err)
	}
	if err := checkOrigin([]string{"https://a.example"}, "https://b.example"); !fault.Is(err, fault.Forbidden) {
		t.Errorf("from another page: %v", err)
	}
}

func TestIngest_AnswersPreflights(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	for _, path := range []string{Path, "/api/1/envelope/", "/x/api/99/store/", "/tunnel", "/v1/logs", "/v1/traces"} {
		a := h.raw(http.MethodOptions, path, nil, "Origin", "https://shop.example", "Access-Control-Request-Method", "POST",
			"Access-Control-Request-Headers", "X-Sentry-Auth, content-type,x-evil, Cookie,baggage,baggage")
		want := map[string]string{
			"Access-Control-Allow-Origin":  "https://shop.example",
			"Access-Control-Allow-Methods": "POST",
			"Access-Control-Allow-Headers": "x-sentry-auth, content-type, baggage",
			"Access-Control-Max-Age":       preflightAge,
		}
		for name, value := range want {
			if got := a.header.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got, value)
			}
		}
		if a.status != http.StatusNoContent || a.body != "" || a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %+v", path, a)
		}
	}
	if a := h.raw(http.MethodOptions, Path, nil); a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without an origin: %+v", a)
	}
	if a := h.raw(http.MethodOptions, "/elsewhere", nil, "Origin", "https://shop.example"); a.status != http.StatusNotFound {
		t.Errorf("elsewhere: %+v", a)
	}
}

// TestIngest_PagesReadEveryAnswer checks that a browser may read answers, also those that say what went wrong.
func TestIngest_PagesReadEveryAnswer(t *testing.T) {
	t.Parallel()
	h := start(t, map[string]string{"INGEST_MAX_BODY": "1000"})
	path := h.envelopePath()
	query := path + "?sentry_key=" + h.key
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
	}{
		{"taken", "POST", query, envelopeOf(), nil, 200},
		{"taken by the native API", "POST", Path + "?api_key=" + h.key, good, nil, 202},
		{"no envelope", "POST", query, "nonsense", nil, 400},
		{"no key", "POST", path, envelopeOf(), nil, 401},
		{"another project", "POST", "/api/99/envelope/?sentry_key=" + h.key, envelopeOf(), nil, 403},
		{"no such path", "POST", "/api/1/minidump/", "", nil, 404},
		{"GET", "GET", query, "", nil, 405},
		{"too much", "POST", query, strings.Repeat("x", 1001), nil, 413},
		{"an unknown encoding", "POST", query, "x", []string{"Content-Encoding", "snappy"}, 415},
		{"logs without a type", "POST", "/v1/logs?api_key=" + h.key, "{}", nil, 415},
		{"logs without a key", "POST", "/v1/logs", "{}", []string{"Content-Type", "application/json"}, 401},
	} {
		a := h.raw(tt.method, tt.path, strings.NewReader(tt.body), append(tt.headers, "Origin", "https://shop.example")...)
		if a.status != tt.status {
			t.Errorf("%s: %d %s", tt.name, a.status, a.body)
		}
		a.wantReadable(t)
	}
	h.bus.say(deny)
	a := h.raw(http.MethodPost, query, strings.NewReader(envelopeOf()), "Origin", "null")
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.header.Get("Access-Control-Allow-Origin") != "null" {
		t.Errorf("not published: %+v", a)
	}
}

// wantReadable checks that a page of shop.example may read the answer.
func (a reply) wantReadable(t *testing.T) {
	t.Helper()
	exposed := a.header.Get("Access-Control-Expose-Headers")
	if a.header.Get("Access-Control-Allow-Origin") != "https://shop.example" || a.header.Get("Vary") != "Origin" ||
		!strings.Contains(exposed, "X-Sentry-Rate-Limits") || !strings.Contains(exposed, "Retry-After") || !strings.Contains(exposed, "X-Sentry-Error") {
		t.Errorf("status %d with %v", a.status, a.header)
	}
}
