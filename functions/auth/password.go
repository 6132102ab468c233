package auth

import (
	"context"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/rest"
)

// proof is the password of the caller, proved in this request.
type proof struct {
	user account.User
	hash string
}

// prove checks that who has the session knows the password too. A found or stolen session alone can neither
// lock its user out nor take the account over.
func (f *Function) prove(ctx context.Context, password concealed) (proof, error) {
	who := rest.Who(ctx).User
	user, hash, err := findLogin(ctx, f.pool, who.Email)
	if err != nil {
		return proof{}, err
	}
	tried, err := f.tryPassword(ctx, who.Email, user.ID)
	if err != nil {
		return proof{}, err
	}
	ok, _, err := f.hasher.Verify(ctx, string(password), hash)
	switch {
	case err != nil:
		return proof{}, err
	case !ok || user.ID != who.ID:
		return proof{}, wrongPassword()
	}
	f.forgive(ctx, tried)
	return proof{user, hash}, nil
}

func wrongPassword() error {
	return fault.New(fault.Forbidden, "the current password is wrong").Named("wrong_password")
}

// changePassword gives the caller another password and a new session in place of all others.
func (f *Function) changePassword(ctx context.Context, current, next concealed) (e entrance, err error) {
	who := rest.Who(ctx).User
	if err := account.CheckPassword(string(next), who.Email, who.Name); err != nil {
		return entrance{}, err
	}
	p, err := f.prove(ctx, current)
	if err != nil {
		return entrance{}, err
	}
	hash, err := f.hasher.Hash(ctx, string(next))
	if err != nil {
		return entrance{}, err
	}
	err = f.change(ctx, func(c *change) error {
		if err := c.hold(ctx, p.user, p.hash, p.hash, wrongPassword()); err != nil {
			return err
		}
		if err := account.SetPassword(ctx, c, p.user.ID, hash); err != nil {
			return err
		}
		e, err = f.startOver(ctx, c, p.user, "password.change", account.Identity{})
		return err
	})
	return e, err
}

// startOver ends all sessions of a user whose password was set, starts one, and tells the user.
func (f *Function) startOver(ctx context.Context, c *change, u account.User, action string, prior account.Identity) (entrance, error) {
	if err := c.record(ctx, actor(ctx, u), action, userTarget(u), nil); err != nil {
		return entrance{}, err
	}
	if err := f.revokeAll(ctx, c, u); err != nil {
		return entrance{}, err
	}
	if err := c.mail(ctx, outbox.PasswordChanged, u.Email, nil); err != nil {
		return entrance{}, err
	}
	return f.enter(ctx, c, u, prior)
}

// forgot sends a link that sets a new password, if the address has an account.
func (f *Function) forgot(ctx context.Context, email string) error {
	return f.mailAnybody(ctx, outbox.PasswordReset, email)
}

// reset sets a new password for who reads the mails of an account, and verifies its address thereby. What a stranger who
// registered the address knows is worthless then.
func (f *Function) reset(ctx context.Context, token, password concealed) (e entrance, err error) {
	if err := f.tryAny(ctx); err != nil {
		return entrance{}, err
	}
	user, was, err := f.peekLogin(ctx, account.ResetPassword, token)
	if err != nil {
		return entrance{}, err
	}
	if err := account.CheckPassword(string(password), user.Email, user.Name); err != nil {
		return entrance{}, err
	}
	hash, err := f.hasher.Hash(ctx, string(password))
	if err != nil {
		return entrance{}, err
	}
	prior, _ := f.session(ctx)
	err = f.change(ctx, func(c *change) error {
		if err := c.lock(ctx, user, was); err != nil {
			return err
		}
		if _, err := account.UseOneTime(ctx, c, account.ResetPassword, string(token)); err != nil {
			return err
		}
		if err := account.SetPassword(ctx, c, user.ID, hash); err != nil {
			return err
		}
		if err := c.verified(ctx, user); err != nil {
			return err
		}
		e, err = f.startOver(ctx, c, user, "password.reset", prior)
		return err
	})
	e.user.Verified = true
	return e, err
}

// peekLogin returns the user that a link was sent to and the hash of the password, without using the link up.
func (f *Function) peekLogin(ctx context.Context, p account.Purpose, token concealed) (account.User, string, error) {
	link, err := account.PeekOneTime(ctx, f.pool, p, string(token))
	if err != nil {
		return account.User{}, "", err
	}
	user, hash, err := findLogin(ctx, f.pool, link.Email)
	if err == nil && user.ID != link.UserID {
		err = fault.New(fault.Invalid, "the account of the link has just got another address; ask for a new link").Named("token_invalid")
	}
	return user, hash, err
}
