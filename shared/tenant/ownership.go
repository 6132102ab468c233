package tenant

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Rows are locked in one order, so that no two transactions wait for each other: users, organizations, then what
// belongs to an organization.

// Beginner begins transactions: a pool, a connection, or a transaction, which begins one within itself.
type Beginner = postgres.Beginner

// lockOrganization returns an organization that nobody else can change any more, nor its members and invitations.
// Projects and keys can still be created.
func lockOrganization(ctx context.Context, tx postgres.Tx, id uuid.UUID) (Organization, error) {
	var o Organization
	err := tx.QueryRow(ctx, `
		select `+organizationColumns+` from mesher.organizations o
		where o.id = $1::uuid and o.deleted_at is null for no key update`, id).Scan(o.fields()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return Organization{}, errNoOrganization(id)
	}
	return o, err
}

// keepUser keeps a user from being deleted until the transaction ends. Writing the user's id would do that too, but
// after the organization was locked, which is the wrong order.
func keepUser(ctx context.Context, tx postgres.Tx, id uuid.UUID) error {
	tag, err := tx.Exec(ctx, `select from mesher.users where id = $1::uuid for key share`, id)
	if err == nil && tag.RowsAffected() == 0 {
		return errNoUser(id)
	}
	return err
}

// keepOwner refuses to take the last owner from an organization that is locked.
func keepOwner(ctx context.Context, tx postgres.Tx, organization uuid.UUID, c Colleague) error {
	if c.Role != Owner {
		return nil
	}
	var others bool
	err := tx.QueryRow(ctx, `
		select exists (select from mesher.memberships
			where organization_id = $1::uuid and user_id <> $2::uuid and role = 'owner')`, organization, c.UserID).Scan(&others)
	if err == nil && !others {
		return fault.New(fault.Conflict, "%s is the last owner; make somebody else an owner first, or delete the organization", c.Email).
			Named("last_owner")
	}
	return err
}

// SoleOwnerships returns the slugs of the organizations whose only owner is the user, locking them against changes until
// the transaction ends. All organizations of the user are locked, and the user: nobody can make the user a member
// or an owner meanwhile.
func SoleOwnerships(ctx context.Context, db DB, user uuid.UUID) ([]string, error) {
	for _, lock := range []string{
		`select from mesher.users where id = $1::uuid for update`,
		`select from mesher.organizations
		 where id in (select organization_id from mesher.memberships where user_id = $1::uuid) and deleted_at is null
		 order by id for no key update`,
	} {
		if _, err := db.Exec(ctx, lock, user); err != nil {
			return nil, fmt.Errorf("lock the organizations of a user: %w", err)
		}
	}
	rows, err := db.Query(ctx, `
		select o.slug from mesher.organizations o join mesher.memberships m on m.organization_id = o.id
		where m.user_id = $1::uuid and m.role = 'owner' and o.deleted_at is null
		  and not exists (select from mesher.memberships other
			where other.organization_id = o.id and other.user_id <> m.user_id and other.role = 'owner')
		order by o.slug`, user)
	if err != nil {
		return nil, fmt.Errorf("find the organizations of a user: %w", err)
	}
	slugs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find the organizations of a user: %w", err)
	}
	return slugs, nil
}
