package ingest

import (
	"context"
	"encoding/json"
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
	keys    map[uuid.UUID]time.Time
}

func (l *ledger) report(_ context.Context, body []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reports++
	if l.err != nil {
		return l.err
	}
	var r tenant.UsageReport
	if err := json.Unmarshal(body, &r); err != nil {
		return err
	}
	for _, n := range r.Projects {
		l.sum.Add(n)
	}
	l.keys = r.Keys
	return nil
}

func newUsageTest() (*usage, *ledger, time.Time) {
	l := new(ledger)
	u := newUsage(nil, slog.New(slog.DiscardHandler))
	u.report = l.report
	return u, l, u.last
}

func TestUsage(t *testing.T) {
	t.Parallel()
	access := tenant.Access{ProjectID: uuid.New(), KeyID: uuid.New()}
	t.Run("is reported every five seconds, in a request", func(t *testing.T) {
		t.Parallel()
		u, l, start := newUsageTest()
		for i := range 12 {
			now := start.Add(time.Duration(i) * time.Second)
			wait := u.start(t.Context(), now)
			u.add(access, tenant.Usage{Accepted: 1, Rejected: 2, Dropped: 3}, now)
			wait()
		}
		if l.reports != 2 {
			t.Errorf("%d reports in 12 s, want 2", l.reports)
		}
		u.flush(t.Context())
		if diff := cmp.Diff(tenant.Usage{Accepted: 12, Rejected: 24, Dropped: 36}, l.sum); diff != "" {
			t.Errorf("sum (-want +got):\n%s", diff)
		}
		if at := l.keys[access.KeyID]; !at.Equal(start.Add(11 * time.Second)) {
			t.Errorf("the key was used at %s, want the last time", at)
		}
		u.flush(t.Context())
		if l.reports != 3 {
			t.Error("nothing is reported, too")
		}
	})
	t.Run("is reported even when the client goes away", func(t *testing.T) {
		t.Parallel()
		u, l, start := newUsageTest()
		u.add(access, tenant.Usage{Accepted: 1}, start)
		report := u.report
		u.report = func(ctx context.Context, body []byte) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return report(ctx, body)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		u.start(ctx, start.Add(reportEvery))()
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
			u.flush(t.Context())
		}
		l.err = nil
		u.flush(t.Context())
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
				u.add(tenant.Access{ProjectID: uuid.New(), KeyID: uuid.New()}, tenant.Usage{Accepted: 1}, start)
			}
			u.flush(t.Context())
			if len(u.projects) > unreportedMost || len(u.keys) > unreportedMost {
				t.Fatalf("%d projects and %d keys are kept", len(u.projects), len(u.keys))
			}
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
					wait := u.start(t.Context(), now)
					u.add(access, tenant.Usage{Accepted: 1}, now)
					wait()
				}
			})
		}
		wg.Wait()
		u.flush(t.Context())
		if l.sum.Accepted != 2000 {
			t.Errorf("sum = %v, want 2000", l.sum)
		}
	})
}
