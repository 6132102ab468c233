package account

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
)

// RenameUser gives the user another name, of at most 200 characters.
func RenameUser(ctx context.Context, db DB, id uuid.UUID, name string) (User, error) {
	if err := checkText("name", name, 0, nameMost); err != nil {
		return User{}, err
	}
	var u User
	err := db.QueryRow(ctx, `
		update mesher.users u set name = $2, updated_at = now() where u.id = $1
		returning `+userColumns, id, name).Scan(u.fields()...)
	return foundUser(u, err, "rename a user")
}

// SetPassword stores the hash of a new password and makes the links worthless that were sent before and set another
// password or address: whoever the new one is to keep out could come back by them. It ends no session.
func SetPassword(ctx context.Context, db DB, id uuid.UUID, hash string) error {
	return changeUser(ctx, db, "set a password", `
		with void as (
			update mesher.one_time_tokens set used_at = now()
			where user_id = $1::uuid and purpose in ('reset_password', 'change_email') and used_at is null)
		update mesher.users set password_hash = $2, updated_at = now() where id = $1::uuid`, id, hash)
}

// UpgradePassword stores a hash of the same password with higher parameters, unless the password was changed meanwhile.
func UpgradePassword(ctx context.Context, db DB, id uuid.UUID, from, to string) error {
	_, err := db.Exec(ctx, `
		update mesher.users set password_hash = $3, updated_at = now() where id = $1 and password_hash = $2`, id, from, to)
	if err != nil {
		return fmt.Errorf("upgrade the hash of a password: %w", err)
	}
	return nil
}

// SetEmail gives the user an address that is known to be the user's own. One that another user has is a fault.Conflict.
func SetEmail(ctx context.Context, db DB, id uuid.UUID, email string) error {
	email, err := NormalEmail(email)
	if err != nil {
		return err
	}
	err = changeUser(ctx, db, "set an address", `
		update mesher.users set email = $2, updated_at = now(),
			email_verified_at = case when lower(email) = lower($2::text) then coalesce(email_verified_at, now()) else now() end
		where id = $1`, id, email)
	if violates(err, "users_email_key") {
		return fault.New(fault.Conflict, "another account has this address; use that one, or give another address")
	}
	return err
}

// DeleteUser removes the user with all sessions, tokens and memberships. The caller sees to it that no organization
// loses its last owner.
func DeleteUser(ctx context.Context, db DB, id uuid.UUID) error {
	return changeUser(ctx, db, "delete a user", `delete from mesher.users where id = $1`, id)
}

// changeUser executes a statement about one user, of whom the first argument is the id.
func changeUser(ctx context.Context, db DB, doing, sql string, args ...any) error {
	tag, err := db.Exec(ctx, sql, args...)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", doing, err)
	case tag.RowsAffected() == 0:
		return errNoUser()
	}
	return nil
}
