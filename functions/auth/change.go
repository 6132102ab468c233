package auth

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

// change is a transaction with the mails that it writes.
type change struct {
	postgres.Tx
	mails []uuid.UUID
}

// change calls work in a transaction and, once that is committed, publishes the mails that it wrote.
func (f *Function) change(ctx context.Context, work func(c *change) error) error {
	var c change
	err := postgres.InTx(ctx, f.pool, func(tx postgres.Tx) error {
		c = change{Tx: tx}
		return work(&c)
	})
	if err != nil {
		return err //nolint:wrapcheck // work's own
	}
	if len(c.mails) > 0 {
		f.box.Publish(ctx, c.mails...)
	}
	return nil
}

// mail has Notify send a mail. data is nil: none.
func (c *change) mail(ctx context.Context, template outbox.Template, to string, data any) error {
	id, err := outbox.Write(ctx, c, outbox.Notification{Template: template, Recipient: to, Data: data})
	if err != nil {
		return fmt.Errorf("write a mail: %w", err)
	}
	c.mails = append(c.mails, id)
	return nil
}

// record adds to the audit log what belongs to no organization.
func (c *change) record(ctx context.Context, who tenant.Actor, action string, target tenant.Target, details any) error {
	return tenant.Record(ctx, c, uuid.Nil, who, action, target, details)
}

// hold keeps the user's password from being changed until the transaction ends, and replaces the hash was by is, which
// may be the same. When the password has been changed since was was read, it is the error refused.
func (c *change) hold(ctx context.Context, u account.User, was, is string, refused error) error {
	if err := account.UpgradePassword(ctx, c, u.ID, was, is); err != nil {
		return err
	}
	now, hash, err := findLogin(ctx, c, u.Email)
	switch {
	case err != nil:
		return err
	case now.ID != u.ID || hash != is:
		return refused
	}
	return nil
}

// lock keeps a user from being changed until the transaction ends. Every transaction that changes users begins with it or with
// hold: links are locked after their user, so that no two wait for each other.
func (c *change) lock(ctx context.Context, u account.User, hash string) error {
	return account.UpgradePassword(ctx, c, u.ID, hash, hash)
}
