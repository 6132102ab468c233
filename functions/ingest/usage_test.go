package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/tenant"
)

// ledger takes reports.
type ledger struct {
	mu      sync.Mutex
	err     error
	reports int
	sum     tenant.Usage
	items   int64
	keys    map[uuid.UUID]time.Time
}

func (l *ledger) report(_ context.Context, r tenant.UsageReport) (tenant.UsageState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reports++
	if l.err != nil {
		return tenant.UsageState{}, l.err
	}
	for _, m := range r.Minutes {
		l.sum.Add(m.Usage)
	}
	for _, i := range r.Items {
		l.items += i.Items
	}
	l.keys = r.Keys
	return tenant.UsageState{}, nil
}

func newUsageTest() (*usage, *ledger, time.Time) {
	l := new(ledger)
	u := newUsage(nil, slog.New(slog.DiscardHandler), newLimits())
	u.report = l.report
	return u, l, time.Date(2026, 3, 31, 23, 59, 58, 0, time.UTC)
}

// begin is start for a request with nothing to wait for before it publishes.
func (u *usage) begin(ctx context.Context, a tenant.Access, now time.Time) (wait func()) {
	wait, _ = u.start(ctx, &a, now)
	return wait
}

func TestUsage(t *testing.T) {
	t.Parallel()
	access := tenant.Access{ProjectID: uuid.New(), KeyID: uuid.New()}
	t.Run("is reported every five seconds, in a request", func(t *testing.T) {
		t.Parallel()
		u, l, start := newUsageTest()
		for i := range 12 {
			now := start.Add(time.Duration(i) * time.Second)
			wait := u.begin(t.Context(), access, now)
			u.add(access, tenant.Usage{Accepted: 1, Rejected: 2, Dropped: 3}, now)
			wait()
		}
		if l.reports != 2 {
			t.Errorf("%d reports in 12 s, want 2", l.reports)
		}
		u.flush(t.Context(), start)
		if diff := cmp.Diff(tenant.Usage{Accepted: 12, Rejected: 24, Dropped: 36}, l.sum); diff != "" {
			t.Errorf("sum (-want +got):\n%s", diff)
		}
		if at := l.keys[access.KeyID]; !at.Equal(start.Add(11 * time.Second)) {
			t.Errorf("the key was used at %s, want the last time", at)
		}
		u.flush(t.Context(), start)
		if l.reports != 3 {
			t.Error("nothing is reported, too")
		}
	})
	t.Run("is reported even when the client goes away", func(t *testing.T) {
		t.Parallel()
		u, l, start := newUsageTest()
		u.add(access, tenant.Usage{Accepted: 1}, start)
		report := u.report
		u.report = func(ctx context.Context, r tenant.UsageReport) (tenant.UsageState, error) {
			if ctx.Err() != nil {
				return tenant.UsageState{}, ctx.Err()
			}
			return report(ctx, r)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		u.begin(ctx, access, start)()
		u.begin(ctx, access, start.Add(reportEvery))()
		if l.sum.Accepted != 1 {
			t.Errorf("sum = %v", l.sum)
		}
	})
	t.Run("is kept while the database is away", func(t *testing.T) {
		t.Parallel()
		u, l, start := newUsageTest()
		l.err = errors.New("away")
		for range 3 {
			u.add(access, tenant.Usage{Accepted: 1}, start)
			u.flush(t.Context(), start)
		}
		l.err = nil
		u.flush(t.Context(), start)
		if l.sum.Accepted != 3 || !l.keys[access.KeyID].Equal(start) {
			t.Errorf("sum = %v, keys = %v", l.sum, l.keys)
		}
	})
	t.Run("but not without bound", func(t *testing.T) {
		t.Parallel()
		u, l, start := newUsageTest()
		l.err = errors.New("away")
		for range 3 {
			for range unreportedMost {
				a := tenant.Access{ProjectID: uuid.New(), KeyID: uuid.New()}
				u.add(a, tenant.Usage{Accepted: 1}, start)
				u.items(a, map[string]int64{"session": 1}, start)
			}
			u.flush(t.Context(), start)
			if len(u.pending.events) > unreportedMost || len(u.pending.keys) > unreportedMost || len(u.pending.others) > unreportedMost {
				t.Fatalf("%d events, %d keys and %d others are kept", len(u.pending.events), len(u.pending.keys), len(u.pending.others))
			}
		}
	})
	t.Run("of a known project is counted even when there is no room for another minute", func(t *testing.T) {
		t.Parallel()
		u, l, start := newUsageTest()
		u.add(access, tenant.Usage{Accepted: 1}, start)
		for range unreportedMost {
			u.add(tenant.Access{ProjectID: uuid.New()}, tenant.Usage{}, start)
		}
		u.add(access, tenant.Usage{Accepted: 1}, start.Add(10*time.Minute))
		u.flush(t.Context(), start)
		if l.sum.Accepted != 2 {
			t.Errorf("sum = %v", l.sum)
		}
	})
	t.Run("also is of what is no event", func(t *testing.T) {
		t.Parallel()
		u, l, start := newUsageTest()
		u.items(access, map[string]int64{"session": 2, "span": 5}, start)
		u.begin(t.Context(), access, start)()
		u.items(access, map[string]int64{"session": 1}, start)
		u.begin(t.Context(), access, start.Add(reportEvery))()
		if l.items != 8 || l.reports != 1 {
			t.Errorf("%d items in %d reports", l.items, l.reports)
		}
	})
	t.Run("reads limits at once that nothing is known of", func(t *testing.T) {
		t.Parallel()
		u, l, start := newUsageTest()
		a := tenant.Access{ProjectID: uuid.New(), RateLimit: 1}
		for i := range 10 {
			wait, unread := u.start(t.Context(), &a, start.Add(time.Duration(i)*time.Second))
			wait()
			if !unread {
				t.Error("a state that was not read counts as known")
			}
		}
		if l.reports != 2 {
			t.Errorf("%d reports in 10 s, want 2", l.reports)
		}
	})
	t.Run("loses nothing among many requests", func(t *testing.T) {
		t.Parallel()
		u, l, start := newUsageTest()
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				for j := range 40 {
					now := start.Add(time.Duration(i+j) * time.Second)
					wait := u.begin(t.Context(), access, now)
					u.add(access, tenant.Usage{Accepted: 1}, now)
					wait()
				}
			})
		}
		wg.Wait()
		u.flush(t.Context(), start)
		if l.sum.Accepted != 2000 {
			t.Errorf("sum = %v, want 2000", l.sum)
		}
	})
}
