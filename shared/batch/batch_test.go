package batch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	errAway   = errors.New("away")
	errRefuse = errors.New("refused")
)

// base is a configuration without tight limits: tests lower what they are about.
func base() Config {
	return Config{
		Linger: 50 * time.Millisecond, Pause: 5 * time.Millisecond,
		MaxCount: 1000, MaxBytes: 1 << 20,
		BufferCount: 1 << 20, BufferBytes: 1 << 30, BufferCallers: 1 << 20,
		Retry: func(err error) bool { return errors.Is(err, errAway) },
	}
}

// call is one flush that a recorder saw.
type call struct {
	At    time.Duration // since the test began
	Key   string
	Items []string
}

// recorder is a flush that takes a time of its own and answers what the test says.
type recorder struct {
	start  time.Time
	takes  time.Duration
	answer func(n int, key string, items []string) (int, error)

	mu    sync.Mutex
	calls []call
}

func newRecorder(takes time.Duration) *recorder { return &recorder{start: time.Now(), takes: takes} }

func (r *recorder) flush(_ context.Context, key string, items []string) (int, error) {
	r.mu.Lock()
	r.calls = append(r.calls, call{time.Since(r.start), key, slices.Clone(items)})
	n := len(r.calls)
	r.mu.Unlock()
	time.Sleep(r.takes)
	if r.answer == nil {
		return len(items), nil
	}
	return r.answer(n, key, items)
}

func (r *recorder) want(t *testing.T, want ...call) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if diff := cmp.Diff(want, r.calls); diff != "" {
		t.Errorf("flushes (-want +got):\n%s", diff)
	}
}

// items returns items of weight one.
func items(names ...string) []Item[string] {
	var out []Item[string]
	for _, n := range names {
		out = append(out, Item[string]{Value: n, Count: 1, Bytes: 1})
	}
	return out
}

// numbered returns n items called prefix0, prefix1, …
func numbered(prefix string, n int) []Item[string] {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprint(prefix, i))
	}
	return items(names...)
}

// result is what one Do returned, and when.
type result struct {
	at   time.Duration
	errs []error
}

// callers start Do at given times and collect what it returns.
type callers struct {
	b     *Batcher[string, string]
	start time.Time
	wg    sync.WaitGroup
	mu    sync.Mutex
	got   map[string]result
}

func newCallers(b *Batcher[string, string]) *callers {
	return &callers{b: b, start: time.Now(), got: map[string]result{}}
}

// do calls Do after the given time since the test began; the result is kept under name.
func (c *callers) do(after time.Duration, name, key string, items []Item[string]) {
	c.wg.Go(func() {
		time.Sleep(after - time.Since(c.start))
		errs := c.b.Do(key, items)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got[name] = result{time.Since(c.start), errs}
	})
}

// wait waits for all callers and checks that nothing is left of the keys.
func (c *callers) wait(t *testing.T) map[string]result {
	t.Helper()
	c.wg.Wait()
	synctest.Wait()
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	if n := len(c.b.keys); n != 0 {
		t.Errorf("%d keys are kept while nobody waits", n)
	}
	return c.got
}

// bubble runs f in a bubble of its own clock; it ends only when every goroutine has.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, f)
	})
}

const ms = time.Millisecond

