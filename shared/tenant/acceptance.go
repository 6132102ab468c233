package tenant

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Acceptance is an invitation that was accepted, and what that changed.
type Acceptance struct {
	Invitation
	Was Role // of the user before; empty for who was no member
	Is  Role // since then
}

// AcceptInvitation makes the user a member and uses the invitation up: of many who accept it at once, one succeeds. One that is
// not open any more is a fault.Conflict with the code "invitation_closed" that says why; so is one whose
// sender may not send it any more. A user who is a member already keeps
// the higher of both roles. That the invitation is the user's to accept is the caller's to find out.
func AcceptInvitation(ctx context.Context, db Beginner, id, user uuid.UUID) (Acceptance, error) {
	var a Acceptance
	err := postgres.InTx(ctx, db, func(tx postgres.Tx) (err error) {
		if a.Invitation, err = lockInvitation(ctx, tx, id, user); err != nil {
			return err
		}
		if err := a.closed(); err != nil {
			return err
		}
		if err := a.checkInviter(ctx, tx); err != nil {
			return err
		}
		if a.Was, a.Is, err = raiseMember(ctx, tx, a.OrganizationID, user, a.Role); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			update mesher.invitations set accepted_at = clock_timestamp(), accepted_by = $2::uuid
			where id = $1::uuid`, id, user); err != nil {
			return err
		}
		a.Invitation, err = InvitationByID(ctx, tx, id)
		return err
	})
	if err != nil {
		return Acceptance{}, fmt.Errorf("accept an invitation: %w", err)
	}
	return a, nil
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

// raiseMember makes the user a member, or gives a member the role if that is the higher one. It returns the roles before and
// after.
func raiseMember(ctx context.Context, tx postgres.Tx, organization, user uuid.UUID, role Role) (was, is Role, err error) {
	added, err := AddMember(ctx, tx, organization, user, role)
	if err != nil || added {
		return "", role, err
	}
	c, err := findMember(ctx, tx, organization, user)
	if err != nil || c.Role.Allows(role) {
		return c.Role, c.Role, err
	}
	_, err = setRole(ctx, tx, organization, user, role)
	return c.Role, role, err
}
