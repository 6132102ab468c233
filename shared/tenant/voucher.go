package tenant

import (
	"context"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/postgres"
)

// Who is removed or gets a lower role must not come back by an invitation sent before: an invitation is as good as the
// role of who sent it.

// revokeOffers revokes the open invitations that a user sent and, with the role, could not send any more; without a role that
// is all of them. The organization is locked.
func revokeOffers(ctx context.Context, tx postgres.Tx, organization, user uuid.UUID, role Role) error {
	_, err := tx.Exec(ctx, `
		update mesher.invitations set revoked_at = clock_timestamp()
		where organization_id = $1::uuid and invited_by = $2::uuid and accepted_at is null and revoked_at is null
		  and role <> all ($3::text[])`, organization, user, role.reach())
	return err
}

// checkInviter refuses an invitation whose sender is no member any more who may send it. One without a sender is the operator's.
// The organization is locked.
func (i Invitation) checkInviter(ctx context.Context, tx postgres.Tx) error {
	var by *Role
	var operator bool
	if err := tx.QueryRow(ctx, `
		select i.invited_by is null, m.role
		from mesher.invitations i
		left join mesher.memberships m on m.organization_id = i.organization_id and m.user_id = i.invited_by
		where i.id = $1::uuid`, i.ID).Scan(&operator, &by); err != nil {
		return err
	}
	if operator || by != nil && by.requireFor(i.Role) == nil {
		return nil
	}
	return errClosed("who sent it may not invite to it any more; ask for another")
}