func TestDo_Rhythm(t *testing.T) {
	t.Parallel()
	bubble(t, "an item on an idle key goes at once", func(t *testing.T) {
		r := newRecorder(0)
		b := New(base(), r.flush)
		for range 3 {
			if errs := b.Do("k", items("a")); errs != nil {
				t.Errorf("errs = %v", errs)
			}
			time.Sleep(10 * ms)
		}
		r.want(t, call{0, "k", []string{"a"}}, call{10 * ms, "k", []string{"a"}}, call{20 * ms, "k", []string{"a"}})
	})
	bubble(t, "nothing is nothing", func(t *testing.T) {
		r := newRecorder(0)
		if errs := New(base(), r.flush).Do("k", nil); errs != nil {
			t.Errorf("errs = %v", errs)
		}
		r.want(t)
	})
	bubble(t, "items gather during a flush and go when as many callers wait as it served", func(t *testing.T) {
		r := newRecorder(100 * ms)
		c := newCallers(New(base(), r.flush))
		c.do(0, "a", "k", items("a"))
		for i, name := range []string{"b", "c", "d"} { // go at 100
			c.do(time.Duration(10+i)*ms, name, "k", items(name))
		}
		c.do(198*ms, "e", "k", items("e"))
		c.do(201*ms, "f", "k", items("f"))
		c.do(204*ms, "g", "k", items("g")) // the third caller
		got := c.wait(t)
		r.want(t, call{0, "k", []string{"a"}}, call{100 * ms, "k", []string{"b", "c", "d"}},
			call{204 * ms, "k", []string{"e", "f", "g"}})
		if at := got["b"].at; at != 200*ms {
			t.Errorf("b was answered at %s, want 200ms", at)
		}
	})
	bubble(t, "fewer go when arrivals pause", func(t *testing.T) {
		r := newRecorder(100 * ms)
		c := newCallers(New(base(), r.flush))
		c.do(0, "a", "k", items("a"))
		c.do(10*ms, "b", "k", items("b"))
		c.do(11*ms, "c", "k", items("c"))
		c.do(12*ms, "d", "k", items("d"))
		c.do(198*ms, "e", "k", items("e"))
		c.do(201*ms, "f", "k", items("f")) // the last: 5 ms later it goes
		c.wait(t)
		r.want(t, call{0, "k", []string{"a"}}, call{100 * ms, "k", []string{"b", "c", "d"}},
			call{206 * ms, "k", []string{"e", "f"}})
	})
	bubble(t, "at the latest after the linger", func(t *testing.T) {
		r := newRecorder(0)
		r.takes = 100 * ms
		c := newCallers(New(base(), r.flush))
		c.do(0, "first", "k", items("first"))
		for i := range 50 { // the second flush serves 50
			c.do(10*ms, fmt.Sprint(i), "k", items("x"))
		}
		// From here on one every 4 ms, which is never a pause, and too few to be as many.
		for i := range 15 {
			c.do(198*ms+time.Duration(i)*4*ms, fmt.Sprint("late", i), "k", items(fmt.Sprint("late", i)))
		}
		c.wait(t)
		if len(r.calls) < 3 || r.calls[2].At != 248*ms {
			t.Errorf("the third flush began at %v, want 248ms: 50 ms after the first arrival", r.calls[2].At)
		}
	})
	bubble(t, "at once when a flush is full", func(t *testing.T) {
		r := newRecorder(100 * ms)
		cfg := base()
		cfg.MaxCount = 5
		c := newCallers(New(cfg, r.flush))
		c.do(0, "a", "k", items("a"))
		for i := range 3 {
			c.do(10*ms, fmt.Sprint(i), "k", items("x")) // three callers go at 100
		}
		c.do(201*ms, "full", "k", numbered("f", 5)) // one caller only
		c.wait(t)
		r.want(t, call{0, "k", []string{"a"}}, call{100 * ms, "k", []string{"x", "x", "x"}},
			call{201 * ms, "k", []string{"f0", "f1", "f2", "f3", "f4"}})
	})
}

