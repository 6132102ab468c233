package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/event/eventtest"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/topic"
)

// terminate ends a backend of the functions about every pause, until the returned function is called, which
// returns how many it ended. The pause grows with each: how long a transaction takes depends on the machine, and in the
// end it must be shorter.
func (b *bundle) terminate(t *testing.T, pause time.Duration) (stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	conn := b.db.Conn(t, pgtest.Admin)
	go func() {
		n := 0
		for ctx.Err() == nil {
			time.Sleep(rand.N(2 * pause))
			// Half of the time one that is in a transaction.
			var killed int
			err := conn.QueryRow(ctx, `
				select count(pg_terminate_backend(pid)) from (
					select pid from pg_stat_activity
					where datname = current_database() and usename = 'mesher_store' and ($1 or state <> 'idle')
					order by random() limit 1) p`, rand.N(2) == 0).Scan(&killed)
			if err == nil {
				n += killed
				pause += time.Duration(killed) * pause / 20
			}
		}
		ended <- n
	}()
	return func() int {
		cancel()
		return <-ended
	}
}

func TestFunction_StoresOnceWhileConnectionsBreak(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fs := b.functions(t, 2)
	projects := []uuid.UUID{b.project(t), b.project(t), b.project(t)}
	stop := b.terminate(t, 25*time.Millisecond)
	const messages, events = 25, 40
	inParallel(len(projects), func(p int) {
		for i := range messages {
			m := pack(projects[p], samples(t, projects[p], i*events, events)...)
			insist(t, fs[(p+i)%2], m)
			if i%5 == 0 {
				insist(t, fs[(p+i+1)%2], m)
			}
		}
	})
	if n := stop(); n == 0 {
		t.Error("no backend was terminated")
	}
	for _, p := range projects {
		b.stored(t, p, messages*events)
	}
}

func TestFunction_StoresOnceWhileTheServerRestarts(t *testing.T) {
	t.Parallel()
	c := pgtest.NewCluster(t)
	b := newBundle(t, c.New(t))
	fs := b.functions(t, 2)
	project := b.project(t)
	m := pack(project, samples(t, project, 0, 50)...)
	acked(t, fs[0], m)
	for i, end := range []func(testing.TB){c.Stop, c.Kill} {
		end(t)
		next := pack(project, samples(t, project, 50*(i+1), 50)...)
		for _, message := range []topic.Message{next, withData(m, []byte("cannot be unpacked"))} {
			if w := deliver(fs[i], message); w.Code != http.StatusServiceUnavailable {
				t.Errorf("answer while the server is away = %d %s, want 503", w.Code, w.Body)
			}
		}
		if err := fs[i].Health(t.Context()); err == nil {
			t.Error("health while the server is away = nil, want an error")
		}
		c.Start(t)
		b.admin.Reset()
		insist(t, fs[i], next)
		insist(t, fs[1-i], m)
		b.stored(t, project, 50*(i+2))
	}

	// Once more in the middle of the work.
	var wg sync.WaitGroup
	for worker := range 2 {
		wg.Go(func() {
			for i := range 20 {
				insist(t, fs[worker], pack(project, samples(t, project, 1000*(worker+1)+25*i, 25)...))
			}
		})
	}
	for _, end := range []func(testing.TB){c.Kill, c.Stop} {
		before := b.number(t, "select count(*) from mesher.events")
		eventually(t, "rows are stored", func() bool {
			return b.number(t, "select count(*) from mesher.events") > before
		})
		end(t)
		c.Start(t)
		b.admin.Reset()
	}
	wg.Wait()
	b.stored(t, project, 150+2*20*25)
}

