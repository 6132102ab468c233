package account_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
)

func TestHasher_KeepsATurnForKnownClients(t *testing.T) {
	t.Parallel()
	one := standard
	one.Concurrency = 1
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, one)
		defer h.Hold()()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, _, err := h.Verify(t.Context(), "x", ""); !fault.Is(err, fault.Unavailable) {
					t.Errorf("err = %v, want unavailable", err)
				}
			})
		}
		time.Sleep(time.Second) // of the bubble: until all wait that may
		start := time.Now()
		if _, _, err := h.Known().Verify(t.Context(), "x", ""); err != nil {
			t.Errorf("a known client is refused: %v", err)
		}
		if _, _, err := h.Verify(t.Context(), "x", ""); !fault.Is(err, fault.Unavailable) {
			t.Errorf("err = %v, want unavailable: too many wait", err)
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("they waited for %s", waited)
		}
		wg.Wait()
	})
}

func TestHasher_Enter(t *testing.T) {
	t.Parallel()
	one := standard
	one.Concurrency = 1
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, one)
		var inside []func()
		for range 8 {
			leave, err := h.Enter(t.Context())
			must(t, err)
			inside = append(inside, leave)
		}
		start := time.Now()
		_, err := h.Enter(t.Context())
		wantBusy(t, err, context.DeadlineExceeded)
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("gave up after %s", waited)
		}
		time.AfterFunc(time.Second/2, inside[0])
		if _, err := h.Enter(t.Context()); err != nil {
			t.Errorf("there is room: %v", err)
		}
	})
}

// What a wrong password costs must not tell that its hash was made long ago.
func TestHasher_PadsWhatIsOutdated(t *testing.T) {
	// Not in parallel: what others allocate meanwhile would be counted.
	cheap, dear := standard, standard
	cheap.Memory, cheap.Iterations = 7168, 5
	dear.Memory, dear.Iterations = 64<<10, 3
	phc := hashed(t, newHasher(t, cheap), passphrase)
	h := newHasher(t, dear)
	for name, password := range map[string]string{"wrong": "something else", "right": passphrase} {
		ok, outdated, err := h.Verify(t.Context(), password, phc)
		if err != nil || ok != (name == "right") || !outdated {
			t.Errorf("%s: %v, outdated %v, %v", name, ok, outdated, err)
		}
	}
	known := allocated(t, func() { _, _, _ = h.Verify(t.Context(), "something else", phc) })
	unknown := allocated(t, func() { _, _, _ = h.Verify(t.Context(), "something else", "") })
	if known < unknown*9/10 {
		t.Errorf("%d bytes are hashed over for a user, %d for nobody", known, unknown)
	}
}

// allocated returns the bytes that f takes, which is what argon2 works on.
func allocated(t *testing.T, f func()) int64 {
	t.Helper()
	return testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f()
		}
	}).AllocedBytesPerOp()
}
