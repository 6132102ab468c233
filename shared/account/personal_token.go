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
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/secret"
)

const (
	tokenLabelMost    = 100 // characters
	day               = 24 * time.Hour
	tokenLifetimeMost = 3650 * day
	// tokensMost is how many tokens of a user may be good at the same time.
	tokensMost = 100
)

// PersonalToken is what is known of a personal access token: everything but the token itself.
type PersonalToken struct {
	ID             uuid.UUID `json:"id" format:"uuid"`
	OrganizationID uuid.UUID `json:"organization_id,omitzero" format:"uuid" doc:"the only organization that it reaches; none: all of the user's"`
	Prefix         string    `json:"prefix" doc:"the start of the token, to recognise it by"`
	LastFour       string    `json:"last_four" doc:"the end of the token, to recognise it by"`
	Label          string    `json:"label"`
	Scope          Scope     `json:"scope" enum:"read,write,admin"`
	State          string    `json:"state" enum:"active,expired,revoked"` // by the database's clock
	CreatedAt      time.Time `json:"created_at"`
	LastUsedAt     time.Time `json:"last_used_at,omitzero" doc:"to the minute; none: not used so far"`
	ExpiresAt      time.Time `json:"expires_at,omitzero" doc:"none: never"`
	RevokedAt      time.Time `json:"revoked_at,omitzero"`
}

const tokenColumns = `id, organization_id, prefix, last_four, label, scope,
	case when revoked_at <= now() then 'revoked' when expires_at <= now() then 'expired' else 'active' end as state,
	created_at, last_used_at, expires_at, revoked_at`

func scanToken(row pgx.CollectableRow) (PersonalToken, error) {
	var t PersonalToken
	var organization *uuid.UUID
	var used, expires, revoked *time.Time
	err := row.Scan(&t.ID, &organization, &t.Prefix, &t.LastFour, &t.Label, &t.Scope, &t.State, &t.CreatedAt,
		&used, &expires, &revoked)
	t.OrganizationID = orZero(organization)
	t.LastUsedAt, t.ExpiresAt, t.RevokedAt = orZero(used), orZero(expires), orZero(revoked)
	return t, err
}

func orZero[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}

// TokenSpec is what somebody asks for who wants a personal access token.
type TokenSpec struct {
	Label          string        // 1 to 100 characters
	Scope          Scope         // ScopeRead, ScopeWrite or ScopeAdmin
	OrganizationID uuid.UUID     // uuid.Nil: all of the user's; the caller has checked that the user is a member
	Lifetime       time.Duration // 0: does not expire; at most 3650 days
}

func (s TokenSpec) check() error {
	if err := label.Check("label", s.Label, 1, tokenLabelMost); err != nil {
		return err
	}
	if !ScopeAdmin.Allows(s.Scope) {
		return fault.New(fault.Invalid, "a token has the scope %s, %s or %s", ScopeRead, ScopeWrite, ScopeAdmin)
	}
	if s.Lifetime < 0 || s.Lifetime > tokenLifetimeMost {
		return fault.New(fault.Invalid, "a token may live for %d days at most", tokenLifetimeMost/day)
	}
	return nil
}

// IssueToken makes a personal access token. The second result is the token itself, which is stored nowhere. A user or an
// organization that does not exist is a fault.NotFound, a token more than the 100 that a user may have a fault.Conflict with
// the code "too_many_tokens".
func IssueToken(ctx context.Context, db DB, user uuid.UUID, spec TokenSpec) (PersonalToken, string, error) {
	if err := spec.check(); err != nil {
		return PersonalToken{}, "", err
	}
	if err := mayHaveToken(ctx, db, user); err != nil {
		return PersonalToken{}, "", err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return PersonalToken{}, "", fmt.Errorf("make a token id: %w", err)
	}
	bearer := secret.PersonalToken.New()
	t, err := insertToken(ctx, db, user, id, spec, bearer)
	switch {
	case violates(err, "personal_access_tokens_user_id_fkey"):
		return PersonalToken{}, "", errNoUser()
	case violates(err, "personal_access_tokens_organization_id_fkey"):
		return PersonalToken{}, "", fault.New(fault.NotFound, "there is no organization with the id %s", spec.OrganizationID)
	case err != nil:
		return PersonalToken{}, "", fmt.Errorf("issue a personal access token: %w", err)
	}
	return t, bearer, nil
}

