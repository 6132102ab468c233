package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/postgres"
)

// deleteBatch is how many events one statement deletes.
const deleteBatch = 1000

// shorter is a project that keeps events for less long than others.
type shorter struct {
	id      uuid.UUID
	kept    time.Duration
	updated time.Time // when the project was changed last
	cleaned time.Time // before this day it has no events any more; zero: not known
}

// shorterProjects lists the projects that have days to be cleaned. What is known of a project that was changed since is
// forgotten: if it kept more for a while, events of cleaned days may have been stored again.
func (f *Function) shorterProjects(ctx context.Context, r round, longest time.Duration) ([]shorter, error) {
	rows, err := f.pool.Query(ctx, `
		select p.id, p.retention_days, p.updated_at, m.cleaned_before::timestamp at time zone 'utc'
		from mesher.projects p
		left join mesher.retention_marks m on m.project_id = p.id and m.project_updated_at = p.updated_at
		where p.retention_days < $1::integer and p.erasing_at is null
		order by m.cleaned_before nulls first, p.id`, int(longest/day))
	if err != nil {
		return nil, fmt.Errorf("list the projects that keep less: %w", err)
	}
	defer rows.Close()
	var all []shorter
	for rows.Next() {
		var p shorter
		var days int
		if err := rows.Scan(&p.id, &days, &p.updated, (*postgres.Time)(&p.cleaned)); err != nil {
			return nil, fmt.Errorf("list the projects that keep less: %w", err)
		}
		if p.kept = time.Duration(days) * day; p.cleaned.Before(r.before(p.kept)) {
			all = append(all, p)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list the projects that keep less: %w", err)
	}
	return all, nil
}

// cleanProjects deletes the events of projects that keep less than the longest, day by day. Such days are two days old at
// least, so that Store hardly writes there. Done counts events.
func (f *Function) cleanProjects(ctx context.Context, r round, longest time.Duration) (done, left int64, err error) {
	projects, err := f.shorterProjects(ctx, r, longest)
	if err != nil || len(projects) == 0 {
		return 0, 0, err
	}
	days, err := f.dayTables(ctx, postgres.Day(r.At))
	if err != nil {
		return 0, 0, err
	}
	var failed []error
	for _, p := range projects {
		n, more, err := f.cleanProject(ctx, r, p, days)
		done, left = done+n, left+more
		if err != nil {
			failed = append(failed, err)
		}
		if enough(ctx) {
			break
		}
	}
	return done, left, errors.Join(failed...)
}

// cleanProject deletes the events of one project that are on days which are over for it, and notes how far it came.
func (f *Function) cleanProject(ctx context.Context, r round, p shorter, days []dayTable) (done, left int64, err error) {
	upTo := r.before(p.kept)
	reached := upTo
	for _, d := range days {
		if d.pending || !d.attached || d.day.Before(p.cleaned) || !d.day.Before(upTo) {
			continue
		}
		n, more, err := f.deleteEvents(ctx, r, "events", d, p.id)
		done += n
		if err != nil || more > 0 {
			// From here on in the next run.
			return done, max(more, 1), errors.Join(err, f.mark(ctx, r, p, d.day))
		}
	}
	return done, 0, f.mark(ctx, r, p, reached)
}

// mark notes before which day a project has no events, if it is still as it was when that was found.
func (f *Function) mark(ctx context.Context, r round, p shorter, before time.Time) error {
	if r.DryRun {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), spare)
	defer cancel()
	_, err := f.pool.Exec(ctx, `
		insert into mesher.retention_marks as m (project_id, project_updated_at, cleaned_before)
		select p.id, p.updated_at, $3::text::date from mesher.projects p where p.id = $1::uuid and p.updated_at = $2::timestamptz
		on conflict (project_id) do update
		set project_updated_at = excluded.project_updated_at, cleaned_before = excluded.cleaned_before`,
		p.id, p.updated, before.Format(time.DateOnly))
	if err != nil {
		return fmt.Errorf("note how far a project is cleaned: %w", err)
	}
	return nil
}

// deleteEvents deletes a project's events of one day, in the order of the primary key, so that each batch goes on where the
// last one ended.
func (f *Function) deleteEvents(ctx context.Context, r round, step string, d dayTable, project uuid.UUID) (done, left int64, err error) {
	if r.DryRun {
		err := f.pool.QueryRow(ctx, "select count(*) from (select from mesher."+d.name+` e where e.project_id = $1::uuid limit $2::bigint) e`,
			project, countMost).Scan(&done)
		if err != nil {
			return 0, 0, fmt.Errorf("count the events of %s: %w", d.name, err)
		}
		return done, 0, f.freed(ctx, r, step, d.name, done)
	}
	from := d.day
	done, left, err = until(ctx, deleteBatch, func(ctx context.Context, most int64) (n int64, err error) {
		var last time.Time
		err = f.pool.QueryRow(ctx, `
			with gone as (
				delete from mesher.`+d.name+` e
				where e.ctid = any (array(
					select o.ctid from mesher.`+d.name+` o
					where o.project_id = $1::uuid and o.received_at >= $2::timestamptz
					order by o.received_at, o.id limit $3::bigint))
				returning e.received_at)
			select count(*), max(received_at) from gone`, project, from, most).Scan(&n, (*postgres.Time)(&last))
		if n > 0 {
			from = last
		}
		return n, err
	})
	if err != nil {
		err = fmt.Errorf("delete the events of %s: %w", d.name, err)
	}
	return done, left, errors.Join(err, f.freed(ctx, r, step, d.name, done))
}

// freed reports rows that were deleted from a table.
func (f *Function) freed(ctx context.Context, r round, step, table string, rows int64) error {
	if rows == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), spare)
	defer cancel()
	bytes, err := f.reusable(ctx, table, rows)
	r.report.add(Freed{Step: step, Rows: rows, BytesReusable: bytes})
	return err
}
