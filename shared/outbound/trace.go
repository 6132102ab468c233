package outbound

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// Trace is what connecting took. Where several connections are made, as redirects do, it is of all of them together, and
// the address is the last one's.
type Trace struct {
	mu                sync.Mutex
	dns, connect, tls time.Duration
	address           netip.AddrPort
	stage             Stage
}

// Stage is how far a connection has got.
type Stage string

// The stages. A trace has none before the first connection.
const (
	Looking    Stage = "lookup"  // the name is looked up
	Connecting Stage = "connect" // an address is connected to
	Shaking    Stage = "tls"     // the hands are shaken
	Connected  Stage = "connected"
)

type traceKey struct{}

// WithTrace returns a context whose connections are noted in the trace.
func WithTrace(ctx context.Context) (context.Context, *Trace) {
	t := &Trace{}
	return context.WithValue(ctx, traceKey{}, t), t
}

// DNS returns how long names were looked up.
func (t *Trace) DNS() time.Duration { t.mu.Lock(); defer t.mu.Unlock(); return t.dns }

// Connect returns how long connecting took, without the lookup and without TLS.
func (t *Trace) Connect() time.Duration { t.mu.Lock(); defer t.mu.Unlock(); return t.connect }

// TLS returns how long handshakes took.
func (t *Trace) TLS() time.Duration { t.mu.Lock(); defer t.mu.Unlock(); return t.tls }

// Stage returns how far the last connection has got.
func (t *Trace) Stage() Stage { t.mu.Lock(); defer t.mu.Unlock(); return t.stage }

// Address returns what was connected to; not valid when nothing was.
func (t *Trace) Address() netip.AddrPort { t.mu.Lock(); defer t.mu.Unlock(); return t.address }

func traceOf(ctx context.Context) *Trace {
	if t, ok := ctx.Value(traceKey{}).(*Trace); ok {
		return t
	}
	return &Trace{}
}

// begin notes that a stage begins, and returns what notes how long it took, and its end.
func (t *Trace) begin(s Stage) (end func(then Stage)) {
	began := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stage = s
	return func(then Stage) {
		t.mu.Lock()
		defer t.mu.Unlock()
		took := time.Since(began)
		switch s {
		case Looking:
			t.dns += took
		case Connecting:
			t.connect += took
		case Shaking:
			t.tls += took
		case Connected:
		}
		t.stage = then
	}
}

func (t *Trace) reached(to netip.AddrPort) { t.mu.Lock(); defer t.mu.Unlock(); t.address = to }
