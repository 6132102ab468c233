package tenant

import (
	"context"
	"fmt"

	"github.com/google/uuid"
)

// MayCreateOrganization reports whether the user may make another organization where that is not open to everybody: who
// owns one may, and anybody may while none has an owner. Organizations that are deleted do not count, so that an
// installation whose last one was deleted can begin anew.
func MayCreateOrganization(ctx context.Context, db DB, user uuid.UUID) (bool, error) {
	var may bool
	if err := db.QueryRow(ctx, `
		with owners as (
			select m.user_id from mesher.memberships m join mesher.organizations o on o.id = m.organization_id
			where m.role = 'owner' and o.deleted_at is null)
		select exists (select from owners where user_id = $1::uuid) or not exists (select from owners)`, user).Scan(&may); err != nil {
		return false, fmt.Errorf("look whether a user may create an organization: %w", err)
	}
	return may, nil
}
