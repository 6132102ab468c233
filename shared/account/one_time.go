package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/secret"
)

// Purpose is what a one-time token is good for.
type Purpose string

// The purposes, and how long a token lives: VerifyEmail 24 hours, ChangeEmail and ResetPassword one hour, Invitation as
// long as the invitation.
const (
	VerifyEmail   Purpose = "verify_email"
	ChangeEmail   Purpose = "change_email"
	ResetPassword Purpose = "reset_password"
	Invitation    Purpose = "invitation"
)

func (p Purpose) lifetime() time.Duration {
	switch p {
	case VerifyEmail:
		return 24 * time.Hour
	case ChangeEmail, ResetPassword:
		return time.Hour
	}
	return 0
}

// OneTime is what a one-time token proves.
type OneTime struct {
	Purpose      Purpose
	UserID       uuid.UUID // uuid.Nil for an invitation
	InvitationID uuid.UUID // uuid.Nil for all else
	Email        string    // whose mails the bearer reads
	ExpiresAt    time.Time
}

// IssueOneTime stores a one-time token and returns its secret, which is stored nowhere. subject is the user's id, or the
// invitation's; one that does not exist is a fault.NotFound. email is where the secret is sent. Earlier tokens stay good,
// so that the first of two mails works too.
func IssueOneTime(ctx context.Context, db DB, purpose Purpose, subject uuid.UUID, email string) (string, error) {
	bearer := secret.OneTime.New()
	hash, err := secret.OneTime.Hash(bearer)
	if err != nil {
		return "", fmt.Errorf("make a one-time token: %w", err)
	}
	_, err = db.Exec(ctx, `
		insert into mesher.one_time_tokens (hash, purpose, user_id, invitation_id, email, expires_at)
		values ($1, $2::text, case when $2::text <> 'invitation' then $3::uuid end, case when $2::text = 'invitation' then $3::uuid end, $4,
		        coalesce((select i.expires_at from mesher.invitations i where $2::text = 'invitation' and i.id = $3::uuid),
		                 now() + $5::bigint * interval '1 microsecond'))`,
		hash[:], string(purpose), subject, email, purpose.lifetime().Microseconds())
	switch {
	case violates(err, "one_time_tokens_user_id_fkey"):
		return "", errNoUser()
	case violates(err, "one_time_tokens_invitation_id_fkey"):
		return "", fault.New(fault.NotFound, "there is no such invitation")
	case err != nil:
		return "", fmt.Errorf("issue a one-time token: %w", err)
	}
	return bearer, nil
}

// VoidOneTime makes all unused tokens of a purpose worthless that were issued for a subject: the user's id, or the
// invitation's.
func VoidOneTime(ctx context.Context, db DB, purpose Purpose, subject uuid.UUID) error {
	if _, err := db.Exec(ctx, `
		update mesher.one_time_tokens set used_at = now()
		where purpose = $1::text and used_at is null and (user_id = $2::uuid or invitation_id = $2::uuid)`,
		string(purpose), subject); err != nil {
		return fmt.Errorf("void one-time tokens: %w", err)
	}
	return nil
}

// oneTimeGood finds the token of a hash while it is good. A token that was sent to the user's address is good only as long
// as that is the user's address: whoever reads the mails of a former one must not get in.
const oneTimeGood = `
	select t.* from mesher.one_time_tokens t left join mesher.users u on u.id = t.user_id
	where t.hash = $1 and t.purpose = $2 and t.used_at is null and t.expires_at > now()
		and (t.purpose in ('change_email', 'invitation') or lower(t.email) = lower(u.email))`

const oneTimeColumns = `purpose, coalesce(user_id, '00000000-0000-0000-0000-000000000000'),
	coalesce(invitation_id, '00000000-0000-0000-0000-000000000000'), email, expires_at`

// PeekOneTime returns what a token proves without using it up. Errors are those of UseOneTime.
func PeekOneTime(ctx context.Context, db DB, purpose Purpose, bearer string) (OneTime, error) {
	return findOneTime(ctx, db, `with good as (`+oneTimeGood+`) select `+oneTimeColumns+` from good`, purpose, bearer)
}

// UseOneTime uses up the token and all others of its purpose and subject: of many who use them at once, one succeeds. A
// token that is malformed, unknown, used, expired, or of another purpose is a fault.Invalid with the code
// "token_invalid" that says what to do. So is one that was sent to an address that is no longer the user's, except to
// change it.
func UseOneTime(ctx context.Context, db DB, purpose Purpose, bearer string) (OneTime, error) {
	// Every use locks all unused tokens of the subject in the same order. Who had to wait finds them used: Postgres looks
	// at the conditions of a row again once it has the lock.
	return findOneTime(ctx, db, `
		with good as materialized (`+oneTimeGood+`),
		unused as materialized (
			select t.hash from mesher.one_time_tokens t join good
				on t.purpose = good.purpose and (t.user_id = good.user_id or t.invitation_id = good.invitation_id)
			where t.used_at is null
			order by t.hash
			for no key update of t),
		used as (
			update mesher.one_time_tokens t set used_at = now() from unused
			where t.hash = unused.hash and exists (select from unused mine where mine.hash = $1)
			returning t.*)
		select `+oneTimeColumns+` from used where hash = $1`, purpose, bearer)
}

func findOneTime(ctx context.Context, db DB, sql string, purpose Purpose, bearer string) (OneTime, error) {
	hash, err := secret.OneTime.Hash(bearer)
	if err != nil {
		return OneTime{}, errOneTime("the link is incomplete; open it from the mail again")
	}
	var o OneTime
	err = db.QueryRow(ctx, sql, hash[:], string(purpose)).Scan(&o.Purpose, &o.UserID, &o.InvitationID, &o.Email, &o.ExpiresAt)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return OneTime{}, errOneTime("the link is no longer good: it was used, has expired, or was replaced by a newer one; " +
			"if you have just used it, it has worked, otherwise ask for a new one")
	case err != nil:
		return OneTime{}, fmt.Errorf("look up a one-time token: %w", err)
	}
	return o, nil
}

func errOneTime(detail string) error {
	return fault.New(fault.Invalid, "%s", detail).Named("token_invalid")
}
