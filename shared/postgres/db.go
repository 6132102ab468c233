package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/fault"
)

// DB is what a query needs: a pool, a connection or a transaction.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// healthMost is how long the database may take to show that it is there.
const healthMost = 2 * time.Second

// Health reports whether the database answers: an error is a fault.Unavailable.
func Health(ctx context.Context, pool *Pool) error {
	ctx, cancel := context.WithTimeout(ctx, healthMost)
	defer cancel()
	if err := pool.Ping(ctx); err != nil {
		return fault.Wrap(err, fault.Unavailable, "the database cannot be reached")
	}
	return nil
}
