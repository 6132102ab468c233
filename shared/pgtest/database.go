package pgtest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/postgres"
)

// Role is who connects.
type Role string

// The roles: the administrator of the server, who is a superuser on a private one, and those of the system.
const (
	Admin  Role = "admin"
	Store  Role = "mesher_store"
	App    Role = "mesher_app"
	Ingest Role = "mesher_ingest"
)

// Database is one test's own database.
type Database struct {
	server *server
	name   string
}

// Name returns the name of the database.
func (d *Database) Name() string { return d.name }

// URL connects to the database as role. It contains a password.
func (d *Database) URL(role Role) string { return d.server.url(role, d.name) }

// Pool returns a pool as the functions have it, of four connections, closed when the test ends.
func (d *Database) Pool(t testing.TB, role Role) *pgxpool.Pool {
	t.Helper()
	var c postgres.Config
	c.URL, c.PoolSize, c.Insecure = d.URL(role), 4, true
	c.IdleTimeout, c.ConnectTimeout = defaultTimeout, defaultTimeout
	pool, err := postgres.Open(context.Background(), c)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Conn returns one connection, closed when the test ends.
func (d *Database) Conn(t testing.TB, role Role) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.URL(role))
	if err != nil {
		t.Fatalf("pgtest: connect as %s: %v", role, err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Exec runs statements as the administrator, without parameters and with any number of statements in each, and
// fails the test when one fails.
func (d *Database) Exec(t testing.TB, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.URL(Admin))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	defer conn.Close(context.Background())
	if err := run(t.Context(), conn, statements...); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
}
