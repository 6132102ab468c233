package auth

import (
	"context"
	"strings"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// askEmail sends a link to an address that the caller wants to have. It does so for an address of another account too: the
// caller must not learn of that, and its owner alone could follow the link, which then refuses.
func (f *Function) askEmail(ctx context.Context, email string, password concealed) error {
	email, err := account.NormalEmail(email)
	if err != nil {
		return err
	}
	p, err := f.prove(ctx, password)
	if err != nil {
		return err
	}
	if err := f.noteLimited(ctx, account.Try(ctx, f.pool, account.MailBy(p.user.ID)), "mails", p.user.Email); err != nil {
		return err
	}
	if ok, err := f.mayMail(ctx, outbox.ChangeEmail, email); err != nil || !ok {
		return err
	}
	return f.change(ctx, func(c *change) error {
		// Of a password that is being replaced no mail must be left behind.
		if err := c.hold(ctx, p.user, p.hash, p.hash, wrongPassword()); err != nil {
			return err
		}
		return c.mail(ctx, outbox.ChangeEmail, email, outbox.UserData{UserID: p.user.ID})
	})
}

// confirmEmail gives a user the address whose mails the bearer of the link reads. The former address is told, and links sent to
// it are worthless from then on.
func (f *Function) confirmEmail(ctx context.Context, token concealed) error {
	link, err := f.peek(ctx, account.ChangeEmail, token)
	if err != nil {
		return err
	}
	user, err := account.FindUser(ctx, f.pool, link.UserID)
	if err != nil {
		return err
	}
	_, hash, err := findLogin(ctx, f.pool, user.Email)
	if err != nil {
		return err
	}
	return f.change(ctx, func(c *change) error {
		if err := c.lock(ctx, user, hash); err != nil {
			return err
		}
		if _, err := account.UseOneTime(ctx, c, account.ChangeEmail, string(token)); err != nil {
			return err
		}
		// Of several such links one is followed at a time, so this is the address that is replaced.
		was, err := account.FindUser(ctx, c, link.UserID)
		if err != nil {
			return err
		}
		if err := account.SetEmail(ctx, c, was.ID, link.Email); err != nil {
			return err
		}
		details := map[string]tenant.Change{"email": {From: was.Email, To: link.Email}}
		if err := c.record(ctx, actor(ctx, was), "email.change", userTarget(was), details); err != nil {
			return err
		}
		return c.mail(ctx, outbox.EmailChanged, was.Email, nil)
	})
}

// deleteAccount removes the caller's account. An organization must not be left without an owner.
func (f *Function) deleteAccount(ctx context.Context, password concealed) error {
	p, err := f.prove(ctx, password)
	if err != nil {
		return err
	}
	return f.change(ctx, func(c *change) error {
		alone, err := tenant.SoleOwnerships(ctx, c, p.user.ID)
		switch {
		case err != nil:
			return err
		case len(alone) > 0:
			return fault.New(fault.Conflict, "you are the only owner of %s; make somebody else an owner or delete the organization first",
				strings.Join(alone, ", ")).Named("last_owner")
		}
		if err := c.hold(ctx, p.user, p.hash, p.hash, wrongPassword()); err != nil {
			return err
		}
		if err := c.record(ctx, rest.Actor(ctx), "user.delete", userTarget(p.user), nil); err != nil {
			return err
		}
		return account.DeleteUser(ctx, c, p.user.ID)
	})
}
