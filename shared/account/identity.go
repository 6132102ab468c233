package account

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/secret"
)

// Identity is who a request comes from.
type Identity struct {
	User       User
	Credential uuid.UUID // id of the session or of the personal access token
	Scope      Scope
	// OrganizationID is the only organization that the credential reaches; uuid.Nil: all of the user's. It says nothing
	// about whether the user is a member of it still.
	OrganizationID uuid.UUID
}

// Identify returns who carries a session token or a personal access token, in one round trip, and notes that it was
// used, at most once a minute. A bearer that is malformed, unknown, revoked or expired is a fault.Unauthenticated that
// says which.
func Identify(ctx context.Context, db DB, c SessionConfig, bearer string) (Identity, error) {
	switch {
	case strings.HasPrefix(bearer, secret.Session.Prefix):
		return identify(ctx, db, secret.Session, bearer, identifySession, c.Idle.Microseconds())
	case strings.HasPrefix(bearer, secret.PersonalToken.Prefix):
		return identify(ctx, db, secret.PersonalToken, bearer, identifyToken)
	case strings.HasPrefix(bearer, secret.APIKey.Prefix):
		return Identity{}, fault.New(fault.Unauthenticated,
			"this is an API key, which only writes events; use a personal access token, which starts with %s", secret.PersonalToken.Prefix)
	}
	return Identity{}, fault.New(fault.Unauthenticated,
		"this is neither a personal access token, which starts with %s, nor a session token, which starts with %s",
		secret.PersonalToken.Prefix, secret.Session.Prefix)
}

// identifySession and identifyToken look a hash up and note the use. Who finds the row locked does not wait: somebody
// else notes the same.
const (
	identifySession = `
		with found as materialized (
			select s.id, s.hash, 'session' as scope, null::uuid as organization_id, s.user_id,
			       case when s.revoked_at <= now() then 'revoked'
			            when least(s.expires_at, s.last_seen_at + $2::bigint * interval '1 microsecond') <= now() then 'expired'
			            else '' end as over
			from mesher.sessions s where s.hash = $1),
		due as materialized (
			select s.id from mesher.sessions s join found on found.id = s.id
			where found.over = '' and s.last_seen_at < now() - interval '1 minute'
			for no key update of s skip locked),
		noted as (
			update mesher.sessions s set last_seen_at = now() from due where s.id = due.id)` + identified

	identifyToken = `
		with found as materialized (
			select t.id, t.hash, t.scope, t.organization_id, t.user_id,
			       case when t.revoked_at <= now() then 'revoked' when t.expires_at <= now() then 'expired' else '' end as over
			from mesher.personal_access_tokens t where t.hash = $1),
		due as materialized (
			select t.id from mesher.personal_access_tokens t join found on found.id = t.id
			where found.over = '' and (t.last_used_at is null or t.last_used_at < now() - interval '1 minute')
			for no key update of t skip locked),
		noted as (
			update mesher.personal_access_tokens t set last_used_at = now() from due where t.id = due.id)` + identified

	identified = `
		select found.hash, found.over, found.id, found.scope, coalesce(found.organization_id, '00000000-0000-0000-0000-000000000000'), ` +
		userColumns + ` from found join mesher.users u on u.id = found.user_id`
)

func identify(ctx context.Context, db DB, kind secret.Kind, bearer, sql string, args ...any) (Identity, error) {
	hash, err := kind.Hash(bearer)
	if err != nil {
		return Identity{}, err
	}
	var (
		i      Identity
		stored []byte
		over   string
	)
	err = db.QueryRow(ctx, sql, append([]any{hash[:]}, args...)...).
		Scan(append([]any{&stored, &over, &i.Credential, &i.Scope, &i.OrganizationID}, i.User.fields()...)...)
	unknown := errors.Is(err, pgx.ErrNoRows)
	switch {
	case err != nil && !unknown:
		return Identity{}, fmt.Errorf("look up a %s: %w", kind.Name, err)
	case unknown || subtle.ConstantTimeCompare(stored, hash[:]) != 1:
		return Identity{}, fault.New(fault.Unauthenticated, "the %s is unknown; %s", kind.Name, remedy(kind))
	case over == "revoked":
		return Identity{}, fault.New(fault.Unauthenticated, "the %s is revoked; %s", kind.Name, remedy(kind))
	case over != "":
		return Identity{}, fault.New(fault.Unauthenticated, "the %s has expired; %s", kind.Name, remedy(kind))
	}
	return i, nil
}

// remedy says what helps who carries a secret that is not good any more.
func remedy(kind secret.Kind) string {
	if kind == secret.Session {
		return "log in again"
	}
	return "make a new one"
}
