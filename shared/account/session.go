package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/secret"
)

// SessionConfig says how long sessions last.
type SessionConfig struct {
	Idle     time.Duration `env:"SESSION_IDLE" envDefault:"168h" doc:"a session that is not used for this long ends"`
	Lifetime time.Duration `env:"SESSION_LIFETIME" envDefault:"720h" doc:"a session ends this long after the login, however much it is used"`
}

// Session is one login.
type Session struct {
	ID         uuid.UUID `json:"id" format:"uuid"`
	CreatedAt  time.Time `json:"created_at" doc:"when the user logged in"`
	LastSeenAt time.Time `json:"last_seen_at" doc:"when it was last used, to the minute"`
	ExpiresAt  time.Time `json:"expires_at" doc:"when it ends unless it is used: the earlier of idle and absolute expiry"`
	IP         string    `json:"ip" doc:"where the user logged in from"`
	UserAgent  string    `json:"user_agent" doc:"what the user logged in with"`
	Current    bool      `json:"current" doc:"whether it is the session that asks"` // set by the caller
}

// sessionColumns are the columns that scanSession takes. $1 is the time, in microseconds, after which a session that is
// not used ends.
const sessionColumns = `id, created_at, last_seen_at,
	least(expires_at, last_seen_at + $1::bigint * interval '1 microsecond'), host(ip), user_agent`

// sessionLives holds for sessions that are neither over nor revoked; $1 is that of sessionColumns.
const sessionLives = `revoked_at is null and least(expires_at, last_seen_at + $1::bigint * interval '1 microsecond') > now()`

func scanSession(row pgx.CollectableRow) (s Session, err error) {
	err = row.Scan(&s.ID, &s.CreatedAt, &s.LastSeenAt, &s.ExpiresAt, &s.IP, &s.UserAgent)
	return s, err
}

// sessionsMost is how many sessions of a user live at the same time.
const sessionsMost = 100

// StartSession stores a new session of the user and returns its secret, which is stored nowhere. A user with 100 sessions
// loses the oldest.
func StartSession(ctx context.Context, db DB, c SessionConfig, user uuid.UUID, from Client) (Session, string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Session{}, "", fmt.Errorf("make a session id: %w", err)
	}
	bearer := secret.Session.New()
	hash, err := secret.Session.Hash(bearer)
	if err != nil {
		return Session{}, "", fmt.Errorf("make a session: %w", err)
	}
	// All times are of one clock, the statement's: several sessions may be started in one transaction.
	rows, err := db.Query(ctx, `
		insert into mesher.sessions (id, user_id, hash, created_at, last_seen_at, expires_at, network, ip, user_agent)
		values ($2, $3, $4, statement_timestamp(), statement_timestamp(),
		        statement_timestamp() + $5::bigint * interval '1 microsecond', $6::cidr, $7::inet, $8)
		returning `+sessionColumns, c.Idle.Microseconds(), id, user, hash[:], c.Lifetime.Microseconds(),
		from.Network().String(), from.address().String(), from.Agent())
	if err != nil {
		return Session{}, "", fmt.Errorf("start a session: %w", err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, scanSession)
	switch {
	case violates(err, "sessions_user_id_fkey"):
		return Session{}, "", errNoUser()
	case err != nil:
		return Session{}, "", fmt.Errorf("start a session: %w", err)
	}
	return s, bearer, endOldest(ctx, db, c, user)
}

// endOldest ends the sessions beyond sessionsMost that began first.
func endOldest(ctx context.Context, db DB, c SessionConfig, user uuid.UUID) error {
	// In the order of their ids, as RevokeSessions.
	_, err := db.Exec(ctx, `
		with beyond as materialized (
			select id from mesher.sessions where user_id = $2 and `+sessionLives+`
			order by created_at desc, id desc offset $3),
		held as materialized (
			select s.id from mesher.sessions s join beyond using (id) order by s.id for no key update of s)
		update mesher.sessions s set revoked_at = now() from held where s.id = held.id`, c.Idle.Microseconds(), user, sessionsMost)
	if err != nil {
		return fmt.Errorf("end the oldest sessions: %w", err)
	}
	return nil
}

// FindSession returns a session of the user. One that is not the user's, or over, is a fault.NotFound.
func FindSession(ctx context.Context, db DB, c SessionConfig, user, id uuid.UUID) (Session, error) {
	rows, err := db.Query(ctx, `
		select `+sessionColumns+` from mesher.sessions where user_id = $2 and id = $3 and `+sessionLives,
		c.Idle.Microseconds(), user, id)
	if err != nil {
		return Session{}, fmt.Errorf("find a session: %w", err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, scanSession)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Session{}, errNoSession(id)
	case err != nil:
		return Session{}, fmt.Errorf("find a session: %w", err)
	}
	return s, nil
}

func errNoSession(id uuid.UUID) error {
	return fault.New(fault.NotFound, "you have no session with the id %s; it may be over already", id)
}

// ListSessions returns the user's sessions that are neither over nor revoked, the newest first.
func ListSessions(ctx context.Context, db DB, c SessionConfig, user uuid.UUID, r page.Request) (page.Of[Session], error) {
	at, id := r.After.Args()
	rows, err := db.Query(ctx, `
		select `+sessionColumns+` from mesher.sessions
		where user_id = $2 and `+sessionLives+`
			and ($3::timestamptz is null or (created_at, id) < ($3, $4::uuid))
		order by created_at desc, id desc limit $5`, c.Idle.Microseconds(), user, at, id, r.Limit+1)
	if err != nil {
		return page.Of[Session]{}, fmt.Errorf("list sessions: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanSession)
	if err != nil {
		return page.Of[Session]{}, fmt.Errorf("list sessions: %w", err)
	}
	return page.Cut(r, found, func(s Session) page.Mark { return page.Mark{At: s.CreatedAt, ID: s.ID} }), nil
}

// RevokeSession ends a session of the user. One that is not the user's, or over, is a fault.NotFound.
func RevokeSession(ctx context.Context, db DB, c SessionConfig, user, id uuid.UUID) error {
	tag, err := db.Exec(ctx, `
		update mesher.sessions set revoked_at = now() where user_id = $2 and id = $3 and `+sessionLives,
		c.Idle.Microseconds(), user, id)
	switch {
	case err != nil:
		return fmt.Errorf("revoke a session: %w", err)
	case tag.RowsAffected() == 0:
		return errNoSession(id)
	}
	return nil
}

// RevokeSessions ends the user's sessions but one, or all of them when except is uuid.Nil, and returns how many.
func RevokeSessions(ctx context.Context, db DB, user, except uuid.UUID) (int, error) {
	// In the order of their ids, so that two who do it at once cannot block each other for good.
	tag, err := db.Exec(ctx, `
		with open as materialized (
			select id from mesher.sessions
			where user_id = $1 and id <> $2 and revoked_at is null and expires_at > now()
			order by id
			for no key update)
		update mesher.sessions s set revoked_at = now() from open where s.id = open.id`, user, except)
	if err != nil {
		return 0, fmt.Errorf("revoke sessions: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// KnownClient reports whether the user logged in from the client's network in the last 90 days. With uuid.Nil it does the
// same work and reports false.
func KnownClient(ctx context.Context, db DB, user uuid.UUID, from Client) (bool, error) {
	var known bool
	err := db.QueryRow(ctx, `
		select exists (select from mesher.sessions
			where user_id = $1 and network = $2::cidr and created_at > now() - interval '90 days')`,
		user, from.Network().String()).Scan(&known)
	if err != nil {
		return false, fmt.Errorf("look for a known client: %w", err)
	}
	return known, nil
}
