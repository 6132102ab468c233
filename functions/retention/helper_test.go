package retention

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// bundle is a database and the function at work in it, behind a real server.
type bundle struct {
	*Function
	db    *pgtest.Database
	admin *pgxpool.Pool
	url   string
	now   time.Time
	org   uuid.UUID
	next  atomic.Int64
}

func setup(t testing.TB) *bundle {
	t.Helper()
	b := &bundle{db: pgtest.New(t), now: noon, org: uuid.New()}
	b.admin = b.db.Pool(t, pgtest.Admin)
	b.exec(t, "insert into mesher.organizations (id, name, slug) values ($1, 'o', 'o')", b.org)
	b.Function = b.instance(t)
	server := httptest.NewServer(b)
	b.url = server.URL
	t.Cleanup(server.Close)
	return b
}

// instance returns the function as it is deployed.
func (b *bundle) instance(t testing.TB) *Function {
	t.Helper()
	cfg := Config{GraceDays: 7, DeadLetterDays: 90, Database: postgres.Config{
		URL: b.db.URL(pgtest.Store), PoolSize: 2, IdleTimeout: time.Minute, ConnectTimeout: 5 * time.Second, Insecure: true,
	}}
	f, err := New(clock.With(t.Context(), func() time.Time { return b.now }), cfg, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := f.pool.Stat().AcquiredConns(); n != 0 {
			t.Errorf("%d connections are not given back", n)
		}
		f.Close(context.Background())
	})
	return f
}

// summary is the answer to a run as a caller reads it.
type summary struct {
	Done, Remaining map[string]int64
	Failed          map[string]string
	Skipped         string
	Report          Report
}

// run posts to the function, which must succeed.
func (b *bundle) run(t testing.TB, query string) summary {
	t.Helper()
	s, status := b.post(t, query)
	if status != http.StatusOK || len(s.Failed) != 0 {
		t.Fatalf("answer = %d: %+v, want success", status, s)
	}
	return s
}

func (b *bundle) post(t testing.TB, query string) (s summary, status int) {
	t.Helper()
	r, err := http.Post(b.url+"/"+query, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var answer struct {
		summary
		Summary *summary
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Summary != nil {
		return *answer.Summary, r.StatusCode
	}
	return answer.summary, r.StatusCode
}

func (b *bundle) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := b.admin.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// number returns the one number that a query gives.
func (b *bundle) number(t testing.TB, sql string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := b.admin.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// texts returns the texts that a query gives.
func (b *bundle) texts(t testing.TB, sql string, args ...any) []string {
	t.Helper()
	rows, err := b.admin.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// project makes a project that keeps events for so many days.
func (b *bundle) project(t testing.TB, days int) uuid.UUID {
	t.Helper()
	id, slug := uuid.Must(uuid.NewV7()), fmt.Sprintf("p%d", b.next.Add(1))
	b.exec(t, "insert into mesher.projects (id, organization_id, name, slug, retention_days) values ($1, $2, $3, $3, $4)", id, b.org, slug, days)
	return id
}

// partitions makes the partitions of the days from so many ago to tomorrow.
func (b *bundle) partitions(t testing.TB, days int) {
	t.Helper()
	if _, err := postgres.EnsurePartitions(t.Context(), b.admin, b.now.AddDate(0, 0, -days), b.now.AddDate(0, 0, 1)); err != nil {
		t.Fatal(err)
	}
}

// events stores n events of a project that were received so many days ago, at noon.
func (b *bundle) events(t testing.TB, project uuid.UUID, daysAgo, n int) {
	t.Helper()
	b.exec(t, `
		insert into mesher.events (project_id, id, event_id, fingerprint, occurred_at, level, message, tags, extra, received_at)
		select $1::uuid, gen_random_uuid(), gen_random_uuid(), md5('f')::uuid, $2::timestamptz, 'error', repeat('m', 500), '{}', '{}',
			$2::timestamptz + n * interval '1 millisecond' from generate_series(1, $3::integer) n`,
		project, noon.AddDate(0, 0, -daysAgo), n)
}

// days lists on how many days before noon's a project has events, and how many.
func (b *bundle) days(t testing.TB, project uuid.UUID) string {
	t.Helper()
	return strings.Join(b.texts(t, `
		select ($2::timestamptz at time zone 'utc')::date - (received_at at time zone 'utc')::date || ':' || count(*)
		from mesher.events where project_id = $1 group by (received_at at time zone 'utc')::date order by 1`, project, noon), " ")
}

// tables lists the tables of days.
func (b *bundle) tables(t testing.TB) []string {
	t.Helper()
	return b.texts(t, `select relname::text from pg_class where relnamespace = 'mesher'::regnamespace and relkind = 'r'
		and relname like 'events\_%' order by 1`)
}
