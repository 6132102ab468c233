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

// InvitationState is what became of an invitation.
type InvitationState string

// The states of an invitation.
const (
	InvitationOpen     InvitationState = "open"
	InvitationAccepted InvitationState = "accepted"
	InvitationRevoked  InvitationState = "revoked"
	InvitationExpired  InvitationState = "expired"
)

// InvitationLifetime is how long an invitation is open.
const InvitationLifetime = 7 * day

// invitationsMost is how many invitations of an organization may be open at the same time, or made within a day: each is a mail to somebody
// who did not ask for it.
const invitationsMost = 200

// Invitation offers a membership to whoever reads the mails of an address.
type Invitation struct {
	ID             uuid.UUID       `json:"id" format:"uuid"`
	OrganizationID uuid.UUID       `json:"organization_id" format:"uuid"`
	Organization   string          `json:"organization" doc:"its name"`
	Email          string          `json:"email"`
	Role           Role            `json:"role" enum:"owner,admin,member"`
	State          InvitationState `json:"state" enum:"open,accepted,revoked,expired"`
	InvitedBy      string          `json:"invited_by,omitempty" doc:"name or address of who sent it"`
	CreatedAt      time.Time       `json:"created_at"`
	ExpiresAt      time.Time       `json:"expires_at"`
	AcceptedAt     time.Time       `json:"accepted_at,omitzero"`
	AcceptedBy     string          `json:"accepted_by,omitempty" doc:"name or address of who accepted it"`
	RevokedAt      time.Time       `json:"revoked_at,omitzero"`
}

const invitationState = `
	case when i.accepted_at is not null then 'accepted' when i.revoked_at is not null then 'revoked'
	     when i.expires_at <= clock_timestamp() then 'expired' else 'open' end`

const selectInvitations = `
	select i.id, i.organization_id, o.name, i.email, i.role,` + invitationState + `,
	       coalesce(nullif(u.name, ''), u.email, ''), i.created_at, i.expires_at, i.accepted_at,
	       coalesce(nullif(a.name, ''), a.email, ''), i.revoked_at
	from mesher.invitations i
	join mesher.organizations o on o.id = i.organization_id
	left join mesher.users u on u.id = i.invited_by
	left join mesher.users a on a.id = i.accepted_by `

func scanInvitation(row pgx.CollectableRow) (Invitation, error) {
	var i Invitation
	err := row.Scan(&i.ID, &i.OrganizationID, &i.Organization, &i.Email, &i.Role, &i.State, &i.InvitedBy,
		(*postgres.Time)(&i.CreatedAt), (*postgres.Time)(&i.ExpiresAt), (*postgres.Time)(&i.AcceptedAt), &i.AcceptedBy, (*postgres.Time)(&i.RevokedAt))
	return i, err
}

// InvitationFilter narrows a list of invitations; empty fields do not.
type InvitationFilter struct {
	State  InvitationState
	Role   Role
	Search string // part of the address, in any case
}

// ListInvitations returns an organization's invitations, the newest first.
func ListInvitations(ctx context.Context, db DB, organization uuid.UUID, f InvitationFilter, r page.Request) (page.Of[Invitation], error) {
	return listing[Invitation]{
		name: "invitations", at: "i.created_at", id: "i.id", scan: scanInvitation,
		mark: func(i Invitation) page.Mark { return page.Mark{At: i.CreatedAt, ID: i.ID} },
		query: selectInvitations + `
			where i.organization_id = $4::uuid and ($5::text = '' or ` + invitationState + ` = $5::text)
			  and ($6::text = '' or i.role = $6::text) and position(lower($7::text) in lower(i.email)) > 0`,
	}.read(ctx, db, r, organization, storable(string(f.State)), storable(string(f.Role)), storable(f.Search))
}

// FindInvitation returns an invitation of the organization, or a fault.NotFound.
func FindInvitation(ctx context.Context, db DB, organization, id uuid.UUID) (Invitation, error) {
	i, err := oneInvitation(ctx, db, "where i.organization_id = $1::uuid and i.id = $2::uuid", organization, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Invitation{}, fault.New(fault.NotFound, "the organization has no invitation with the id %s", id)
	}
	return i, err
}

// InvitationByID returns an invitation of any organization: for Notify, and for who carries its token.
func InvitationByID(ctx context.Context, db DB, id uuid.UUID) (Invitation, error) {
	i, err := oneInvitation(ctx, db, "where i.id = $1::uuid", id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Invitation{}, fault.New(fault.NotFound, "there is no invitation with the id %s", id)
	}
	return i, err
}

func oneInvitation(ctx context.Context, db DB, condition string, args ...any) (Invitation, error) {
	rows, err := db.Query(ctx, selectInvitations+condition, args...)
	if err != nil {
		return Invitation{}, fmt.Errorf("find an invitation: %w", err)
	}
	i, err := pgx.CollectExactlyOneRow(rows, scanInvitation)
	if err != nil {
		return Invitation{}, fmt.Errorf("find an invitation: %w", err)
	}
	return i, nil
}
