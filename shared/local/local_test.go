package local

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/local/cluster"
	"github.com/mesherhq/mesher/shared/topic"
)

// patience bounds every wait for something that has to come.
const patience = 60 * time.Second

// probe is a function that says who it is and remembers what it is pushed.
type probe struct {
	name string

	mu     sync.Mutex
	lookup env.Lookup
	got    []string
}

func (p *probe) build(_ context.Context, lookup env.Lookup, _ *slog.Logger) (boot.Handler, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lookup = lookup
	return p, nil
}

func (p *probe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if m, err := topic.DecodePush(body); err == nil {
		p.mu.Lock()
		p.got = append(p.got, string(m.Data))
		p.mu.Unlock()
	}
	fmt.Fprintf(w, "%s %s", p.name, r.URL.Path)
}

func (*probe) Health(context.Context) error { return nil }
func (*probe) Close(context.Context)        {}

// taken returns what was pushed.
func (p *probe) taken() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.got, ",")
}

// setting returns a setting as the function sees it, "-" when it is not set.
func (p *probe) setting(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if value, ok := p.lookup(name); ok {
		return value
	}
	return "-"
}

// newHome returns an empty folder for a platform, which the server's user can reach also when root runs the test.
func newHome(t *testing.T) string {
	t.Helper()
	home, err := os.MkdirTemp("", "mesher-home-") //nolint:usetesting // the server's user cannot reach t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Remove(context.Background(), filepath.Join(home, "postgres")); err != nil {
			t.Errorf("remove the database: %v", err)
		}
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(home, 0o711); err != nil {
		t.Fatal(err)
	}
	return home
}

// options returns those of a platform with the functions, in the time that now tells.
func options(home string, now clock.Clock, settings map[string]string, functions ...Function) Options {
	return Options{
		Home: home, Functions: functions, Lookup: env.Map(settings), Log: slog.New(slog.DiscardHandler),
		Progress: func(string, ...any) {}, DatabaseLog: io.Discard, Now: now,
	}
}

// run starts a platform with the functions.
func run(t *testing.T, settings map[string]string, functions ...Function) *Platform {
	t.Helper()
	p := startIn(t, newHome(t), nil, settings, functions...)
	t.Cleanup(func() { p.Stop(context.Background()) })
	return p
}

