package local

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// A DATABASE_URL that was forgotten in a shell must not give an installation a developer who owns an organization.
func TestStart_LeavesADatabaseOfOthersAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.NewCluster(t).New(t)
	pool := db.Pool(t, pgtest.Admin)
	if _, err := tenant.EnsureOrganization(t.Context(), pool, "Acme", "acme"); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	start := func(home string, adopt bool) error {
		p, err := Start(t.Context(), Options{
			Home: home, DatabaseURL: db.URL(pgtest.Admin), Adopt: adopt, Lookup: env.Map(nil), Log: slog.New(slog.DiscardHandler),
			Progress: func(format string, args ...any) { said.WriteString(fmt.Sprintf(format, args...) + "\n") }, DatabaseLog: io.Discard,
		})
		if err == nil {
			p.Stop(t.Context())
		}
		return err
	}
	users := func() (n int) {
		t.Helper()
		if err := pool.QueryRow(t.Context(), "select (select count(*) from mesher.users) + (select count(*) from mesher.organizations)").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}

	home := t.TempDir()
	err := start(home, false)
	if err == nil || !strings.Contains(err.Error(), "-adopt") || !strings.Contains(err.Error(), "acme") || !strings.Contains(err.Error(), db.Name()) {
		t.Errorf("the start ends with %v; want a refusal that names the database, acme and -adopt", err)
	}
	if n := users(); n != 1 {
		t.Errorf("the refused start leaves %d users and organizations, want 1", n)
	}
	if !strings.Contains(said.String(), "using the database of DATABASE_URL: "+db.Name()+" on ") {
		t.Errorf("the database is not named:\n%s", said.String())
	}
	if err := start(home, true); err != nil {
		t.Fatalf("with -adopt: %v", err)
	}
	if n := users(); n != 3 {
		t.Errorf("with -adopt there are %d users and organizations, want 3", n)
	}
	if err := start(home, false); err != nil {
		t.Errorf("the next start of the same home: %v", err)
	}
	if err := start(t.TempDir(), false); err == nil {
		t.Error("another home adopts the database unasked")
	}
}

// A database without a schema, and one that a platform made itself, are nobody else's.
func TestStart_UsesAFreshDatabase(t *testing.T) {
	t.Parallel()
	db := pgtest.NewCluster(t).Empty(t)
	for range 2 {
		p, err := Start(t.Context(), Options{
			Home: t.TempDir(), DatabaseURL: db.URL(pgtest.Admin), Lookup: env.Map(nil), Log: slog.New(slog.DiscardHandler),
			Progress: func(string, ...any) {}, DatabaseLog: io.Discard,
		})
		if err != nil {
			t.Fatal(err)
		}
		p.Stop(t.Context())
	}
}

func TestWhere_HidesThePassword(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"postgres://me:secret@db.example.com:6543/shop": "shop on db.example.com port 6543",
		"host=h port=5433 user=me password=secret":      "me on h port 5433",
		"postgres://me:secret@h:port/x":                 "one that cannot be told from its URL",
	} {
		if got := where(in); got != want {
			t.Errorf("%s is %q, want %q", in, got, want)
		}
	}
}
