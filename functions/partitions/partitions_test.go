package partitions

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// bundle is a database and the function at work in it, behind a real server.
type bundle struct {
	*Function
	db  *pgtest.Database
	url string
	now time.Time
	log *logged
}

func setup(t testing.TB) *bundle {
	t.Helper()
	b := &bundle{db: pgtest.New(t), now: noon, log: &logged{}}
	cfg := Config{Days: 3, Database: postgres.Config{
		URL: b.db.URL(pgtest.Store), PoolSize: 2, IdleTimeout: time.Minute, ConnectTimeout: 5 * time.Second, Insecure: true,
	}}
	var err error
	b.Function, err = New(clock.With(t.Context(), func() time.Time { return b.now }), cfg, slog.New(b.log))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(b)
	b.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if n := b.pool.Stat().AcquiredConns(); n != 0 {
			t.Errorf("%d connections are not given back", n)
		}
		b.Close(context.Background())
	})
	return b
}

// summary is the answer to a run as a caller reads it.
type summary struct {
	Done, Remaining map[string]int64
	Failed          map[string]string
	Skipped         string
	Report          Report
}

// run posts to the function, which must answer want.
func (b *bundle) run(t testing.TB, query string, want int) summary {
	t.Helper()
	r, err := http.Post(b.url+"/"+query, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var s summary
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil || r.StatusCode != want {
		t.Fatalf("answer = %d, %v; want %d: %+v", r.StatusCode, err, want, s)
	}
	return s
}

// logged keeps the messages of level ERROR.
type logged struct {
	mu       sync.Mutex
	messages []string
}

func (l *logged) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }

func (l *logged) Handle(_ context.Context, r slog.Record) error { //nolint:gocritic // as slog.Handler has it
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages = append(l.messages, r.Message)
	return nil
}

func (l *logged) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *logged) WithGroup(string) slog.Handler      { return l }

func (l *logged) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.messages
	l.messages = nil
	return out
}

func rows[T any](t testing.TB, conn postgres.DB, sql string, args ...any) []T {
	t.Helper()
	r, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	out, err := pgx.CollectRows(r, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// attached lists the partitions of events.
func (b *bundle) attached(t testing.TB) []string {
	t.Helper()
	return rows[string](t, b.pool, `select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
		where i.inhparent = 'mesher.events'::regclass order by 1`)
}

func TestFunction_KeepsTheComingDaysReady(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dry := b.run(t, "?dry_run=true", http.StatusOK)
	want := []string{"2026-03-09", "2026-03-10", "2026-03-11", "2026-03-12", "2026-03-13"}
	if diff := cmp.Diff(want, dry.Report.Made); diff != "" || dry.Done["made"] != 5 || len(b.attached(t)) != 0 {
		t.Errorf("dry run: %+v, %v (-want +got)\n%s", dry, b.attached(t), diff)
	}
	first := b.run(t, "", http.StatusOK)
	if diff := cmp.Diff(want, first.Report.Made); diff != "" || first.Done["made"] != 5 || first.Report.Days != 3 || first.Report.Last != "2026-03-13" {
		t.Errorf("first run: %+v (-want +got)\n%s", first, diff)
	}
	if got := b.log.take(); len(got) == 0 {
		t.Error("today had no partition and nobody is told")
	}
	again := b.run(t, "", http.StatusOK)
	if again.Done["made"] != 0 || len(again.Report.Made)+len(again.Report.Gaps)+len(again.Report.Repaired) != 0 {
		t.Errorf("second run: %+v", again)
	}
	b.now = noon.AddDate(0, 0, 2)
	later := b.run(t, "", http.StatusOK)
	if diff := cmp.Diff([]string{"2026-03-14", "2026-03-15"}, later.Report.Made); diff != "" {
		t.Errorf("two days later (-want +got)\n%s", diff)
	}
	if got := b.log.take(); len(got) != 0 {
		t.Errorf("nothing is wrong, but logged is %v", got)
	}
}

func TestFunction_FillsGapsAndTellsOfThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t, "", http.StatusOK)
	b.log.take()
	b.db.Exec(t, "alter table mesher.events detach partition mesher.events_20260311", "drop table mesher.events_20260312")
	s := b.run(t, "", http.StatusOK)
	want := []string{"2026-03-11", "2026-03-12"}
	if !slices.Equal(s.Report.Gaps, want) || !slices.Equal(s.Report.Made, want) || len(s.Report.Missing) != 0 || s.Report.Days != 3 {
		t.Errorf("report = %+v, want the gaps %v filled", s.Report, want)
	}
	if got := b.log.take(); !slices.Equal(got, []string{"days of events have no partition"}) {
		t.Errorf("logged = %v", got)
	}
	if got := len(b.attached(t)); got != 5 {
		t.Errorf("%d partitions, want 5", got)
	}
}

