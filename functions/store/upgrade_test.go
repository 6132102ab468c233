package store

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

// upTo returns the migrations up to a number.
func upTo(t *testing.T, number string) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name[:4] > number {
			continue
		}
		text, err := migrations.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = &fstest.MapFile{Data: text}
	}
	return out
}

// contents is what every table holds, in the columns that it has now, besides what belongs to one project: the number
// of rows and a hash of them.
func contents(t *testing.T, conn *pgx.Conn, columns map[string][]string, but uuid.UUID) map[string]string {
	t.Helper()
	out := map[string]string{}
	for table, names := range columns {
		where := ""
		for _, name := range names {
			if name == "project_id" {
				where = " where project_id is distinct from '" + but.String() + "'"
			}
		}
		if table == "projects" {
			where = " where id <> '" + but.String() + "'"
		}
		var held string
		err := conn.QueryRow(t.Context(), "select concat(count(*), ' rows ', md5(string_agg(r::text, e'\\n' order by r::text))) from (select "+
			strings.Join(names, ", ")+" from mesher."+table+where+") r").Scan(&held)
		if err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		out[table] = held
	}
	return out
}

// columnsOf returns the columns of every table but partitions and the record of migrations.
func columnsOf(t *testing.T, conn *pgx.Conn) map[string][]string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
		select c.relname::text, array_agg(quote_ident(a.attname) order by a.attnum)
		from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
		where c.relnamespace = 'mesher'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> 'migrations' group by 1`)
	if err != nil {
		t.Fatal(err)
	}
	type table struct {
		Name    string
		Columns []string
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, found := range tables {
		out[found.Name] = found.Columns
	}
	return out
}

// Every set of migrations that was released, filled with data, becomes the newest one while Store works: what was there
// stays as it was, and what comes in meanwhile is stored, each event once. A file of testdata/upgrade is named for the
// last migration of a set and fills the tables that the set adds.
func TestUpgrade_OfEveryReleasedSet(t *testing.T) {
	t.Parallel()
	sets, err := filepath.Glob("testdata/upgrade/*.sql")
	if err != nil || len(sets) < 3 {
		t.Fatalf("%d sets, %v", len(sets), err)
	}
	for i := range sets {
		last := strings.TrimSuffix(filepath.Base(sets[i]), ".sql")
		t.Run("from "+last, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Empty(t)
			conn := db.Conn(t, pgtest.Admin)
			if _, err := postgres.Migrate(t.Context(), conn, upTo(t, last), postgres.MigrateOptions{}); err != nil {
				t.Fatal(err)
			}
			for _, set := range sets[:i+1] {
				text, err := os.ReadFile(set)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := conn.PgConn().Exec(t.Context(), string(text)).ReadAll(); err != nil {
					t.Fatalf("%s: %v", set, err)
				}
			}
			b := &bundle{db: db, admin: db.Pool(t, pgtest.Admin)}
			if err := b.admin.QueryRow(t.Context(), "select id from mesher.organizations limit 1").Scan(&b.org); err != nil {
				t.Fatal(err)
			}
			b.next.Store(100)
			project := b.project(t)
			columns := columnsOf(t, conn)
			before := contents(t, conn, columns, project)
			for table, held := range before {
				if strings.HasPrefix(held, "0 rows") {
					t.Errorf("%s holds nothing before the upgrade: fill it", table)
				}
			}

			const each = 20
			f := b.function(t)
			var sent atomic.Int64
			var wg sync.WaitGroup
			stop := make(chan struct{})
			for worker := range 2 {
				wg.Go(func() {
					for n := 0; ; n++ {
						select {
						case <-stop:
							return
						default:
						}
						m := pack(project, samples(t, project, (worker*100_000+n)*each, each)...)
						insist(t, f, m)
						sent.Add(each)
						insist(t, f, m)
					}
				})
			}
			report, err := postgres.Migrate(t.Context(), conn, migrations.FS, postgres.MigrateOptions{})
			if err != nil {
				t.Errorf("migrate: %v", err)
			}
			after := sent.Load()
			eventually(t, "Store stores after the upgrade", func() bool { return sent.Load() >= after+5*each || t.Failed() })
			close(stop)
			wg.Wait()
			if len(report.Applied)+len(upTo(t, last)) != len(upTo(t, "9999")) {
				t.Errorf("%d migrations applied", len(report.Applied))
			}
			if diff := cmp.Diff(before, contents(t, conn, columns, project)); diff != "" {
				t.Errorf("what was there (-before +after):\n%s", diff)
			}
			b.stored(t, project, int(sent.Load()))
			grants, err := postgres.Grants(t.Context(), b.admin)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(strings.TrimSpace(migrations.Grants), "\n"), grants); diff != "" {
				t.Errorf("grants (-fresh +upgraded):\n%s", diff)
			}
		})
	}
}
