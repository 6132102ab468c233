// Package batch collects what many concurrent callers bring under one key into few large flushes, and gives
// each caller the result of its own part.
//
// It is made for instances whose CPU stops when no request is open: nothing is kept past a caller's wait.
// Do blocks until every item it brought is flushed, dropped or has failed; a goroutine exists for a key only
// while somebody waits on that key.
//
// The rhythm of a key adapts to its callers. The first item on an idle key is flushed at once. While a flush
// is in flight (never more than one a key) others gather, and they go as soon as as many callers wait as the
// last flush served, or when arrivals pause, or at the latest after Linger, or when a flush is full. A lone
// caller therefore waits for nothing, and callers that send again after each answer end up in one flush
// together.
//
// Everything is bounded. When the buffer of a key whose flushes hang or fail is full, its oldest callers are
// dropped from it, whole and only while no part of theirs has been flushed, because recent data matters more. While
// flushes succeed, newcomers are refused instead.
package batch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// ErrDropped is the result of items that were dropped from a full buffer, or could not enter it.
var ErrDropped = errors.New("batch: dropped from a full buffer")

// Item is one thing to flush. Count and Bytes are its weight against the limits of Config; a Count of zero
// is legal and weighs nothing.
type Item[T any] struct {
	Value T
	Count int
	Bytes int
}

// Flush writes items that belong to one key. It returns how many of them, from the front, are done; err
// explains the rest and is nil when all are done. The items are in the order of arrival. The slice must not
// be kept.
type Flush[K comparable, T any] func(ctx context.Context, key K, items []T) (done int, err error)

// Config holds the limits of a Batcher. All counts and sizes are per key.
type Config struct {
	Linger time.Duration // a waiting item is flushed at the latest after this, unless a flush is in flight
	Pause  time.Duration // or after this long without an arrival

	MaxCount int // weight of one flush; one item may exceed it alone
	MaxBytes int

	BufferCount   int // weight of all waiting items; one caller may exceed it when nobody else waits
	BufferBytes   int
	BufferCallers int // callers that may wait at the same time, besides those in the flush in flight

	// Stuck is how long a flush may take before its key counts as stuck, as it does after a failed one. A full
	// buffer drops its oldest callers then, and refuses newcomers otherwise; 0 means that it always drops.
	Stuck time.Duration

	// Slots bounds the flushes in flight over all keys; 0 means no bound. Items are taken from the buffer
	// only when a slot is free, so that a flush is as large as it can be. A flush that runs for longer than
	// SlotHold gives its slot to others: a key that hangs must not stop the rest.
	Slots    int
	SlotHold time.Duration

	// Attempt bounds one call of Flush.
	Attempt time.Duration
	// Patience is how long failed items are flushed again, counted from their arrival; 0 means never. A try
	// that began within it is finished, so a caller waits at most for one pause and one Attempt longer.
	// Retry says which errors are worth it.
	Patience time.Duration
	Retry    func(error) bool
	// Backoff is the pause after a failed flush; it doubles with each further failure, up to BackoffMax.
	Backoff, BackoffMax time.Duration
}

// Batcher batches items by key. Make it with New.
type Batcher[K comparable, T any] struct {
	cfg   Config
	flush Flush[K, T]
	slots chan struct{}

	mu   sync.Mutex
	keys map[K]*queue[K, T]
}

// New returns a Batcher that writes with flush.
func New[K comparable, T any](cfg Config, flush Flush[K, T]) *Batcher[K, T] {
	b := &Batcher[K, T]{cfg: cfg, flush: flush, keys: make(map[K]*queue[K, T])}
	if cfg.Slots > 0 {
		b.slots = make(chan struct{}, cfg.Slots)
	}
	return b
}

// Do hands items to the batcher and waits until the fate of each is known. It returns nil when all are
// flushed, else one error an item (nil for those that are). It waits on whatever happens to the caller's
// request: a client that went away must not leave work behind on a CPU that is about to stop.
func (b *Batcher[K, T]) Do(key K, items []Item[T]) []error {
	if len(items) == 0 {
		return nil
	}
	c := &caller[T]{items: items, arrived: time.Now(), done: make(chan struct{})}
	for _, it := range items {
		c.count += it.Count
		c.bytes += it.Bytes
	}
	b.mu.Lock()
	q := b.keys[key]
	fresh := q == nil
	if fresh {
		q = &queue[K, T]{b: b, key: key, wake: make(chan struct{}, 1)}
		b.keys[key] = q
	}
	if !q.admit(c) {
		b.mu.Unlock()
		c.failRest(ErrDropped)
		return c.errs
	}
	if fresh {
		go q.run()
	} else if q.ready() {
		q.signal()
	}
	b.mu.Unlock()
	<-c.done
	return c.errs
}

// Full reports whether a caller that came now would be refused because key's buffer is full while its flushes
// succeed. Asking first saves the work of preparing what would not be taken.
func (b *Batcher[K, T]) Full(key K) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.keys[key]
	return q != nil && q.full() && q.moving()
}

// Waiting returns how many callers wait for a flush of key, for tests and reports.
func (b *Batcher[K, T]) Waiting(key K) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if q := b.keys[key]; q != nil {
		return len(q.callers)
	}
	return 0
}

// acquire takes a slot for one flush and returns the function that gives it back.
func (b *Batcher[K, T]) acquire() (release func()) {
	if b.slots == nil {
		return func() {}
	}
	b.slots <- struct{}{}
	var once sync.Once
	free := func() { once.Do(func() { <-b.slots }) }
	if b.cfg.SlotHold <= 0 {
		return free
	}
	lend := time.AfterFunc(b.cfg.SlotHold, free)
	return func() {
		lend.Stop()
		free()
	}
}

// call runs Flush and turns a panic into an error, so that one key's bug fails that key's callers only.
func (b *Batcher[K, T]) call(key K, values []T) (done int, err error) {
	ctx := context.Background()
	if b.cfg.Attempt > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.cfg.Attempt)
		defer cancel()
	}
	defer func() {
		if p := recover(); p != nil {
			done, err = 0, fmt.Errorf("batch: flush panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return b.flush(ctx, key, values)
}