func TestFunction_RepairsWhatPartitionsLack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t, "", http.StatusOK)
	b.db.Exec(t, "create role stranger_"+b.db.Name())
	admin := b.db.Pool(t, pgtest.Admin)
	t.Cleanup(func() {
		for _, sql := range []string{"drop owned by stranger_" + b.db.Name(), "drop role stranger_" + b.db.Name()} {
			if _, err := admin.Exec(context.Background(), sql); err != nil {
				t.Errorf("%s: %v", sql, err)
			}
		}
	})
	const part = "events_20260310"
	b.db.Exec(t, insert(part, 1))
	for _, tt := range []struct {
		breaks string
		want   string
	}{
		{"alter table mesher.events_20260310 disable row level security", "row level security"},
		{"alter table mesher.events_20260310 force row level security", "row level security"},
		{"drop policy app_reads on mesher.events_20260310", "policy"},
		{"create policy all_may on mesher.events_20260310 using (true)", "foreign policies"},
		{"grant select on mesher.events_20260310 to public", "privileges"},
		{"grant all on mesher.events_20260310 to stranger_" + b.db.Name(), "privileges"},
		{"grant select (message) on mesher.events_20260310 to mesher_app", "privileges"},
		{"alter table mesher.events_20260310 drop constraint events_20260310_event_id_key", "index event_id"},
		// What is left when such an index could not be built.
		{"alter table mesher.events_20260310 drop constraint events_20260310_event_id_key;" +
			"create unique index events_20260310_event_id_key on mesher.events_20260310 (project_id, event_id);" +
			"update pg_index set indisvalid = false where indexrelid = 'mesher.events_20260310_event_id_key'::regclass", "index event_id"},
		{"grant select on mesher.events_20260310 to public; drop policy app_reads on mesher.events_20260310", "policy, privileges"},
	} {
		b.db.Exec(t, tt.breaks)
		dry := b.run(t, "?dry_run=true", http.StatusOK)
		s := b.run(t, "", http.StatusOK)
		want := []Repair{{part, strings.Split(tt.want, ", ")}}
		if diff := cmp.Diff(want, s.Report.Repaired); diff != "" {
			t.Errorf("%s: repaired (-want +got)\n%s", tt.breaks, diff)
		}
		if diff := cmp.Diff(want, dry.Report.Repaired); diff != "" {
			t.Errorf("%s: the dry run says (-want +got)\n%s", tt.breaks, diff)
		}
		if left := rows[string](t, b.pool, "select part || ' ' || faults::text from mesher.event_partition_faults()"); len(left) != 0 {
			t.Errorf("%s: after a run there are left %v", tt.breaks, left)
		}
		if again := b.run(t, "", http.StatusOK); len(again.Report.Repaired) != 0 {
			t.Errorf("%s: repaired again: %v", tt.breaks, again.Report.Repaired)
		}
	}
	if n := rows[int64](t, b.pool, "select count(*) from mesher."+part)[0]; n != 1 {
		t.Errorf("%d rows, want the one that was there", n)
	}
	for _, may := range []string{"mesher_app", "stranger_" + b.db.Name()} {
		if rows[bool](t, b.pool, "select has_table_privilege($1::text, 'mesher.events_20260310', 'select')", may)[0] {
			t.Errorf("%s may still read the partition", may)
		}
	}
	if _, err := b.pool.Exec(t.Context(), strings.Replace(insert(part, 1), "12:00:01", "12:00:02", 1)); !postgres.Duplicate(err) {
		t.Errorf("an event id a second time: %v, want it refused", err)
	}
}

// insert returns the statement that stores the n-th event of a partition.
func insert(part string, n int) string {
	return fmt.Sprintf(`insert into mesher.%s (project_id, id, event_id, fingerprint, occurred_at, level, message, tags, extra, received_at)
		values ('00000000-0000-0000-0000-000000000001', gen_random_uuid(), md5('%d')::uuid, gen_random_uuid(), now(), 'error', 'm', '{}', '{}',
		'%s 12:00:01Z')`, part, n, strings.TrimPrefix(part, "events_"))
}

// An index that a migration adds to events alone reaches the partitions by and by, while events are stored.
func TestFunction_BuildsNewIndexesOnPartitions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t, "", http.StatusOK)
	b.db.Exec(t, insert("events_20260310", 1),
		"set role mesher_owner; create index events_release_idx on only mesher.events (project_id, release) where release is not null")
	s := b.run(t, "", http.StatusOK)
	if s.Done["indexed"] != 5 || len(s.Report.Repaired) != 5 || s.Report.Repaired[0].What[0] != "index events_release_idx" {
		t.Errorf("summary = %+v, want the index on each of 5 partitions", s)
	}
	valid := rows[bool](t, b.pool, "select indisvalid from pg_index where indexrelid = 'mesher.events_release_idx'::regclass")
	if !valid[0] {
		t.Error("the index of events is not valid, although every partition has its part")
	}
}

