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
}

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

// Address returns what was connected to; not valid when nothing was.
func (t *Trace) Address() netip.AddrPort { t.mu.Lock(); defer t.mu.Unlock(); return t.address }

func traceOf(ctx context.Context) *Trace {
	if t, ok := ctx.Value(traceKey{}).(*Trace); ok {
		return t
	}
	return &Trace{}
}

func (t *Trace) looked(d time.Duration) { t.mu.Lock(); defer t.mu.Unlock(); t.dns += d }

func (t *Trace) shook(d time.Duration) { t.mu.Lock(); defer t.mu.Unlock(); t.tls += d }

func (t *Trace) connected(d time.Duration, to netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.connect += d
	if to.IsValid() {
		t.address = to
	}
}
