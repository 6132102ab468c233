package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

// belonging is rows of a table that belong to a project or an organization, whose id is $1. They are deleted before it, in
// the order of the list: what refers to others first.
type belonging struct {
	table, where string
}

// ofProject is everything that belongs to a project besides its events. A table with a column project_id that is missing
// here fails a test.
func ofProject() []belonging {
	const own = "t.project_id = $1::uuid"
	return []belonging{
		{"issue_hourly_counts", own},
		{"issue_tags", own},
		{"issue_users", own},
		{"issue_activity", own},
		{"issue_fingerprints", own},
		{"issues", own},
		{"project_hourly_counts", own},
		{"project_minute_counts", own},
		{"releases", own},
		{"usage", own},
		{"usage_months", own},
		{"usage_items", own},
		{"dead_letters", own},
		{"check_ins", own + " or t.monitor_id in (select m.id from mesher.monitors m where m.project_id = $1::uuid)"},
		{"service_health_checks", "t.monitor_id in (select m.id from mesher.monitors m where m.project_id = $1::uuid)"},
		{"monitors", own},
		{"alert_events", own},
		{"alert_counts", "t.rule_id in (select a.id from mesher.alert_rules a where a.project_id = $1::uuid)"},
		{"alert_users", "t.rule_id in (select a.id from mesher.alert_rules a where a.project_id = $1::uuid)"},
		{"alert_rules", own},
		{"limit_shares", "t.subject = $1::uuid or t.subject in (select k.id from mesher.api_keys k where k.project_id = $1::uuid)"},
		{"api_keys", own},
		{"retention_marks", own},
	}
}

// doomed is a deleted project or organization whose time has come.
type doomed struct {
	id, organization uuid.UUID
	name             string
}

// doomedMost is how many projects, and how many organizations, a run looks at.
const doomedMost = 100

// actor is who the audit log names.
func actor() tenant.Actor { return tenant.Actor{Kind: "operator", Name: "Retention"} }

// eraseProjects erases the projects that were deleted longer than the grace ago. Done counts projects.
func (f *Function) eraseProjects(ctx context.Context, r round) (done, left int64, err error) {
	projects, err := f.doomed(ctx, `
		select p.id, p.organization_id, p.name from mesher.projects p
		where p.status = 'deleting' and (p.erasing_at is not null or p.deleted_at < $1::timestamptz)
		order by p.erasing_at, p.deleted_at limit $2::bigint`, r.At.Add(-f.cfg.grace()))
	if err != nil || len(projects) == 0 {
		return 0, 0, err
	}
	days, err := f.dayTables(ctx, postgres.Day(r.At).AddDate(0, 0, 2)) // to tomorrow: clocks differ
	if err != nil {
		return 0, 0, err
	}
	var failed []error
	for _, p := range projects {
		if enough(ctx) {
			left++
			continue
		}
		gone, err := f.eraseProject(ctx, r, p, days)
		switch {
		case err != nil:
			failed = append(failed, fmt.Errorf("erase the project %s: %w", p.id, err))
			left++
		case !gone:
			left++
		default:
			done++
		}
	}
	return done, left, errors.Join(failed...)
}

func (f *Function) doomed(ctx context.Context, sql string, before time.Time) ([]doomed, error) {
	rows, err := f.pool.Query(ctx, sql, before, doomedMost)
	if err != nil {
		return nil, fmt.Errorf("list what was deleted: %w", err)
	}
	defer rows.Close()
	var all []doomed
	for rows.Next() {
		var d doomed
		if err := rows.Scan(&d.id, &d.organization, &d.name); err != nil {
			return nil, fmt.Errorf("list what was deleted: %w", err)
		}
		all = append(all, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list what was deleted: %w", err)
	}
	return all, nil
}

// eraseProject erases one project, step by step, and reports whether it is gone. Once it has begun, nobody can bring the
// project back.
func (f *Function) eraseProject(ctx context.Context, r round, p doomed, days []dayTable) (bool, error) {
	if !r.DryRun {
		tag, err := f.pool.Exec(ctx, `
			update mesher.projects set erasing_at = coalesce(erasing_at, $2::timestamptz)
			where id = $1::uuid and status = 'deleting' and (erasing_at is not null or deleted_at < $3::timestamptz)`,
			p.id, r.At, r.At.Add(-f.cfg.grace()))
		if err != nil || tag.RowsAffected() == 0 {
			return false, err
		}
	}
	for _, d := range days {
		if d.pending || !d.attached {
			continue // such a day is dropped, or Partitions attaches it
		}
		if _, left, err := f.deleteEvents(ctx, r, "projects", d, p.id); err != nil || left > 0 {
			return false, err
		}
	}
	if gone, err := f.deleteBelongings(ctx, r, "projects", p.id, ofProject()); err != nil || !gone || r.DryRun {
		return gone, err
	}
	return true, postgres.InTx(ctx, f.pool, func(tx postgres.Tx) error {
		tag, err := tx.Exec(ctx, "delete from mesher.projects where id = $1::uuid and erasing_at is not null", p.id)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return tenant.Record(ctx, tx, p.organization, actor(), "project.erase", tenant.Target{Kind: "project", ID: p.id, Name: p.name}, nil)
	})
}

// eraseBatch is how many rows of what belongs to something are deleted at once. Each issue brings its fingerprints and what
// was done with it along.
const eraseBatch = 500

// deleteBelongings deletes what belongs to id and reports whether nothing is left.
func (f *Function) deleteBelongings(ctx context.Context, r round, step string, id uuid.UUID, all []belonging) (bool, error) {
	for _, b := range all {
		var done, left int64
		var err error
		if r.DryRun {
			err = f.pool.QueryRow(ctx, "select count(*) from (select from mesher."+b.table+" t where "+b.where+" limit $2::bigint) t",
				id, countMost).Scan(&done)
		} else {
			done, left, err = until(ctx, eraseBatch, func(ctx context.Context, most int64) (int64, error) {
				tag, err := f.pool.Exec(ctx, "delete from mesher."+b.table+" d where d.ctid = any (array(select t.ctid from mesher."+
					b.table+" t where "+b.where+" limit $2::bigint for update))", id, most)
				return tag.RowsAffected(), err
			})
		}
		if err = errors.Join(err, f.freed(ctx, r, step, b.table, done)); err != nil {
			return false, fmt.Errorf("delete what belongs to it in %s: %w", b.table, err)
		}
		if left > 0 {
			return false, nil
		}
	}
	return true, nil
}
