package auth

import (
	"context"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
)

// verify starts the first session of who registered: the link proves the mailbox, the password that it was the same person who
// registered. Without the password a stranger could register somebody's address, wait until its owner follows the
// link, and come in. Who does not know it resets it, which verifies the address too.
func (f *Function) verify(ctx context.Context, token, password concealed) (entrance, error) {
	var (
		user  account.User
		hash  string
		tried account.Attempt
	)
	if err := f.within(ctx, func() (err error) {
		if user, hash, err = f.peekLogin(ctx, account.VerifyEmail, token); err != nil {
			return err
		}
		tried = account.LoginFrom(user.Email, clientOf(ctx))
		return f.noteLimited(ctx, account.Try(ctx, f.pool, tried), "login", user.Email)
	}); err != nil {
		return entrance{}, err
	}
	ok, outdated, err := f.hasher.Verify(ctx, string(password), hash)
	switch {
	case err != nil:
		return entrance{}, err
	case !ok:
		return entrance{}, f.refuseLogin(ctx, user.Email, user, fault.New(fault.Unauthenticated, "this is not the password that was chosen at registration; "+
			"if you do not know it, ask for a new one: its link verifies the address too").Named("wrong_password"))
	}
	e, err := f.admit(ctx, user, hash, f.rehash(ctx, password, hash, outdated), func(c *change) error {
		if _, err := account.UseOneTime(ctx, c, account.VerifyEmail, string(token)); err != nil {
			return err
		}
		return c.verified(ctx, user)
	})
	if err == nil {
		f.forgive(ctx, tried)
	}
	e.user.Verified = true
	return e, err
}

// verified notes that the user's address is the user's own, unless that is known.
func (c *change) verified(ctx context.Context, u account.User) error {
	if u.Verified {
		return nil
	}
	if err := account.SetEmail(ctx, c, u.ID, u.Email); err != nil {
		return err
	}
	return c.record(ctx, actor(ctx, u), "user.verify", userTarget(u), nil)
}
