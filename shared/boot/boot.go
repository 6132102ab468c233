// Package boot turns a function's constructor into the handler that is registered: it builds the function on
// its first request, keeps what was built, tries again after a failure, answers GET /health, and lets a
// terminated instance finish what is in flight.
package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/web"
)

// grace is how long a terminated instance may go on: Cloud Run kills it 10 s after SIGTERM.
const grace = 8 * time.Second

// drainPoll is how often a terminated instance looks whether its last request is answered.
const drainPoll = 5 * time.Millisecond

// drainQuiet is how often in a row it must find none.
const drainQuiet = 4

// retryBuild is how long a client is asked to wait while a function cannot be built.
const retryBuild = 10 * time.Second

// Handler is a built function.
type Handler interface {
	http.Handler
	// Health returns why the function cannot do its work now, or nil.
	Health(ctx context.Context) error
	// Close finishes what the function keeps outside of requests, such as counts that are not reported yet.
	// No request is in flight when it is called.
	Close(ctx context.Context)
}

// Build makes a function from its settings. It may not rely on ctx after it returns.
type Build func(ctx context.Context, lookup env.Lookup, log *slog.Logger) (Handler, error)

// Lazy is a function that is built when it is first needed. Make it with New.
type Lazy struct {
	name   string
	build  Build
	lookup env.Lookup
	log    *slog.Logger

	ready    atomic.Pointer[Handler]
	mu       sync.Mutex
	inFlight atomic.Int64
}

// New returns the handler of the function called name. Nothing is built, read or opened yet.
func New(name string, build Build, lookup env.Lookup, log *slog.Logger) *Lazy {
	return &Lazy{name: name, build: build, lookup: lookup, log: log.With("function", name)}
}

// ServeHTTP builds the function if need be and passes the request to it. While it cannot be built, requests
// are answered 503 with what is wrong.
func (l *Lazy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.inFlight.Add(1)
	defer l.inFlight.Add(-1)
	web.Handler(l.log, l.serve).ServeHTTP(w, r)
}

func (l *Lazy) serve(w http.ResponseWriter, r *http.Request) error {
	h, err := l.get(r.Context())
	if err != nil {
		return err
	}
	if r.URL.Path == "/health" {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return fault.New(fault.Method, "use GET for /health")
		}
		if err := h.Health(r.Context()); err != nil {
			return fmt.Errorf("health of %s: %w", l.name, err)
		}
		return web.JSON(w, http.StatusOK, map[string]string{"status": "ok", "function": l.name})
	}
	h.ServeHTTP(w, r)
	return nil
}

// Health reports why the function cannot work now, building it if need be.
func (l *Lazy) Health(ctx context.Context) error {
	h, err := l.get(ctx)
	if err != nil {
		return err
	}
	return h.Health(ctx)
}

// get returns the built function, or builds it. A failure is not kept: the next request tries again.
func (l *Lazy) get(ctx context.Context) (Handler, error) {
	if h := l.ready.Load(); h != nil {
		return *h, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.ready.Load(); h != nil {
		return *h, nil
	}
	h, err := l.build(context.WithoutCancel(ctx), l.lookup, l.log)
	if err != nil {
		var f *fault.Error
		if errors.As(err, &f) && f.Kind == fault.NotConfigured {
			return nil, fault.Wrap(f.Cause, f.Kind, "%s is not configured: %s", l.name, f.Detail).After(retryBuild)
		}
		return nil, fault.Wrap(err, fault.Unavailable, "%s cannot start", l.name).After(retryBuild)
	}
	l.ready.Store(&h)
	l.log.InfoContext(ctx, "function is ready", "version", version())
	return h, nil
}

// version returns the commit that the program was built from, "unknown" where the build does not say.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "unknown"
}

// Drain waits until no request is in flight, then closes the function. It gives up when ctx ends.
func (l *Lazy) Drain(ctx context.Context) {
	poll := time.NewTicker(drainPoll)
	defer poll.Stop()
	// The server sends the end of an answer after the handler has returned, so one quiet look is not enough.
	for quiet := 0; quiet < drainQuiet; quiet++ {
		n := l.inFlight.Load()
		if n > 0 {
			quiet = -1
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			if n > 0 {
				l.log.WarnContext(ctx, "terminated with requests in flight", "requests", n)
				return
			}
			quiet = drainQuiet
		}
	}
	if h := l.ready.Load(); h != nil {
		(*h).Close(ctx)
	}
}

// Terminating returns a handler that, from its first request on, lets SIGTERM finish what is in flight in l
// before the process exits. The Functions Framework's server would be killed at once. A signal before the
// first request finds nothing to finish and is left to the system.
func (l *Lazy) Terminating() http.HandlerFunc {
	var once sync.Once
	return func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() {
			term := make(chan os.Signal, 1)
			signal.Notify(term, syscall.SIGTERM)
			go func() {
				<-term
				ctx, cancel := context.WithTimeout(context.Background(), grace)
				defer cancel()
				l.Drain(ctx)
				os.Exit(0)
			}()
		})
		l.ServeHTTP(w, r)
	}
}
