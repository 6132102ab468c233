package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Horizon is how far ahead events have their partitions. Days are UTC midnights.
type Horizon struct {
	Last time.Time   // the last day up to which every day from today on has its partition; yesterday if today has none
	Days int         // how many days after today that is; -1 if today has none
	Gaps []time.Time // the days from yesterday to the last one that has a partition which have none
}

// PartitionHorizon returns the horizon at now. It reads the catalog only, so that it takes no longer on a large table than
// on an empty one, and any of our roles may ask. A partition that is being detached takes no events and does not count.
func PartitionHorizon(ctx context.Context, db DB, now time.Time) (Horizon, error) {
	today := Day(now)
	have, err := partitionDays(ctx, db, today.AddDate(0, 0, -1))
	if err != nil {
		return Horizon{}, err
	}
	return horizon(have, today), nil
}

// Day returns the midnight at which the UTC day of a time begins.
func Day(at time.Time) time.Time {
	y, m, d := at.UTC().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// horizon works it out from the days from yesterday on that have a partition, in their order.
func horizon(have []time.Time, today time.Time) Horizon {
	h := Horizon{Last: today.AddDate(0, 0, -1), Days: -1}
	next := h.Last
	for _, d := range have {
		for ; next.Before(d); next = next.AddDate(0, 0, 1) {
			h.Gaps = append(h.Gaps, next)
		}
		next = d.AddDate(0, 0, 1)
		if d.Equal(h.Last.AddDate(0, 0, 1)) {
			h.Last, h.Days = d, h.Days+1
		}
	}
	return h
}

// MissingPartitions returns those of days, which are UTC midnights in their order, that have no partition. Like the horizon it
// comes from the catalog alone.
func MissingPartitions(ctx context.Context, db DB, days []time.Time) ([]time.Time, error) {
	if len(days) == 0 {
		return nil, nil
	}
	have, err := partitionDays(ctx, db, days[0])
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(days), func(d time.Time) bool {
		return slices.ContainsFunc(have, d.Equal)
	}), nil
}

// partitionDays returns the days since one that lie within a partition of events, in their order. It goes by the bounds: a
// partition may be called anything.
func partitionDays(ctx context.Context, db DB, since time.Time) ([]time.Time, error) {
	rows, err := db.Query(ctx, `
		with bounds as (
			select m[1]::timestamptz as lower, m[2]::timestamptz as upper
			from pg_catalog.pg_inherits i
			join pg_catalog.pg_class c on c.oid = i.inhrelid
			cross join lateral regexp_match(pg_catalog.pg_get_expr(c.relpartbound, c.oid),
				'^FOR VALUES FROM \(''([^'']+)''\) TO \(''([^'']+)''\)$') m
			where i.inhparent = 'mesher.events'::regclass and not i.inhdetachpending)
		select distinct extract(epoch from day)::bigint as day from bounds, generate_series(
			greatest(lower, $1::timestamptz), upper - interval '24 hours', interval '24 hours') as day
		where upper > $1::timestamptz and extract(epoch from day)::bigint % 86400 = 0
		order by 1`, since)
	if err != nil {
		return nil, fmt.Errorf("list the partitions of events: %w", err)
	}
	defer rows.Close()
	var days []time.Time
	for rows.Next() {
		var seconds int64 // whatever form the session gives times
		if err := rows.Scan(&seconds); err != nil {
			return nil, fmt.Errorf("list the partitions of events: %w", err)
		}
		days = append(days, time.Unix(seconds, 0).UTC())
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list the partitions of events: %w", err)
	}
	return days, nil
}