func TestDo_SplitsACallerOverFlushes(t *testing.T) {
	t.Parallel()
	bubble(t, "by count, in order", func(t *testing.T) {
		r := newRecorder(ms)
		cfg := base()
		cfg.MaxCount = 2
		if errs := New(cfg, r.flush).Do("k", numbered("", 5)); errs != nil {
			t.Errorf("errs = %v", errs)
		}
		r.want(t, call{0, "k", []string{"0", "1"}}, call{1 * ms, "k", []string{"2", "3"}}, call{2 * ms, "k", []string{"4"}})
	})
	bubble(t, "by bytes, with an item over the limit alone", func(t *testing.T) {
		r := newRecorder(ms)
		cfg := base()
		cfg.MaxBytes = 10
		it := []Item[string]{{"a", 1, 6}, {"b", 1, 4}, {"c", 1, 25}, {"d", 0, 10}, {"e", 0, 0}, {"f", 1, 1}}
		if errs := New(cfg, r.flush).Do("k", it); errs != nil {
			t.Errorf("errs = %v", errs)
		}
		r.want(t, call{0, "k", []string{"a", "b"}}, call{1 * ms, "k", []string{"c"}},
			call{2 * ms, "k", []string{"d", "e"}}, call{3 * ms, "k", []string{"f"}})
	})
	bubble(t, "and gives each part its own result", func(t *testing.T) {
		r := newRecorder(ms)
		r.answer = func(n int, _ string, items []string) (int, error) {
			switch n {
			case 1:
				return 1, errRefuse // of two
			case 2:
				return 99, errRefuse // says more than it was given
			case 3:
				return -7, errRefuse
			}
			return 0, nil // nil means all
		}
		cfg := base()
		cfg.MaxCount = 2
		errs := New(cfg, r.flush).Do("k", numbered("", 7))
		want := []error{nil, errRefuse, nil, nil, errRefuse, errRefuse, nil}
		if !slices.Equal(errs, want) {
			t.Errorf("errs = %v, want %v", errs, want)
		}
	})
}

func TestDo_DropsTheOldest(t *testing.T) {
	t.Parallel()
	// hold starts a flush that is in flight for a second, of one item called "first".
	hold := func(cfg Config) (*callers, *recorder) {
		r := newRecorder(time.Second)
		c := newCallers(New(cfg, r.flush))
		c.do(0, "first", "k", items("first"))
		return c, r
	}
	allDropped := func(r result) bool {
		return len(r.errs) > 0 && !slices.ContainsFunc(r.errs, func(e error) bool { return !errors.Is(e, ErrDropped) })
	}
	bubble(t, "when the count is over, whole callers and at once", func(t *testing.T) {
		cfg := base()
		cfg.BufferCount = 5
		c, r := hold(cfg)
		c.do(1*ms, "a", "k", numbered("a", 2))
		c.do(2*ms, "b", "k", numbered("b", 2))
		c.do(3*ms, "c", "k", numbered("c", 3)) // a has to go
		got := c.wait(t)
		if !allDropped(got["a"]) || got["a"].at != 3*ms {
			t.Errorf("a = %v, want dropped at 3ms", got["a"])
		}
		if got["first"].errs != nil || got["b"].errs != nil || got["c"].errs != nil {
			t.Errorf("others = %v", got)
		}
		r.want(t, call{0, "k", []string{"first"}}, call{time.Second, "k", []string{"b0", "b1", "c0", "c1", "c2"}})
	})
	bubble(t, "when the bytes are over", func(t *testing.T) {
		cfg := base()
		cfg.BufferBytes = 100
		c, _ := hold(cfg)
		c.do(1*ms, "a", "k", []Item[string]{{"a", 1, 60}})
		c.do(2*ms, "b", "k", []Item[string]{{"b", 1, 60}})
		got := c.wait(t)
		if !allDropped(got["a"]) || got["b"].errs != nil {
			t.Errorf("got %v, want a dropped for b", got)
		}
	})
	bubble(t, "when the callers are too many", func(t *testing.T) {
		cfg := base()
		cfg.BufferCallers = 3
		c, _ := hold(cfg)
		for i := range 10 {
			c.do(time.Duration(i+1)*ms, fmt.Sprint(i), "k", items("x"))
		}
		got := c.wait(t)
		for i := range 10 {
			if dropped := allDropped(got[fmt.Sprint(i)]); dropped != (i < 7) {
				t.Errorf("caller %d: dropped = %v", i, dropped)
			}
		}
	})
	bubble(t, "to let a caller larger than the buffer in alone", func(t *testing.T) {
		cfg := base()
		cfg.BufferCount = 5
		c, r := hold(cfg)
		c.do(1*ms, "a", "k", numbered("a", 2))
		c.do(2*ms, "huge", "k", numbered("h", 20))
		got := c.wait(t)
		if !allDropped(got["a"]) || got["huge"].errs != nil || len(r.calls[1].Items) != 20 {
			t.Errorf("got %v", got)
		}
	})
	bubble(t, "but nobody of whom a part is in flight", func(t *testing.T) {
		cfg := base()
		cfg.MaxCount, cfg.BufferCount = 2, 5
		r := newRecorder(100 * ms)
		c := newCallers(New(cfg, r.flush))
		c.do(0, "split", "k", numbered("s", 5)) // two in flight, three wait
		c.do(1*ms, "a", "k", numbered("a", 2))
		c.do(2*ms, "b", "k", numbered("b", 2)) // a goes, not split
		got := c.wait(t)
		if got["split"].errs != nil || !allDropped(got["a"]) || got["b"].errs != nil {
			t.Errorf("got %v, want only a dropped", got)
		}
	})
	bubble(t, "and nobody for a newcomer who would not fit even then", func(t *testing.T) {
		cfg := base()
		cfg.MaxCount, cfg.BufferCount = 2, 6
		r := newRecorder(100 * ms)
		c := newCallers(New(cfg, r.flush))
		c.do(0, "split", "k", numbered("s", 5)) // three wait
		c.do(1*ms, "a", "k", numbered("a", 2))
		c.do(2*ms, "b", "k", numbered("b", 4)) // with split's three too many, whoever else goes
		got := c.wait(t)
		if got["split"].errs != nil || got["a"].errs != nil || !allDropped(got["b"]) {
			t.Errorf("got %v, want only b dropped", got)
		}
	})
	bubble(t, "and callers whose failed part was taken back, since nothing of theirs is flushed", func(t *testing.T) {
		cfg := base()
		cfg.BufferCount, cfg.Patience, cfg.Backoff, cfg.BackoffMax = 2, time.Minute, time.Second, time.Second
		r := newRecorder(0)
		r.answer = func(n int, _ string, items []string) (int, error) {
			if n == 1 {
				return 0, errAway
			}
			return len(items), nil
		}
		c := newCallers(New(cfg, r.flush))
		c.do(0, "a", "k", numbered("a", 2))
		c.do(1*ms, "b", "k", numbered("b", 2))
		got := c.wait(t)
		if !allDropped(got["a"]) || got["b"].errs != nil {
			t.Errorf("got %v, want a dropped for b", got)
		}
	})
}

