package pgtest_test

import (
	"testing"

	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestNew_GivesEachTestItsOwnDatabase(t *testing.T) {
	t.Parallel()
	a, b := pgtest.New(t), pgtest.New(t)
	a.Exec(t, "insert into mesher.organizations (id, name, slug) values (gen_random_uuid(), 'a', 'a')")
	for _, tt := range []struct {
		db   *pgtest.Database
		want int
	}{{a, 1}, {b, 0}} {
		var got int
		if err := tt.db.Pool(t, pgtest.Admin).QueryRow(t.Context(), "select count(*) from mesher.organizations").Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != tt.want {
			t.Errorf("organizations in %s = %d, want %d", tt.db.Name(), got, tt.want)
		}
	}
}

func TestDatabase_ConnectsAsEachRole(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for _, role := range []pgtest.Role{pgtest.Store, pgtest.App, pgtest.Ingest} {
		var user, timeout string
		err := db.Conn(t, role).QueryRow(t.Context(), "select current_user, current_setting('statement_timeout')").Scan(&user, &timeout)
		if err != nil {
			t.Fatal(err)
		}
		if user != string(role) {
			t.Errorf("user = %s, want %s", user, role)
		}
		if want := map[pgtest.Role]string{pgtest.Store: "30s", pgtest.App: "15s", pgtest.Ingest: "15s"}[role]; timeout != want {
			t.Errorf("statement_timeout of %s = %s, want %s", role, timeout, want)
		}
	}
}

func TestEmpty_HasNoSchema(t *testing.T) {
	t.Parallel()
	var n int
	err := pgtest.Empty(t).Conn(t, pgtest.Admin).QueryRow(t.Context(),
		"select count(*) from pg_namespace where nspname = 'mesher'").Scan(&n)
	if err != nil || n != 0 {
		t.Errorf("schemas = %d, %v; want 0", n, err)
	}
}

func TestCluster_ComesBackWithItsData(t *testing.T) {
	t.Parallel()
	c := pgtest.NewCluster(t)
	db := c.New(t)
	pool := db.Pool(t, pgtest.Admin)
	for _, end := range []func(testing.TB){c.Stop, c.Kill} {
		if _, err := pool.Exec(t.Context(), "insert into mesher.organizations (id, name, slug) values (gen_random_uuid(), 'a', gen_random_uuid()::text)"); err != nil {
			t.Fatal(err)
		}
		end(t)
		if _, err := pool.Exec(t.Context(), "select 1"); !postgres.Transient(err) {
			t.Errorf("error while the server is away = %v, want a transient one", err)
		}
		c.Start(t)
	}
	var n int
	if err := pool.QueryRow(t.Context(), "select count(*) from mesher.organizations").Scan(&n); err != nil || n != 2 {
		t.Errorf("organizations = %d, %v; want 2", n, err)
	}
}
