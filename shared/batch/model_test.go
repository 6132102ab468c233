package batch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// model is a flush that fails in every way and keeps account of what it was given.
type model struct {
	cfg Config
	b   *Batcher[int, int]
	// seed of each flush's fate; a generator is for one goroutine.
	seed uint64

	mu      sync.Mutex
	flushes uint64
	busy    map[int]bool
	stored  map[int]int // item → how often it was flushed with success
	weights map[int]Item[int]
	faults  []string
}

func (m *model) fault(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = append(m.faults, fmt.Sprintf(format, args...))
}

func (m *model) flush(_ context.Context, key int, values []int) (int, error) {
	m.mu.Lock()
	if m.busy[key] {
		m.faults = append(m.faults, fmt.Sprintf("two flushes of key %d at once", key))
	}
	m.busy[key] = true
	m.flushes++
	rng := rand.New(rand.NewPCG(m.seed, m.flushes))
	count, bytes := 0, 0
	for _, v := range values {
		count += m.weights[v].Count
		bytes += m.weights[v].Bytes
	}
	m.mu.Unlock()
	if len(values) == 0 || len(values) > 1 && (count > m.cfg.MaxCount || bytes > m.cfg.MaxBytes) {
		m.fault("a flush of %d items weighs %d and %d bytes", len(values), count, bytes)
	}
	m.checkBuffer(key)

	time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond)
	done, err := len(values), error(nil)
	stored := done
	switch rng.IntN(10) {
	case 0:
		done, err = 0, errAway // and stored nevertheless: an answer got lost
	case 1:
		stored, done, err = 0, 0, errAway
	case 2:
		done = rng.IntN(len(values))
		stored, err = done, errAway
	case 3:
		done = rng.IntN(len(values))
		stored, err = done, errRefuse
	}
	m.mu.Lock()
	for _, v := range values[:stored] {
		m.stored[v]++
	}
	m.busy[key] = false
	m.mu.Unlock()
	if rng.IntN(50) == 0 {
		panic("model")
	}
	return done, err
}

// checkBuffer compares a queue's sums with its callers.
func (m *model) checkBuffer(key int) {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	q := m.b.keys[key]
	count, bytes := 0, 0
	for i, c := range q.callers {
		if c.next > 0 && i > 0 {
			m.fault("a caller of whom a part is taken is not the first")
		}
		for _, it := range c.items[c.next:] {
			count, bytes = count+it.Count, bytes+it.Bytes
		}
	}
	if count != q.count || bytes != q.bytes {
		m.fault("the queue says %d and %d bytes, its callers %d and %d", q.count, q.bytes, count, bytes)
	}
	// What a failed flush puts back comes on top of what was let in meanwhile.
	if len(q.callers) > 1 && (count > m.cfg.BufferCount+m.cfg.MaxCount || bytes > m.cfg.BufferBytes+m.cfg.MaxBytes) {
		m.fault("%d callers wait with %d and %d bytes", len(q.callers), count, bytes)
	}
}

// TestDo_Model lets many callers loose on flushes that fail in all ways, under the clock of a bubble, and checks
// what must hold for each item and flush.
func TestDo_Model(t *testing.T) {
	t.Parallel()
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for seed := range uint64(rounds) {
		synctest.Test(t, func(t *testing.T) { runModel(t, seed) })
	}
}

func runModel(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	cfg := Config{
		Linger: time.Duration(rng.IntN(60)) * ms, Pause: time.Duration(rng.IntN(8)) * ms,
		MaxCount: 1 + rng.IntN(40), MaxBytes: 20 + rng.IntN(400),
		BufferCount: 20 + rng.IntN(200), BufferBytes: 200 + rng.IntN(2000), BufferCallers: 1 + rng.IntN(30),
		Slots: rng.IntN(4), SlotHold: time.Duration(rng.IntN(3)) * 10 * ms,
		Patience: time.Duration(rng.IntN(3)) * 200 * ms,
		Backoff:  time.Duration(rng.IntN(2)) * 10 * ms, BackoffMax: 100 * ms,
		Retry: func(err error) bool { return errors.Is(err, errAway) },
	}
	m := &model{cfg: cfg, seed: seed, busy: map[int]bool{}, stored: map[int]int{}, weights: map[int]Item[int]{}}
	m.b = New(cfg, m.flush)

	type do struct {
		key   int
		after time.Duration
		items []Item[int]
		errs  []error
	}
	var (
		all  []*do
		next int
		wg   sync.WaitGroup
	)
	for range 300 {
		d := &do{key: rng.IntN(1 + rng.IntN(5)), after: time.Duration(rng.IntN(2000)) * ms}
		for range 1 + rng.IntN(1+rng.IntN(60)) {
			it := Item[int]{Value: next, Count: rng.IntN(3), Bytes: rng.IntN(60)}
			m.weights[next] = it
			d.items = append(d.items, it)
			next++
		}
		all = append(all, d)
	}
	for _, d := range all {
		wg.Go(func() {
			time.Sleep(d.after)
			d.errs = m.b.Do(d.key, d.items)
		})
	}
	wg.Wait()
	synctest.Wait()
	if n := len(m.b.keys); n != 0 {
		t.Errorf("seed %d: %d keys are left", seed, n)
	}
	if n := len(m.b.slots); n != 0 {
		t.Errorf("seed %d: %d slots are left", seed, n)
	}
	for _, d := range all {
		if d.errs != nil && len(d.errs) != len(d.items) {
			t.Fatalf("seed %d: %d results for %d items", seed, len(d.errs), len(d.items))
		}
		for i, it := range d.items {
			var err error
			if d.errs != nil {
				err = d.errs[i]
			}
			if err == nil && m.stored[it.Value] == 0 {
				t.Fatalf("seed %d: item %d was said to be flushed and was not", seed, it.Value)
			}
			// A caller that was dropped has nothing stored, unless an answer got lost.
			if cfg.Patience == 0 && m.stored[it.Value] > 1 {
				t.Fatalf("seed %d: item %d was flushed %d times without retries", seed, it.Value, m.stored[it.Value])
			}
		}
	}
	for _, f := range m.faults {
		t.Errorf("seed %d: %s", seed, f)
	}
}
