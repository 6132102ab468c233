package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

func usersInvite(ctx context.Context, db *postgres.Pool, o usersOptions, out io.Writer) error {
	email, err := account.NormalEmail(o.email)
	if err != nil {
		return err
	}
	var base string
	if o.link {
		if base, err = o.base(); err != nil {
			return err
		}
	}
	org, err := pickOrganization(ctx, db, o.organization)
	if err != nil {
		return err
	}
	var inv tenant.Invitation
	var link string
	var mail uuid.UUID
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) (err error) {
		if inv, err = invite(ctx, tx, org.ID, email, tenant.Role(o.role)); err != nil {
			return err
		}
		if o.link {
			token, err := account.IssueOneTime(ctx, tx, account.Invitation, inv.ID, inv.Email)
			link = base + acceptPage + token
			return err
		}
		mail, err = outbox.Write(ctx, tx, outbox.Notification{
			OrganizationID: org.ID, Template: outbox.Invitation, Recipient: inv.Email, Data: outbox.InvitationData{InvitationID: inv.ID},
		})
		return err
	})
	if err != nil {
		return err
	}
	if mail == uuid.Nil {
		return showInvitation(out, o, org, inv, link, "")
	}
	return showInvitation(out, o, org, inv, "", o.publish.say(ctx, "The mail", mail))
}

// invite makes an invitation, or lets the one that is open already be open for longer, and records which.
func invite(ctx context.Context, tx postgres.Tx, organization uuid.UUID, email string, role tenant.Role) (tenant.Invitation, error) {
	action := "invitation.create"
	inv, err := tenant.Invite(ctx, tx, organization, email, role, uuid.Nil, tenant.Owner)
	if fault.Is(err, fault.Conflict) {
		open, found, findErr := openInvitation(ctx, tx, organization, email, role)
		if findErr != nil {
			return inv, findErr
		}
		if !found {
			return inv, err // a member, or invited with another role
		}
		action = "invitation.resend"
		inv, err = tenant.ExtendInvitation(ctx, tx, organization, open, tenant.Owner)
	}
	if err != nil {
		return inv, err
	}
	return inv, tenant.Record(ctx, tx, organization, operator("users"), action,
		tenant.Target{Kind: "invitation", ID: inv.ID, Name: inv.Email}, particulars{"role": inv.Role, "expires_at": inv.ExpiresAt})
}

// openInvitation looks for an open invitation of an address with a role.
func openInvitation(ctx context.Context, tx postgres.Tx, organization uuid.UUID, email string, role tenant.Role) (uuid.UUID, bool, error) {
	// Addresses that hold this one are few.
	found, err := tenant.ListInvitations(ctx, tx, organization,
		tenant.InvitationFilter{State: tenant.InvitationOpen, Role: role, Search: email}, page.Request{Limit: 100})
	for _, inv := range found.Rows {
		if strings.EqualFold(inv.Email, email) {
			return inv.ID, true, err
		}
	}
	return uuid.Nil, false, err
}

func showInvitation(out io.Writer, o usersOptions, org tenant.Organization, inv tenant.Invitation, link, fate string) error {
	if o.asJSON {
		return printJSON(out, struct {
			tenant.Invitation
			Link string `json:"link,omitempty"`
			Mail string `json:"mail,omitempty"` // what becomes of it
		}{inv, link, fate})
	}
	text := fmt.Sprintf("%s is invited to %s as %s, until %s UTC.", printable(inv.Email), org.Slug, inv.Role, shownTime(inv.ExpiresAt))
	if link == "" {
		text += " " + fate + "\n"
	} else {
		text += "\nWhoever opens this link accepts it. It is shown this once; give it to nobody else:\n\n" + link + "\n"
	}
	_, err := io.WriteString(out, text)
	return err
}
