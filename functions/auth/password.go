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
	c, err := f.claim(ctx, who.Email)
	if err != nil {
		return proof{}, err
	}
	ok, _, err := f.check(ctx, c, password)
	switch {
	case err != nil:
		return proof{}, err
	case !ok || c.user.ID != who.ID:
		return proof{}, f.refuseLogin(ctx, who.Email, who, wrongPassword())
	}
	f.forgive(ctx, c.attempt)
	return proof{c.user, c.hash}, nil
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
		e, err = f.startOver(ctx, c, renewal{user: p.user, action: "password.change"})
		return err
	})
	return e, err
}

// renewal is a password that was just set.
type renewal struct {
	user   account.User
	action string
	prior  account.Identity // of the session that the request carried; zero: none
	tokens int              // personal access tokens that were revoked with it
}

// startOver ends all sessions of a user whose password was set, starts one, and tells the user.
func (f *Function) startOver(ctx context.Context, c *change, r renewal) (entrance, error) {
	var details any
	if r.tokens > 0 {
		details = map[string]int{"tokens": r.tokens}
	}
	if err := c.record(ctx, actor(ctx, r.user), r.action, userTarget(r.user), details); err != nil {
		return entrance{}, err
	}
	if err := f.revokeAll(ctx, c, r.user); err != nil {
		return entrance{}, err
	}
	if err := c.mail(ctx, outbox.PasswordChanged, r.user.Email, outbox.PasswordData{Tokens: r.tokens}); err != nil {
		return entrance{}, err
	}
	return f.enter(ctx, c, r.user, r.prior)
}

// forgot sends a link that sets a new password, if the address has an account.
func (f *Function) forgot(ctx context.Context, email string) error {
	return f.mailAnybody(ctx, outbox.PasswordReset, email)
}

// reset sets a new password for who reads the mails of an account, and verifies its address thereby. What a stranger who
// registered the address knows is worthless then, and so is what a stranger had who got into the account: all sessions and
// personal access tokens end.
func (f *Function) reset(ctx context.Context, token, password concealed) (e entrance, err error) {
	var user account.User
	var was string
	if err := f.within(ctx, func() error {
		user, was, err = f.peekLogin(ctx, account.ResetPassword, token)
		return err
	}); err != nil {
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
		if user, err = c.replacePassword(ctx, user, hash); err != nil {
			return err
		}
		r := renewal{user: user, action: "password.reset", prior: prior}
		if r.tokens, err = account.RevokeTokens(ctx, c, user.ID); err != nil {
			return err
		}
		e, err = f.startOver(ctx, c, r)
		return err
	})
	e.user.Verified = true
	return e, err
}

// replacePassword sets the password of a user who reads the mails of the account. One that was not verified has a name that
// whoever registered the address chose; it goes.
func (c *change) replacePassword(ctx context.Context, u account.User, hash string) (account.User, error) {
	if err := account.SetPassword(ctx, c, u.ID, hash); err != nil || u.Verified {
		return u, err
	}
	u, err := account.RenameUser(ctx, c, u.ID, "")
	if err != nil {
		return u, err
	}
	return u, c.verified(ctx, u)
}

// peekLogin returns the user that a link was sent to and the hash of the password, without using the link up.
func (f *Function) peekLogin(ctx context.Context, p account.Purpose, token concealed) (account.User, string, error) {
	link, err := f.peek(ctx, p, token)
	if err != nil {
		return account.User{}, "", err
	}
	user, hash, err := findLogin(ctx, f.pool, link.Email)
	if err == nil && user.ID != link.UserID {
		err = fault.New(fault.Invalid, "the account of the link has just got another address; ask for a new link").Named("token_invalid")
	}
	return user, hash, err
}
