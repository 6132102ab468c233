package pgtest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/local/cluster"
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
	pooler *cluster.Pooler // between the system's roles and the server; may be nil
	name   string
}

// Name returns the name of the database.
func (d *Database) Name() string { return d.name }

// URL connects to the database as role, as functions do. It contains a password.
func (d *Database) URL(role Role) string {
	direct := d.DirectURL(role)
	if d.pooler == nil || role == Admin {
		return direct
	}
	return through(d.pooler, direct)
}

// DirectURL connects to the database as role, past the pooler. It contains a password.
func (d *Database) DirectURL(role Role) string { return d.server.url(role, d.name) }

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

// Conn returns one connection, closed when the test ends. What belongs to a session is lost on it at the end of
// each transaction, as it is for functions.
func (d *Database) Conn(t testing.TB, role Role) *pgx.Conn {
	t.Helper()
	return connect(t, d.URL(role), role)
}

// Session returns one connection with a session of its own, past the pooler, closed when the test ends.
func (d *Database) Session(t testing.TB, role Role) *pgx.Conn {
	t.Helper()
	return connect(t, d.DirectURL(role), role)
}

func connect(t testing.TB, to string, role Role) *pgx.Conn {
	t.Helper()
	c, err := pgx.ParseConfig(to)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	if role != Admin {
		c.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	conn, err := pgx.ConnectConfig(t.Context(), c)
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
