package migrations_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

var update = flag.Bool("update", false, "rewrite grants.txt")

func TestMain(m *testing.M) { pgtest.Main(m) }

// rows runs a query and returns its first column.
func rows[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) []T {
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

func exec(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestSchema_EventColumnsStandInOrder(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t, pgtest.Store)
	exec(t, conn, "select mesher.create_event_partitions('2026-03-01', '2026-03-01')")
	want := []string{
		"project_id uuid!", "received_at timestamp with time zone!", "id uuid!", "event_id uuid!", "fingerprint uuid!",
		"occurred_at timestamp with time zone!", "level text!", "message text!", "exception_type text",
		"exception_value text", "culprit text", "environment text", "release text", "platform text",
		"transaction text", "server_name text", "logger text", "user_id text", "trace_id text", "tags jsonb!",
		"extra jsonb!", "exception json", "threads json", "breadcrumbs json", "user_info json", "contexts json",
		"request json", "sdk json", "client_fingerprint json", "meta json",
	}
	for _, table := range []string{"mesher.events", "mesher.events_20260301"} {
		got := rows[string](t, conn, `select attname || ' ' || format_type(atttypid, atttypmod) || case when attnotnull then '!' else '' end
			from pg_attribute where attrelid = $1::text::regclass and attnum > 0 and not attisdropped order by attnum`, table)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("columns of %s (-want +got):\n%s", table, diff)
		}
	}
}

func TestSchema_CompressesBulkyColumnsWhereTheServerCan(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t, pgtest.Store)
	exec(t, conn, "select mesher.create_event_partitions('2026-03-01', '2026-03-01')")
	lz4 := rows[bool](t, conn, "select 'lz4' = any (enumvals) from pg_settings where name = 'default_toast_compression'")[0]
	want := ""
	if lz4 {
		want = "l"
	}
	for _, table := range []string{"mesher.events", "mesher.events_20260301"} {
		got := rows[string](t, conn, `select distinct attcompression::text from pg_attribute
			where attrelid = $1::text::regclass and atttypid in ('json'::regtype, 'jsonb'::regtype)`, table)
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("compression of %s (-want +got):\n%s", table, diff)
		}
	}
}

func TestSchema_UpdatesOfCountersStayHot(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t, pgtest.Store)
	indexed := rows[string](t, conn, `select a.attname::text from pg_index i
		join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
		where i.indrelid in ('mesher.issues'::regclass, 'mesher.issue_hourly_counts'::regclass, 'mesher.usage'::regclass)`)
	for _, column := range indexed {
		switch column {
		case "event_count", "last_seen", "updated_at", "events", "accepted", "stored":
			t.Errorf("column %s is indexed: each update of it would touch every index", column)
		}
	}
}

func TestSchema_NamesItsChecks(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t, pgtest.Admin)
	bad := rows[string](t, conn, `select conrelid::regclass || ': ' || conname from pg_constraint
		where connamespace = 'mesher'::regnamespace and contype = 'c'
		  and conname not like split_part(conrelid::regclass::text, '.', 2) || '\_%\_check'`)
	if len(bad) > 0 {
		t.Errorf("checks not named <table>_<what>_check: %v", bad)
	}
}

func TestGrants(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	exec(t, db.Conn(t, pgtest.Store), "select mesher.create_event_partitions('2026-03-01', '2026-03-02')")
	found, err := postgres.Grants(t.Context(), db.Pool(t, pgtest.Admin))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(found, "\n") + "\n"
	if *update {
		if err := os.WriteFile("grants.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(migrations.Grants, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("grants.txt is behind the files, run go test ./migrations -run Grants -update (-text +database):\n%s", diff)
	}
}
