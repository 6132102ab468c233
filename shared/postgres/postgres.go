// Package postgres connects to the database, names what its errors mean, and applies migrations.
//
// Everything works through a transaction-mode pooler, where two statements outside a transaction may meet two
// different connections: no prepared statement has a name, no session state is relied on, and locks belong to
// transactions.
package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/fault"
)

// Config holds the settings of the connection pool.
type Config struct {
	URL            string        `env:"DATABASE_URL" doc:"Postgres connection string; through a pooler use transaction mode, and sslmode=verify-full anywhere but on this machine"`
	PoolSize       int32         `env:"DATABASE_POOL_SIZE" envDefault:"2" doc:"most connections of one instance; instances × this stays below half of what the pooler takes"`
	IdleTimeout    time.Duration `env:"DATABASE_IDLE_TIMEOUT" envDefault:"2m" doc:"how long an unused connection is kept"`
	ConnectTimeout time.Duration `env:"DATABASE_CONNECT_TIMEOUT" envDefault:"5s" doc:"how long one attempt to connect may take"`
	CA             string        `env:"DATABASE_CA" envDefault:"" doc:"certificates (PEM) that sign the server's, when they are not the system's; Supabase's are known"`
	Insecure       bool          `env:"DATABASE_INSECURE" envDefault:"false" doc:"allow a connection that is not encrypted, or to a server whose certificate is not verified"`

	// Application is the name that the server shows for these connections.
	Application string
}

// Pool is a pool of connections; functions that only hand it on need not know the driver.
type Pool = pgxpool.Pool

// Open returns a pool that connects when it is first used, so that it succeeds while the database is away.
// Settings that cannot work, and a connection to another machine that somebody in between could read or alter,
// are refused with a fault.NotConfigured error. No error text holds the password.
func Open(ctx context.Context, c Config) (*Pool, error) {
	pc, err := poolConfig(c)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fault.Wrap(err, fault.NotConfigured, "the settings of the database pool do not fit together")
	}
	return pool, nil
}

func poolConfig(c Config) (*pgxpool.Config, error) {
	pc, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		// The cause is left out: it repeats parts of the connection string.
		return nil, fault.New(fault.NotConfigured,
			"DATABASE_URL is not a valid connection string: expected postgres://user:password@host:port/database?sslmode=verify-full, "+
				"with special characters in the password percent-encoded")
	}
	if c.PoolSize < 1 {
		return nil, fault.New(fault.NotConfigured, "DATABASE_POOL_SIZE is %d, expected at least 1", c.PoolSize)
	}
	conn := pc.ConnConfig
	if err := secure(&conn.Config, c); err != nil {
		return nil, err
	}

	pc.MaxConns = c.PoolSize
	pc.MinConns = 0
	pc.MaxConnIdleTime = c.IdleTimeout
	pc.MaxConnLifetime = 30 * time.Minute
	pc.MaxConnLifetimeJitter = 3 * time.Minute

	// Named statements do not survive a pooler that switches connections.
	conn.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn.StatementCacheCapacity = 0
	conn.DescriptionCacheCapacity = 0
	conn.ConnectTimeout = c.ConnectTimeout
	conn.RuntimeParams["application_name"] = "mesher"
	if c.Application != "" {
		conn.RuntimeParams["application_name"] = c.Application
	}
	return pc, nil
}
