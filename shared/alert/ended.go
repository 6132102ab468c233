package alert

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/postgres"
)

// endBatch is how many alerts are resolved in one transaction. Each may have to be told to twenty channels.
const endBatch = 100

// ResolveEnded resolves alerts whose reason is gone, as of at: those of rules that are disabled or deleted; of issues that are
// new or regressed, when somebody has dealt with the issue, or it is gone; of monitors that are well, disabled or gone.
// Windows are the business of Evaluate. It returns how many it resolved, those of one batch at most, and the
// notifications to hand to outbox.Publish.
func ResolveEnded(ctx context.Context, db postgres.Beginner, at time.Time) (n int, told []uuid.UUID, err error) {
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		ended, err := ids(ctx, tx, "look for alerts that have ended", endedSQL+" select id from ended", endBatch)
		if err != nil || len(ended) == 0 {
			return err
		}
		n = len(ended)
		told, err = ids(ctx, tx, "resolve alerts that have ended", endedSQL+`
			select t.id from ended d, lateral mesher.end_alert(d.id, null, d.why, $2::timestamptz) t (id)`, endBatch, at)
		return err
	})
	if err != nil {
		return 0, nil, err //nolint:wrapcheck // says what failed already
	}
	return n, told, nil
}

// endedSQL names alerts that have ended, at most $1, in the order in which they are locked.
const endedSQL = `
	with found as (
		select e.id, case
			when r.id is null then 'its rule was deleted'
			when not r.enabled then 'its rule was disabled'
			when e.kind in ('new_issue', 'regression') then case
				when i.id is null then 'the issue was deleted'
				when i.merged_into is not null then 'the issue was merged into another'
				when i.status <> 'unresolved' then 'the issue was ' || i.status
			end
			when e.kind = 'monitor' then case
				when m.id is null then 'the monitor was deleted'
				when not m.enabled then 'the monitor was disabled'
				when m.status <> 'unknown' and not coalesce(r.condition -> 'statuses', '["down"]'::jsonb) ? m.status then 'the monitor is ' || m.status
				when r.condition ? 'monitors' and not r.condition -> 'monitors' ? m.id::text then 'its rule is about other monitors'
			end
		end as why
		from mesher.alert_events e
		left join mesher.alert_rules r on r.id = e.rule_id
		left join mesher.issues i on i.project_id = e.project_id and i.id = e.issue_id
		left join mesher.monitors m on m.id = e.monitor_id
		where e.status <> 'resolved'),
	ended as materialized (select id, why from found where why is not null order by id limit $1::bigint)`
