package pubsub

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/topic"
)

const (
	project   = "local-test"
	storeName = "projects/local-test/subscriptions/store"
	holdName  = "projects/local-test/subscriptions/events-dead-letter-hold"
	// patience is how long a test waits for what must happen; it is only used up by a failure.
	patience = 30 * time.Second
)

// endpoint is a push endpoint that answers what the test says and records what it acknowledged.
type endpoint struct {
	*httptest.Server
	got chan topic.Message

	mu    sync.Mutex
	acked []topic.Message
}

// newEndpoint starts an endpoint. answer returns the status; it may block until the request's context ends.
func newEndpoint(t testing.TB, answer func(ctx context.Context, m topic.Message) int) *endpoint {
	t.Helper()
	e := &endpoint{got: make(chan topic.Message, 100_000)}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		m, err := topic.DecodePush(body)
		if err != nil {
			t.Errorf("push body: %v", err)
		}
		status := answer(r.Context(), m)
		if status == http.StatusNoContent {
			e.mu.Lock()
			e.acked = append(e.acked, m)
			e.mu.Unlock()
		}
		w.WriteHeader(status)
		e.got <- m
	}))
	t.Cleanup(e.Close)
	return e
}

func ack(context.Context, topic.Message) int { return http.StatusNoContent }

// order returns the payloads acknowledged so far for a key, in order.
func (e *endpoint) order(key string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, m := range e.acked {
		if m.OrderingKey == key {
			out = append(out, string(m.Data))
		}
	}
	return out
}

// next returns the next delivery that was answered.
func (e *endpoint) next(t testing.TB) topic.Message {
	t.Helper()
	select {
	case m := <-e.got:
		return m
	case <-time.After(patience):
		t.Fatal("no message arrived")
		return topic.Message{}
	}
}

// open starts a server on a file; it is closed with the test.
func open(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "queue.db")
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, s) })
	return s
}

// shut closes a server, once.
func shut(t testing.TB, s *Server) {
	t.Helper()
	if s.alive.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

// quick is a topology for tests: the shortest pauses.
func quick(url string) Topology {
	return Topology{Endpoint: url, AckDeadline: 10 * time.Second, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond}
}

func mustDeclare(t testing.TB, s *Server, top Topology) {
	t.Helper()
	if err := Declare(t.Context(), s.Addr(), project, top); err != nil {
		t.Fatal(err)
	}
}

func newPublisher(t testing.TB, addr string) *topic.Publisher {
	t.Helper()
	p, err := topic.Open(t.Context(), topic.Config{Project: project, EmulatorHost: addr}, "events")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func publish(t testing.TB, p *topic.Publisher, key, data string) string {
	t.Helper()
	id, err := p.Publish(t.Context(), topic.Message{Data: []byte(data), OrderingKey: key})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}
