package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/label"
)

const (
	nameMost = 200 // characters
	// createTries is how often CreateUser looks again for who had the address and was deleted just then.
	createTries = 3
)

// User is a person.
type User struct {
	ID        uuid.UUID `json:"id" format:"uuid"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Verified  bool      `json:"verified" doc:"the address was shown to be the user's own"`
	CreatedAt time.Time `json:"created_at"`
}

// userColumns are the columns that fields takes, of a table called u.
const userColumns = `u.id, u.email, u.name, u.email_verified_at is not null, u.created_at`

func (u *User) fields() []any { return []any{&u.ID, &u.Email, &u.Name, &u.Verified, &u.CreatedAt} }

// NewUser is what a user is made of. Email has the form that NormalEmail returns.
type NewUser struct {
	Email        string
	Name         string // at most 200 characters; may be empty
	PasswordHash string // as Hasher.Hash returns it; empty: the user cannot log in before a reset
	Verified     bool
}

// CreateUser stores a user. When the address is taken it returns the user who has it, unchanged, and false.
func CreateUser(ctx context.Context, db DB, n NewUser) (u User, created bool, err error) {
	email, err := NormalEmail(n.Email)
	if err != nil {
		return User{}, false, err
	}
	if err := label.Check("name", n.Name, 0, nameMost); err != nil {
		return User{}, false, err
	}
	n.Email = email
	for range createTries {
		u, err = insertUser(ctx, db, n)
		if !errors.Is(err, pgx.ErrNoRows) {
			return u, err == nil, err
		}
		u, _, err = FindLogin(ctx, db, n.Email)
		if !fault.Is(err, fault.NotFound) {
			return u, false, err
		}
	}
	return User{}, false, fault.Wrap(err, fault.Unavailable, "the address is being registered and deleted at the same time; try again")
}

// insertUser returns pgx.ErrNoRows when the address is taken.
func insertUser(ctx context.Context, db DB, n NewUser) (User, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return User{}, fmt.Errorf("make a user id: %w", err)
	}
	var u User
	err = db.QueryRow(ctx, `
		insert into mesher.users as u (id, email, name, password_hash, email_verified_at)
		values ($1, $2, $3, nullif($4::text, ''), case when $5::boolean then now() end)
		on conflict (lower(email)) do nothing
		returning `+userColumns, id, n.Email, n.Name, n.PasswordHash, n.Verified).Scan(u.fields()...)
	if err != nil {
		return User{}, fmt.Errorf("create a user: %w", err)
	}
	return u, nil
}

// FindUser returns a user, or a fault.NotFound.
func FindUser(ctx context.Context, db DB, id uuid.UUID) (User, error) {
	var u User
	err := db.QueryRow(ctx, `select `+userColumns+` from mesher.users u where u.id = $1`, id).Scan(u.fields()...)
	return foundUser(u, err, "find a user")
}

// FindLogin returns the user with the address, in whatever case, and the hash of the password, "" when there is none.
// An unknown address is a fault.NotFound, also one that cannot be an address.
func FindLogin(ctx context.Context, db DB, email string) (User, string, error) {
	email, err := NormalEmail(email)
	if err != nil {
		return User{}, "", errNoUser()
	}
	var u User
	var hash string
	err = db.QueryRow(ctx, `
		select coalesce(u.password_hash, ''), `+userColumns+` from mesher.users u where lower(u.email) = lower($1::text)`, email).
		Scan(append([]any{&hash}, u.fields()...)...)
	u, err = foundUser(u, err, "find a user by address")
	return u, hash, err
}

// AnyUser reports whether there is a user whose address is verified: anybody can cause one who is not.
func AnyUser(ctx context.Context, db DB) (bool, error) {
	var any bool
	if err := db.QueryRow(ctx, `select exists (select from mesher.users where email_verified_at is not null)`).Scan(&any); err != nil {
		return false, fmt.Errorf("look for a user: %w", err)
	}
	return any, nil
}

// foundUser gives an error its meaning.
func foundUser(u User, err error, doing string) (User, error) {
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return User{}, errNoUser()
	case err != nil:
		return User{}, fmt.Errorf("%s: %w", doing, err)
	}
	return u, nil
}

func errNoUser() error { return fault.New(fault.NotFound, "there is no such user") }