// Projects whose transactions hang hold up no other, even when there are more of them than connections. Their
// messages are sent back to the queue, which delivers them again, and are stored when nothing hangs any more.
func TestFunction_HangsForNoOtherProject(t *testing.T) {
	t.Parallel()
	const slots = 2
	onLock := func(p uuid.UUID) string { return fmt.Sprintf("select pg_advisory_xact_lock(%d)", lockKey(p)) }
	onIssue := func(p uuid.UUID) string {
		return fmt.Sprintf("select id from mesher.issues where project_id = '%s' for update", p)
	}
	for _, tt := range []struct {
		name    string
		hanging int
		timeout time.Duration
		hold    func(project uuid.UUID) string
	}{
		{"one on its lock", 1, time.Hour, onLock},
		{"one on an issue's row", 1, time.Hour, onIssue},
		{"one on its lock, until Store gives up", 1, 500 * time.Millisecond, onLock},
		{"many on their locks", slots + spareConnections + 2, time.Hour, onLock},
		{"many on an issue's row", slots + spareConnections + 2, time.Hour, onIssue},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			// No other limit ends the wait for a lock within this test.
			b.db.Exec(t, fmt.Sprintf("alter role mesher_store in database %s set lock_timeout = 0", b.db.Name()),
				fmt.Sprintf("alter role mesher_store in database %s set statement_timeout = 0", b.db.Name()))
			f := b.function(t, func(c *Config) { c.Timeout, c.Slots = tt.timeout, slots })
			var queue sync.WaitGroup
			defer queue.Wait()
			blocker, err := b.admin.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer blocker.Rollback(context.Background())
			hung := make([]uuid.UUID, tt.hanging)
			for i := range hung {
				hung[i] = b.project(t)
				insist(t, f, pack(hung[i], samples(t, hung[i], 0, 10)...))
				if _, err := blocker.Exec(t.Context(), tt.hold(hung[i])); err != nil {
					t.Fatal(err)
				}
			}
			var back atomic.Int64
			stop := make(chan struct{})
			free := sync.OnceFunc(func() { close(stop) })
			defer free()
			for _, p := range hung {
				m := pack(p, append(samples(t, p, 0, 5), samples(t, p, eventtest.Issues, 10)...)...)
				queue.Go(func() {
					for {
						w := deliver(f, m)
						if w.Code == http.StatusServiceUnavailable {
							back.Add(1)
						}
						select {
						case <-stop:
							insist(t, f, m)
							return
						default:
							if w.Code != http.StatusServiceUnavailable {
								t.Errorf("answer to a project that hangs = %d, want 503", w.Code)
							}
						}
					}
				})
			}
			waiting := func() int {
				return b.number(t, `
					select count(*) from pg_stat_activity
					where datname = current_database() and usename = 'mesher_store' and wait_event_type = 'Lock'`)
			}
			eventually(t, "transactions hang", func() bool { return waiting() >= min(tt.hanging, slots+spareConnections) })

			others := []uuid.UUID{b.project(t), b.project(t), b.project(t)}
			for _, p := range others {
				queue.Go(func() {
					for i := range 5 {
						insist(t, f, pack(p, samples(t, p, 10*i, 10)...))
					}
				})
			}
			for _, p := range others {
				eventually(t, "another project is stored", func() bool {
					return b.number(t, "select count(*) from mesher.events where project_id = $1", p) == 50
				})
				b.stored(t, p, 50)
			}
			eventually(t, "a transaction hangs", func() bool { return waiting() > 0 })
			for _, p := range hung {
				// Ingest counts the project's events in the same rows, together with those of other projects.
				b.exec(t, "select from mesher.usage where project_id = $1 for update nowait", p)
			}
			eventually(t, "messages are sent back", func() bool { return back.Load() >= int64(tt.hanging) })
			for _, p := range hung {
				b.stored(t, p, 10)
			}
			free() // first, so that whoever is stored knows that it may be
			if err := blocker.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			queue.Wait()
			for _, p := range hung {
				b.stored(t, p, 20)
			}
		})
	}
}

// Whatever fails in a transaction, the connection serves the next one, and nothing of the failed one is seen.
func TestFunction_KeepsTheConnectionAfterAnError(t *testing.T) {
	t.Parallel()
	places := []struct{ name, trigger string }{
		{"in COPY", "before insert on mesher.events for each row when (new.message = 'fail')"},
		{"after COPY", "after insert on mesher.events for each statement"},
		{"in an issue", "before insert or update on mesher.issues for each row"},
		{"in an hourly count", "before insert or update on mesher.issue_hourly_counts for each row"},
		{"in usage", "before insert or update on mesher.usage for each row"},
		{"in COMMIT", "after insert on mesher.issue_hourly_counts deferrable initially deferred for each row"},
	}
	for _, place := range places {
		for _, state := range []string{"40001", "57014", "P0001"} {
			t.Run(place.name+" "+state, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				project, other := b.project(t), b.project(t)
				f := b.function(t, func(c *Config) { c.Database.PoolSize, c.Slots = 1, 1 })
				acked(t, f, pack(other, samples(t, other, 0, 3)...))
				connected := f.pool.Stat().NewConnsCount()

				kind := "trigger"
				if strings.Contains(place.trigger, "deferrable") {
					kind = "constraint trigger"
				}
				b.db.Exec(t, fmt.Sprintf(`
					create function mesher.fail() returns trigger language plpgsql as $$
					begin raise exception 'failed' using errcode = '%s'; end $$;
					create %s fail %s execute function mesher.fail()`, state, kind, place.trigger))
				events := samples(t, project, 0, 300)
				events[150].Message = "fail"
				m := pack(project, events...)
				if w := deliver(f, m); w.Code != http.StatusServiceUnavailable {
					t.Errorf("answer = %d, want 503", w.Code)
				}
				b.stored(t, project, 0)
				b.db.Exec(t, "drop function mesher.fail() cascade")
				acked(t, f, m)
				b.stored(t, project, 300)
				acked(t, f, pack(other, samples(t, other, 0, 6)...))
				b.stored(t, other, 6)
				if after := f.pool.Stat().NewConnsCount(); after != connected {
					t.Errorf("connections = %d, want the one there was, %d", after, connected)
				}
			})
		}
	}
}

