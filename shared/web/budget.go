package web

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
)

// Budget is the number of bytes that an instance may hold for requests at the same time.
type Budget struct {
	parent   *Budget // of a share
	left     atomic.Int64
	size     int64
	decoders chan struct{} // one entry a decoder at work: their memory is not part of size
}

// NewBudget returns a budget of size bytes.
func NewBudget(size int64) *Budget {
	b := &Budget{size: size, decoders: make(chan struct{}, runtime.GOMAXPROCS(0)+1)}
	b.left.Store(size)
	return b
}

// Share returns a budget for one of those who share b: at most size bytes of it, and one decoder at a time, so
// that whoever sends much or slowly keeps the others neither from memory nor from the CPU. size should be below
// b's.
func (b *Budget) Share(size int64) *Budget {
	s := &Budget{parent: b, size: size, decoders: make(chan struct{}, 1)}
	s.left.Store(size)
	return s
}

// Take reserves n bytes, or returns a fault.Unavailable that asks the client to come back.
func (b *Budget) Take(n int64) error {
	for {
		left := b.left.Load()
		if left < n {
			return b.exhausted()
		}
		if b.left.CompareAndSwap(left, left-n) {
			break
		}
	}
	if b.parent == nil {
		return nil
	}
	if err := b.parent.Take(n); err != nil {
		b.left.Add(n)
		return err
	}
	return nil
}

func (b *Budget) exhausted() error {
	if b.parent != nil {
		return fault.New(fault.Unavailable, "too much is sent at the same time; try again shortly").After(busyRetry)
	}
	return fault.New(fault.Unavailable, "this instance is out of memory for requests; try again shortly").After(busyRetry)
}

// Give returns n bytes.
func (b *Budget) Give(n int64) {
	b.left.Add(n)
	if b.parent != nil {
		b.parent.Give(n)
	}
}

// Held returns the bytes in use.
func (b *Budget) Held() int64 { return b.size - b.left.Load() }

// decoding waits until one more body may be decompressed, and returns the function that ends it. Decompression
// waits for nothing but the CPU, so the wait is short; in a share it is for the share's own bodies first.
func (b *Budget) decoding(ctx context.Context) (end func(), err error) {
	select {
	case b.decoders <- struct{}{}:
	case <-ctx.Done():
		return nil, fault.Wrap(ctx.Err(), fault.Unavailable, "the request ended before its body was decompressed")
	}
	mine := func() { <-b.decoders }
	if b.parent == nil {
		return mine, nil
	}
	others, err := b.parent.decoding(ctx)
	if err != nil {
		mine()
		return nil, err
	}
	return func() { others(); mine() }, nil
}

// busyRetry is how long a client is asked to wait when an instance is full; another may be starting.
const busyRetry = 2 * time.Second

// Lease is what one request holds of a budget. It is for one goroutine.
type Lease struct {
	budget *Budget
	held   int64
}

// NewLease returns a lease that holds nothing yet.
func (b *Budget) NewLease() *Lease { return &Lease{budget: b} }

// Take reserves n more bytes, with the error of Budget.Take.
func (l *Lease) Take(n int64) error {
	if err := l.budget.Take(n); err != nil {
		return err
	}
	l.held += n
	return nil
}

// Give returns n of the bytes that were taken, before the rest.
func (l *Lease) Give(n int64) {
	l.held -= n
	l.budget.Give(n)
}

// Release gives everything back. The lease can be used again.
func (l *Lease) Release() {
	l.budget.Give(l.held)
	l.held = 0
}
