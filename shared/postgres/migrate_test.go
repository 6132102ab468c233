package postgres_test

import (
	"io/fs"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

// base is the least that the runner needs: its own table.
const base = `create schema mesher; create table mesher.migrations (number int primary key, name text not null,
	checksum text not null, applied_at timestamptz not null default now(), took_ms int not null)`

// files builds a directory of migrations out of names and texts.
func files(pairs ...string) fstest.MapFS {
	out := fstest.MapFS{"0001_create_schema.sql": {Data: []byte(base)}}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return out
}

func names(list []postgres.Migration) []string {
	var out []string
	for _, m := range list {
		out = append(out, m.Name)
	}
	return out
}

func migrate(t *testing.T, conn *pgx.Conn, fsys fs.FS) []string {
	t.Helper()
	report, err := postgres.Migrate(t.Context(), conn, fsys, postgres.MigrateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return names(report.Applied)
}

func TestMigrate_AppliesEachFileOnce(t *testing.T) {
	t.Parallel()
	conn := pgtest.Empty(t).Conn(t, pgtest.Admin)
	dir := files("0002_create_a.sql", "create table a (n int); insert into a values (1)", "README.md", "not one")

	dry, err := postgres.Migrate(t.Context(), conn, dir, postgres.MigrateOptions{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"0001_create_schema.sql", "0002_create_a.sql"}
	if diff := cmp.Diff(all, names(dry.Pending)); diff != "" || len(dry.Applied) > 0 {
		t.Errorf("dry run (-want +got):\n%s applied %v", diff, dry.Applied)
	}
	if diff := cmp.Diff(all, migrate(t, conn, dir)); diff != "" {
		t.Errorf("first run (-want +got):\n%s", diff)
	}
	if got := migrate(t, conn, dir); got != nil {
		t.Errorf("second run applied %v, want nothing", got)
	}

	dir["0007_fill_a.sql"] = &fstest.MapFile{Data: []byte("insert into a values (2)")}
	state, err := postgres.Status(t.Context(), conn, dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(state) != 3 || state[0].Pending() || state[1].Pending() || !state[2].Pending() {
		t.Errorf("status = %+v, want two applied and one pending", state)
	}
	if diff := cmp.Diff([]string{"0007_fill_a.sql"}, migrate(t, conn, dir)); diff != "" {
		t.Errorf("third run (-want +got):\n%s", diff)
	}
	var sum int
	if err := conn.QueryRow(t.Context(), "select sum(n) from a").Scan(&sum); err != nil || sum != 3 {
		t.Errorf("sum = %d, %v; want 3", sum, err)
	}
}

func TestMigrate_RefusesAHistoryThatDoesNotFit(t *testing.T) {
	t.Parallel()
	applied := files("0002_create_a.sql", "create table a (n int)", "0004_create_b.sql", "create table b (n int)")
	db := pgtest.Empty(t)
	migrate(t, db.Conn(t, pgtest.Admin), applied)
	tests := []struct {
		name   string
		change func(fstest.MapFS)
		want   []string
	}{
		{"edited", func(d fstest.MapFS) { d["0002_create_a.sql"] = &fstest.MapFile{Data: []byte("create table a (m int)")} }, []string{"0002_create_a.sql", "edited"}},
		{"edited in a comment", func(d fstest.MapFS) {
			d["0002_create_a.sql"] = &fstest.MapFile{Data: []byte("create table a (n int) -- x")}
		}, []string{"0002_create_a.sql", "edited"}},
		{"missing", func(d fstest.MapFS) { delete(d, "0004_create_b.sql") }, []string{"0004_create_b.sql", "missing"}},
		{"renamed", func(d fstest.MapFS) { d["0004_make_b.sql"] = d["0004_create_b.sql"]; delete(d, "0004_create_b.sql") }, []string{"0004_make_b.sql", "0004_create_b.sql"}},
		{"out of order", func(d fstest.MapFS) { d["0003_late.sql"] = &fstest.MapFile{Data: []byte("select 1")} }, []string{"0003_late.sql", "0004_create_b.sql"}},
		{"number used twice", func(d fstest.MapFS) { d["0004_again.sql"] = &fstest.MapFile{Data: []byte("select 1")} }, []string{"0004_create_b.sql", "0004_again.sql"}},
		{"no form", func(d fstest.MapFS) { d["5_more.sql"] = &fstest.MapFile{Data: []byte("select 1")} }, []string{"5_more.sql", "form"}},
		{"upper case", func(d fstest.MapFS) { d["0005_More.sql"] = &fstest.MapFile{Data: []byte("select 1")} }, []string{"0005_More.sql", "form"}},
		{"zero", func(d fstest.MapFS) { d["0000_more.sql"] = &fstest.MapFile{Data: []byte("select 1")} }, []string{"0000_more.sql"}},
		{"empty", func(d fstest.MapFS) { d["0005_more.sql"] = &fstest.MapFile{Data: []byte("-- nothing")} }, []string{"0005_more.sql", "no statement"}},
		{"open quote", func(d fstest.MapFS) { d["0005_more.sql"] = &fstest.MapFile{Data: []byte("\nselect 'x")} }, []string{"0005_more.sql", "line 2"}},
		{"own transaction", func(d fstest.MapFS) { d["0005_more.sql"] = &fstest.MapFile{Data: []byte("select 1; COMMIT; select 2")} }, []string{"0005_more.sql", "statement 2", "COMMIT"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := maps.Clone(applied)
			tt.change(dir)
			report, err := postgres.Migrate(t.Context(), db.Conn(t, pgtest.Admin), dir, postgres.MigrateOptions{})
			if err == nil || len(report.Applied) > 0 {
				t.Fatalf("applied %v, error %v; want a refusal", report.Applied, err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not mention %q", err, part)
				}
			}
		})
	}
}

func TestMigrate_RollsAFailedFileBack(t *testing.T) {
	t.Parallel()
	conn := pgtest.Empty(t).Conn(t, pgtest.Admin)
	dir := files("0002_create_a.sql", "create table a (n int)",
		"0003_break.sql", "-- why\n\ncreate table b (n int);\ncreate table c (\n  n int,\n  m nonsense\n);\ncreate table d (n int)")
	report, err := postgres.Migrate(t.Context(), conn, dir, postgres.MigrateOptions{})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"0003_break.sql", "statement 2", "line 6", "create table c ( n int", `type "nonsense" does not exist`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not mention %q", err, part)
		}
	}
	if postgres.SQLState(err) != "42704" {
		t.Errorf("code = %q, want that of the server", postgres.SQLState(err))
	}
	if diff := cmp.Diff([]string{"0001_create_schema.sql", "0002_create_a.sql"}, names(report.Applied)); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"0003_break.sql"}, names(report.Pending)); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
	var left bool
	if err := conn.QueryRow(t.Context(), "select to_regclass('b') is not null").Scan(&left); err != nil || left {
		t.Errorf("table b is there: %v, %v; want it rolled back", left, err)
	}
	dir["0003_break.sql"] = &fstest.MapFile{Data: []byte("create table b (n int)")}
	if diff := cmp.Diff([]string{"0003_break.sql"}, migrate(t, conn, dir)); diff != "" {
		t.Errorf("after the repair (-want +got):\n%s", diff)
	}
}

func TestMigrate_ByManyAtOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	applied := map[string]int{}
	for range 4 {
		conn := db.Conn(t, pgtest.Admin)
		wg.Go(func() {
			report, err := postgres.Migrate(t.Context(), conn, migrations.FS, postgres.MigrateOptions{})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, m := range report.Applied {
				applied[m.Name]++
			}
		})
	}
	wg.Wait()
	list, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range list {
		if applied[name] != 1 {
			t.Errorf("%s was applied %d times, want once", name, applied[name])
		}
	}
}

func TestMigrate_TellsWhatItDoes(t *testing.T) {
	t.Parallel()
	conn := pgtest.Empty(t).Conn(t, pgtest.Admin)
	var told []string
	_, err := postgres.Migrate(t.Context(), conn, files("0002_a.sql", "select 1"), postgres.MigrateOptions{
		Notice: func(name string) { told = append(told, name) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"0001_create_schema.sql", "0002_a.sql"}, told); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}