func TestFunction_StaysWithinItsConnections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const slots, limit = 2, 2 + spareConnections
	f := b.function(t, func(c *Config) { c.Database.PoolSize, c.Slots = 1, slots })
	projects := make([]uuid.UUID, 12)
	for i := range projects {
		projects[i] = b.project(t)
	}
	done := make(chan struct{})
	most := make(chan int, 1)
	conn := b.db.Conn(t, pgtest.Admin)
	go func() {
		seen := 0
		for {
			select {
			case <-done:
				most <- seen
				return
			case <-time.After(2 * time.Millisecond):
				var n int
				err := conn.QueryRow(t.Context(), `
					select count(*) from pg_stat_activity
					where datname = current_database() and usename = 'mesher_store'`).Scan(&n)
				if err == nil {
					seen = max(seen, n)
				}
			}
		}
	}()
	inParallel(len(projects), func(p int) {
		for i := range 10 {
			acked(t, f, pack(projects[p], samples(t, projects[p], 5*i, 5)...))
			acked(t, f, withData(pack(projects[p]), fmt.Appendf(nil, "bad %d", i)))
		}
	})
	close(done)
	if n := <-most; n > limit {
		t.Errorf("connections = %d, want at most %d", n, limit)
	}
	for _, p := range projects {
		b.stored(t, p, 50)
	}
}

// Random batches of several projects, with duplicates and redeliveries, to several instances, while connections
// break and events are refused: afterwards everything adds up.
func TestFunction_AddsUpAfterAnything(t *testing.T) {
	t.Parallel()
	deliveries := 600
	if testing.Short() {
		deliveries = 150
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	b := setup(t)
	fs := b.functions(t, 4)
	type ledger struct {
		project uuid.UUID
		rule    uuid.UUID
		pool    []event.Event
		sent    map[uuid.UUID]bool
		refused map[uuid.UUID]bool
	}
	projects := make([]*ledger, 5)
	for p := range projects {
		l := &ledger{project: b.project(t), sent: map[uuid.UUID]bool{}, refused: map[uuid.UUID]bool{}}
		l.rule = b.rule(t, l.project, alert.NewIssue, alert.Condition{}, alert.Filter{})
		for i := range 400 {
			// Within half a day around midnight, so that all copies of an event lie on neighbouring days.
			at := noon.Add(12*time.Hour + time.Duration(rng.IntN(43200)-21600)*time.Second)
			l.pool = append(l.pool, sample(t, l.project, i, at))
		}
		id := l.pool[17].EventID
		l.refused[id] = true
		b.refuse(t, id, "22P02")
		projects[p] = l
	}
	type job struct {
		message topic.Message
		to      int
	}
	var jobs []job
	for range deliveries {
		if len(jobs) > 0 && rng.IntN(5) == 0 { // an earlier message once more
			jobs = append(jobs, job{jobs[rng.IntN(len(jobs))].message, rng.IntN(len(fs))})
			continue
		}
		l := projects[rng.IntN(len(projects))]
		var events []event.Event
		for range 1 + rng.IntN(1<<rng.IntN(7)) {
			e := l.pool[rng.IntN(len(l.pool))]
			if rng.IntN(4) == 0 { // the client's retry, somewhat later
				e.ReceivedAt = e.ReceivedAt.Add(time.Duration(rng.IntN(1000)) * time.Second)
				e.ID = event.NewID(e.ReceivedAt)
			}
			events = append(events, e)
			l.sent[e.EventID] = true
		}
		jobs = append(jobs, job{pack(l.project, events...), rng.IntN(len(fs))})
	}
	stop := b.terminate(t, 15*time.Millisecond)
	queue := make(chan job)
	go func() {
		defer close(queue)
		for _, j := range jobs {
			queue <- j
		}
	}()
	inParallel(12, func(int) {
		for j := range queue {
			insist(t, fs[j.to], j.message)
		}
	})
	t.Logf("%d backends were terminated", stop())
	for _, l := range projects {
		want := len(l.sent)
		for id := range l.refused {
			if l.sent[id] {
				want--
			}
		}
		b.stored(t, l.project, want)
		issues := b.number(t, "select count(*) from mesher.issues where project_id = $1", l.project)
		if alerts := len(b.alerts(t, l.rule)); alerts != issues {
			t.Errorf("alerts = %d, want one for each of %d issues", alerts, issues)
		}
	}
}
