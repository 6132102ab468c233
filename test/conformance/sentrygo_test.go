package conformance

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getsentry/sentry-go"
)

// flushTime is how long an SDK may take to send what it has gathered.
const flushTime = 30 * time.Second

func TestSentryGo(t *testing.T) {
	t.Parallel()
	t.Run("with the usual transport", func(t *testing.T) {
		t.Parallel()
		s := newSentryGo(t, "sentry-go", sentry.ClientOptions{EnableTracing: true, TracesSampleRate: 1})
		s.captureAll(t)
		s.captureInTransaction(t)
		s.captureAtOnce(t)
		s.check(t)
		for _, kind := range []string{"transaction", "attachment"} {
			if s.wire.others[kind] == 0 {
				t.Errorf("no %s was sent, %v were: the test shows less than it says", kind, s.wire.others)
			}
		}
	})
	t.Run("with the older transport", func(t *testing.T) {
		t.Parallel()
		s := newSentryGo(t, "sentry-go-older", sentry.ClientOptions{AttachStacktrace: true, DisableTelemetryBuffer: true})
		s.captureAll(t)
		s.check(t)
	})
	t.Run("with the synchronous transport", func(t *testing.T) {
		t.Parallel()
		s := newSentryGo(t, "sentry-go-sync", sentry.ClientOptions{Transport: sentry.NewHTTPSyncTransport()})
		s.captureAll(t)
		s.check(t)
	})
	t.Run("with an event over the limit", func(t *testing.T) {
		t.Parallel()
		s := newSentryGo(t, "sentry-go-over", sentry.ClientOptions{Transport: sentry.NewHTTPSyncTransport()})
		s.hub.Scope().SetContext("over", sentry.Context{"text": strings.Repeat("over the limit ", 200_000)})
		id := s.hub.CaptureMessage("larger than an event may be")
		s.hub.Scope().RemoveContext("over")
		s.note("the next one", s.hub.CaptureMessage("as usual"), expected{message: "as usual", level: "info"})
		s.check(t)
		if got := s.wire.answers[string(*id)]; got != http.StatusRequestEntityTooLarge {
			t.Errorf("the answer to 3 MB is %d, want 413: an SDK must not take it for success", got)
		}
	})
}

// sentryGo is a program that uses the SDK.
type sentryGo struct {
	hub     *sentry.Hub
	wire    *recorder
	release string
	mu      sync.Mutex
	events  []sent
}

// expected is what of a stored event is known before it is sent.
type expected struct {
	message, level string
	top            string
	more           map[string]any
}

// newSentryGo sets up the SDK for the platform.
func newSentryGo(t *testing.T, name string, options sentry.ClientOptions) *sentryGo {
	t.Helper()
	s := &sentryGo{wire: newRecorder(), release: name + "@" + sentry.SDKVersion}
	options.Dsn, options.Release, options.HTTPTransport = mesher.DSN, s.release, s.wire
	options.Environment, options.ServerName = "conformance", "test.example"
	client, err := sentry.NewClient(options)
	if err != nil {
		t.Fatal(err)
	}
	s.hub = sentry.NewHub(client, sentry.NewScope())
	return s
}

// note keeps what the SDK says it has sent.
func (s *sentryGo) note(name string, id *sentry.EventID, e expected) {
	want := map[string]any{"release": s.release, "environment": "conformance", "server_name": "test.example"}
	for key, value := range e.more {
		want[key] = value
	}
	if e.message != "" {
		want["message"] = e.message
	}
	if e.level != "" {
		want["level"] = e.level
	}
	reported := "none"
	if id != nil {
		reported = string(*id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, sent{Name: name, ID: reported, Want: want, Top: e.top})
}

// check sends what is left and looks at all of it.
func (s *sentryGo) check(t *testing.T) {
	t.Helper()
	s.flush(t)
	s.wire.mu.Lock()
	defer s.wire.mu.Unlock()
	if s.wire.err != nil {
		t.Error(s.wire.err)
	}
	for i := range s.events {
		e := &s.events[i]
		if e.Event = s.wire.events[e.ID]; e.Event == nil {
			t.Errorf("%s: the SDK did not send the event %s", e.Name, e.ID)
		}
		if got := s.wire.answers[e.ID]; got != http.StatusOK {
			t.Errorf("%s: the answer is %d, want 200", e.Name, got)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	check(t, s.release, s.events)
}

// captureAll runs every scenario, each with a scope of its own.
func (s *sentryGo) captureAll(t *testing.T) {
	t.Helper()
	for _, scenario := range sentryGoScenarios() {
		hub := s.hub.Clone()
		s.note(scenario.name, scenario.capture(hub), scenario.expected)
	}
}

// captureInTransaction captures an error while a transaction is open, which is sent but becomes no event.
func (s *sentryGo) captureInTransaction(t *testing.T) {
	t.Helper()
	ctx := sentry.SetHubOnContext(t.Context(), s.hub.Clone())
	transaction := sentry.StartTransaction(ctx, "POST /orders")
	span := sentry.StartSpan(transaction.Context(), "db.query")
	hub := sentry.GetHubFromContext(span.Context())
	hub.Scope().SetSpan(span)
	id := hub.CaptureException(errPlain)
	span.Finish()
	transaction.Finish()
	s.note("an error within a transaction", id, expected{
		level: "error",
		more: map[string]any{
			"trace_id": transaction.TraceID.String(),
			"contexts": map[string]any{"trace": map[string]any{"span_id": span.SpanID.String(), "op": "db.query"}},
		},
	})
}

// captureAtOnce captures from many goroutines, as a busy server does. The SDK holds up to 100 events and drops more.
func (s *sentryGo) captureAtOnce(t *testing.T) {
	t.Helper()
	for range 4 {
		s.flush(t)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				hub := s.hub.Clone()
				for range 8 {
					s.note("one of many", hub.CaptureException(context.DeadlineExceeded), expected{level: "error"})
				}
			})
		}
		all.Wait()
	}
}

func (s *sentryGo) flush(t *testing.T) {
	t.Helper()
	if !s.hub.Flush(flushTime) {
		t.Fatal("the SDK could not send everything")
	}
}
