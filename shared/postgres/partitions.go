package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Querier is what EnsurePartitions needs: a pool, a connection or a transaction.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// partitionsAhead is how many days after today have their partition when a database is prepared.
const partitionsAhead = 14

// PreparePartitions makes the partitions of the days around now, from yesterday to two weeks ahead, by
// EnsurePartitions. It returns the first and the last of these days and how many partitions were created.
func PreparePartitions(ctx context.Context, db Querier, now time.Time) (first, last time.Time, made int, err error) {
	today := now.UTC()
	first, last = today.AddDate(0, 0, -1), today.AddDate(0, 0, partitionsAhead)
	made, err = EnsurePartitions(ctx, db, first, last)
	return first, last, made, err
}

// EnsurePartitions makes sure that the UTC days from the one of from to the one of to, both included, have their
// partition of events, and returns how many were created. Days must not lie more than 3660 apart. It blocks
// neither readers nor writers of events. Call it outside a transaction that does other work: what it locks stays
// locked until the transaction ends. Only mesher_store and the owner may call it.
func EnsurePartitions(ctx context.Context, db Querier, from, to time.Time) (int, error) {
	var made int
	err := db.QueryRow(ctx, "select mesher.create_event_partitions($1::text::date, $2::text::date)",
		from.UTC().Format(time.DateOnly), to.UTC().Format(time.DateOnly)).Scan(&made)
	if err != nil {
		return 0, fmt.Errorf("create partitions of events from %s to %s: %w",
			from.UTC().Format(time.DateOnly), to.UTC().Format(time.DateOnly), err)
	}
	return made, nil
}
