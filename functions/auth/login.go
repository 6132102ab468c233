package auth

import (
	"context"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// login starts a session for who knows the password of an account. An unknown address costs the same statements and the same
// hashing as a wrong password, in the same order, and is answered the same.
func (f *Function) login(ctx context.Context, email string, password concealed) (entrance, error) {
	email, err := account.NormalEmail(email)
	if err != nil {
		return entrance{}, err
	}
	c, err := f.claim(ctx, email)
	if err != nil {
		return entrance{}, err
	}
	ok, outdated, err := f.check(ctx, c, password)
	switch {
	case err != nil:
		return entrance{}, err
	case !ok || !c.user.Verified:
		// Told apart, a stranger who registers an address would learn whether it had an account before.
		return entrance{}, f.refuseLogin(ctx, email, c.user, loginFailed())
	}
	e, err := f.admit(ctx, c.user, c.hash, f.rehash(ctx, password, c.hash, outdated), nil)
	if err == nil {
		f.forgive(ctx, c.attempt)
		f.box.Publish(ctx) // what others left behind, such as an operator's invitation
	}
	return e, err
}

// admit starts a session of a user who has proved to know the password with the hash was, unless it was changed since.
// is replaces the hash; before, when it is not nil, is done in the same transaction.
func (f *Function) admit(ctx context.Context, u account.User, was, is string, before func(*change) error) (e entrance, err error) {
	prior, _ := f.session(ctx)
	err = f.change(ctx, func(c *change) error {
		if err := c.hold(ctx, u, was, is, loginFailed()); err != nil {
			return err
		}
		if before != nil {
			if err := before(c); err != nil {
				return err
			}
		}
		e, err = f.enter(ctx, c, u, prior)
		return err
	})
	return e, err
}

// rehash returns a hash of the password with today's parameters when the one that is stored is outdated, else that. When there
// is no time to hash it now, the next login will.
func (f *Function) rehash(ctx context.Context, password concealed, hash string, outdated bool) string {
	if !outdated {
		return hash
	}
	fresh, err := f.hasher.Hash(ctx, string(password))
	if err != nil {
		return hash
	}
	return fresh
}

// refuseLogin records that a password was wrong, for addresses without an account too: it is evidence, and it is the same work.
// It returns refused.
func (f *Function) refuseLogin(ctx context.Context, email string, u account.User, refused error) error {
	err := f.change(ctx, func(c *change) error {
		return c.record(ctx, rest.Actor(ctx), "session.refuse", tenant.Target{Kind: "user", ID: u.ID, Name: email}, nil)
	})
	if err != nil {
		return err
	}
	f.log.InfoContext(ctx, "a login failed", "network", clientOf(ctx).Network().String(), "address_hash", addressHash(email))
	return refused
}

func loginFailed() error {
	return fault.New(fault.Unauthenticated, "the address or the password is wrong, or the address is not verified: "+
		"the link in the mail that was sent to it does that").Named("login_failed")
}

// findLogin is account.FindLogin for whom a missing user is no error but one without id and password.
func findLogin(ctx context.Context, db account.DB, email string) (account.User, string, error) {
	u, hash, err := account.FindLogin(ctx, db, email)
	if fault.Is(err, fault.NotFound) {
		return account.User{ID: uuid.Nil}, "", nil
	}
	return u, hash, err
}
