package retention

import (
	"context"
	"errors"
	"fmt"
)

// ruleBatch is how many rows a rule deletes, and looks at where it walks, with one statement.
const (
	ruleBatch = 1000
	walkBatch = 5000
)

// follow removes the rows that a rule says. Done counts rows.
func (f *Function) follow(ctx context.Context, r round, rule rule) (done, left int64, err error) {
	switch {
	case r.DryRun:
		done, left, err = f.count(ctx, r, rule)
	case len(rule.Walk) > 0:
		done, left, err = f.walk(ctx, r, rule)
	default:
		done, left, err = until(ctx, rule.batch(), func(ctx context.Context, most int64) (n int64, err error) {
			err = f.pool.QueryRow(ctx, rule.deleting(), r.At.Add(-rule.Keep), most).Scan(&n)
			return n, err
		})
	}
	if err == nil && !r.DryRun && rule.Table == "releases" {
		var n, more int64
		n, more, err = f.trimReleases(ctx)
		done, left = done+n, left+more
	}
	if err != nil {
		err = fmt.Errorf("remove rows of %s: %w", rule.Table, err)
	}
	return done, left, errors.Join(err, f.freed(ctx, r, rule.Step, rule.Table, done))
}

func (r rule) batch() int64 {
	if r.Batch > 0 {
		return r.Batch
	}
	return ruleBatch
}

// deleting returns the statement that deletes up to $2 rows and returns how many. Rows that somebody works on are left; the
// condition stands twice, because a row may have changed when its lock is had.
func (r rule) deleting() string {
	if r.Via != "" {
		return r.Via
	}
	return `
		with gone as (
			delete from mesher.` + r.Table + ` t
			where t.ctid = any (array(
				select t.ctid from mesher.` + r.Table + ` t where ` + r.Gone + ` limit $2::bigint for update skip locked))
				and (` + r.Gone + `)
			returning 1)
		select count(*) from gone`
}

// count says how many rows a rule would remove, up to countMost.
func (f *Function) count(ctx context.Context, r round, rule rule) (done, left int64, err error) {
	from := " t where " + rule.Gone
	if len(rule.Walk) > 0 {
		from = rule.walked() + " where " + rule.Gone
	}
	err = f.pool.QueryRow(ctx, "select count(*) from (select from mesher."+rule.Table+from+" limit $2::bigint) t",
		r.At.Add(-rule.Keep), countMost).Scan(&done)
	if done == countMost {
		left = 1
	}
	return done, left, err
}
