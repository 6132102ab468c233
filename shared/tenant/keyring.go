package tenant

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
)

// KeyState is what a key is good for now, by the database's clock.
type KeyState string

// The states of a key.
const (
	KeyActive  KeyState = "active"
	KeyExpired KeyState = "expired"
	KeyRevoked KeyState = "revoked"
)

// Key is what is known of an API key: everything but the key itself.
type Key struct {
	ID          uuid.UUID `json:"id" format:"uuid"`
	ProjectID   uuid.UUID `json:"project_id" format:"uuid"`
	Project     string    `json:"project" example:"acme/shop" doc:"slugs of organization and project"`
	Prefix      string    `json:"prefix" doc:"its start"`
	LastFour    string    `json:"last_four" doc:"its last four characters"`
	Label       string    `json:"label" doc:"what it is for"`
	Environment string    `json:"environment,omitempty" doc:"given to events that name none"`
	RateLimit   int       `json:"rate_limit" doc:"most events a minute with it; 0: only the project's limit holds"`
	State       KeyState  `json:"state" enum:"active,expired,revoked"`
	CreatedAt   time.Time `json:"created_at"`
	LastUsedAt  time.Time `json:"last_used_at,omitzero" doc:"missing: not used so far"`
	ExpiresAt   time.Time `json:"expires_at,omitzero" doc:"missing: never"`
	RevokedAt   time.Time `json:"revoked_at,omitzero" doc:"missing: not revoked"`
}

// Name is how people recognise the key: its start and its last four characters.
func (k Key) Name() string { return k.Prefix + "…" + k.LastFour }

const keyState = `
	case when k.revoked_at <= clock_timestamp() then 'revoked'
	     when k.expires_at <= clock_timestamp() then 'expired' else 'active' end`

const selectKeys = `
	select k.id, k.project_id, o.slug || '/' || p.slug, k.prefix, k.last_four, k.label, coalesce(k.environment, ''),
	       coalesce(k.rate_limit, 0),` + keyState + `,
	       k.created_at, k.last_used_at, k.expires_at, k.revoked_at
	from mesher.api_keys k
	join mesher.projects p on p.id = k.project_id
	join mesher.organizations o on o.id = p.organization_id `

// ListKeys returns the keys of a project, the newest first.
func ListKeys(ctx context.Context, db DB, project uuid.UUID) ([]Key, error) {
	return listKeys(ctx, db, selectKeys+"where k.project_id = $1 order by k.created_at desc, k.id", project)
}

// ListAllKeys returns the keys of all projects of all organizations, by project, the newest first. It is for
// operators: nobody else may see more than one organization.
func ListAllKeys(ctx context.Context, db DB) ([]Key, error) {
	return listKeys(ctx, db, selectKeys+"order by o.slug, p.slug, k.created_at desc, k.id")
}

func listKeys(ctx context.Context, db DB, sql string, args ...any) ([]Key, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	keys, err := pgx.CollectRows(rows, scanKey)
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	return keys, nil
}

// findKey returns a project's key. Another project's key is as unknown as one that does not exist.
func findKey(ctx context.Context, db DB, project, id uuid.UUID) (Key, error) {
	keys, err := listKeys(ctx, db, selectKeys+"where k.project_id = $1 and k.id = $2", project, id)
	switch {
	case err != nil:
		return Key{}, err
	case len(keys) == 0:
		return Key{}, fault.New(fault.NotFound, "the project has no API key with the id %s", id)
	}
	return keys[0], nil
}

func scanKey(row pgx.CollectableRow) (Key, error) {
	var k Key
	var used, expires, revoked *time.Time
	err := row.Scan(&k.ID, &k.ProjectID, &k.Project, &k.Prefix, &k.LastFour, &k.Label, &k.Environment, &k.RateLimit, &k.State,
		&k.CreatedAt, &used, &expires, &revoked)
	for _, t := range []struct {
		from *time.Time
		to   *time.Time
	}{{used, &k.LastUsedAt}, {expires, &k.ExpiresAt}, {revoked, &k.RevokedAt}} {
		if t.from != nil {
			*t.to = *t.from
		}
	}
	return k, err
}

// PickKey returns the one of keys that a person means by its id, or by its start and last four characters as
// lists show them, with … or three dots between.
func PickKey(keys []Key, ref string) (Key, error) {
	if prefix, lastFour, err := KeyParts(ref); err == nil {
		// Not a mistake to keep: arguments stand in histories and process lists.
		return Key{}, fault.New(fault.Invalid, "that is a whole API key, which should not be typed; name it as %s…%s", prefix, lastFour)
	}
	id, noID := uuid.Parse(ref)
	prefix, lastFour, ok := strings.Cut(strings.Replace(ref, "...", "…", 1), "…")
	if noID != nil && !ok {
		return Key{}, fault.New(fault.Invalid, "name an API key by its id, or by its start and end as in mshr_AbCd…WxYz")
	}
	var found []Key
	for _, k := range keys {
		if k.ID == id && noID == nil || ok && k.Prefix == prefix && k.LastFour == lastFour {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		return Key{}, fault.New(fault.NotFound, "there is no API key %s here", ref)
	case 1:
		return found[0], nil
	}
	return Key{}, fault.New(fault.Conflict, "%d API keys look like %s; name one by its id, such as %s", len(found), ref, found[0].ID)
}
