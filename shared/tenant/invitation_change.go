package tenant

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
)

// RevokeInvitation takes an open invitation back, also one that expired; one that was revoked stays so. An accepted one is a
// fault.Conflict (code "invitation_closed"). It reports whether it was not revoked before. Only owners revoke invitations of
// owners.
func RevokeInvitation(ctx context.Context, db DB, organization, id uuid.UUID, by Role) (inv Invitation, changed bool, err error) {
	tag, err := db.Exec(ctx, `
		update mesher.invitations set revoked_at = clock_timestamp()
		where organization_id = $1::uuid and id = $2::uuid and accepted_at is null and revoked_at is null
		  and role = any ($3::text[])`, organization, id, by.reach())
	if err == nil {
		inv, err = FindInvitation(ctx, db, organization, id)
	}
	if err == nil {
		err = by.requireFor(inv.Role)
	}
	if err == nil && inv.State == InvitationAccepted {
		err = fault.New(fault.Conflict, "%s accepted the invitation; remove the member instead", inv.Email).Named("invitation_closed")
	}
	if err != nil {
		return Invitation{}, false, fmt.Errorf("revoke an invitation: %w", err)
	}
	return inv, tag.RowsAffected() > 0, nil
}

// ExtendInvitation lets an invitation that was not accepted or revoked be open for the whole InvitationLifetime again. One that
// was is a fault.Conflict (code "invitation_closed"), and so is an expired one when too many are open ("too_many_invitations").
func ExtendInvitation(ctx context.Context, db DB, organization, id uuid.UUID, by Role) (Invitation, error) {
	tag, err := db.Exec(ctx, `
		update mesher.invitations set expires_at = clock_timestamp() + $4::bigint * interval '1 microsecond'
		where organization_id = $1::uuid and id = $2::uuid and accepted_at is null and revoked_at is null
		  and role = any ($3::text[]) and (expires_at > clock_timestamp() or (`+countOpen+`) < $5::bigint)`,
		organization, id, by.reach(), InvitationLifetime.Microseconds(), invitationsMost)
	var inv Invitation
	if err == nil {
		inv, err = FindInvitation(ctx, db, organization, id)
	}
	if err == nil {
		err = by.requireFor(inv.Role)
	}
	if err == nil && tag.RowsAffected() == 0 {
		err = inv.settled()
	}
	if err != nil {
		return Invitation{}, fmt.Errorf("extend an invitation: %w", err)
	}
	return inv, nil
}

// closed says why an invitation cannot be accepted any more, nil when it can.
func (i Invitation) closed() error {
	switch i.State {
	case InvitationOpen:
		return nil
	case InvitationAccepted:
		return errClosed("it was accepted already")
	case InvitationRevoked:
		return errClosed("it was revoked; ask who invited you for another")
	case InvitationExpired:
		return errClosed("it has expired; ask who invited you for another")
	}
	return fmt.Errorf("an invitation is %s", i.State)
}

// settled says to those who invite why an invitation that is not open cannot be sent again.
func (i Invitation) settled() error {
	switch i.State {
	case InvitationAccepted:
		return fault.New(fault.Conflict, "%s accepted the invitation already; there is nothing to send again", i.Email).Named("invitation_closed")
	case InvitationRevoked:
		return fault.New(fault.Conflict, "the invitation was revoked; invite %s again", i.Email).Named("invitation_closed")
	case InvitationExpired, InvitationOpen:
		return errManyInvitations() // what expired is open again otherwise
	}
	return fmt.Errorf("an invitation is %s", i.State)
}

func errClosed(why string) error {
	return fault.New(fault.Conflict, "the invitation is not open any more: %s", why).Named("invitation_closed")
}
