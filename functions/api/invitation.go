package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	tagInvitations  = "invitations"
	pathInvitations = pathOrganization + "/invitations"
	pathInvitation  = pathInvitations + "/{invitation_id}"
)

func (f *Function) invitationRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "list-invitations", Method: http.MethodGet, Path: pathInvitations, Tag: tagInvitations, Scope: account.ScopeRead,
		Role: string(tenant.Admin), Summary: "List invitations", Doc: "Returns whom the organization invited, and what became of it.",
	}, f.listInvitations)
	rest.Handle(f.api, rest.Route{
		ID: "create-invitation", Method: http.MethodPost, Path: pathInvitations, Tag: tagInvitations, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusCreated, Summary: "Invite somebody",
		Doc: "Sends a mail with a link that makes the account of that address a member, or makes one; it works for 7 days. " +
			"Only owners invite owners. " +
			"Who is a member already, or invited, is a conflict. How often one address is written to is limited, and how much one user sends. A token invites no owners.",
	}, f.createInvitation)
	rest.Handle(f.api, rest.Route{
		ID: "resend-invitation", Method: http.MethodPost, Path: pathInvitation + "/resend", Tag: tagInvitations, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusOK, Summary: "Send an invitation again",
		Doc: "Sends the mail again and lets the invitation be open for 7 days from now, also one that expired. Links that were " +
			"sent before work no longer. " +
			"How often one address is written to is limited, and how much one user sends.",
	}, f.resendInvitation)
	rest.Handle(f.api, rest.Route{
		ID: "revoke-invitation", Method: http.MethodDelete, Path: pathInvitation, Tag: tagInvitations, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusOK, Summary: "Take an invitation back",
		Doc: "Makes the links of an invitation worthless. One that was revoked stays so; one that was accepted is a conflict.",
	}, f.revokeInvitation)
}

type listInvitationsInput struct {
	OfOrganization
	rest.Paging
	State  tenant.InvitationState `query:"state" enum:"open,accepted,revoked,expired" doc:"only invitations of this state"`
	Role   tenant.Role            `query:"role" enum:"owner,admin,member" doc:"only invitations to this role"`
	Search string                 `query:"search" maxLength:"254" doc:"only invitations with this part in the address, in any case"`
}

func (f *Function) listInvitations(ctx context.Context, in *listInvitationsInput) (*rest.Body[rest.List[tenant.Invitation]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	if _, err := authorize(ctx, f.pool, in.OrganizationID, tenant.Admin); err != nil {
		return nil, err
	}
	filter := tenant.InvitationFilter{State: in.State, Role: in.Role, Search: in.Search}
	return listed(tenant.ListInvitations(ctx, f.pool, in.OrganizationID, filter, r))
}

// NewInvitation is who is invited, and as what.
type NewInvitation struct {
	Email string      `json:"email" maxLength:"254" example:"anna@example.com" doc:"where the link is sent"`
	Role  tenant.Role `json:"role" enum:"owner,admin,member"`
}

type createInvitationInput struct {
	OfOrganization
	rest.Idempotent
	Body NewInvitation
}

func (f *Function) createInvitation(ctx context.Context, in *createInvitationInput) (*rest.Created[tenant.Invitation], error) {
	email, err := account.NormalEmail(in.Body.Email)
	if err != nil {
		return nil, err
	}
	if err := mayMakeOwner(ctx, in.Body.Role); err != nil {
		return nil, err
	}
	var written uuid.UUID
	out, err := rest.Once(ctx, f.pool, in.IdempotencyKey, in.Body, func(tx postgres.Tx) error {
		_, err := authorize(ctx, tx, in.OrganizationID, tenant.Admin)
		return err
	}, func(tx postgres.Tx) (tenant.Invitation, error) {
		by, err := settle(ctx, tx, in.OrganizationID, tenant.Admin)
		if err != nil {
			return tenant.Invitation{}, err
		}
		i, err := tenant.Invite(ctx, tx, in.OrganizationID, email, in.Body.Role, rest.Who(ctx).User.ID, by)
		if err != nil {
			return tenant.Invitation{}, err
		}
		written, err = tell(ctx, tx, i, "invitation.create")
		return i, err
	})
	f.publish(ctx, written, err)
	return out, err
}

// OfInvitation are the parameters of calls about one invitation.
type OfInvitation struct {
	OfOrganization
	InvitationID uuid.UUID `path:"invitation_id" format:"uuid" doc:"id of the invitation"`
}

func (f *Function) resendInvitation(ctx context.Context, in *OfInvitation) (*rest.Body[tenant.Invitation], error) {
	var written uuid.UUID
	out, err := change(ctx, f, func(tx postgres.Tx) (tenant.Invitation, error) {
		by, err := settle(ctx, tx, in.OrganizationID, tenant.Admin)
		if err != nil {
			return tenant.Invitation{}, err
		}
		i, err := tenant.ExtendInvitation(ctx, tx, in.OrganizationID, in.InvitationID, by)
		if err != nil {
			return tenant.Invitation{}, err
		}
		if err := mayMakeOwner(ctx, i.Role); err != nil {
			return tenant.Invitation{}, err
		}
		// Of all mails the last is good: a link that went astray may be why it is sent again.
		if err := account.VoidOneTime(ctx, tx, account.Invitation, i.ID); err != nil {
			return tenant.Invitation{}, err
		}
		written, err = tell(ctx, tx, i, "invitation.resend")
		return i, err
	})
	f.publish(ctx, written, err)
	return out, err
}

// tell writes the mail that an invitation is sent with, and what was done to the audit log. It returns the id of the mail.
func tell(ctx context.Context, tx postgres.Tx, i tenant.Invitation, action string) (uuid.UUID, error) {
	// Within the transaction: what is limited are the mails that are sent, and without its commit there is none.
	to := account.MailTo(i.Email, "invitation "+i.OrganizationID.String())
	if err := account.Try(ctx, tx, to, account.MailBy(rest.Who(ctx).User.ID)); err != nil {
		return uuid.Nil, err
	}
	id, err := outbox.Write(ctx, tx, outbox.Notification{
		OrganizationID: i.OrganizationID, Template: outbox.Invitation, Recipient: i.Email,
		Data: outbox.InvitationData{InvitationID: i.ID},
	})
	if err != nil {
		return uuid.Nil, err
	}
	return id, record(ctx, tx, i.OrganizationID, action, invitationTarget(i),
		particulars{"role": i.Role, "expires_at": i.ExpiresAt})
}

// publish has a mail delivered that was committed. A call that was answered before wrote none.
func (f *Function) publish(ctx context.Context, written uuid.UUID, err error) {
	if err == nil && written != uuid.Nil {
		f.outbox.Publish(ctx, written)
	}
}

func (f *Function) revokeInvitation(ctx context.Context, in *OfInvitation) (*rest.Body[tenant.Invitation], error) {
	return change(ctx, f, func(tx postgres.Tx) (tenant.Invitation, error) {
		by, err := settle(ctx, tx, in.OrganizationID, tenant.Admin)
		if err != nil {
			return tenant.Invitation{}, err
		}
		i, changed, err := tenant.RevokeInvitation(ctx, tx, in.OrganizationID, in.InvitationID, by)
		if err != nil || !changed {
			return i, err
		}
		return i, record(ctx, tx, i.OrganizationID, "invitation.revoke", invitationTarget(i), particulars{"role": i.Role})
	})
}

func invitationTarget(i tenant.Invitation) tenant.Target {
	return tenant.Target{Kind: "invitation", ID: i.ID, Name: i.Email}
}
