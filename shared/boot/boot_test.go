package boot_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
)

// helperSetting turns the test binary into a deployed function.
const helperSetting = "MESHER_BOOT_TEST_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperSetting) != "" {
		helper()
	}
	os.Exit(m.Run())
}

// function is a built function of a test.
type function struct {
	serve  http.HandlerFunc
	health error
	closed atomic.Int64
}

func (f *function) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.serve(w, r) }
func (f *function) Health(context.Context) error                     { return f.health }
func (f *function) Close(context.Context)                            { f.closed.Add(1) }

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// builds returns a Build of f.
func builds(f *function) boot.Build {
	return func(context.Context, env.Lookup, *slog.Logger) (boot.Handler, error) { return f, nil }
}

func do(l http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	l.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestLazy_BuildsOnce(t *testing.T) {
	t.Parallel()
	const requests = 50
	var built, begun atomic.Int64
	all := make(chan struct{})
	f := &function{serve: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }}
	l := boot.New("Test", func(context.Context, env.Lookup, *slog.Logger) (boot.Handler, error) {
		built.Add(1)
		<-all // others come meanwhile
		return f, nil
	}, nil, discard())
	if built.Load() != 0 {
		t.Error("it is built before the first request")
	}
	var wg sync.WaitGroup
	for range requests {
		wg.Go(func() {
			if begun.Add(1) == requests {
				close(all)
			}
			if w := do(l, http.MethodPost, "/"); w.Code != http.StatusTeapot {
				t.Errorf("status %d", w.Code)
			}
		})
	}
	wg.Wait()
	if built.Load() != 1 {
		t.Errorf("built %d times", built.Load())
	}
}

func TestLazy_TriesAgain(t *testing.T) {
	t.Parallel()
	f := &function{serve: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }}
	tries := 0
	l := boot.New("Test", func(ctx context.Context, _ env.Lookup, _ *slog.Logger) (boot.Handler, error) {
		tries++
		switch tries {
		case 1:
			return nil, errors.New("dial 10.0.0.1: secret cause")
		case 2:
			panic("secret cause")
		}
		if ctx.Done() != nil {
			t.Error("what is built lives longer than the request that needed it first")
		}
		return f, nil
	}, nil, discard())
	for i, want := range []int{http.StatusServiceUnavailable, http.StatusInternalServerError, http.StatusTeapot, http.StatusTeapot} {
		w := do(l, http.MethodPost, "/")
		if w.Code != want || strings.Contains(w.Body.String(), "secret cause") {
			t.Errorf("request %d: status %d, want %d: %s", i, w.Code, want, w.Body)
		}
		if want == http.StatusServiceUnavailable && w.Header().Get("Retry-After") != "10" {
			t.Errorf("Retry-After = %q", w.Header().Get("Retry-After"))
		}
	}
	if tries != 3 {
		t.Errorf("built %d times, want 3", tries)
	}
}

func TestLazy_NamesTheMissingSetting(t *testing.T) {
	t.Parallel()
	settings := map[string]string{}
	build := func(_ context.Context, lookup env.Lookup, _ *slog.Logger) (boot.Handler, error) {
		var c struct {
			URL string `env:"SOME_URL"`
		}
		if err := env.Read(lookup, &c); err != nil {
			return nil, fmt.Errorf("settings: %w", err)
		}
		if c.URL != "good" {
			return nil, fault.Wrap(errors.New("/home/secret.json is unreadable"), fault.NotConfigured, "SOME_URL leads nowhere")
		}
		return &function{serve: func(http.ResponseWriter, *http.Request) {}}, nil
	}
	l := boot.New("Test", build, env.Map(settings), discard())
	for _, tt := range []struct {
		set, want string
		status    int
	}{
		{"", `"detail":"Test is not configured: missing setting SOME_URL"`, http.StatusServiceUnavailable},
		{"bad", `"detail":"Test is not configured: SOME_URL leads nowhere"`, http.StatusServiceUnavailable},
		{"good", "", http.StatusOK},
	} {
		settings["SOME_URL"] = tt.set
		for _, path := range []string{"/", "/health"} {
			method := map[string]string{"/": http.MethodPost, "/health": http.MethodGet}[path]
			w := do(l, method, path)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("%s with %q: %d %s", path, tt.set, w.Code, w.Body)
			}
			if tt.status != http.StatusOK && !strings.Contains(w.Body.String(), `"code":"not_configured"`) {
				t.Errorf("%s with %q: %s", path, tt.set, w.Body)
			}
		}
	}
}

