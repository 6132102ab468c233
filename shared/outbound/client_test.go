package outbound

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
)

// loopback are the settings of a test whose servers listen there.
func loopback() Config { return Config{Allow: "127.0.0.0/8,::1/128"} }

func guard(t testing.TB, c Config) *Guard {
	t.Helper()
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// serve starts a server for the test.
func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func get(t testing.TB, c *http.Client, url string, headers ...string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(r)
	if err == nil {
		t.Cleanup(func() { resp.Body.Close() })
	}
	return resp, err
}

func TestClientRefuses(t *testing.T) {
	t.Parallel()
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())

	t.Run("loopback unless it is allowed", func(t *testing.T) {
		t.Parallel()
		if _, err := get(t, guard(t, Config{}).Client(ClientOptions{}), s.URL); fault.CodeOf(err) != CodeAddress {
			t.Errorf("got %v, want refused", err)
		}
		if _, err := get(t, guard(t, loopback()).Client(ClientOptions{}), s.URL); err != nil {
			t.Error(err)
		}
		if _, err := get(t, guard(t, loopback()).Client(ClientOptions{}), "http://localhost:"+port); err != nil {
			t.Error(err)
		}
	})

	t.Run("headers of the connection, and of metadata servers", func(t *testing.T) {
		t.Parallel()
		c := guard(t, loopback()).Client(ClientOptions{})
		for _, name := range []string{
			"Metadata-Flavor", "metadata-flavor", "Proxy-Authorization", "Proxy-Anything", "Connection", "Transfer-Encoding",
			"Content-Length", "Upgrade", "TE", "X-Aws-Ec2-Metadata-Token", "Metadata", "Bad Name", "Bad\r\nName",
		} {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
			r.Header[name] = []string{"secret"}
			_, err := c.Do(r)
			if fault.CodeOf(err) != CodeHeader || strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: got %v, want refused without the value", name, err)
			}
		}
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		r.Host = "other.example"
		if _, err := c.Do(r); fault.CodeOf(err) != CodeHeader {
			t.Errorf("another Host: got %v, want refused", err)
		}
		if err := CheckHeader("X-A", "a\r\nB: c"); fault.CodeOf(err) != CodeHeader || strings.Contains(err.Error(), "B: c") {
			t.Errorf("a line break: got %v, want refused", err)
		}
	})
}

func TestClientIgnoresProxies(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header) })
	if _, err := get(t, guard(t, loopback()).Client(ClientOptions{}), s.URL); err != nil {
		t.Error(err)
	}
}

func TestBody(t *testing.T) {
	t.Parallel()
	zip := func(data []byte) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(data) // into memory
		_ = w.Close()
		return b.Bytes()
	}
	endless := func(w http.ResponseWriter, part []byte) {
		for {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	}
	for name, c := range map[string]struct {
		encoding string
		write    func(w http.ResponseWriter)
		want     string
		code     string
	}{
		"nothing":              {"", func(http.ResponseWriter) {}, "", ""},
		"as large as allowed":  {"", func(w http.ResponseWriter) { w.Write(bytes.Repeat([]byte("a"), 1000)) }, strings.Repeat("a", 1000), ""},
		"one byte more":        {"", func(w http.ResponseWriter) { w.Write(bytes.Repeat([]byte("a"), 1001)) }, strings.Repeat("a", 1000), CodeTooLarge},
		"without an end":       {"", func(w http.ResponseWriter) { endless(w, bytes.Repeat([]byte("a"), 4096)) }, strings.Repeat("a", 1000), CodeTooLarge},
		"compressed":           {"gzip", func(w http.ResponseWriter) { w.Write(zip([]byte("hello"))) }, "hello", ""},
		"compressed, in full":  {"x-gzip", func(w http.ResponseWriter) { w.Write(zip(bytes.Repeat([]byte("a"), 1000))) }, strings.Repeat("a", 1000), ""},
		"a bomb":               {"GZIP", func(w http.ResponseWriter) { w.Write(zip(make([]byte, 4<<20))) }, strings.Repeat("\x00", 1000), CodeTooLarge},
		"a bomb of nothing":    {"gzip", func(w http.ResponseWriter) { endless(w, zip(nil)) }, "", CodeTooLarge},
		"an encoding unknown":  {"br", func(w http.ResponseWriter) { w.Write([]byte("raw")) }, "raw", ""},
		"not what it says":     {"gzip", func(w http.ResponseWriter) { w.Write([]byte("plain")) }, "", "internal"},
		"compressed, in parts": {"gzip", func(w http.ResponseWriter) { w.Write(zip([]byte("a"))); w.Write(zip([]byte("b"))) }, "ab", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.encoding != "" {
					w.Header().Set("Content-Encoding", c.encoding)
				}
				c.write(w)
			})
			resp, err := get(t, guard(t, loopback()).Client(ClientOptions{Body: 1000}), s.URL)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			if string(got) != c.want {
				t.Errorf("got %d bytes, want %d", len(got), len(c.want))
			}
			if err == nil != (c.code == "") || err != nil && fault.CodeOf(err) != c.code {
				t.Errorf("got %v, want code %q", err, c.code)
			}
		})
	}
}

func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	l := listen(t, func(c net.Conn) {
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\n")
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(c, "X-%d: %s\r\n", i, strings.Repeat("a", 1000)); err != nil {
				return
			}
		}
	})
	if _, err := get(t, guard(t, loopback()).Client(ClientOptions{}), "http://"+l); err == nil || !strings.Contains(err.Error(), "header") {
		t.Errorf("got %v, want too many headers", err)
	}
}

// listen answers every connection in its own way and returns where.
func listen(t testing.TB, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				answer(c)
			}()
		}
	}()
	return l.Addr().String()
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	drip := listen(t, func(c net.Conn) {
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\n\r\n")
		for {
			if _, err := c.Write([]byte("a")); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	resp, err := get(t, guard(t, loopback()).Client(ClientOptions{Timeout: 200 * time.Millisecond}), "http://"+drip)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err == nil || !isTimeout(err) {
		t.Errorf("got %v, want a timeout", err)
	}
}

func TestServerThatSpeaksFirst(t *testing.T) {
	var logged bytes.Buffer
	log.SetOutput(&logged)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	greets := listen(t, func(c net.Conn) {
		fmt.Fprint(c, "220 secret greeting\r\n")
		_, _ = io.Copy(io.Discard, c)
	})
	for range 20 {
		if _, err := get(t, guard(t, loopback()).Client(ClientOptions{}), "http://"+greets); err == nil {
			t.Error("a greeting is taken for an answer")
		}
	}
	if logged.Len() > 0 {
		t.Errorf("the log holds %q", logged.String())
	}
}

func isTimeout(err error) bool {
	n, ok := err.(net.Error) //nolint:errorlint // what a body returns is not wrapped
	return ok && n.Timeout()
}

func TestTrace(t *testing.T) {
	t.Parallel()
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	ctx, trace := WithTrace(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	resp, err := guard(t, loopback()).Client(ClientOptions{}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := trace.Address(); got != netip.MustParseAddrPort(s.Listener.Addr().String()) || trace.Connect() <= 0 || trace.DNS() != 0 {
		t.Errorf("got %s, connect %s, DNS %s", got, trace.Connect(), trace.DNS())
	}
}
