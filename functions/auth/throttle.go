package auth

import (
	"context"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/rest"
)

func clientOf(ctx context.Context) account.Client { return rest.Client(ctx) }

// tryAny counts an attempt of the client's network, or refuses it.
func (f *Function) tryAny(ctx context.Context) error {
	return f.noteLimited(ctx, account.Try(ctx, f.pool, account.AnyFrom(clientOf(ctx))), "network", "")
}

// peek returns what a link proves, without using it up. Only those that prove nothing are counted: a token cannot be guessed,
// and who has a good one must not wait for what others in the same network try.
func (f *Function) peek(ctx context.Context, p account.Purpose, token concealed) (account.OneTime, error) {
	link, err := account.PeekOneTime(ctx, f.pool, p, string(token))
	if fault.CodeOf(err) != "token_invalid" {
		return link, err
	}
	if refused := f.tryAny(ctx); refused != nil {
		return account.OneTime{}, refused
	}
	return link, err
}

// claim is the password of an address that is about to be checked.
type claim struct {
	user    account.User // without an id when the address has no account
	hash    string
	attempt account.Login
}

// claim looks at who wants to prove the password of an address, and counts the attempt or refuses it.
func (f *Function) claim(ctx context.Context, email string) (c claim, err error) {
	err = f.within(ctx, func() error {
		if c.user, c.hash, err = findLogin(ctx, f.pool, email); err != nil {
			return err
		}
		c.attempt, err = account.TryLogin(ctx, f.pool, email, c.user.ID, clientOf(ctx))
		return f.noteLimited(ctx, err, "login", email)
	})
	return c, err
}

// within calls look, which asks the database about a request that comes with a password, unless too many are being looked at.
// Nothing is hashed in it.
func (f *Function) within(ctx context.Context, look func() error) error {
	leave, err := f.hasher.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return look()
}

// check reports whether the password is the one that is claimed, and whether its hash is outdated.
func (f *Function) check(ctx context.Context, c claim, password concealed) (ok, outdated bool, err error) {
	hasher := f.hasher
	if c.attempt.Known {
		hasher = hasher.Known()
	}
	return hasher.Verify(ctx, string(password), c.hash)
}

// forgive takes an attempt back that turned out to be fine. What was done is done; when it fails, the next attempt
// may have to wait a little.
func (f *Function) forgive(ctx context.Context, attempt interface {
	Forgive(ctx context.Context, db account.DB) error
},
) {
	if err := attempt.Forgive(ctx, f.pool); err != nil {
		f.log.WarnContext(ctx, "attempts that were fine are not forgiven", "error", err)
	}
}

// mayMail counts a mail of a kind to the address that anybody can ask for, and reports whether it may be sent. That it may not is
// no error: who asks must not learn what others asked for.
func (f *Function) mayMail(ctx context.Context, template outbox.Template, email string) (bool, error) {
	err := f.noteLimited(ctx, account.Try(ctx, f.pool, account.MailTo(email, string(template))), "mail", email)
	if fault.Is(err, fault.Limited) {
		return false, nil
	}
	return err == nil, err
}
