package retention

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// walked returns what follows the table's name so that conditions can speak of the row's project, p, and of the day before
// which everything is over for it. A row of no project is one of a project that is gone.
func (r rule) walked() string {
	name, _, _ := strings.Cut(r.Walk[0], " ")
	return ` t
		left join mesher.projects p on p.id = t.` + name + `
		cross join lateral (
			select date_trunc('day', $1::timestamptz - p.retention_days * interval '24 hours', 'UTC') as cutoff offset 0) o`
}

// page returns the statement that looks at the next $2 rows after those whose key is from $3 on, deletes those that go, and
// returns how many of each there were, and the last key. What is looked at is fetched first, so that no planner joins the
// whole table. A row that was seen again meanwhile stays: the condition is looked at again.
func (r rule) page(begins bool) string {
	var names, keys, texts, backwards []string
	for i, column := range r.Walk {
		name, kind, _ := strings.Cut(column, " ")
		names = append(names, "t."+name)
		keys = append(keys, fmt.Sprintf("$%d::text::%s", i+3, kind))
		texts = append(texts, "t."+name+"::text")
		backwards = append(backwards, "t."+name+" desc")
	}
	after := ""
	if !begins {
		after = "where (" + strings.Join(names, ", ") + ") > (" + strings.Join(keys, ", ") + ")"
	}
	return `
		with page as materialized (
			select t.ctid as place, t.* from mesher.` + r.Table + " t " + after + `
			order by ` + strings.Join(names, ", ") + ` limit $2::bigint),
		doomed as materialized (
			select t.place, p.id as project, o.cutoff from page` + r.walked() + `
			where ` + r.Gone + `),
		gone as (
			delete from mesher.` + r.Table + ` t
			using doomed o left join mesher.projects p on p.id = o.project
			where t.ctid = o.place and (` + r.Gone + `)
			returning 1)
		select (select count(*) from page), (select count(*) from gone),
			coalesce((select array[` + strings.Join(texts, ", ") + "] from page t order by " + strings.Join(backwards, ", ") + ` limit 1), '{}')`
}

// walk goes on through a table where the last run ended, for as long as the step's time lasts. Once it has come to the end,
// it begins anew on the next day.
func (f *Function) walk(ctx context.Context, r round, rule rule) (done, left int64, err error) {
	position, finished, err := f.position(ctx, r, rule)
	if err != nil || finished {
		return 0, 0, err
	}
	_, left, err = until(ctx, walkBatch, func(ctx context.Context, most int64) (int64, error) {
		args := []any{r.At.Add(-rule.Keep), most}
		for _, key := range position {
			args = append(args, key)
		}
		var seen, gone int64
		var last []string
		if err := f.pool.QueryRow(ctx, rule.page(len(position) == 0), args...).Scan(&seen, &gone, &last); err != nil {
			return 0, err //nolint:wrapcheck // wrapped by follow
		}
		done += gone
		if finished = seen < most; !finished {
			position = last
		}
		return seen, nil
	})
	return done, left, errors.Join(err, f.keepPosition(ctx, r, rule, position, finished))
}

// position returns the last key that was looked at, nothing at the beginning, and whether the table was finished today.
func (f *Function) position(ctx context.Context, r round, rule rule) (at []string, finished bool, err error) {
	err = f.pool.QueryRow(ctx, `
		select coalesce(max(position), '{}'), coalesce(bool_or(finished_on >= $2::text::date), false)
		from mesher.retention_sweeps where rule = $1::text`, rule.Step, r.At.Format(time.DateOnly)).Scan(&at, &finished)
	if err != nil {
		return nil, false, fmt.Errorf("look up where to go on: %w", err)
	}
	if len(at) != len(rule.Walk) {
		return nil, finished, nil
	}
	return at, finished, nil
}

func (f *Function) keepPosition(ctx context.Context, r round, rule rule, at []string, finished bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), spare)
	defer cancel()
	var on any
	if finished {
		at, on = []string{}, r.At.Format(time.DateOnly)
	}
	if at == nil {
		at = []string{}
	}
	_, err := f.pool.Exec(ctx, `
		insert into mesher.retention_sweeps as s (rule, position, finished_on) values ($1::text, $2::text[], $3::text::date)
		on conflict (rule) do update set position = excluded.position, finished_on = coalesce(excluded.finished_on, s.finished_on)`,
		rule.Step, at, on)
	if err != nil {
		return fmt.Errorf("note where to go on: %w", err)
	}
	return nil
}
