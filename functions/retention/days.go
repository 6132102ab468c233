package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mesherhq/mesher/shared/postgres"
)

// usualDays is how long events are kept where there is no project to say so.
const usualDays = 90

// longest returns the longest retention of any project. A deleted one counts until it is erased: it may come back.
func (f *Function) longest(ctx context.Context) (time.Duration, error) {
	var days int
	err := f.pool.QueryRow(ctx, "select coalesce(max(retention_days), $1::integer) from mesher.projects", usualDays).Scan(&days)
	if err != nil {
		return 0, fmt.Errorf("look up the longest retention: %w", err)
	}
	return time.Duration(days) * day, nil
}

// before returns the day before which all days are over for who keeps events for so long: every event of theirs is older.
func (r round) before(kept time.Duration) time.Time { return postgres.Day(r.At.Add(-kept)) }

// dayTable is the table of one day of events.
type dayTable struct {
	name              string
	day               time.Time
	attached, pending bool // pending: it is being detached, and takes no events any more
	bytes, rows       int64
}

// dayTables lists the tables of the days before one, those that are half detached first, then the oldest. Tables that are
// called otherwise, or hold other days than their name says, are somebody's own doing and left alone.
func (f *Function) dayTables(ctx context.Context, before time.Time) ([]dayTable, error) {
	rows, err := f.pool.Query(ctx, `
		select d.relname, d.attached, d.pending, coalesce(pg_catalog.pg_total_relation_size(d.oid), 0), greatest(d.reltuples, 0)::bigint
		from (
			select c.oid, c.relname, c.reltuples, i.inhrelid is not null as attached, coalesce(i.inhdetachpending, false) as pending,
				pg_catalog.pg_get_expr(c.relpartbound, c.oid) as bounds,
				substring(c.relname from 8 for 4) || '-' || substring(c.relname from 12 for 2) || '-' || substring(c.relname from 14) as day
			from pg_catalog.pg_class c
			left join pg_catalog.pg_inherits i on i.inhrelid = c.oid
			where c.relnamespace = 'mesher'::regnamespace and c.relkind = 'r' and c.relname ~ '^events_\d{8}$'
				and c.relname < 'events_' || $1::text
				and (i.inhparent is null or i.inhparent = 'mesher.events'::regclass)
		) d
		cross join lateral regexp_match(d.bounds, '^FOR VALUES FROM \(''([^'']+)''\) TO \(''([^'']+)''\)$') m
		where not d.attached or d.bounds is null
			or extract(epoch from m[1]::timestamptz) = extract(epoch from d.day::date::timestamp)
				and extract(epoch from m[2]::timestamptz) = extract(epoch from d.day::date::timestamp) + 86400
		order by d.pending desc, d.relname`, before.Format("20060102"))
	if err != nil {
		return nil, fmt.Errorf("list the days of events: %w", err)
	}
	defer rows.Close()
	var all []dayTable
	for rows.Next() {
		var d dayTable
		if err := rows.Scan(&d.name, &d.attached, &d.pending, &d.bytes, &d.rows); err != nil {
			return nil, fmt.Errorf("list the days of events: %w", err)
		}
		if d.day, err = time.Parse("events_20060102", d.name); err == nil {
			all = append(all, d)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list the days of events: %w", err)
	}
	return all, nil
}

// dropDays drops the days that no project keeps any more. Done counts days.
func (f *Function) dropDays(ctx context.Context, r round, longest time.Duration) (done, left int64, err error) {
	days, err := f.dayTables(ctx, r.before(longest))
	if err != nil {
		return 0, 0, err
	}
	var failed []error
	for i, d := range days {
		if r.DryRun {
			r.dropped(d, d.bytes)
			done++
			continue
		}
		if enough(ctx) {
			return done, int64(len(days) - i), errors.Join(failed...)
		}
		gone, err := f.dropDay(ctx, r, d)
		switch {
		case err != nil:
			failed = append(failed, err)
			left++
		case !gone:
			left++
		default:
			done++
		}
	}
	return done, left, errors.Join(failed...)
}

func (r round) dropped(d dayTable, bytes int64) {
	r.report.add(Freed{Step: "days", Rows: d.rows, BytesReturned: bytes})
	if len(r.report.Days) < listedMost {
		r.report.Days = append(r.report.Days, d.day.Format(time.DateOnly))
	}
}

// dropDay detaches a day and drops it. It reports false when that is for the next run.
func (f *Function) dropDay(ctx context.Context, r round, d dayTable) (bool, error) {
	if d.attached {
		if gone, err := f.detach(ctx, d); err != nil || !gone {
			return false, err
		}
	}
	var bytes *int64
	err := f.pool.QueryRow(ctx, "select mesher.drop_event_partition($1::text)", d.name).Scan(&bytes)
	switch {
	case passing(err):
		f.log.InfoContext(ctx, "a day of events is in use and dropped in the next run", "table", d.name, "error", err)
		return false, nil
	case err != nil:
		return false, fmt.Errorf("drop %s: %w", d.name, err)
	case bytes != nil: // else another run was faster
		r.dropped(d, *bytes)
	}
	return true, nil
}

const (
	// detachTries is how often detaching a day is tried in one run, each time for as long as the role's lock_timeout lets
	// it wait for one transaction, 5 s: a transaction of ours ends within 15 s.
	detachTries = 5
	// detachMost bounds one try; the role's statement_timeout comes first.
	detachMost = 35 * time.Second
)

// detach takes a day out of events while all others go on to read and write. The server marks it first, which new
// transactions heed at once, then waits, with no lock that anybody else would wait for, until those that began before have
// ended, and then takes it out. What ends it in between, also this instance's end, leaves the mark, and it is to be finalized.
//
// Each statement stands by itself and goes as simple protocol: it must not be in a transaction, and behind a pooler nothing
// could be set for it.
func (f *Function) detach(ctx context.Context, d dayTable) (bool, error) {
	pending := d.pending
	for range detachTries {
		how := "concurrently"
		if pending {
			how = "finalize"
		}
		err := f.alone(ctx, "alter table mesher.events detach partition mesher."+d.name+" "+how)
		if err == nil {
			return true, nil
		}
		switch {
		case !passing(err):
			return false, fmt.Errorf("detach %s: %w", d.name, err)
		case enough(ctx):
			return false, nil
		}
		f.log.InfoContext(ctx, "a day of events waits for who began before to end", "table", d.name, "error", err)
		now, err := f.state(ctx, d.name)
		if err != nil {
			return false, err
		}
		if !now.attached {
			return true, nil
		}
		pending = now.pending
	}
	return false, nil
}

func (f *Function) alone(ctx context.Context, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, detachMost)
	defer cancel()
	_, err := f.pool.Exec(ctx, statement)
	return err //nolint:wrapcheck // wrapped by detach
}

// state returns whether a day is attached, and half detached, now.
func (f *Function) state(ctx context.Context, name string) (dayTable, error) {
	d := dayTable{name: name}
	err := f.pool.QueryRow(ctx, `
		select count(*) > 0, coalesce(bool_or(i.inhdetachpending), false)
		from pg_catalog.pg_inherits i where i.inhrelid = to_regclass('mesher.' || quote_ident($1::text))`, name).
		Scan(&d.attached, &d.pending)
	if err != nil {
		return d, fmt.Errorf("look at %s: %w", name, err)
	}
	return d, nil
}

// passing reports errors that say no more than that somebody else is there: a lock or a transaction that was waited for in
// vain, or another run that has just done the same, or does it now.
func passing(err error) bool {
	switch postgres.SQLState(err) {
	case "55P03", "57014", // lock and statement timeout
		"40P01", // two runs wait for each other
		"55000", // not in the state for it: being detached by another
		"42P01": // the table is gone, or no partition any more
		return true
	}
	return errors.Is(err, context.DeadlineExceeded)
}
