package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/event/eventtest"
	"github.com/mesherhq/mesher/shared/local/pubsub"
)

// parcel is the events of one request, and what the client does with it.
type parcel struct {
	ids    []uuid.UUID
	events [][]byte
	twice  bool // sends it twice at the same time
	again  bool // sends it once more after it was accepted
}

// parcels returns n events in requests of one to fifty, most of one.
func parcels(rng *rand.Rand, n int) []parcel {
	var all []parcel
	for i := 0; i < n; {
		size := 1
		if rng.IntN(4) == 0 {
			size = min(1+rng.IntN(50), n-i)
		}
		p := parcel{twice: rng.IntN(20) == 0, again: rng.IntN(10) == 0}
		for range size {
			e := eventtest.Realistic(rng, i)
			_, rest, _ := bytes.Cut(e, []byte(`"event_id":"`))
			var id uuid.UUID
			if _, err := hex.Decode(id[:], rest[:32]); err != nil {
				panic(err)
			}
			p.ids, p.events = append(p.ids, id), append(p.events, e)
			i++
		}
		all = append(all, p)
	}
	return all
}

// ledger is what the clients know: where to send, and which events they were told are accepted.
type ledger struct {
	mu       sync.Mutex
	url, key string
	acked    map[uuid.UUID]bool
	retries  int
	wrong    map[int]int // answers that are neither 202 nor 503
}

func (l *ledger) at(p *platform) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.url, l.key = p.URL, p.APIKey
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// try sends a parcel once and reports whether all of it was accepted.
func (l *ledger) try(p *parcel) bool {
	l.mu.Lock()
	url, key := l.url, l.key
	l.mu.Unlock()
	a, err := send(url, key, bytes.Join(p.events, []byte("\n")))
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range a.Accepted {
		l.acked[uuid.MustParse(e.EventID)] = true
	}
	if err == nil && a.status != http.StatusAccepted && a.status != http.StatusServiceUnavailable {
		l.wrong[a.status]++
	}
	if err != nil || len(a.Accepted) < len(p.events) {
		l.retries++
		return false
	}
	return true
}

// deliver sends a parcel until all of it is accepted, as a client does that retries.
func (l *ledger) deliver(ctx context.Context, p *parcel) {
	if p.twice {
		var twin sync.WaitGroup
		twin.Go(func() { l.try(p) })
		defer twin.Wait()
	}
	for !l.try(p) && ctx.Err() == nil {
		time.Sleep(rand.N(100 * time.Millisecond))
	}
	if p.again {
		l.try(p)
	}
}

// Two hundred means stored: every event that a client was told is accepted is stored exactly once and counted
// exactly once, while everything is killed again and again.
func TestDev_KeepsEveryAcceptedEventThroughKills(t *testing.T) {
	t.Parallel()
	events := 20_000
	if testing.Short() {
		events = 2_000
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	home := newHome(t)
	p := start(t, home)
	l := &ledger{acked: make(map[uuid.UUID]bool), wrong: make(map[int]int)}
	l.at(p)

	queue := make(chan *parcel)
	go func() {
		defer close(queue)
		for _, one := range parcels(rand.New(rand.NewPCG(seed, 1)), events) {
			queue <- &one
		}
	}()
	var clients sync.WaitGroup
	for range 12 {
		clients.Go(func() {
			for one := range queue {
				l.deliver(t.Context(), one)
			}
		})
	}

	for _, moment := range moments(rng, events) {
		wait(t, "events are accepted", func() bool { return l.count() >= moment.after })
		p = moment.strike(t, p)
		l.at(p)
	}
	clients.Wait()
	t.Logf("%d events accepted, %d requests had to be sent again", l.count(), l.retries)
	if len(l.wrong) > 0 {
		t.Errorf("answers that are neither 202 nor 503, with their number: %v", l.wrong)
	}
	if l.count() != events {
		t.Fatalf("accepted = %d, want %d", l.count(), events)
	}

	p = drain(t, p, events)
	exact(t, p, l)
	p.kill(t)
	gone(t, home, p)
}

// moment is a point in a run at which something is killed.
type moment struct {
	after  int // events accepted
	strike func(testing.TB, *platform) *platform
}

// moments returns every kind of strike, at random points.
func moments(rng *rand.Rand, events int) []moment {
	strikes := []func(testing.TB, *platform) *platform{
		killAll, killAll, killAll, killTwice, killTwice, killDatabase, killDatabase, cutConnections, cutConnections,
	}
	rng.Shuffle(len(strikes), func(i, j int) { strikes[i], strikes[j] = strikes[j], strikes[i] })
	all := make([]moment, len(strikes))
	for i, strike := range strikes {
		all[i] = moment{rng.IntN(events * 95 / 100), strike}
	}
	slices.SortFunc(all, func(a, b moment) int { return a.after - b.after })
	return all
}

// killAll kills the platform with all of its process group and starts it again.
func killAll(t testing.TB, p *platform) *platform {
	t.Helper()
	p.kill(t)
	return start(t, p.home)
}

// killTwice kills the platform, and once more while it starts.
func killTwice(t testing.TB, p *platform) *platform {
	t.Helper()
	p.kill(t)
	again := launch(t, p.home)
	again.killAfter(t, rand.N(time.Second))
	return start(t, p.home)
}

// killDatabase kills the database server alone.
func killDatabase(t testing.TB, p *platform) *platform {
	t.Helper()
	pid := p.postmaster(t)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wait(t, "the database is back", func() bool {
		if !p.running() {
			t.Fatal("mesher dev ended with its database")
		}
		n, err := p.query(t.Context(), "select 1")
		return err == nil && n == 1
	})
	return p
}

// cutConnections ends every connection to the database.
func cutConnections(t testing.TB, p *platform) *platform {
	t.Helper()
	if _, err := p.query(t.Context(), "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename like 'mesher%'"); err != nil {
		t.Fatal(err)
	}
	return p
}

// drain waits until all events are stored and the queue is empty, which can be seen while the platform is
// stopped, and returns the platform that runs then.
func drain(t testing.TB, p *platform, events int) *platform {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		seen := -1
		wait(t, "everything is stored and the queue is quiet", func() bool {
			n, err := p.query(t.Context(), "select coalesce(sum(stored + duplicates), 0) from mesher.usage where project_id = $1", p.ProjectID)
			quiet := err == nil && n == seen && n >= events
			seen = n
			if !quiet {
				time.Sleep(200 * time.Millisecond)
			}
			return quiet
		})
		p.interrupt(t)
		q, err := pubsub.Open(t.Context(), pubsub.Options{Path: filepath.Join(p.home, "pubsub", "messages.db")})
		if err != nil {
			t.Fatal(err)
		}
		backlog := q.Backlog("store")
		if err := q.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		p = start(t, p.home)
		if backlog == 0 {
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages are still in the queue", backlog)
		}
	}
}

