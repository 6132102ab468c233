package store

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/klauspost/compress/zstd"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/event/eventtest"
	"github.com/mesherhq/mesher/shared/grouping"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/topic"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// noon is when everything in these tests happens: far enough from midnight, unless a test is about midnight.
var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// patience bounds every wait for something that has to come.
const patience = 60 * time.Second

// bundle is a database with partitions from the day before noon's to the day after, and what tests do with it.
type bundle struct {
	db    *pgtest.Database
	admin *pgxpool.Pool
	org   uuid.UUID
	next  atomic.Int64
}

func setup(t testing.TB) *bundle {
	t.Helper()
	return newBundle(t, pgtest.New(t))
}

func newBundle(t testing.TB, db *pgtest.Database) *bundle {
	t.Helper()
	b := &bundle{db: db, admin: db.Pool(t, pgtest.Admin), org: uuid.New()}
	b.exec(t, "insert into mesher.organizations (id, name, slug) values ($1, 'o', 'o')", b.org)
	if _, err := postgres.EnsurePartitions(t.Context(), b.admin, noon.Add(-day), noon.Add(day)); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bundle) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := b.admin.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// number returns the one number that a query gives.
func (b *bundle) number(t testing.TB, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := b.admin.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// project makes a project that keeps events for 90 days.
func (b *bundle) project(t testing.TB) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	slug := fmt.Sprintf("p%d", b.next.Add(1))
	b.exec(t, "insert into mesher.projects (id, organization_id, name, slug) values ($1, $2, $3, $3)", id, b.org, slug)
	return id
}

// function returns an instance as it is deployed, at noon. When the test ends, it must hold no memory and no
// connection.
func (b *bundle) function(t testing.TB, change ...func(*Config)) *Function {
	t.Helper()
	cfg := Config{
		Database: postgres.Config{
			URL: b.db.URL(pgtest.Store), PoolSize: 2, IdleTimeout: time.Minute, ConnectTimeout: 5 * time.Second, Insecure: true,
		},
		// Nothing listens there: what is not published is swept by others.
		Outbox: outbox.Config{Queue: topic.Config{Project: "p", EmulatorHost: "127.0.0.1:9"}, Topic: "notifications"},
		Slots:  2, Memory: 256 << 20, Rows: 1000, Waiting: 250, Timeout: 25 * time.Second,
	}
	for _, c := range change {
		c(&cfg)
	}
	f, err := New(clock.With(t.Context(), func() time.Time { return noon }), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if held := f.budget.Held(); held != 0 {
			t.Errorf("%d bytes of the memory budget are not given back", held)
		}
		if n := f.pool.Stat().AcquiredConns(); n != 0 {
			t.Errorf("%d connections are not given back", n)
		}
		f.Close(context.Background())
	})
	return f
}

// functions returns n instances.
func (b *bundle) functions(t testing.TB, n int) []*Function {
	t.Helper()
	all := make([]*Function, n)
	for i := range all {
		all[i] = b.function(t)
	}
	return all
}

// sample returns the i-th realistic event of a project, received at the given time.
func sample(t testing.TB, project uuid.UUID, i int, at time.Time) event.Event {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(i), uint64(lockKey(project))))
	e, err := event.Decode(eventtest.RealisticAt(rng, i, at), event.DefaultLimits(), at)
	if err != nil {
		t.Fatal(err)
	}
	e.ReceivedAt = at.Truncate(time.Millisecond)
	e.ID = event.NewID(e.ReceivedAt)
	grouping.Group(project, &e)
	return e
}

// samples returns n realistic events of a project at noon, from the i-th on.
func samples(t testing.TB, project uuid.UUID, from, n int) []event.Event {
	t.Helper()
	events := make([]event.Event, n)
	for i := range events {
		events[i] = sample(t, project, from+i, noon)
	}
	return events
}

// encoder packs as Ingest does.
var encoder = sync.OnceValue(func() *zstd.Encoder {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		panic(err)
	}
	return z
})

// lines returns the canonical lines of events.
func lines(events []event.Event) []byte {
	var raw []byte
	for i := range events {
		raw = append(events[i].AppendLine(raw), '\n')
	}
	return raw
}