func TestFunction_LeavesWhatIsLockedForTheNextRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t, "", http.StatusOK)
	b.log.take()
	holder := b.db.Conn(t, pgtest.Admin)
	exec := func(sql string) {
		t.Helper()
		if _, err := holder.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	b.db.Exec(t, "alter table mesher.events_20260310 disable row level security")
	b.now = noon.AddDate(0, 0, 1)
	exec("begin")
	exec("lock table mesher.events in share update exclusive mode") // as ANALYZE does
	exec("select from mesher.events_20260310")                      // as any reader
	s := b.run(t, "", http.StatusOK)
	if s.Remaining["made"] != 1 || s.Remaining["repaired"] != 1 || len(s.Failed) != 0 ||
		!slices.Equal(s.Report.Missing, []string{"2026-03-14"}) || s.Report.Days != 2 {
		t.Errorf("while locked: %+v, want both left and nothing failed", s)
	}
	exec("commit")
	s = b.run(t, "", http.StatusOK)
	if s.Done["made"] != 1 || s.Done["repaired"] != 1 || len(s.Remaining) != 0 || s.Report.Days != 3 {
		t.Errorf("afterwards: %+v, want both done", s)
	}
}

func TestFunction_SaysWhatItCannotRepair(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t, "", http.StatusOK)
	b.log.take()
	b.db.Exec(t, "alter table mesher.events_20260310 drop constraint events_20260310_event_id_key",
		insert("events_20260310", 1), strings.Replace(insert("events_20260310", 1), "12:00:01", "12:00:02", 1),
		// Not a partition as it should be: it lacks columns.
		"set role mesher_owner; create table mesher.events_20260314 (project_id uuid)")
	b.now = noon.AddDate(0, 0, 1)
	s := b.run(t, "", http.StatusOK)
	if s.Failed["indexed"] == "" || s.Failed["made"] == "" || len(s.Report.Lacking) != 1 || !slices.Equal(s.Report.Missing, []string{"2026-03-14"}) {
		t.Errorf("summary = %+v, want two failures and what is lacking", s)
	}
	if got := b.log.take(); !slices.Contains(got, "partitions of events are missing after a run") || !slices.Contains(got, "a partition of events lacks something") {
		t.Errorf("logged = %v", got)
	}
}

// Whatever lies in the partitions is not looked at: the server counts scans of each table and index.
func TestFunction_ReadsNoEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t, "", http.StatusOK)
	b.db.Exec(t, `
		insert into mesher.events (project_id, id, event_id, fingerprint, occurred_at, level, message, tags, extra, received_at)
		select '00000000-0000-0000-0000-000000000001', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), 'error', 'm', '{}', '{}',
			'2026-03-10'::date + n * interval '1 second' from generate_series(1, 5000) n`)
	scans := func() int64 {
		return rows[int64](t, b.pool, `select sum(pg_stat_get_numscans(c.oid))::bigint from pg_class c
			where c.relnamespace = 'mesher'::regnamespace and c.relname like 'events%'`)[0]
	}
	b.db.Exec(t, "alter table mesher.events_20260310 disable row level security")
	before := scans()
	b.now = noon.AddDate(0, 0, 1)
	if s := b.run(t, "", http.StatusOK); s.Done["made"] != 1 || s.Done["repaired"] != 1 {
		t.Errorf("summary = %+v", s)
	}
	// Attaching the new, empty partition looks at that: it has no row.
	b.db.Exec(t, "select pg_stat_force_next_flush()")
	fresh := rows[int64](t, b.pool, "select pg_stat_get_numscans('mesher.events_20260314'::regclass)")[0]
	if after := scans(); after-fresh != before {
		t.Errorf("%d scans of events, want none", after-fresh-before)
	}
}

func TestNew_RefusesSettingsThatCannotWork(t *testing.T) {
	t.Parallel()
	for _, days := range []string{"1", "61", "-5"} {
		_, err := Build(t.Context(), env.Map(map[string]string{"DATABASE_URL": "postgres://u:p@localhost/d", "PARTITION_DAYS": days}), slog.New(slog.DiscardHandler))
		if !fault.Is(err, fault.NotConfigured) || !strings.Contains(err.Error(), "PARTITION_DAYS is "+days+", expected 2 to 60") {
			t.Errorf("PARTITION_DAYS=%s: %v", days, err)
		}
	}
}
