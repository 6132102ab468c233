package tenant

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// AcceptInvitation makes the user a member and uses the invitation up: of many who accept it at once, one succeeds. One that is
// not open any more is a fault.Conflict with the code "invitation_closed" that says why. A user who is a member already keeps
// the higher of both roles.
func AcceptInvitation(ctx context.Context, db Beginner, id, user uuid.UUID) (Invitation, error) {
	var inv Invitation
	err := postgres.InTx(ctx, db, func(tx postgres.Tx) (err error) {
		if inv, err = lockInvitation(ctx, tx, id, user); err != nil {
			return err
		}
		if err := inv.closed(); err != nil {
			return err
		}
		if err := raiseMember(ctx, tx, inv.OrganizationID, user, inv.Role); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			update mesher.invitations set accepted_at = clock_timestamp(), accepted_by = $2::uuid
			where id = $1::uuid`, id, user); err != nil {
			return err
		}
		inv, err = InvitationByID(ctx, tx, id)
		return err
	})
	if err != nil {
		return Invitation{}, fmt.Errorf("accept an invitation: %w", err)
	}
	return inv, nil
}

// lockInvitation returns an invitation that nobody else can change any more, for a user who is to accept it.
func lockInvitation(ctx context.Context, tx postgres.Tx, id, user uuid.UUID) (Invitation, error) {
	if err := keepUser(ctx, tx, user); err != nil {
		return Invitation{}, err
	}
	inv, err := InvitationByID(ctx, tx, id)
	if err != nil {
		return Invitation{}, err
	}
	if _, err := lockOrganization(ctx, tx, inv.OrganizationID); fault.Is(err, fault.NotFound) {
		return Invitation{}, errClosed("the organization was deleted")
	} else if err != nil {
		return Invitation{}, err
	}
	if _, err := tx.Exec(ctx, `select from mesher.invitations where id = $1::uuid for no key update`, id); err != nil {
		return Invitation{}, err
	}
	// Read again: the statement before may have waited, and saw what was there when it began.
	return InvitationByID(ctx, tx, id)
}

// raiseMember makes the user a member, or gives a member the role if that is the higher one.
func raiseMember(ctx context.Context, tx postgres.Tx, organization, user uuid.UUID, role Role) error {
	added, err := AddMember(ctx, tx, organization, user, role)
	if err != nil || added {
		return err
	}
	c, err := findMember(ctx, tx, organization, user)
	if err == nil && !c.Role.Allows(role) {
		_, err = setRole(ctx, tx, organization, user, role)
	}
	return err
}
