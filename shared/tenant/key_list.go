package tenant

import (
	"context"
	"fmt"

	"github.com/google/uuid"

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

// RelabelKey gives a project's key another label.
func RelabelKey(ctx context.Context, db DB, project, id uuid.UUID, label string) (Key, error) {
	if err := checkText("label", label, 1, labelMost); err != nil {
		return Key{}, err
	}
	if _, err := db.Exec(ctx, `
		update mesher.api_keys set label = $3::text where project_id = $1::uuid and id = $2::uuid`, project, id, label); err != nil {
		return Key{}, fmt.Errorf("relabel an API key: %w", err)
	}
	return findKey(ctx, db, project, id)
}
