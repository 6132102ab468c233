package auth

import (
	"context"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/rest"
)

// logout ends the session that asks.
func (f *Function) logout(ctx context.Context) error {
	return f.endSession(ctx, rest.Who(ctx).Credential)
}

// endSession ends one of the caller's sessions.
func (f *Function) endSession(ctx context.Context, id uuid.UUID) error {
	return f.change(ctx, func(c *change) error { return f.revoke(ctx, c, rest.Who(ctx).User, id) })
}

// logoutAll ends all sessions of the caller.
func (f *Function) logoutAll(ctx context.Context) error {
	return f.change(ctx, func(c *change) error { return f.revokeAll(ctx, c, rest.Who(ctx).User) })
}

// listSessions returns the caller's sessions, marking the one that asks.
func (f *Function) listSessions(ctx context.Context, r page.Request) (page.Of[account.Session], error) {
	who := rest.Who(ctx)
	found, err := account.ListSessions(ctx, f.pool, f.sessions, who.User.ID, r)
	for i := range found.Rows {
		found.Rows[i].Current = found.Rows[i].ID == who.Credential
	}
	return found, err
}

// currentSession returns the session that asks.
func (f *Function) currentSession(ctx context.Context) (account.Session, error) {
	who := rest.Who(ctx)
	s, err := account.FindSession(ctx, f.pool, f.sessions, who.User.ID, who.Credential)
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.Unauthenticated, "the session has just ended; log in again")
	}
	s.Current = true
	return s, err
}
