package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Colleague is a member of an organization as others see it.
type Colleague struct {
	UserID    uuid.UUID `json:"user_id" format:"uuid"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Role      Role      `json:"role" enum:"owner,admin,member"`
	CreatedAt time.Time `json:"created_at" doc:"when the user became a member"`
}

// MemberFilter narrows a list of members; empty fields do not.
type MemberFilter struct {
	Role   Role
	Search string // part of name or address, in any case
}

const colleagues = `
	select u.id, u.email, u.name, m.role, m.created_at
	from mesher.memberships m join mesher.users u on u.id = m.user_id `

func scanColleague(row pgx.CollectableRow) (Colleague, error) {
	var c Colleague
	err := row.Scan(&c.UserID, &c.Email, &c.Name, &c.Role, (*postgres.Time)(&c.CreatedAt))
	return c, err
}

// ListMembers returns the members of an organization, who came last first.
func ListMembers(ctx context.Context, db DB, organization uuid.UUID, f MemberFilter, r page.Request) (page.Of[Colleague], error) {
	return listing[Colleague]{
		name: "members", at: "m.created_at", id: "m.user_id", scan: scanColleague,
		mark: func(c Colleague) page.Mark { return page.Mark{At: c.CreatedAt, ID: c.UserID} },
		query: colleagues + `where m.organization_id = $4::uuid and ($5::text = '' or m.role = $5::text)
			and (position(lower($6::text) in lower(u.name)) > 0 or position(lower($6::text) in lower(u.email)) > 0)`,
	}.read(ctx, db, r, organization, storable(string(f.Role)), storable(f.Search))
}

// AddMember makes the user a member of the organization, or, if the user is one, leaves the role and returns false. A
// user or an organization that does not exist is a fault.NotFound.
func AddMember(ctx context.Context, db DB, organization, user uuid.UUID, role Role) (bool, error) {
	if err := role.check(); err != nil {
		return false, err
	}
	var exists, added bool
	err := db.QueryRow(ctx, `
		with home as (
			select id from mesher.organizations where id = $1::uuid and deleted_at is null for key share),
		added as (
			insert into mesher.memberships (organization_id, user_id, role, created_at)
			select id, $2::uuid, $3::text, clock_timestamp() from home
			on conflict (organization_id, user_id) do nothing
			returning 1)
		select exists (select from home), exists (select from added)`, organization, user, string(role)).Scan(&exists, &added)
	switch {
	case violates(err, "memberships_user_id_fkey"):
		return false, errNoUser(user)
	case err != nil:
		return false, fmt.Errorf("add a member: %w", err)
	case !exists:
		return false, errNoOrganization(organization)
	}
	return added, nil
}

// ChangeRole gives a member another role, in the name of somebody with the role by: only owners make owners and change
// them (fault.Forbidden). The last owner stays one (fault.Conflict, code "last_owner"), however many demote each other at
// once. Who is no member is a fault.NotFound. Open invitations that the member sent and now could not send are revoked.
func ChangeRole(ctx context.Context, db Beginner, organization, user uuid.UUID, role, by Role) (was Role, c Colleague, err error) {
	if err := role.check(); err != nil {
		return "", Colleague{}, err
	}
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		if c, err = lockMember(ctx, tx, organization, user); err != nil {
			return err
		}
		if err := by.requireFor(c.Role, role); err != nil {
			return err
		}
		if was = c.Role; was == role {
			return nil
		}
		if err := keepOwner(ctx, tx, organization, c); err != nil {
			return err
		}
		if c, err = setRole(ctx, tx, organization, user, role); err != nil {
			return err
		}
		return revokeOffers(ctx, tx, organization, user, role)
	})
	if err != nil {
		return "", Colleague{}, fmt.Errorf("change a role: %w", err)
	}
	return was, c, nil
}

// RemoveMember ends a membership and revokes the open invitations that the member sent, with the rules of ChangeRole; everybody
// may leave (self).
func RemoveMember(ctx context.Context, db Beginner, organization, user uuid.UUID, by Role, self bool) (Colleague, error) {
	var c Colleague
	err := postgres.InTx(ctx, db, func(tx postgres.Tx) (err error) {
		if c, err = lockMember(ctx, tx, organization, user); err != nil {
			return err
		}
		if !self {
			if err := by.requireFor(c.Role); err != nil {
				return err
			}
		}
		if err := keepOwner(ctx, tx, organization, c); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			delete from mesher.memberships where organization_id = $1::uuid and user_id = $2::uuid`, organization, user); err != nil {
			return err
		}
		return revokeOffers(ctx, tx, organization, user, "")
	})
	if err != nil {
		return Colleague{}, fmt.Errorf("remove a member: %w", err)
	}
	return c, nil
}

// lockMember returns a member of an organization whose members and invitations nobody else can change any more.
func lockMember(ctx context.Context, tx postgres.Tx, organization, user uuid.UUID) (Colleague, error) {
	if _, err := lockOrganization(ctx, tx, organization); err != nil {
		return Colleague{}, err
	}
	return findMember(ctx, tx, organization, user)
}

func findMember(ctx context.Context, tx postgres.Tx, organization, user uuid.UUID) (Colleague, error) {
	rows, err := tx.Query(ctx, colleagues+`where m.organization_id = $1::uuid and m.user_id = $2::uuid`, organization, user)
	if err != nil {
		return Colleague{}, err
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanColleague)
	if errors.Is(err, pgx.ErrNoRows) {
		return Colleague{}, fault.New(fault.NotFound, "the organization has no member with the id %s", user)
	}
	return c, err
}

func setRole(ctx context.Context, tx postgres.Tx, organization, user uuid.UUID, role Role) (Colleague, error) {
	if _, err := tx.Exec(ctx, `
		update mesher.memberships set role = $3::text, updated_at = clock_timestamp()
		where organization_id = $1::uuid and user_id = $2::uuid`, organization, user, string(role)); err != nil {
		return Colleague{}, err
	}
	return findMember(ctx, tx, organization, user)
}

func errNoUser(id uuid.UUID) error {
	return fault.New(fault.NotFound, "there is no user with the id %s", id)
}
