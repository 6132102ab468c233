package year_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

// While days are dropped, and somebody reads for so long that a run gives up waiting, events are stored as if nothing were.
// How long the slowest took is logged, to be compared with lock_timeout: no lock that Store waits for is ever held.
func TestRetention_HoldsUpNoEvents(t *testing.T) {
	t.Parallel()
	l := &life{platform: newPlatform(t, start), accepted: map[uuid.UUID]map[time.Time]int64{}}
	other, key := l.newProject(t, "less", 7)
	l.other, l.otherKey = other.ID, key
	if _, err := postgres.EnsurePartitions(t.Context(), l.admin, start.AddDate(0, 0, -60), start.AddDate(0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	// A second instead of five, which would take the test half a minute. Store sets its own.
	l.db.Exec(t, "alter role mesher_store in database "+l.db.Name()+" set lock_timeout = '1s'")
	l.set(start.Add(time.Hour))
	during := func(what string, work func()) {
		t.Helper()
		l.queue.waiting.Wait()
		l.queue.slowest.Store(0)
		before := l.queue.published.Load()
		var sending sync.WaitGroup
		done := make(chan struct{})
		for range 2 {
			sending.Go(func() {
				for {
					l.send(t, 1)
					select {
					case <-done:
						return
					default:
					}
				}
			})
		}
		work()
		close(done)
		sending.Wait()
		l.queue.waiting.Wait()
		t.Logf("%s: %d messages stored, the slowest in %s", what, l.queue.published.Load()-before, time.Duration(l.queue.slowest.Load()))
	}
	during("with nothing else", func() { l.send(t, 100) })

	reader := l.db.Conn(t, pgtest.Admin)
	for _, sql := range []string{"begin", "select count(*) from mesher.events"} {
		if _, err := reader.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	var held, free struct{ Done, Remaining map[string]int64 }
	during("while a run waits for somebody who reads", func() { l.run(t, "retention", &held) })
	if held.Done["days"] != 0 || held.Remaining["days"] == 0 {
		t.Errorf("while somebody reads: %+v, want the days left for the next run", held)
	}
	if _, err := reader.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	during("while 30 days are dropped", func() { l.run(t, "retention", &free) })
	if free.Done["days"] != 30 || free.Remaining["days"] != 0 {
		t.Errorf("afterwards: %+v, want 30 days dropped", free)
	}
	if again := l.queue.again.Load(); again != 0 {
		t.Errorf("%d deliveries had to be repeated", again)
	}
	l.lastRun = start
	l.count(t)
	for _, p := range l.problems {
		t.Error(p)
	}
}
