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
	InvitedBy    string      `json:"invited_by,omitempty" doc:"name or address of who sent it"`
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
		return offer{}, fault.New(fault.Conflict, "the invitation is %s; ask who invited you for a new one", inv.State).Named("invitation_closed")
	}
	u, _, err := findLogin(ctx, f.pool, inv.Email)
	return offer{
		Organization: inv.Organization, Email: inv.Email, Role: inv.Role, InvitedBy: inv.InvitedBy,
		ExpiresAt: inv.ExpiresAt, Account: u.Verified,
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
	invitation tenant.Acceptance
}

// accept makes the user of the request's session a member, whose address must be the invited one. Without a session it makes an
// account for that address and logs it in, also where registration is closed; when the address has an account, its user is to
// log in. A session that is not good is refused: its user believes to be logged in.
func (f *Function) accept(ctx context.Context, n newcomer) (membership, error) {
	if _, err := f.peek(ctx, account.Invitation, n.token); err != nil {
		return membership{}, err
	}
	who, err := f.api.Credential(ctx, requestOf(ctx))
	switch {
	case err != nil:
		return membership{}, err
	case who.Scope == account.ScopeSession:
		return f.acceptAs(ctx, n.token, who.User)
	case who.Credential != uuid.Nil:
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
	var o offer
	err = f.within(ctx, func() error {
		o, err = f.preview(ctx, n.token)
		return err
	})
	switch {
	case err != nil:
		return membership{}, err
	case o.Account:
		return membership{}, loginRequired(o.Email)
	case n.password == "":
		return membership{}, fault.New(fault.Unauthenticated, "log in, or send a name and a password for a new account").Named("login_required")
	}
	n.name = strings.TrimSpace(n.name)
	if err := account.CheckPassword(string(n.password), o.Email, n.name); err != nil {
		return membership{}, err
	}
	hash, err := f.hasher.Hash(ctx, string(n.password))
	if err != nil {
		return membership{}, err
	}
	prior, _ := f.session(ctx) // somebody else's, on a page
	err = f.change(ctx, func(c *change) error {
		u, err := c.settle(ctx, account.NewUser{Email: o.Email, Name: n.name, PasswordHash: hash, Verified: true})
		if err != nil {
			return err
		}
		if m.invitation, err = c.join(ctx, n.token, u); err != nil {
			return err
		}
		m.entrance, err = f.enter(ctx, c, u, prior)
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

// join makes the user a member and uses the invitation and its links up. The user's address must be the invited one: a link
// that was passed on, or found, must not let anybody else in, nor raise a role.
func (c *change) join(ctx context.Context, token concealed, u account.User) (tenant.Acceptance, error) {
	link, err := account.PeekOneTime(ctx, c, account.Invitation, string(token))
	if err != nil {
		return tenant.Acceptance{}, err
	}
	// Of a session that is a moment old the address may be as well.
	if u, err = account.FindUser(ctx, c, u.ID); err != nil {
		return tenant.Acceptance{}, err
	}
	if !strings.EqualFold(u.Email, link.Email) {
		return tenant.Acceptance{}, fault.New(fault.Forbidden, "the invitation is for %s; log in with that address, or ask who invited you to invite yours",
			link.Email).Named("invitation_of_another")
	}
	a, err := tenant.AcceptInvitation(ctx, c, link.InvitationID, u.ID)
	if err != nil {
		return a, err
	}
	if _, err := account.UseOneTime(ctx, c, account.Invitation, string(token)); err != nil {
		return a, err
	}
	return a, c.recordJoin(ctx, a, u)
}

// recordJoin adds to the audit log that an invitation was accepted, and what became of the member.
func (c *change) recordJoin(ctx context.Context, a tenant.Acceptance, u account.User) error {
	who, role := actor(ctx, u), tenant.Change{To: a.Is}
	if a.Was != "" {
		role.From = a.Was
	}
	target := tenant.Target{Kind: "invitation", ID: a.ID, Name: a.Email}
	if err := tenant.Record(ctx, c, a.OrganizationID, who, "invitation.accept", target, map[string]any{"role": role, "user": u.Email}); err != nil {
		return err
	}
	target = tenant.Target{Kind: "member", ID: u.ID, Name: u.Email}
	switch a.Was {
	case a.Is:
		return nil
	case "":
		return tenant.Record(ctx, c, a.OrganizationID, who, "member.add", target, map[string]any{"role": a.Is})
	}
	return tenant.Record(ctx, c, a.OrganizationID, who, "member.role", target, map[string]any{"role": role})
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
		Role           tenant.Role      `json:"role" enum:"owner,admin,member" doc:"of the user from now on; a member who had a higher one than the invitation gives keeps it"`
		Token          string           `json:"token,omitempty" doc:"the session token, when an account was made and no cookie asked for"`
		Session        *account.Session `json:"session,omitempty" doc:"the session, when an account was made"`
		User           account.User     `json:"user"`
	}
}

func (f *Function) answerJoined(m membership, cookie bool) *joined {
	out := new(joined)
	out.Body.OrganizationID, out.Body.Organization, out.Body.Role = m.invitation.OrganizationID, m.invitation.Organization, m.invitation.Is
	out.Body.User = m.user
	if m.token == "" {
		return out
	}
	e := f.answer(m.entrance, cookie)
	out.SetCookie, out.Body.Token, out.Body.Session = e.SetCookie, e.Body.Token, &e.Body.Session
	return out
}