func TestDo_Retries(t *testing.T) {
	t.Parallel()
	patient := func() Config {
		cfg := base()
		cfg.Patience, cfg.Backoff, cfg.BackoffMax = 10*time.Second, 50*ms, time.Second
		return cfg
	}
	awayUntil := func(r *recorder, recovers time.Duration) {
		r.answer = func(_ int, _ string, items []string) (int, error) {
			if time.Since(r.start) < recovers {
				return 0, errAway
			}
			return len(items), nil
		}
	}
	bubble(t, "with a growing pause until it succeeds, in the order of arrival", func(t *testing.T) {
		r := newRecorder(0)
		awayUntil(r, 5*time.Second)
		c := newCallers(New(patient(), r.flush))
		c.do(0, "a", "k", numbered("a", 2))
		c.do(ms, "b", "k", numbered("b", 2))
		c.do(100*ms, "c", "k", numbered("c", 2))
		got := c.wait(t)
		for name, r := range got {
			if r.errs != nil || r.at < 5*time.Second || r.at > 6*time.Second {
				t.Errorf("%s = %v, want success between 5 s and 6 s", name, r)
			}
		}
		last := r.calls[len(r.calls)-1].Items
		if diff := cmp.Diff([]string{"a0", "a1", "b0", "b1", "c0", "c1"}, last); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		if n := len(r.calls); n < 8 || n > 14 {
			t.Errorf("%d tries in 5 s, want a pause that doubles from 50 ms to 1 s", n)
		}
	})
	bubble(t, "until its patience ends, each caller its own", func(t *testing.T) {
		r := newRecorder(0)
		awayUntil(r, 14*time.Second)
		c := newCallers(New(patient(), r.flush))
		c.do(0, "old", "k", numbered("o", 2))
		c.do(6*time.Second, "fresh", "k", items("f"))
		got := c.wait(t)
		old, fresh := got["old"], got["fresh"]
		if len(old.errs) != 2 || !errors.Is(old.errs[0], errAway) || !errors.Is(old.errs[1], errAway) ||
			old.at < 10*time.Second || old.at > 11*time.Second {
			t.Errorf("old = %v, want the error after 10 s to 11 s", old)
		}
		if fresh.errs != nil || fresh.at < 14*time.Second || fresh.at > 15*time.Second {
			t.Errorf("fresh = %v, want success after 14 s", fresh)
		}
	})
	bubble(t, "and fails what waits behind it, too", func(t *testing.T) {
		r := newRecorder(0)
		awayUntil(r, time.Hour)
		cfg := patient()
		cfg.MaxCount = 1
		c := newCallers(New(cfg, r.flush))
		c.do(0, "split", "k", numbered("s", 3))
		c.do(0, "other", "k", items("o"))
		for name, r := range c.wait(t) {
			if len(r.errs) == 0 || slices.Contains(r.errs, nil) || r.at > 11*time.Second {
				t.Errorf("%s = %v, want every item failed within 11 s", name, r)
			}
		}
	})
	bubble(t, "keeps what is done and tries the rest", func(t *testing.T) {
		r := newRecorder(0)
		r.answer = func(n int, _ string, items []string) (int, error) {
			if n == 1 {
				return 2, errAway
			}
			return len(items), nil
		}
		if errs := New(patient(), r.flush).Do("k", numbered("", 4)); errs != nil {
			t.Errorf("errs = %v", errs)
		}
		if diff := cmp.Diff([]string{"2", "3"}, r.calls[1].Items); diff != "" {
			t.Errorf("second try (-want +got):\n%s", diff)
		}
	})
	bubble(t, "not what stays wrong", func(t *testing.T) {
		r := newRecorder(0)
		r.answer = func(int, string, []string) (int, error) { return 0, errRefuse }
		errs := New(patient(), r.flush).Do("k", items("a"))
		if len(errs) != 1 || !errors.Is(errs[0], errRefuse) || len(r.calls) != 1 {
			t.Errorf("errs = %v after %d tries", errs, len(r.calls))
		}
	})
	bubble(t, "as if nothing had been, after a recovery", func(t *testing.T) {
		r := newRecorder(0)
		awayUntil(r, 3*time.Second)
		b := New(patient(), r.flush)
		b.Do("k", items("a"))
		before, calls := time.Now(), len(r.calls)
		if errs := b.Do("k", items("b")); errs != nil || time.Since(before) != 0 || len(r.calls) != calls+1 {
			t.Errorf("errs = %v after %s", errs, time.Since(before))
		}
	})
	bubble(t, "bound each try in time", func(t *testing.T) {
		cfg := patient()
		cfg.Attempt = 3 * time.Second
		b := New(cfg, func(ctx context.Context, _ string, _ []string) (int, error) {
			<-ctx.Done()
			return 0, errAway
		})
		start := time.Now()
		errs := b.Do("k", items("a"))
		if took := time.Since(start); len(errs) != 1 || took > 14*time.Second {
			t.Errorf("errs = %v after %s", errs, took)
		}
	})
}