// exact fails the test unless exactly the accepted events are stored, each once, and all counters agree.
func exact(t testing.TB, p *platform, l *ledger) {
	t.Helper()
	want := len(l.acked)
	for what, sql := range map[string]string{
		"rows":                  "select count(*) from mesher.events where project_id = $1",
		"issues.event_count":    "select coalesce(sum(event_count), 0) from mesher.issues where project_id = $1",
		"usage.stored":          "select coalesce(sum(stored), 0) from mesher.usage where project_id = $1",
		"issue_hourly_counts":   "select coalesce(sum(events), 0) from mesher.issue_hourly_counts where project_id = $1",
		"events of their issue": "select count(*) from mesher.events e join mesher.issue_fingerprints using (project_id, fingerprint) where project_id = $1",
	} {
		if got := p.number(t, sql, p.ProjectID); got != want {
			t.Errorf("%s = %d, want %d", what, got, want)
		}
	}
	for what, sql := range map[string]string{
		"hourly counts that differ from their rows": `
			select count(*) from (
				select fingerprint, date_trunc('hour', received_at, 'UTC') as hour, count(*) as n
				from mesher.events where project_id = $1 group by 1, 2) e
			full join (select * from mesher.issue_hourly_counts where project_id = $1) h using (fingerprint, hour)
			where e.n is distinct from h.events`,
		"issues that differ from their rows": `
			select count(*) from (
				select f.issue_id as id, count(*) as n
				from mesher.events e join mesher.issue_fingerprints f using (project_id, fingerprint)
				where e.project_id = $1 group by 1) e
			full join (select * from mesher.issues where project_id = $1) i using (id)
			where e.n is distinct from i.event_count`,
		"dead letters": "select count(*) from mesher.dead_letters where project_id = $1 or project_id is null",
	} {
		if got := p.number(t, sql, p.ProjectID); got != 0 {
			t.Errorf("%s = %d, want 0", what, got)
		}
	}

	conn, err := pgx.Connect(t.Context(), p.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), "select event_id::text from mesher.events where project_id = $1", p.ProjectID)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	times := make(map[uuid.UUID]int, len(ids))
	for _, id := range ids {
		times[uuid.MustParse(id)]++
	}
	var wrong []string
	for id := range l.acked {
		if times[id] != 1 {
			wrong = append(wrong, fmt.Sprintf("%s %d times", id, times[id]))
		}
	}
	if len(wrong) > 0 {
		t.Errorf("%d accepted events are not stored once: %s …", len(wrong), strings.Join(wrong[:min(len(wrong), 5)], ", "))
	}
}
