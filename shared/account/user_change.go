package account

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/label"
)

// RenameUser gives the user another name, of at most 200 characters.
func RenameUser(ctx context.Context, db DB, id uuid.UUID, name string) (User, error) {
	if err := label.Check("name", name, 0, nameMost); err != nil {
		return User{}, err
	}
	var u User
	err := db.QueryRow(ctx, `
		update mesher.users u set name = $2, updated_at = now() where u.id = $1
		returning `+userColumns, id, name).Scan(u.fields()...)
	return foundUser(u, err, "rename a user")
}

// SetPassword stores the hash of a new password and makes the links worthless that were sent before, or are yet to be sent,
// and set another password or address: whoever the new one is to keep out could come back by them. It ends no session and
// revokes no token.
func SetPassword(ctx context.Context, db DB, id uuid.UUID, hash string) error {
	return changeUser(ctx, db, "set a password", `
		with void as (
			update mesher.one_time_tokens set used_at = now()
			where user_id = $1::uuid and purpose in ('reset_password', 'change_email') and used_at is null),
		unsent as (
			update mesher.notifications set status = 'skipped', last_error = 'the password was set since', claimed_until = null,
				finished_at = now()
			where status = 'pending' and template = 'change_email' and data ->> 'user_id' = $1::uuid::text)
		update mesher.users set password_hash = $2, password_set_at = clock_timestamp(), updated_at = now()
		where id = $1::uuid`, id, hash)
}

// PasswordSetSince reports whether the user's password was set after a time. It waits for who is setting it just now, so that
// a link that is stored before this asks is either void or known to come too late.
func PasswordSetSince(ctx context.Context, db DB, id uuid.UUID, since time.Time) (bool, error) {
	var later bool
	err := db.QueryRow(ctx, `
		select coalesce(u.password_set_at > $2::timestamptz, false) from mesher.users u where u.id = $1::uuid for share`, id, since).
		Scan(&later)
	_, err = foundUser(User{}, err, "look when a password was set")
	return later, err
}

// HoldPassword keeps the user's password from being changed until the transaction of db ends, and reports whether hash is still
// its hash.
func HoldPassword(ctx context.Context, db DB, id uuid.UUID, hash string) (bool, error) {
	var same bool
	err := db.QueryRow(ctx, `
		select coalesce(u.password_hash = $2::text, false) from mesher.users u where u.id = $1::uuid for no key update`, id, hash).
		Scan(&same)
	_, err = foundUser(User{}, err, "hold a password")
	return same, err
}

// Reclaim gives an account that nobody has verified the name and the password of who registers its address again: the owner
// of the mailbox may be the second. Links that verify it ask for the password that is current. An account that is verified
// stays as it is.
func Reclaim(ctx context.Context, db DB, id uuid.UUID, name, hash string) error {
	if err := label.Check("name", name, 0, nameMost); err != nil {
		return err
	}
	if _, err := db.Exec(ctx, `
		update mesher.users set name = $2, password_hash = $3, password_set_at = clock_timestamp(), updated_at = now()
		where id = $1::uuid and email_verified_at is null`, id, name, hash); err != nil {
		return fmt.Errorf("register an address again: %w", err)
	}
	return nil
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

// SetEmail gives the user an address that is known to be the user's own. One that another user has is a fault.Conflict, unless
// that one neither verified it nor belongs to an organization: whoever typed it in has no claim to it, and the account is
// removed. db is a transaction, so that this happens only together.
func SetEmail(ctx context.Context, db DB, id uuid.UUID, email string) error {
	email, err := NormalEmail(email)
	if err != nil {
		return err
	}
	if _, err := db.Exec(ctx, `
		delete from mesher.users u
		where lower(u.email) = lower($2::text) and u.id <> $1::uuid and u.email_verified_at is null
		  and not exists (select from mesher.memberships m where m.user_id = u.id)`, id, email); err != nil {
		return fmt.Errorf("remove who has an address unverified: %w", err)
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

// DeleteUser removes the user with all sessions, tokens and memberships, and revokes the open invitations that the user sent:
// without a sender they would pass for the operator's. The caller sees to it that no organization loses its last owner,
// and db is a transaction.
func DeleteUser(ctx context.Context, db DB, id uuid.UUID) error {
	if _, err := db.Exec(ctx, `
		update mesher.invitations set revoked_at = clock_timestamp()
		where invited_by = $1::uuid and accepted_at is null and revoked_at is null`, id); err != nil {
		return fmt.Errorf("revoke the invitations of a user: %w", err)
	}
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
