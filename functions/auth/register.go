package auth

import (
	"context"
	"strings"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/rest"
)

// applicant is who wants an account.
type applicant struct {
	email, name string
	password    concealed
}

// register makes an account that its owner has to verify, and sends the link that does it. An address that has a
// verified account keeps it as it is, and its owner gets the mail all the same, so that nobody can tell the two apart. Called
// again it sends the mail again, and what was typed last is the name and the password that the link asks for: a stranger
// who was first keeps nobody out.
func (f *Function) register(ctx context.Context, a applicant) error {
	if err := f.within(ctx, func() error {
		if err := f.mayRegister(ctx); err != nil {
			return err
		}
		return f.tryAny(ctx)
	}); err != nil {
		return err
	}
	a, err := a.check()
	if err != nil {
		return err
	}
	hash, err := f.hasher.Hash(ctx, string(a.password))
	if err != nil {
		return err
	}
	mayMail, err := f.mayMail(ctx, outbox.Registration, a.email)
	if err != nil {
		return err
	}
	return f.change(ctx, func(c *change) error {
		u, created, err := account.CreateUser(ctx, c, account.NewUser{Email: a.email, Name: a.name, PasswordHash: hash})
		if err != nil {
			return err
		}
		if created {
			// What CreateUser asks when the address is taken, so that both take as long.
			if _, _, err := findLogin(ctx, c, a.email); err != nil {
				return err
			}
		}
		if err := account.Reclaim(ctx, c, u.ID, a.name, hash); err != nil {
			return err
		}
		action := "user.register"
		if !created {
			action = "user.register_again"
		}
		if err := c.record(ctx, rest.Actor(ctx), action, userTarget(u), nil); err != nil || !mayMail {
			return err
		}
		return c.mail(ctx, outbox.Registration, a.email, nil)
	})
}

// mayRegister refuses registration where it is closed.
func (f *Function) mayRegister(ctx context.Context) error {
	closed := f.registration == InviteOnly
	if f.registration == FirstOnly {
		any, err := account.AnyUser(ctx, f.pool)
		if err != nil {
			return err
		}
		closed = any
	}
	if closed {
		return fault.New(fault.Forbidden, "registration is closed; ask an owner or admin of an organization to invite you. "+
			"If you have just registered, the link in the mail lets you in").Named("registration_closed")
	}
	return nil
}

// check returns the applicant with the address and the name in their normal form.
func (a applicant) check() (applicant, error) {
	email, err := account.NormalEmail(a.email)
	if err != nil {
		return applicant{}, err
	}
	a.email, a.name = email, strings.TrimSpace(a.name)
	return a, account.CheckPassword(string(a.password), a.email, a.name)
}

// resend sends the link again that verifies an address, if there is an account that needs it.
func (f *Function) resend(ctx context.Context, email string) error {
	return f.mailAnybody(ctx, outbox.VerifyEmail, email)
}

// mailAnybody sends a mail that anybody can ask for. Whether the address has an account is found out by Notify, out of
// sight of who asks. An address that got too many lately gets none.
func (f *Function) mailAnybody(ctx context.Context, template outbox.Template, email string) error {
	email, err := account.NormalEmail(email)
	if err != nil {
		return err
	}
	if err := f.tryAny(ctx); err != nil {
		return err
	}
	if ok, err := f.mayMail(ctx, template, email); err != nil || !ok {
		return err
	}
	return f.change(ctx, func(c *change) error { return c.mail(ctx, template, email, nil) })
}
