package outbound

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/mesherhq/mesher/shared/fault"
)

// seen keeps the requests that a server got.
type seen struct {
	mu       sync.Mutex
	requests []*http.Request
}

func (s *seen) add(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
}

func (s *seen) all() []*http.Request { s.mu.Lock(); defer s.mu.Unlock(); return s.requests }

var secrets = []string{"Authorization", "Bearer abc", "Cookie", "a=b", "X-Api-Key", "abc", "Referer", "https://secret.example/"}

func leaks(r *http.Request) []string {
	var out []string
	for i := 0; i < len(secrets); i += 2 {
		if r.Header.Get(secrets[i]) != "" {
			out = append(out, secrets[i])
		}
	}
	return out
}

func TestRedirectsAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ to, code string }{
		"to a metadata server":      {"http://169.254.169.254/computeMetadata/v1/", CodeAddress},
		"to its name":               {"http://metadata.google.internal/", CodeAddress},
		"to a mapped address":       {"http://[::ffff:169.254.169.254]/", CodeAddress},
		"to a number":               {"http://2852039166/", CodeAddress},
		"to a private network":      {"http://10.0.0.1/", CodeAddress},
		"to a file":                 {"file:///etc/passwd", CodeURL},
		"to gopher":                 {"gopher://127.0.0.1:70/_x", CodeURL},
		"to a script":               {"javascript:alert(1)", CodeURL},
		"to data":                   {"data:text/plain,a", CodeURL},
		"to a mail server":          {"http://127.0.0.1:25/", CodePort},
		"with a password":           {"http://user:pass@127.0.0.1/", CodeURL},
		"to an address with a zone": {"http://[fe80::1%25lo]/", CodeAddress},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", c.to)
				w.WriteHeader(http.StatusFound)
			})
			_, err := get(t, guard(t, loopback()).Client(ClientOptions{Redirects: 5}), s.URL)
			if fault.CodeOf(err) != c.code {
				t.Errorf("got %v, want code %s", err, c.code)
			}
		})
	}
}

func TestRedirectsAreCounted(t *testing.T) {
	t.Parallel()
	var requests seen
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.add(r)
		http.Redirect(w, r, fmt.Sprintf("/%d", len(requests.all())), http.StatusFound)
	})
	_, err := get(t, guard(t, loopback()).Client(ClientOptions{Redirects: 3}), s.URL)
	if fault.CodeOf(err) != CodeRedirect || len(requests.all()) != 4 {
		t.Errorf("got %v after %d requests, want a refusal after 4", err, len(requests.all()))
	}
	resp, err := get(t, guard(t, loopback()).Client(ClientOptions{}), s.URL)
	if err != nil || resp.StatusCode != http.StatusFound {
		t.Errorf("without redirects: got %v, want the redirect itself", err)
	}
	if _, err := get(t, guard(t, loopback()).Client(ClientOptions{Redirects: 1000}), s.URL); fault.CodeOf(err) != CodeRedirect {
		t.Errorf("1000 redirects: got %v, want a refusal", err)
	}
}

func TestRedirectsCarryNothingAway(t *testing.T) {
	t.Parallel()
	var requests seen
	other := serve(t, func(_ http.ResponseWriter, r *http.Request) { requests.add(r) })
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	for _, to := range []string{other.URL, elsewhere} {
		first := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) })
		if _, err := get(t, guard(t, loopback()).Client(ClientOptions{Redirects: 2}), first.URL, secrets...); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(requests.all()); n != 2 {
		t.Fatalf("got %d requests, want 2", n)
	}
	for _, r := range requests.all() {
		if got := leaks(r); got != nil || len(r.Header) != 2 { // Connection and User-Agent
			t.Errorf("another origin got %v of %v", got, r.Header)
		}
	}
}

func TestRedirectsThatComeBack(t *testing.T) {
	t.Parallel()
	var requests seen
	var home, away *httptest.Server
	home = serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.add(r)
		switch r.URL.Path {
		case "/":
			http.Redirect(w, r, "/here", http.StatusFound)
		case "/here":
			http.Redirect(w, r, away.URL, http.StatusFound)
		}
	})
	away = serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, home.URL+"/back", http.StatusFound) })
	if _, err := get(t, guard(t, loopback()).Client(ClientOptions{Redirects: 5}), home.URL, "X-Api-Key", "abc"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range requests.all() {
		got = append(got, r.URL.Path+"="+r.Header.Get("X-Api-Key")+r.Header.Get("Referer"))
	}
	if want := "/=abc /here=abc /back="; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestDowngradeDropsCredentials(t *testing.T) {
	t.Parallel()
	var requests seen
	plain := serve(t, func(_ http.ResponseWriter, r *http.Request) { requests.add(r) })
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain.URL, http.StatusFound) }))
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	c := guard(t, loopback()).Client(ClientOptions{Redirects: 1, Roots: roots})
	if _, err := get(t, c, secure.URL, secrets...); err != nil {
		t.Fatal(err)
	}
	if r := requests.all(); len(r) != 1 || leaks(r[0]) != nil {
		t.Errorf("got %d requests, with %v", len(r), leaks(r[0]))
	}
}

func TestBodiesStayAtTheirOrigin(t *testing.T) {
	t.Parallel()
	var requests seen
	other := serve(t, func(_ http.ResponseWriter, r *http.Request) { requests.add(r) })
	first := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, first.URL, strings.NewReader("secret"))
	if _, err := guard(t, loopback()).Client(ClientOptions{Redirects: 1}).Do(r); fault.CodeOf(err) != CodeRedirect || len(requests.all()) != 0 {
		t.Errorf("got %v and %d requests, want a refusal", err, len(requests.all()))
	}
}
