package auth

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/tenant"
)

// offer is an invitation as its bearer sees it.
type offer struct {
	Organization string      `json:"organization" doc:"its name"`
	Email        string      `json:"email"`
	Role         tenant.Role `json:"role" enum:"owner,admin,member"`
	ExpiresAt    time.Time   `json:"expires_at"`
	Account      bool        `json:"account" doc:"whether the address has a verified account: log in to it to accept"`
}

// preview shows an invitation to who reads the mails of the invited address.
func (f *Function) preview(ctx context.Context, token concealed) (offer, error) {
	link, err := account.PeekOneTime(ctx, f.pool, account.Invitation, string(token))
	if err != nil {
		return offer{}, err
	}
	inv, err := tenant.InvitationByID(ctx, f.pool, link.InvitationID)
	switch {
	case err != nil:
		return offer{}, err
	case inv.State != tenant.InvitationOpen:
		return offer{}, fault.New(fault.Conflict, "the invitation is %s; ask for a new one", inv.State).Named("invitation_closed")
	}
	u, _, err := findLogin(ctx, f.pool, inv.Email)
	return offer{
		Organization: inv.Organization, Email: inv.Email, Role: inv.Role, ExpiresAt: inv.ExpiresAt, Account: u.Verified,
	}, err
}

// newcomer is who accepts an invitation: with a session that is all there is; without, the password and name of a new account.
type newcomer struct {
	token, password concealed
	name            string
}

// membership is what came of an invitation. entrance has a token when a session was started.
type membership struct {
	entrance
	invitation tenant.Invitation
}

// accept makes the user of the request's session a member or, without one, makes an account for the invited address and logs it
// in, also where registration is closed. It is refused when that address has an account: its user logs in.
func (f *Function) accept(ctx context.Context, n newcomer) (membership, error) {
	if err := f.tryAny(ctx); err != nil {
		return membership{}, err
	}
	if _, err := account.PeekOneTime(ctx, f.pool, account.Invitation, string(n.token)); err != nil {
		return membership{}, err
	}
	who, ok := f.carried(ctx)
	switch {
	case ok && who.Scope == account.ScopeSession:
		return f.acceptAs(ctx, n.token, who.User)
	case ok:
		return membership{}, fault.New(fault.Forbidden, "a personal access token cannot do this; log in").Named("scope_too_low")
	}
	return f.acceptNew(ctx, n)
}

// acceptAs makes a user a member.
func (f *Function) acceptAs(ctx context.Context, token concealed, u account.User) (m membership, err error) {
	m.user = u
	err = f.change(ctx, func(c *change) error {
		m.invitation, err = c.join(ctx, token, u)
		return err
	})
	return m, err
}

// acceptNew makes an account for the invited address and the new user a member. The link proves the mailbox, so the address is
// verified; an account of it that is not was made by a stranger, or forgotten, and gets the password.
func (f *Function) acceptNew(ctx context.Context, n newcomer) (m membership, err error) {
	o, err := f.preview(ctx, n.token)
	switch {
	case err != nil:
		return membership{}, err
	case o.Account:
		return membership{}, loginRequired(o.Email)
	}
	n.name = strings.TrimSpace(n.name)
	if err := account.CheckPassword(string(n.password), o.Email, n.name); err != nil {
		return membership{}, err
	}
	hash, err := f.hasher.Hash(ctx, string(n.password))
	if err != nil {
		return membership{}, err
	}
	err = f.change(ctx, func(c *change) error {
		u, err := c.settle(ctx, account.NewUser{Email: o.Email, Name: n.name, PasswordHash: hash, Verified: true})
		if err != nil {
			return err
		}
		if m.invitation, err = c.join(ctx, n.token, u); err != nil {
			return err
		}
		m.entrance, err = f.enter(ctx, c, u, account.Identity{})
		return err
	})
	return m, err
}

// settle makes a user of a verified address, taking over an account that is not verified.
func (c *change) settle(ctx context.Context, n account.NewUser) (account.User, error) {
	u, created, err := account.CreateUser(ctx, c, n)
	switch {
	case err != nil:
		return u, err
	case created:
		return u, c.record(ctx, actor(ctx, u), "user.register", userTarget(u), nil)
	}
	// Setting the password locks the user. Who has become verified meanwhile, by another link, keeps it.
	if err := account.SetPassword(ctx, c, u.ID, n.PasswordHash); err != nil {
		return u, err
	}
	if u, err = account.FindUser(ctx, c, u.ID); err != nil {
		return u, err
	}
	if u.Verified {
		return u, loginRequired(n.Email)
	}
	if n.Name != "" {
		if u, err = account.RenameUser(ctx, c, u.ID, n.Name); err != nil {
			return u, err
		}
	}
	err = c.verified(ctx, u)
	u.Verified = true
	return u, err
}

// join makes the user a member and uses the invitation and its links up.
func (c *change) join(ctx context.Context, token concealed, u account.User) (tenant.Invitation, error) {
	link, err := account.PeekOneTime(ctx, c, account.Invitation, string(token))
	if err != nil {
		return tenant.Invitation{}, err
	}
	inv, err := tenant.AcceptInvitation(ctx, c, link.InvitationID, u.ID)
	if err != nil {
		return inv, err
	}
	if _, err := account.UseOneTime(ctx, c, account.Invitation, string(token)); err != nil {
		return inv, err
	}
	target := tenant.Target{Kind: "invitation", ID: inv.ID, Name: inv.Email}
	return inv, tenant.Record(ctx, c, inv.OrganizationID, actor(ctx, u), "invitation.accept", target, nil)
}

func loginRequired(email string) error {
	return fault.New(fault.Unauthenticated, "%s has an account; log in to it and accept the invitation then", email).Named("login_required")
}

// joined is the answer to who has accepted an invitation.
type joined struct {
	SetCookie string `header:"Set-Cookie" doc:"the session token, when a cookie was asked for and an account was made"`
	Body      struct {
		OrganizationID uuid.UUID        `json:"organization_id" format:"uuid"`
		Organization   string           `json:"organization" doc:"its name"`
		Role           tenant.Role      `json:"role" enum:"owner,admin,member" doc:"that the invitation gave"`
		Token          string           `json:"token,omitempty" doc:"the session token, when an account was made and no cookie asked for"`
		Session        *account.Session `json:"session,omitempty" doc:"the session, when an account was made"`
		User           account.User     `json:"user"`
	}
}

func (f *Function) answerJoined(m membership, cookie bool) *joined {
	out := new(joined)
	out.Body.OrganizationID, out.Body.Organization, out.Body.Role = m.invitation.OrganizationID, m.invitation.Organization, m.invitation.Role
	out.Body.User = m.user
	if m.token == "" {
		return out
	}
	e := f.answer(m.entrance, cookie)
	out.SetCookie, out.Body.Token, out.Body.Session = e.SetCookie, e.Body.Token, &e.Body.Session
	return out
}
