//go:build conformance

package conformance

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSentryBrowser(t *testing.T) {
	t.Parallel()
	chromium := browser(t)
	script := filepath.Join(t.TempDir(), "browser.js")
	run(t, "js", "node", "build.mjs", script)
	for mode, kinds := range map[string][]string{
		"usual":  {"event", "attachment", "session", "feedback", "replay_event"},
		"tunnel": {"event", "attachment", "session", "feedback"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			checkDriven(t, visit(t, chromium, mode, script), kinds...)
		})
	}
}

// browser returns the path of Chromium, or skips the test where there is none and nobody insists.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	missing(t, "Chromium is not installed (Debian: apt-get install chromium)")
	return ""
}

// missing skips a test for which this machine lacks something; with CONFORMANCE_STRICT=1 the test fails.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CONFORMANCE_STRICT") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// visit opens the page in a browser and returns what it reports when it was left. The page comes from another
// origin than the platform.
func visit(t *testing.T, chromium, mode, script string) []byte {
	t.Helper()
	result := make(chan []byte, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		writePage(w, `<!doctype html><html data-mode="`+mode+`"><title>shop</title><script type="module" src="/browser.js"></script></html>`)
	})
	mux.HandleFunc("GET /browser.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, script) })
	mux.HandleFunc("GET /settings", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"dsn": mesher.DSN, "tunnel": mesher.URL + "/tunnel"})
	})
	mux.HandleFunc("GET /left", func(w http.ResponseWriter, _ *http.Request) {
		writePage(w, `<!doctype html><script>fetch('/result', {method: 'POST', body: sessionStorage.getItem('result')})</script>`)
	})
	mux.HandleFunc("POST /result", func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			result <- body
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	said := open(t, chromium, strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
	select {
	case body := <-result:
		var failed struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal(body, &failed); err != nil || failed.Error != "" {
			t.Fatalf("the page failed: %v %s\n%s", err, failed.Error, said)
		}
		return body
	case <-time.After(patience):
		t.Fatalf("the page reports nothing within %s; Chromium wrote:\n%s", patience, said)
		return nil
	}
}

func writePage(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, text) // the browser that has gone needs no page
}

// open starts a browser without a window, which ends with the test, and returns what it writes.
func open(t *testing.T, chromium, address string) *output {
	t.Helper()
	profile, err := os.MkdirTemp("", "mesher-browser-") //nolint:usetesting // what a killed browser leaves must not fail the test
	if err != nil {
		t.Fatal(err)
	}
	said := new(output)
	cmd := exec.Command(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--user-data-dir="+profile, address)
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // it was killed
		if err := os.RemoveAll(profile); err != nil {
			t.Logf("remove the browser's profile: %v", err)
		}
	})
	return said
}
