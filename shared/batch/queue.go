package batch

import (
	"math/rand/v2"
	"time"
)

// caller is one Do in progress. Its items are taken from the front; next is the first that is not taken.
type caller[T any] struct {
	items   []Item[T]
	count   int // weight of the items that are not taken
	bytes   int
	next    int
	settled int
	errs    []error
	arrived time.Time
	done    chan struct{}
}

// settle records the fate of one taken item.
func (c *caller[T]) settle(i int, err error) {
	if err != nil {
		if c.errs == nil {
			c.errs = make([]error, len(c.items))
		}
		c.errs[i] = err
	}
	if c.settled++; c.settled == len(c.items) {
		close(c.done)
	}
}

// failRest records err for every item that is not taken.
func (c *caller[T]) failRest(err error) {
	first := c.next
	c.next = len(c.items)
	for i := first; i < len(c.items); i++ {
		c.settle(i, err)
	}
}

// queue is one key's buffer and the goroutine that empties it. Its fields are guarded by the batcher's
// mutex; run alone removes it from the batcher, when nobody waits.
type queue[K comparable, T any] struct {
	b       *Batcher[K, T]
	key     K
	callers []*caller[T] // in order of arrival; those with items that are not taken
	count   int          // weight of what waits
	bytes   int

	lastServed  int // callers that the last flush served
	lastArrival time.Time
	failures    int
	started     time.Time // of the flush in flight
	wake        chan struct{}
}

// taken is an item on its way through a flush.
type taken[T any] struct {
	c *caller[T]
	i int
}

// moving reports whether flushes succeed, so that what waits in the buffer will be gone in a moment.
func (q *queue[K, T]) moving() bool {
	return q.failures == 0 && time.Since(q.started) < q.b.cfg.Stuck
}

// full reports whether the buffer takes nobody else.
func (q *queue[K, T]) full() bool {
	cfg := &q.b.cfg
	return q.count >= cfg.BufferCount || q.bytes >= cfg.BufferBytes || len(q.callers) >= cfg.BufferCallers
}

// admit appends c to the buffer. When the buffer is full, the oldest callers that have nothing in flight are
// dropped: recent data matters more. It drops nobody when that would not make room enough, nor while the buffer
// is moving: then the oldest are about to be flushed, and dropping them for newcomers would flush nothing but
// what was lucky.
func (q *queue[K, T]) admit(c *caller[T]) bool {
	cfg := &q.b.cfg
	callers, count, bytes, drop := len(q.callers), q.count, q.bytes, 0
	over := func() bool {
		return callers > 0 && (count+c.count > cfg.BufferCount || bytes+c.bytes > cfg.BufferBytes ||
			callers >= cfg.BufferCallers)
	}
	for i := 0; over() && i < len(q.callers); i++ {
		if old := q.callers[i]; old.next == 0 {
			callers, count, bytes, drop = callers-1, count-old.count, bytes-old.bytes, drop+1
		}
	}
	if over() || drop > 0 && q.moving() {
		return false
	}
	if drop > 0 {
		q.dropOldest(drop)
	}
	q.callers = append(q.callers, c)
	q.count += c.count
	q.bytes += c.bytes
	q.lastArrival = time.Now()
	return true
}

// dropOldest fails the n oldest callers that have nothing in flight.
func (q *queue[K, T]) dropOldest(n int) {
	kept := q.callers[:0]
	for _, c := range q.callers {
		if n == 0 || c.next > 0 {
			kept = append(kept, c)
			continue
		}
		n--
		q.count -= c.count
		q.bytes -= c.bytes
		c.failRest(ErrDropped)
	}
	clear(q.callers[len(kept):])
	q.callers = kept
}

// ready reports whether the waiting items should go without waiting for more.
func (q *queue[K, T]) ready() bool {
	cfg := &q.b.cfg
	return len(q.callers) >= q.lastServed || q.count >= cfg.MaxCount || q.bytes >= cfg.MaxBytes
}