// mayHaveToken refuses a user who has too many tokens. In a transaction the user is locked, so that of many who ask at once
// the last are refused.
func mayHaveToken(ctx context.Context, db DB, user uuid.UUID) error {
	if _, err := db.Exec(ctx, `select from mesher.users where id = $1::uuid for no key update`, user); err != nil {
		return fmt.Errorf("lock a user: %w", err)
	}
	var n int
	if err := db.QueryRow(ctx, `
		select count(*) from mesher.personal_access_tokens
		where user_id = $1::uuid and revoked_at is null and (expires_at is null or expires_at > now())`, user).Scan(&n); err != nil {
		return fmt.Errorf("count personal access tokens: %w", err)
	}
	if n >= tokensMost {
		return fault.New(fault.Conflict, "you have %d personal access tokens, which is the most; revoke some that are not used", n).
			Named("too_many_tokens")
	}
	return nil
}

func insertToken(ctx context.Context, db DB, user, id uuid.UUID, spec TokenSpec, bearer string) (PersonalToken, error) {
	hash, err := secret.PersonalToken.Hash(bearer)
	if err != nil {
		return PersonalToken{}, err
	}
	prefix, lastFour, err := secret.PersonalToken.Parts(bearer)
	if err != nil {
		return PersonalToken{}, err
	}
	var lifetime any // null makes the time of expiry null
	if spec.Lifetime > 0 {
		lifetime = spec.Lifetime.Microseconds()
	}
	return oneToken(ctx, db, `
		insert into mesher.personal_access_tokens
			(id, user_id, organization_id, hash, prefix, last_four, label, scope, created_at, expires_at)
		values ($1, $2, nullif($3::uuid, '00000000-0000-0000-0000-000000000000'), $4, $5, $6, $7, $8, statement_timestamp(),
		        statement_timestamp() + $9::bigint * interval '1 microsecond')
		returning `+tokenColumns,
		id, user, spec.OrganizationID, hash[:], prefix, lastFour, spec.Label, string(spec.Scope), lifetime)
}

// RevokeToken makes the user's token worthless and reports whether it was not before; one that is revoked already stays so.
// One that is not the user's is a fault.NotFound.
func RevokeToken(ctx context.Context, db DB, user, id uuid.UUID) (t PersonalToken, changed bool, err error) {
	tag, err := db.Exec(ctx, `
		update mesher.personal_access_tokens set revoked_at = now() where user_id = $1 and id = $2 and revoked_at is null`, user, id)
	if err != nil {
		return PersonalToken{}, false, fmt.Errorf("revoke a personal access token: %w", err)
	}
	t, err = oneToken(ctx, db, `
		select `+tokenColumns+` from mesher.personal_access_tokens where user_id = $1 and id = $2`, user, id)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return PersonalToken{}, false, fault.New(fault.NotFound, "you have no personal access token with the id %s", id)
	case err != nil:
		return PersonalToken{}, false, fmt.Errorf("revoke a personal access token: %w", err)
	}
	return t, tag.RowsAffected() > 0, nil
}

// RevokeTokens makes all of the user's tokens worthless and returns how many were not before.
func RevokeTokens(ctx context.Context, db DB, user uuid.UUID) (int, error) {
	// In the order of their ids, so that two who do it at once cannot block each other for good.
	tag, err := db.Exec(ctx, `
		with good as materialized (
			select id from mesher.personal_access_tokens
			where user_id = $1 and revoked_at is null and (expires_at is null or expires_at > now())
			order by id
			for no key update)
		update mesher.personal_access_tokens t set revoked_at = now() from good where t.id = good.id`, user)
	if err != nil {
		return 0, fmt.Errorf("revoke personal access tokens: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

func oneToken(ctx context.Context, db DB, sql string, args ...any) (PersonalToken, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return PersonalToken{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanToken)
}

// TokenFilter narrows a list of personal access tokens; empty fields do not.
type TokenFilter struct {
	State string
	Scope Scope
	Label string // part of it, in any case
}

// ListTokens returns the user's tokens, the newest first.
func ListTokens(ctx context.Context, db DB, user uuid.UUID, f TokenFilter, r page.Request) (page.Of[PersonalToken], error) {
	if !storable(f.State + string(f.Scope) + f.Label) {
		return page.Of[PersonalToken]{}, nil
	}
	at, id := r.After.Args()
	rows, err := db.Query(ctx, `
		select * from (select `+tokenColumns+` from mesher.personal_access_tokens where user_id = $1) as mine
		where ($2::text = '' or state = $2::text) and ($3::text = '' or scope = $3::text)
			and strpos(lower(label), lower($4::text)) > 0
			and ($5::timestamptz is null or (created_at, id) < ($5, $6::uuid))
		order by created_at desc, id desc limit $7`, user, f.State, string(f.Scope), f.Label, at, id, r.Limit+1)
	if err != nil {
		return page.Of[PersonalToken]{}, fmt.Errorf("list personal access tokens: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanToken)
	if err != nil {
		return page.Of[PersonalToken]{}, fmt.Errorf("list personal access tokens: %w", err)
	}
	return page.Cut(r, found, func(t PersonalToken) page.Mark { return page.Mark{At: t.CreatedAt, ID: t.ID} }), nil
}
