package retention

import (
	"context"
	"errors"
	"fmt"

	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

// ofOrganization is everything that belongs to an organization besides its projects. Its people remain. A table with a column
// organization_id that is missing here fails a test.
func ofOrganization() []belonging {
	const own = "t.organization_id = $1::uuid"
	return []belonging{
		{"memberships", own},
		{"invitations", own},
		{"personal_access_tokens", own},
		{"service_health_checks", "t.monitor_id in (select m.id from mesher.monitors m where m.organization_id = $1::uuid)"},
		{"check_ins", "t.monitor_id in (select m.id from mesher.monitors m where m.organization_id = $1::uuid)"},
		{"monitors", own},
		{"alert_events", own},
		{"alert_rules", own},
		{"alert_channels", own},
		{"notifications", own},
		{"limit_shares", "t.subject = $1::uuid"},
	}
}

// eraseOrganizations erases the organizations that were deleted longer than the grace ago and have no project left. Done
// counts organizations.
func (f *Function) eraseOrganizations(ctx context.Context, r round) (done, left int64, err error) {
	organizations, err := f.doomed(ctx, `
		select o.id, o.id, o.name from mesher.organizations o
		where o.deleted_at < $1::timestamptz and not exists (select from mesher.projects p where p.organization_id = o.id)
		order by o.deleted_at limit $2::bigint`, r.At.Add(-f.cfg.grace()))
	if err != nil {
		return 0, 0, err
	}
	var failed []error
	for _, o := range organizations {
		if enough(ctx) {
			left++
			continue
		}
		gone, err := f.eraseOrganization(ctx, r, o)
		switch {
		case err != nil:
			failed = append(failed, fmt.Errorf("erase the organization %s: %w", o.id, err))
			left++
		case !gone:
			left++
		default:
			done++
		}
	}
	return done, left, errors.Join(failed...)
}

func (f *Function) eraseOrganization(ctx context.Context, r round, o doomed) (bool, error) {
	if gone, err := f.deleteBelongings(ctx, r, "organizations", o.id, ofOrganization()); err != nil || !gone || r.DryRun {
		return gone, err
	}
	return true, postgres.InTx(ctx, f.pool, func(tx postgres.Tx) error {
		tag, err := tx.Exec(ctx, "delete from mesher.organizations where id = $1::uuid and deleted_at is not null", o.id)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return tenant.Record(ctx, tx, o.id, actor(), "organization.erase", tenant.Target{Kind: "organization", ID: o.id, Name: o.name}, nil)
	})
}