// pack returns the message that Ingest publishes for events.
func pack(project uuid.UUID, events ...event.Event) topic.Message {
	return packRaw(project, lines(events), len(events))
}

// packRaw returns a message with the given lines.
func packRaw(project uuid.UUID, raw []byte, n int) topic.Message {
	return topic.Message{
		ID:   uuid.NewString(),
		Data: encoder().EncodeAll(raw, nil),
		Attributes: map[string]string{
			"schema": strconv.Itoa(event.Schema), "project_id": project.String(),
			"batch_id": uuid.Must(uuid.NewV7()).String(), "events": strconv.Itoa(n), "key_id": uuid.NewString(),
		},
		OrderingKey: project.String() + "/0", PublishTime: noon, DeliveryAttempt: 1,
		Subscription: "projects/p/subscriptions/store",
	}
}

// deliver pushes a message as the queue does and returns the answer.
func deliver(f *Function, m topic.Message) *httptest.ResponseRecorder {
	return push(f, string(topic.EncodePush(m)))
}

func push(f *Function, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	f.ServeHTTP(w, r)
	return w
}

// acked fails the test unless the message is acknowledged at its first delivery.
func acked(t testing.TB, f *Function, m topic.Message) {
	t.Helper()
	if w := deliver(f, m); w.Code != http.StatusNoContent {
		t.Errorf("answer = %d %s, want 204", w.Code, w.Body)
	}
}

// insist delivers a message until it is acknowledged, as the queue does. Any answer but 204 and 503 is wrong.
func insist(t testing.TB, f *Function, m topic.Message) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		w := deliver(f, m)
		switch {
		case w.Code == http.StatusNoContent:
			return
		case w.Code != http.StatusServiceUnavailable:
			t.Errorf("answer = %d %s, want 204 or 503", w.Code, w.Body)
			return
		case time.Now().After(deadline):
			t.Errorf("the message is not stored within %s: %s", patience, w.Body)
			return
		}
	}
}

// stored fails the test unless exactly want events of a project are stored, each once, and counted in every
// place that counts.
func (b *bundle) stored(t testing.TB, project uuid.UUID, want int) {
	t.Helper()
	for _, c := range []struct{ what, sql string }{
		{"rows", "select count(*) from mesher.events where project_id = $1"},
		{"distinct events", "select count(distinct event_id) from mesher.events where project_id = $1"},
		{"issues.event_count", "select coalesce(sum(event_count), 0) from mesher.issues where project_id = $1"},
		{"issue_hourly_counts", "select coalesce(sum(events), 0) from mesher.issue_hourly_counts where project_id = $1"},
		{"project_hourly_counts", "select coalesce(sum(events), 0) from mesher.project_hourly_counts where project_id = $1"},
		{"project_minute_counts", "select coalesce(sum(events), 0) from mesher.project_minute_counts where project_id = $1"},
		{"usage.stored", "select coalesce(sum(stored), 0) from mesher.usage where project_id = $1"},
	} {
		if got := b.number(t, c.sql, project); got != want {
			t.Errorf("%s = %d, want %d", c.what, got, want)
		}
	}
	b.consistent(t, project)
}

