package tenant

import (
	"context"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
)

// What there may be at most, so that nobody fills the database by hand or by a program that has gone wrong.
const (
	organizationsMost = 50  // that a user owns
	projectsMost      = 500 // of an organization, also those that are marked for deletion until they are erased
	keysMost          = 100 // of a project, that are neither revoked nor expired
)

// room refuses one more of what is counted when there are as many as may be. In a transaction the row that owns them
// is locked first, so that of many who create one at once the last are refused.
func room(ctx context.Context, db DB, lock, count string, owner uuid.UUID, most int, refused error) error {
	if _, err := db.Exec(ctx, lock, owner); err != nil {
		return err
	}
	var n int
	if err := db.QueryRow(ctx, count, owner).Scan(&n); err != nil {
		return err
	}
	if n >= most {
		return refused
	}
	return nil
}

func roomForOrganization(ctx context.Context, db DB, owner uuid.UUID) error {
	return room(ctx, db, `select from mesher.users where id = $1::uuid for no key update`, `
		select count(*) from mesher.memberships m join mesher.organizations o on o.id = m.organization_id
		where m.user_id = $1::uuid and m.role = 'owner' and o.deleted_at is null`, owner, organizationsMost,
		fault.New(fault.Conflict, "you own %d organizations, which is the most; delete one that is not used", organizationsMost).
			Named("too_many_organizations"))
}

func roomForProject(ctx context.Context, db DB, organization uuid.UUID) error {
	// The lock that insertProjectAs takes, so that projects are still created beside each other: a few at once may be
	// a few too many.
	return room(ctx, db, `select from mesher.organizations where id = $1::uuid for key share`, `
		select count(*) from mesher.projects where organization_id = $1::uuid`, organization, projectsMost,
		fault.New(fault.Conflict, "the organization has %d projects, which is the most, with those that are marked for deletion and "+
			"not erased yet; use one that is not needed any more", projectsMost).Named("too_many_projects"))
}

func roomForKey(ctx context.Context, db DB, project uuid.UUID) error {
	return room(ctx, db, `select from mesher.projects where id = $1::uuid for no key update`, `
		select count(*) from mesher.api_keys
		where project_id = $1::uuid and (revoked_at is null or revoked_at > clock_timestamp())
		  and (expires_at is null or expires_at > clock_timestamp())`, project, keysMost,
		fault.New(fault.Conflict, "the project has %d API keys that are good, which is the most; revoke some that are not used", keysMost).
			Named("too_many_keys"))
}
