package alert

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/postgres"
)

const (
	// countsKept is how long what is counted by the minute is kept: for the baseline of spikes, and for dry runs.
	countsKept = 8 * 24 * time.Hour
	// usersSlack is how long users are kept beyond the window of their rule, so that they can be looked at once more.
	usersSlack = 10 * time.Minute
	// cleanBatch is how many rows are deleted in one statement.
	cleanBatch = 20_000
	// usersBatch is how many rules that count users are looked through in one transaction.
	usersBatch = 50
)

// Clean deletes counts that are too old, a bounded number of each kind, and users of rules that are gone. It returns how many
// rows it deleted, and whether there are more.
func Clean(ctx context.Context, db DB, at time.Time) (rows int64, more bool, err error) {
	before := at.UTC().Add(-countsKept)
	for _, sql := range []string{
		`delete from mesher.alert_counts where ctid = any (array(
			select ctid from mesher.alert_counts where minute < $1::timestamptz limit $2::bigint))`,
		`delete from mesher.project_minute_counts where ctid = any (array(
			select ctid from mesher.project_minute_counts where minute < $1::timestamptz limit $2::bigint))`,
		// Rules by the primary key, one step for each, however many users they have.
		`with recursive rules (id) as (
			(select u.rule_id from mesher.alert_users u order by u.rule_id limit 1)
			union all
			select (select u.rule_id from mesher.alert_users u where u.rule_id > rules.id order by u.rule_id limit 1)
			from rules where rules.id is not null)
		delete from mesher.alert_users where ctid = any (array(
			select u.ctid from rules join mesher.alert_users u on u.rule_id = rules.id
			where $1::timestamptz is not null and not exists (select from mesher.alert_rules r where r.id = rules.id) limit $2::bigint))`,
	} {
		tag, err := db.Exec(ctx, sql, before, cleanBatch)
		if err != nil {
			return rows, false, fmt.Errorf("delete old counts of alert rules: %w", err)
		}
		rows += tag.RowsAffected()
		more = more || tag.RowsAffected() == cleanBatch
	}
	return rows, more, nil
}

// KeepUsers deletes users who have left the windows of the next rules after an id, and notes which rules have so many that
// Store keeps no more. It returns how many rows it deleted, and after which rule to go on; uuid.Nil: these were the last.
func KeepUsers(ctx context.Context, db postgres.Beginner, after uuid.UUID, at time.Time) (rows int64, next uuid.UUID, err error) {
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		var last *uuid.UUID
		var n int
		if err := tx.QueryRow(ctx, `
			select count(*), (array_agg(r.id order by r.id desc))[1] from (
				select id from mesher.alert_rules where kind = 'user_count' and id > $1::uuid order by id limit $2::bigint) r`,
			after, usersBatch).Scan(&n, &last); err != nil || last == nil {
			return err //nolint:wrapcheck // said below
		}
		tag, err := tx.Exec(ctx, `
			delete from mesher.alert_users where ctid = any (array(
				select u.ctid from mesher.alert_rules r join mesher.alert_users u on u.rule_id = r.id
					and u.minute < $3::timestamptz - (r.condition ->> 'window_minutes')::int * interval '1 minute' - $4::bigint * interval '1 second'
				where r.kind = 'user_count' and r.id > $1::uuid and r.id <= $2::uuid limit $5::bigint))`,
			after, *last, at, int64(usersSlack/time.Second), cleanBatch)
		if err != nil {
			return err //nolint:wrapcheck // said below
		}
		rows = tag.RowsAffected()
		if _, err := tx.Exec(ctx, `
			update mesher.alert_rules r set crowded = not r.crowded
			from (
				select r.id, (select count(*) from (
					select from mesher.alert_users u where u.rule_id = r.id limit $3::bigint) u) as users
				from mesher.alert_rules r where r.kind = 'user_count' and r.id > $1::uuid and r.id <= $2::uuid) n
			where r.id = n.id and case when r.crowded then n.users < $3::bigint * 0.9 else n.users >= $3::bigint end`,
			after, *last, UsersKept); err != nil {
			return err //nolint:wrapcheck // said below
		}
		if n == usersBatch {
			next = *last
		}
		return nil
	})
	if err != nil {
		return 0, uuid.Nil, fmt.Errorf("clear users of alert rules away: %w", err)
	}
	return rows, next, nil
}
