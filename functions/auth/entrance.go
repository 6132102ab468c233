package auth

import (
	"context"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/tenant"
)

// entrance is a session that has just begun.
type entrance struct {
	token   string
	session account.Session
	user    account.User
}

// entered is the answer to who has come in.
type entered struct {
	SetCookie string `header:"Set-Cookie" doc:"the session token, when a cookie was asked for"`
	Body      struct {
		Token   string          `json:"token,omitempty" doc:"the session token, unless a cookie was asked for; it is shown only once"`
		Session account.Session `json:"session"`
		User    account.User    `json:"user"`
	}
}

// answer returns an entrance as it is answered: a cookie instead of the token keeps that from the scripts of a page.
func (f *Function) answer(e entrance, cookie bool) *entered {
	out := new(entered)
	out.Body.Session, out.Body.User = e.session, e.user
	if cookie {
		out.SetCookie = f.setCookie(e.token)
	} else {
		out.Body.Token = e.token
	}
	return out
}

// enter starts a session of the user. The session that the request carried before, if any, ends: a token that
// somebody planted in a browser must not become one of the user's.
func (f *Function) enter(ctx context.Context, c *change, u account.User, prior account.Identity) (entrance, error) {
	if prior.Credential != uuid.Nil {
		if err := f.leave(ctx, c, prior); err != nil && !fault.Is(err, fault.NotFound) {
			return entrance{}, err
		}
	}
	e := entrance{user: u}
	var err error
	if e.session, e.token, err = account.StartSession(ctx, c, f.sessions, u.ID, clientOf(ctx)); err != nil {
		return entrance{}, err
	}
	e.session.Current = true
	return e, c.record(ctx, actor(ctx, u), "session.create", sessionTarget(e.session.ID, u), nil)
}

// leave ends a session. One that is over already is a fault.NotFound.
func (f *Function) leave(ctx context.Context, c *change, who account.Identity) error {
	return f.revoke(ctx, c, who.User, who.Credential)
}

func (f *Function) revoke(ctx context.Context, c *change, u account.User, session uuid.UUID) error {
	if err := account.RevokeSession(ctx, c, f.sessions, u.ID, session); err != nil {
		return err
	}
	return c.record(ctx, actor(ctx, u), "session.revoke", sessionTarget(session, u), nil)
}

// revokeAll ends all of the user's sessions.
func (f *Function) revokeAll(ctx context.Context, c *change, u account.User) error {
	n, err := account.RevokeSessions(ctx, c, u.ID, uuid.Nil)
	if err != nil || n == 0 {
		return err
	}
	return c.record(ctx, actor(ctx, u), "session.revoke", userTarget(u), map[string]int{"sessions": n})
}

func sessionTarget(id uuid.UUID, u account.User) tenant.Target {
	return tenant.Target{Kind: "session", ID: id, Name: u.Email}
}
