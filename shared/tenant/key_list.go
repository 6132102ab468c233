package tenant

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/label"
	"github.com/mesherhq/mesher/shared/page"
)

// KeyFilter narrows a list of API keys; empty fields do not.
type KeyFilter struct {
	State       KeyState
	Environment string
	Label       string // part of it, in any case
}

// PageKeys returns a project's keys, the newest first.
func PageKeys(ctx context.Context, db DB, project uuid.UUID, f KeyFilter, r page.Request) (page.Of[Key], error) {
	return listing[Key]{
		name: "API keys", at: "k.created_at", id: "k.id", scan: scanKey,
		mark: func(k Key) page.Mark { return page.Mark{At: k.CreatedAt, ID: k.ID} },
		query: selectKeys + `
			where k.project_id = $4::uuid and ($5::text = '' or ` + keyState + ` = $5::text)
			  and ($6::text = '' or k.environment = $6::text) and position(lower($7::text) in lower(k.label)) > 0`,
	}.read(ctx, db, r, project, storable(string(f.State)), storable(f.Environment), storable(f.Label))
}

// FindKey returns a project's key. Another project's key is as unknown as one that does not exist: a fault.NotFound.
func FindKey(ctx context.Context, db DB, project, id uuid.UUID) (Key, error) {
	return findKey(ctx, db, project, id)
}

// KeyChange is what is to be changed of a key; nil fields are not.
type KeyChange struct {
	Label     *string
	RateLimit *int // events a minute with it; 0: only the project's limit holds
}

func (c KeyChange) check() error {
	if c.Label != nil {
		if err := label.Check("label", *c.Label, 1, labelMost); err != nil {
			return err
		}
	}
	if c.RateLimit != nil {
		return checkRateLimit(*c.RateLimit)
	}
	return nil
}

// ChangeKey changes a project's key and returns it. Instances of Ingest know of it within 60 s.
func ChangeKey(ctx context.Context, db DB, project, id uuid.UUID, c KeyChange) (Key, error) {
	if err := c.check(); err != nil {
		return Key{}, err
	}
	if _, err := db.Exec(ctx, `
		update mesher.api_keys set label = coalesce($3::text, label),
			rate_limit = case when $4::integer is null then rate_limit else nullif($4::integer, 0) end
		where project_id = $1::uuid and id = $2::uuid`, project, id, c.Label, c.RateLimit); err != nil {
		return Key{}, fmt.Errorf("change an API key: %w", err)
	}
	return findKey(ctx, db, project, id)
}
