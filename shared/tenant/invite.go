package tenant

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Invite offers an address a membership. A member with that address is a fault.Conflict (code "already_member"), an open
// invitation of it too ("already_invited"), unless it expired: then that one is replaced. So is one invitation more than an
// organization may have open or make within a day ("too_many_invitations"). Only owners invite owners (by; fault.Forbidden). email has the form
// that account.NormalEmail returns; inviter is uuid.Nil when an operator invites.
func Invite(ctx context.Context, db Beginner, organization uuid.UUID, email string, role Role, inviter uuid.UUID, by Role) (Invitation, error) {
	if err := errors.Join(role.check(), checkEmail(email), by.requireFor(role)); err != nil {
		return Invitation{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Invitation{}, fmt.Errorf("make an invitation id: %w", err)
	}
	var inv Invitation
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		if inviter != uuid.Nil {
			if err := keepUser(ctx, tx, inviter); err != nil {
				return err
			}
		}
		if _, err := lockOrganization(ctx, tx, organization); err != nil {
			return err
		}
		if err := mayInvite(ctx, tx, organization, email); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			insert into mesher.invitations (id, organization_id, email, role, invited_by, created_at, expires_at)
			select $1::uuid, $2::uuid, $3::text, $4::text, $5::uuid, at, at + $6::bigint * interval '1 microsecond'
			from (select clock_timestamp() as at offset 0) as clock`,
			id, organization, email, string(role), postgres.OrNull(inviter), InvitationLifetime.Microseconds()); err != nil {
			return err
		}
		inv, err = FindInvitation(ctx, tx, organization, id)
		return err
	})
	if err != nil {
		return Invitation{}, fmt.Errorf("invite somebody: %w", err)
	}
	return inv, nil
}

// mayInvite refuses an address that is a member's or invited already, and makes room where an invitation expired. The
// organization is locked.
func mayInvite(ctx context.Context, tx postgres.Tx, organization uuid.UUID, email string) error {
	if _, err := tx.Exec(ctx, `
		update mesher.invitations set revoked_at = clock_timestamp()
		where organization_id = $1::uuid and lower(email) = lower($2::text) and accepted_at is null and revoked_at is null
		  and expires_at <= clock_timestamp()`, organization, email); err != nil {
		return err
	}
	var member, invited bool
	var open int
	if err := tx.QueryRow(ctx, `
		select exists (select from mesher.memberships m join mesher.users u on u.id = m.user_id
				where m.organization_id = $1::uuid and lower(u.email) = lower($2::text)),
			exists (select from mesher.invitations
				where organization_id = $1::uuid and lower(email) = lower($2::text) and accepted_at is null and revoked_at is null),
			(`+countOpen+`)`, organization, email).Scan(&member, &invited, &open); err != nil {
		return err
	}
	switch {
	case member:
		return fault.New(fault.Conflict, "%s is a member already; change the member's role instead", email).Named("already_member")
	case invited:
		return fault.New(fault.Conflict, "%s is invited already; resend that invitation or revoke it", email).Named("already_invited")
	case open >= invitationsMost:
		return errManyInvitations()
	}
	return nil
}

// countOpen counts the invitations of the organization $1 that are open or were made within a day: to revoke one does not
// unsend its mail.
const countOpen = `
	select count(*) from mesher.invitations
	where organization_id = $1::uuid
	  and (accepted_at is null and revoked_at is null and expires_at > clock_timestamp()
	    or created_at > clock_timestamp() - interval '24 hours')`

// reach returns the roles that somebody with this role may invite, and whose invitations to revoke or extend.
func (r Role) reach() []string {
	out := []string{} // not null, which would be equal to nothing and hide a mistake
	for _, role := range []Role{Member, Admin, Owner} {
		if r.requireFor(role) == nil {
			out = append(out, string(role))
		}
	}
	return out
}

func checkEmail(email string) error {
	if n := utf8.RuneCountInString(email); n < 3 || n > 254 || email != storable(email) {
		return fault.New(fault.Invalid, "an e-mail address has 3 to 254 characters")
	}
	return nil
}

func errManyInvitations() error {
	return fault.New(fault.Conflict, "%d invitations are open or were made within a day, which is the most; revoke old ones, or wait until they are accepted or expire",
		invitationsMost).Named("too_many_invitations")
}
