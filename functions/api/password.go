package api

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// concealed is a password as it comes in. However it is printed or encoded, it does not show, so that no log line can hold
// it.
type concealed string

// Format prints a placeholder, whatever the verb.
func (concealed) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte("[concealed]")) }

// MarshalJSON encodes the same placeholder.
func (concealed) MarshalJSON() ([]byte, error) { return []byte(`"[concealed]"`), nil }

// prove checks that who has the session knows the password too, and returns its hash. What outlives the session asks for
// that: a found or stolen session must not become a way in that stays.
func (f *Function) prove(ctx context.Context, password concealed) (hash string, err error) {
	who := rest.Who(ctx).User
	hash, attempt, err := f.claim(ctx, who)
	if err != nil {
		return "", err
	}
	hasher := f.hasher
	if attempt.Known {
		hasher = hasher.Known()
	}
	ok, _, err := hasher.Verify(ctx, string(password), hash)
	switch {
	case err != nil:
		return "", err
	case !ok:
		return "", f.refusePassword(ctx, who)
	}
	if err := attempt.Forgive(ctx, f.pool); err != nil {
		f.log.WarnContext(ctx, "an attempt that was fine is not forgiven", "error", err)
	}
	return hash, nil
}

// claim counts an attempt to prove the caller's password, or refuses it.
func (f *Function) claim(ctx context.Context, who account.User) (hash string, l account.Login, err error) {
	leave, err := f.hasher.Enter(ctx)
	if err != nil {
		return "", l, err
	}
	defer leave()
	now, hash, err := account.FindLogin(ctx, f.pool, who.Email)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", l, err
	}
	if now.ID != who.ID {
		hash = "" // the address has just become another's
	}
	l, err = account.TryLogin(ctx, f.pool, who.Email, who.ID, rest.Client(ctx))
	return hash, l, err
}

// refusePassword records that a password was wrong.
func (f *Function) refusePassword(ctx context.Context, who account.User) error {
	err := postgres.InTx(ctx, f.pool, func(tx postgres.Tx) error {
		return record(ctx, tx, uuid.Nil, "session.refuse", tenant.Target{Kind: "user", ID: who.ID, Name: who.Email}, nil)
	})
	if err != nil {
		return err
	}
	return wrongPassword()
}

func wrongPassword() error {
	return fault.New(fault.Forbidden, "the password is wrong").Named("wrong_password")
}

// hold keeps the caller's password from being changed until the transaction ends. When it was changed since it was proved,
// that counts for nothing.
func hold(ctx context.Context, tx postgres.Tx, hash string) error {
	same, err := account.HoldPassword(ctx, tx, rest.Who(ctx).User.ID, hash)
	if err == nil && !same {
		return wrongPassword()
	}
	return err
}