func TestDo_KeysDoNotDelayEachOther(t *testing.T) {
	t.Parallel()
	slow := func(r *recorder) {
		r.answer = func(_ int, key string, items []string) (int, error) {
			switch key {
			case "hangs":
				time.Sleep(time.Hour)
			case "fails":
				return 0, errAway
			}
			return len(items), nil
		}
	}
	bubble(t, "without slots", func(t *testing.T) {
		r := newRecorder(0)
		slow(r)
		cfg := base()
		cfg.Patience, cfg.Backoff, cfg.BackoffMax = time.Minute, time.Second, time.Second
		c := newCallers(New(cfg, r.flush))
		c.do(0, "hangs", "hangs", items("h"))
		c.do(0, "fails", "fails", items("f"))
		for i := range 10 {
			c.do(time.Duration(i)*ms, fmt.Sprint(i), "good", items("g"))
		}
		got := c.wait(t)
		for i := range 10 {
			if at := got[fmt.Sprint(i)].at; at != time.Duration(i)*ms {
				t.Errorf("caller %d waited until %s", i, at)
			}
		}
	})
	bubble(t, "with slots, for longer than a slot is held", func(t *testing.T) {
		r := newRecorder(0)
		slow(r)
		cfg := base()
		cfg.Slots, cfg.SlotHold = 1, 2*time.Second
		c := newCallers(New(cfg, r.flush))
		c.do(0, "hangs", "hangs", items("h"))
		c.do(ms, "good", "good", items("g"))
		got := c.wait(t)
		if at := got["good"].at; at != 2*time.Second {
			t.Errorf("the good key waited until %s, want 2s", at)
		}
	})
}