func (q *queue[K, T]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run flushes until nobody waits.
func (q *queue[K, T]) run() {
	for {
		release := q.b.acquire()
		batch, values := q.take()
		done, err := q.b.call(q.key, values)
		release()
		if !q.finish(batch, done, err) {
			return
		}
		q.gather()
	}
}

// take removes up to one flush's weight of items from the front of the buffer.
func (q *queue[K, T]) take() ([]taken[T], []T) {
	q.b.mu.Lock()
	defer q.b.mu.Unlock()
	q.started = time.Now()
	var (
		batch        []taken[T]
		values       []T
		count, bytes int
		cfg          = &q.b.cfg
		served       = 0
	)
	for len(q.callers) > 0 {
		c := q.callers[0]
		for ; c.next < len(c.items); c.next++ {
			it := c.items[c.next]
			if len(batch) > 0 && (count+it.Count > cfg.MaxCount || bytes+it.Bytes > cfg.MaxBytes) {
				break
			}
			batch = append(batch, taken[T]{c, c.next})
			values = append(values, it.Value)
			count += it.Count
			bytes += it.Bytes
			c.count -= it.Count
			c.bytes -= it.Bytes
		}
		if c.next < len(c.items) {
			break
		}
		q.callers[0] = nil
		q.callers = q.callers[1:]
		served++
	}
	q.count -= count
	q.bytes -= bytes
	q.lastServed = max(served, 1)
	return batch, values
}

// finish settles what a flush did, puts back what is worth another try, and reports whether anybody waits.
func (q *queue[K, T]) finish(batch []taken[T], done int, err error) bool {
	cfg := &q.b.cfg
	q.b.mu.Lock()
	defer q.b.mu.Unlock()
	if err == nil {
		done = len(batch)
		q.failures = 0
	} else {
		done = min(max(done, 0), len(batch))
		q.failures++
	}
	for _, t := range batch[:done] {
		t.c.settle(t.i, nil)
	}
	retry := err != nil && cfg.Retry != nil && cfg.Retry(err)
	now := time.Now()
	// From the back, so that items return to the front of the buffer in their order.
	for _, t := range reversed(batch[done:]) {
		if !retry || now.Sub(t.c.arrived) >= cfg.Patience {
			t.c.settle(t.i, err)
			continue
		}
		q.untake(t)
	}
	if retry {
		q.expire(now, err)
	}
	if len(q.callers) > 0 {
		return true
	}
	delete(q.b.keys, q.key)
	return false
}

// untake puts an item that was taken last back to the front of the buffer.
func (q *queue[K, T]) untake(t taken[T]) {
	it := t.c.items[t.i]
	t.c.next = t.i
	t.c.count += it.Count
	t.c.bytes += it.Bytes
	q.count += it.Count
	q.bytes += it.Bytes
	if len(q.callers) == 0 || q.callers[0] != t.c {
		q.callers = append([]*caller[T]{t.c}, q.callers...)
	}
}

// expire fails the callers that have waited longer than Patience while flushes fail.
func (q *queue[K, T]) expire(now time.Time, err error) {
	kept := q.callers[:0]
	for _, c := range q.callers {
		if now.Sub(c.arrived) < q.b.cfg.Patience {
			kept = append(kept, c)
			continue
		}
		q.count -= c.count
		q.bytes -= c.bytes
		c.failRest(err)
	}
	clear(q.callers[len(kept):])
	q.callers = kept
}

// gather waits until the next flush should start.
func (q *queue[K, T]) gather() {
	cfg := &q.b.cfg
	if pause := q.backoff(); pause > 0 {
		time.Sleep(pause)
		return
	}
	q.b.mu.Lock()
	deadline := q.callers[0].arrived.Add(cfg.Linger)
	// A wake-up from before this point says nothing any more.
	select {
	case <-q.wake:
	default:
	}
	for !q.ready() {
		now := time.Now()
		wait := min(deadline.Sub(now), q.lastArrival.Add(cfg.Pause).Sub(now))
		if wait <= 0 {
			break
		}
		q.b.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-q.wake:
		case <-timer.C:
		}
		timer.Stop()
		q.b.mu.Lock()
	}
	q.b.mu.Unlock()
}

// backoff returns how long to wait after failures in a row: doubling, with a quarter of jitter.
func (q *queue[K, T]) backoff() time.Duration {
	q.b.mu.Lock()
	defer q.b.mu.Unlock()
	cfg := &q.b.cfg
	if q.failures == 0 || cfg.Backoff <= 0 {
		return 0
	}
	d := min(cfg.Backoff<<min(q.failures-1, 16), cfg.BackoffMax)
	return d - time.Duration(rand.Int64N(int64(d)/4+1))
}

func reversed[S ~[]E, E any](s S) func(func(int, E) bool) {
	return func(yield func(int, E) bool) {
		for i := len(s) - 1; i >= 0; i-- {
			if !yield(i, s[i]) {
				return
			}
		}
	}
}