func TestLazy_Health(t *testing.T) {
	t.Parallel()
	f := &function{serve: func(http.ResponseWriter, *http.Request) { t.Error("/health reached the function") }}
	l := boot.New("Test", builds(f), nil, discard())
	for _, tt := range []struct {
		method string
		health error
		status int
	}{
		{http.MethodGet, nil, http.StatusOK},
		{http.MethodHead, nil, http.StatusOK},
		{http.MethodPost, nil, http.StatusMethodNotAllowed},
		{http.MethodGet, fault.New(fault.Unavailable, "the database is away"), http.StatusServiceUnavailable},
	} {
		f.health = tt.health
		if w := do(l, tt.method, "/health"); w.Code != tt.status {
			t.Errorf("%s with %v: %d %s", tt.method, tt.health, w.Code, w.Body)
		}
		if err := l.Health(t.Context()); !errors.Is(err, tt.health) {
			t.Errorf("Health = %v, want %v", err, tt.health)
		}
	}
}

func TestLazy_Drain(t *testing.T) {
	t.Parallel()
	t.Run("waits for what is in flight, then closes", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			f := &function{}
			f.serve = func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(3 * time.Second)
				if f.closed.Load() != 0 {
					t.Error("closed with a request in flight")
				}
				w.WriteHeader(http.StatusTeapot)
			}
			l := boot.New("Test", builds(f), nil, discard())
			var wg sync.WaitGroup
			wg.Go(func() {
				if w := do(l, http.MethodPost, "/"); w.Code != http.StatusTeapot {
					t.Errorf("status %d", w.Code)
				}
			})
			synctest.Wait()
			start := time.Now()
			l.Drain(t.Context())
			if took := time.Since(start); f.closed.Load() != 1 || took < 3*time.Second || took > 4*time.Second {
				t.Errorf("closed %d times after %s", f.closed.Load(), took)
			}
			wg.Wait()
		})
	})
	t.Run("gives up in time and does not pull the rug from under a request", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			f := &function{serve: func(http.ResponseWriter, *http.Request) { time.Sleep(time.Minute) }}
			l := boot.New("Test", builds(f), nil, discard())
			go do(l, http.MethodPost, "/")
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
			defer cancel()
			start := time.Now()
			l.Drain(ctx)
			if took := time.Since(start); took != 8*time.Second || f.closed.Load() != 0 {
				t.Errorf("closed %d times after %s", f.closed.Load(), took)
			}
			time.Sleep(time.Minute)
		})
	})
	t.Run("has nothing to close when nothing was built", func(t *testing.T) {
		t.Parallel()
		f := &function{}
		boot.New("Test", builds(f), nil, discard()).Drain(t.Context())
		if f.closed.Load() != 0 {
			t.Error("closed what was never built")
		}
	})
	t.Run("counts a request that panics as ended", func(t *testing.T) {
		t.Parallel()
		f := &function{serve: func(http.ResponseWriter, *http.Request) { panic("bug") }}
		l := boot.New("Test", builds(f), nil, discard())
		if w := do(l, http.MethodPost, "/"); w.Code != http.StatusInternalServerError {
			t.Errorf("status %d", w.Code)
		}
		l.Drain(t.Context())
		if f.closed.Load() != 1 {
			t.Errorf("closed %d times", f.closed.Load())
		}
	})
}

// helper serves a function as the Functions Framework does: with a bare server that knows no way to stop.
func helper() {
	var said sync.Mutex
	say := func(what string) {
		said.Lock()
		defer said.Unlock()
		fmt.Println(what)
	}
	f := &talker{say: say}
	l := boot.New("Test", func(context.Context, env.Lookup, *slog.Logger) (boot.Handler, error) { return f, nil },
		env.OS, discard())
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		say("signal")
	}()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	say(listener.Addr().String())
	panic(http.Serve(listener, l.Terminating()))
}

// talker says what happens to it, and answers a request when it has read its body.
type talker struct{ say func(string) }

func (*talker) Health(context.Context) error { return nil }
func (f *talker) Close(context.Context)      { f.say("closed") }
func (f *talker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.say("request")
	body, _ := io.ReadAll(r.Body)
	_, _ = w.Write(bytes.ToUpper(body))
}

func TestTerminating_FinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), helperSetting+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	next := func(want string) string {
		t.Helper()
		if !lines.Scan() || want != "" && lines.Text() != want {
			t.Fatalf("the server said %q, want %q", lines.Text(), want)
		}
		return lines.Text()
	}
	conn, err := net.Dial("tcp", next(""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello")
	next("request")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	next("signal")
	fmt.Fprint(conn, "world") // the rest of a slow body
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("the request in flight was not answered: %v", err)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "HELLOWORLD" || err != nil {
		t.Errorf("answer %q, %v", body, err)
	}
	next("closed")
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v, want status 0", err)
	}
}