func TestDo_Slots(t *testing.T) {
	t.Parallel()
	bubble(t, "bound the flushes in flight, and what waits for one gathers", func(t *testing.T) {
		var mu sync.Mutex
		now, most, calls := 0, 0, 0
		cfg := base()
		cfg.Slots, cfg.SlotHold = 2, time.Minute
		b := New(cfg, func(_ context.Context, _ string, items []string) (int, error) {
			mu.Lock()
			now, calls = now+1, calls+1
			most = max(most, now)
			mu.Unlock()
			time.Sleep(100 * ms)
			mu.Lock()
			now--
			mu.Unlock()
			return len(items), nil
		})
		c := newCallers(b)
		for key := range 10 {
			for i := range 5 {
				c.do(time.Duration(i)*ms, fmt.Sprint(key, "/", i), fmt.Sprint(key), items("x"))
			}
		}
		c.wait(t)
		// The two keys that came first flush one item and then four; eight gather five.
		if most != 2 || calls != 12 {
			t.Errorf("%d at a time in %d flushes, want 2 in 12", most, calls)
		}
		if len(b.slots) != 0 {
			t.Errorf("%d slots are not given back", len(b.slots))
		}
	})
	bubble(t, "are lent once, even when the flush ends after all", func(t *testing.T) {
		cfg := base()
		cfg.Slots, cfg.SlotHold = 1, 10*ms
		r := newRecorder(25 * ms)
		b := New(cfg, r.flush)
		c := newCallers(b)
		for i := range 5 {
			c.do(0, fmt.Sprint(i), fmt.Sprint(i), items("x"))
		}
		c.wait(t)
		if len(b.slots) != 0 || r.calls[4].At != 40*ms {
			t.Errorf("%d slots held at the end, the fifth flush at %s", len(b.slots), r.calls[4].At)
		}
	})
}

func TestDo_PanicFailsItsOwnCallersOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(ms)
		r.answer = func(_ int, key string, items []string) (int, error) {
			if key == "bad" {
				panic("of no use")
			}
			return len(items), nil
		}
		c := newCallers(New(base(), r.flush))
		c.do(0, "bad", "bad", items("a", "b"))
		c.do(0, "good", "good", items("a"))
		c.do(10*ms, "bad again", "bad", items("c"))
		got := c.wait(t)
		if got["good"].errs != nil {
			t.Errorf("good = %v", got["good"])
		}
		for _, name := range []string{"bad", "bad again"} {
			errs := got[name].errs
			if len(errs) == 0 || errs[0] == nil || !strings.Contains(errs[0].Error(), "of no use") {
				t.Errorf("%s = %v, want the panic", name, errs)
			}
		}
	})
}

func TestWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(100 * ms)
		b := New(base(), r.flush)
		c := newCallers(b)
		c.do(0, "a", "k", items("a"))
		c.do(ms, "b", "k", items("b"))
		c.do(ms, "c", "k", items("c"))
		time.Sleep(50 * ms)
		if n := b.Waiting("k"); n != 2 {
			t.Errorf("waiting = %d, want 2", n)
		}
		if n := b.Waiting("other"); n != 0 {
			t.Errorf("waiting on another key = %d, want 0", n)
		}
		c.wait(t)
	})
}