// startIn starts it in a home; it is the test's to stop it.
func startIn(t *testing.T, home string, now clock.Clock, settings map[string]string, functions ...Function) *Platform {
	t.Helper()
	p, err := Start(t.Context(), options(home, now, settings, functions...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestPlatform(t *testing.T) {
	t.Parallel()
	events, people, store, notify := &probe{name: "Events"}, &probe{name: "People"}, &probe{name: "Store"}, &probe{name: "Notify"}
	api := &probe{name: "API"}
	p := run(t, map[string]string{"AUTH_URL": "http://elsewhere", "EVENTS_TOPIC": "elsewhere", "REGISTRATION": "", "INGEST_CONCURRENCY": "7"},
		Function{Name: "Events", Path: "POST /v1/events", Role: "mesher_ingest", Build: events.build},
		Function{Name: "People", Path: "ANY /auth/", Role: "mesher_app", Build: people.build},
		Function{Name: "API", Path: "/api/v1/", Role: "mesher_app", Build: api.build},
		Function{Name: "Store", Topic: "events", Role: "mesher_store", Build: store.build},
		Function{Name: "Notify", Topic: "notifications", Role: "mesher_app", Build: notify.build})

	t.Run("serves a function at its path and below", func(t *testing.T) {
		for path, want := range map[string]string{
			"/v1/events": "Events", "/v1/events/x": "Events", "/auth": "People", "/auth/": "People", "/auth/v1/login": "People",
			"/v1/logs": "Events", "/v1/traces/": "Events", "/heartbeat/mshb_x/start": "Events", "/tunnel": "Events", "/tunnel/a/b": "Events", "/a/tunnel/": "Events",
			"/api/1/envelope/": "Events", "/a/b-c/api/12/store/": "Events", "/api/99999999999999999999/x": "Events",
			"//api/1/envelope/": "Events", "/auth/api/1/envelope/": "People", "/api/v1/": "API", "/api/v1/x/api/1/envelope/": "API",
		} {
			if status, body := get(t, p.Info.URL+path); status != http.StatusOK || body != want+" "+path {
				t.Errorf("%s is answered %d, %s; want %s", path, status, body, want)
			}
		}
		for path, want := range map[string]int{
			"/": http.StatusNotFound, "/authors": http.StatusNotFound, "/v1": http.StatusNotFound, "/tunnels": http.StatusNotFound, "/heartbeats": http.StatusNotFound,
			"/api/1x/envelope/": http.StatusNotFound, "/api/envelope/": http.StatusNotFound, "/push/notify": http.StatusForbidden,
		} {
			if status, body := get(t, p.Info.URL+path); status != want {
				t.Errorf("%s is answered %d, %s; want %d", path, status, body, want)
			}
		}
	})
	t.Run("pushes the messages of a topic to its function", func(t *testing.T) {
		for _, name := range []string{"events", "notifications"} {
			pub, err := topic.Open(t.Context(), topic.Config{Project: project, EmulatorHost: p.opts.PubSub, EmulatorToken: p.queueToken}, name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := pub.Publish(t.Context(), topic.Message{Data: []byte(name)}); err != nil {
				t.Errorf("publish to %s: %v", name, err)
			}
			if err := pub.Close(); err != nil {
				t.Error(err)
			}
		}
		for deadline := time.Now().Add(patience); store.taken() == "" || notify.taken() == ""; {
			if time.Now().After(deadline) {
				t.Fatal("a message is not pushed")
			}
			time.Sleep(5 * time.Millisecond)
		}
		if store.taken() != "events" || notify.taken() != "notifications" {
			t.Errorf("Store was pushed %q, Notify %q", store.taken(), notify.taken())
		}
	})
	t.Run("sets what Terraform sets", func(t *testing.T) {
		if status, body := get(t, p.Info.URL+"/health"); status != http.StatusOK { // builds all
			t.Fatalf("health is %d, %s", status, body)
		}
		for _, f := range []*probe{events, people, store, notify} {
			for name, want := range map[string]string{
				"AUTH_URL": p.Info.URL, "API_URL": p.Info.URL, "EVENTS_TOPIC": "events", "NOTIFICATIONS_TOPIC": "notifications",
				"FORWARDED_HOPS": "0", "REGISTRATION": "open", "MAIL_DIR": filepath.Join(p.opts.Home, "mail"),
				"INGEST_CONCURRENCY": "7", "DATABASE_POOL_SIZE": "6", "SMTP_URL": "-", "GOOGLE_CLOUD_PROJECT": project,
			} {
				if got := f.setting(name); got != want {
					t.Errorf("%s has %s=%q, want %q", f.name, name, got, want)
				}
			}
			role := "//mesher_app:"
			switch f {
			case events:
				role = "//mesher_ingest:"
			case store:
				role = "//mesher_store:"
			}
			if url := f.setting("DATABASE_URL"); !strings.Contains(url, role) {
				t.Errorf("%s connects as another role than %s", f.name, role)
			}
		}
	})
}

func TestUsual_LeavesMailsToTheirServer(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]bool{"": true, "smtp://127.0.0.1:1025": false} {
		p := &Platform{opts: Options{Home: "/home", Lookup: env.Map(map[string]string{"SMTP_URL": server})}}
		if _, ok := p.usual()["MAIL_DIR"]; ok != want {
			t.Errorf("with SMTP_URL=%q there is a MAIL_DIR: %t", server, ok)
		}
	}
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"POST /v1/events": "/v1/events", "/auth/": "/auth", "ANY /auth/": "/auth", "/api/v1/": "/api/v1", "GET, POST /a": "/a", "POST /": "",
	} {
		if got := prefix(in); got != want {
			t.Errorf("%q is served at %q, want %q", in, got, want)
		}
	}
}
