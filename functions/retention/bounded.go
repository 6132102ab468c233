package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mesherhq/mesher/shared/postgres"
)

const (
	// batchMost bounds one statement that deletes. One that takes longer is tried with fewer rows.
	batchMost = 10 * time.Second
	// batchLeast is how few rows a batch comes down to.
	batchLeast = 10
	// spare is what is left of a step's time when no more batches are begun.
	spare = 2 * time.Second
	// countMost bounds what a dry run counts of one thing.
	countMost = 100_000
)

// enough reports whether a step should begin nothing more.
func enough(ctx context.Context) bool {
	ends, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && time.Until(ends) < spare
}

// until calls do with the number of rows that it may delete, until it comes back with fewer or the step's time is nearly
// used up; then at least one is left. A lock that was not to be had, and time that was not enough for a few rows, are for the
// next run.
func until(ctx context.Context, most int64, do func(ctx context.Context, most int64) (int64, error)) (done, left int64, err error) {
	for {
		if enough(ctx) {
			return done, 1, nil
		}
		n, err := within(ctx, most, do)
		done += n
		switch {
		case postgres.LockNotAvailable(err):
			return done, 1, nil
		case errors.Is(err, context.DeadlineExceeded) || postgres.SQLState(err) == cancelled:
			if most == batchLeast {
				return done, 1, nil
			}
			most = max(most/4, batchLeast)
		case err != nil:
			return done, 1, err
		case n < most:
			return done, 0, nil
		}
	}
}

// cancelled is the SQLSTATE of a statement whose time was used up.
const cancelled = "57014"

func within(ctx context.Context, most int64, do func(ctx context.Context, most int64) (int64, error)) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, batchMost)
	defer cancel()
	return do(ctx, most)
}

// reusable estimates how many bytes so many rows of a table take: their share of its size. It is never more than that.
func (f *Function) reusable(ctx context.Context, table string, rows int64) (int64, error) {
	if rows == 0 {
		return 0, nil
	}
	var bytes int64
	err := f.pool.QueryRow(ctx, `
		select (pg_total_relation_size(c.oid) * ($2::bigint / greatest(c.reltuples::float8, $2::float8,
			(pg_stat_get_live_tuples(c.oid) + pg_stat_get_dead_tuples(c.oid))::float8)))::bigint
		from pg_catalog.pg_class c where c.oid = to_regclass('mesher.' || quote_ident($1::text))`, table, rows).Scan(&bytes)
	if err != nil {
		return 0, fmt.Errorf("estimate the bytes of %s: %w", table, err)
	}
	return bytes, nil
}