// consistent fails the test unless the counters of a project are what its rows add up to: by fingerprint and
// hour, and by issue, times and levels included.
func (b *bundle) consistent(t testing.TB, project uuid.UUID) {
	t.Helper()
	wrongHours := b.number(t, `
		select count(*) from (
			select fingerprint, date_trunc('hour', received_at, 'UTC') as hour, count(*) as n
			from mesher.events where project_id = $1 group by 1, 2) e
		full join (select fingerprint, hour, events as n from mesher.issue_hourly_counts where project_id = $1) h
			using (fingerprint, hour)
		where e.n is distinct from h.n`, project)
	if wrongHours != 0 {
		t.Errorf("%d hourly counts differ from the rows", wrongHours)
	}
	wrongIssues := b.number(t, `
		select count(*) from (
			select f.issue_id as id, count(*) as n, min(e.received_at) as first, max(e.received_at) as last
			from mesher.events e join mesher.issue_fingerprints f using (project_id, fingerprint)
			where e.project_id = $1 group by 1) e
		full join (select * from mesher.issues where project_id = $1) i using (id)
		where e.n is distinct from i.event_count or e.first is distinct from i.first_seen
			or e.last is distinct from i.last_seen or i.active_hour is distinct from date_trunc('hour', e.last, 'UTC')`, project)
	if wrongIssues != 0 {
		t.Errorf("%d issues differ from their rows", wrongIssues)
	}
	for _, c := range []struct{ what, sql string }{
		{"hourly counts of levels", `
			select count(*) from (
				select date_trunc('hour', received_at, 'UTC') as hour, level, count(*) as n
				from mesher.events where project_id = $1 group by 1, 2) e
			full join (select hour, level, events as n from mesher.project_hourly_counts where project_id = $1) h
				using (hour, level)
			where e.n is distinct from h.n`},
		{"minutes", `
			select count(*) from (
				select date_trunc('minute', received_at, 'UTC') as minute, level, count(*) as n
				from mesher.events where project_id = $1 group by 1, 2) e
			full join (
				select minute, level, sum(events) as n from mesher.project_minute_counts where project_id = $1 group by 1, 2) m
				using (minute, level)
			where e.n is distinct from m.n`},
		{"users of fingerprints", `
			select count(*) from (select distinct fingerprint, user_hash from (` + usersOfRows + `) u) e
			full join (select fingerprint, user_hash, true as kept from mesher.issue_users where project_id = $1) x
				using (fingerprint, user_hash)
			where x.kept is null or e.* is null`},
		{"numbers of users", `
			select count(*) from (
				select f.issue_id as id, count(distinct user_hash) as n from (` + usersOfRows + `) u
				join mesher.issue_fingerprints f on f.project_id = $1 and f.fingerprint = u.fingerprint group by 1) e
			right join (select id, user_count from mesher.issues where project_id = $1) i using (id)
			where coalesce(e.n, 0) <> i.user_count`},
		{"releases", `
			select count(*) from (
				select distinct release as version from mesher.events where project_id = $1 and release is not null) e
			full join (select version, true as kept from mesher.releases where project_id = $1) r using (version)
			where r.kept is null or e.* is null`},
		{"tags that no row has", `
			select count(*) from mesher.issue_tags t
			where project_id = $1 and not exists (
				select from mesher.events e
				where e.project_id = t.project_id and e.fingerprint = t.fingerprint
					and date_trunc('hour', e.received_at, 'UTC') = t.seen_hour and t.value in (e.tags ->> t.key,
						jsonb_build_object('environment', environment, 'release', release, 'level', level,
							'server_name', server_name, 'transaction', transaction, 'platform', platform,
							'logger', logger, 'user', user_id) ->> t.key))`},
	} {
		if wrong := b.number(t, c.sql, project); wrong != 0 {
			t.Errorf("%s: %d differ from the rows", c.what, wrong)
		}
	}
}

// usersOfRows is the users whom the rows of a project name.
const usersOfRows = `
	select fingerprint, encode(substring(sha256(uuid_send(project_id) ||
		convert_to(coalesce(user_id, user_info ->> 'ip_address'), 'utf8')) for 16), 'hex')::uuid as user_hash
	from mesher.events where project_id = $1 and coalesce(user_id, user_info ->> 'ip_address', '') <> ''`

// usage returns a column of a project's usage, over all minutes.
func (b *bundle) usage(t testing.TB, project uuid.UUID, column string) int {
	t.Helper()
	return b.number(t, "select coalesce(sum("+column+"), 0) from mesher.usage where project_id = $1", project)
}

// letter is a row of dead_letters.
type letter struct {
	Source, Reason, Detail, MessageID string
	Payload                           []byte
}

// deadLetters returns all dead letters, or those of one message.
func (b *bundle) deadLetters(t testing.TB, message string) []letter {
	t.Helper()
	rows, err := b.admin.Query(t.Context(), `
		select source, reason, detail, coalesce(message_id, ''), payload from mesher.dead_letters
		where $1 in ('', message_id) order by created_at`, message)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []letter
	for rows.Next() {
		var d letter
		if err := rows.Scan(&d.Source, &d.Reason, &d.Detail, &d.MessageID, &d.Payload); err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// inParallel runs f n times at once.
func inParallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// eventually fails the test unless done becomes true.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
