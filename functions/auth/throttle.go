package auth

import (
	"context"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rest"
)

func clientOf(ctx context.Context) account.Client { return rest.Client(ctx) }

// tryAny counts an attempt of the client's network, or refuses it.
func (f *Function) tryAny(ctx context.Context) error {
	return account.Try(ctx, f.pool, account.AnyFrom(clientOf(ctx)))
}

// tryPassword counts an attempt to prove a user's password, or refuses it, and returns what to forgive when the password is
// right. A network that the user logged in from before is not slowed down by what others try from elsewhere.
// user is uuid.Nil when the address has no account.
func (f *Function) tryPassword(ctx context.Context, email string, user uuid.UUID) ([]account.Attempt, error) {
	from := clientOf(ctx)
	known, err := account.KnownClient(ctx, f.pool, user, from)
	if err != nil {
		return nil, err
	}
	all := []account.Attempt{account.LoginFrom(email, from), account.AnyFrom(from)}
	if !known {
		all = append(all, account.LoginTo(email))
	}
	return all, account.Try(ctx, f.pool, all...)
}

// forgive takes attempts back that turned out to be fine. What was done is done; when it fails, the next attempt
// may have to wait a little.
func (f *Function) forgive(ctx context.Context, attempts []account.Attempt) {
	if err := account.Forgive(ctx, f.pool, attempts...); err != nil {
		f.log.WarnContext(ctx, "attempts that were fine are not forgiven", "error", err)
	}
}

// mayMail counts a mail to the address that anybody can ask for, and reports whether it may be sent. That it may not is
// no error: who asks must not learn what others asked for.
func (f *Function) mayMail(ctx context.Context, email string) (bool, error) {
	err := account.Try(ctx, f.pool, account.MailTo(email))
	if fault.Is(err, fault.Limited) {
		return false, nil
	}
	return err == nil, err
}
