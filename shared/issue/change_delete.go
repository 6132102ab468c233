package issue

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Deleted is an issue that is no more.
type Deleted struct {
	ID    uuid.UUID
	Title string
}

// Delete removes issues with their fingerprints and activity, and what was merged into them, and returns those ids that are
// of no issue of the project. An issue that was merged is removed itself, not the one that it was merged into. Events stay
// until they expire, and so do counts, which belong to fingerprints; the next event of a fingerprint opens a new issue,
// which begins with that event.
func Delete(ctx context.Context, tx postgres.Tx, project uuid.UUID, ids []uuid.UUID) ([]Deleted, []uuid.UUID, error) {
	if len(ids) > ChangesMost {
		return nil, nil, fault.New(fault.Invalid, "%d issues are given; at most %d can be deleted at once", len(ids), ChangesMost)
	}
	if err := lockProject(ctx, tx, project); err != nil {
		return nil, nil, err
	}
	// What was merged into an issue stands in its activity; merged_into has no index.
	rows, err := tx.Query(ctx, `
		with recursive gone as (
			select i.id from mesher.issues i where i.project_id = $1::uuid and i.id = any ($2::uuid[])
			union
			select i.id from gone
			join mesher.issue_activity a on a.project_id = $1::uuid and a.issue_id = gone.id and a.action = 'merged'
			cross join lateral jsonb_array_elements_text(a.details -> 'issues') m (id)
			join mesher.issues i on i.project_id = $1::uuid and i.id = m.id::uuid and i.merged_into = gone.id),
		locked as materialized (
			select i.id from mesher.issues i where i.project_id = $1::uuid and i.id in (select id from gone)
			order by i.id for update)
		delete from mesher.issues i using locked where i.project_id = $1::uuid and i.id = locked.id
		returning i.id, i.title`, project, texts(ids))
	if err != nil {
		return nil, nil, fmt.Errorf("delete issues: %w", err)
	}
	gone, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Deleted])
	if err != nil {
		return nil, nil, fmt.Errorf("delete issues: %w", err)
	}
	there := make(map[uuid.UUID]bool, len(gone))
	own := make(map[uuid.UUID]uuid.UUID, len(gone))
	for _, d := range gone {
		there[d.ID], own[d.ID] = true, d.ID
	}
	asked := make(map[uuid.UUID]bool, len(ids))
	for _, id := range ids {
		asked[id] = true
	}
	var deleted []Deleted
	for _, d := range gone {
		if asked[d.ID] {
			deleted = append(deleted, d)
		}
	}
	return deleted, absent(ids, own, there), nil
}
