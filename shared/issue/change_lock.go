package issue

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// lockedIssue is what a change has to know of an issue that nobody else can change until the transaction ends.
type lockedIssue struct {
	id            uuid.UUID
	title         string
	status        Status
	resolvedNext  bool
	ignoredUntil  time.Time
	ignoredEvents bool
	assignee      uuid.UUID
	firstSeen     time.Time
	merged        bool
}

// lockIssues locks the issues that ids lead to, in the order of their ids, and returns those ids that lead nowhere, in the
// order given.
func lockIssues(ctx context.Context, tx postgres.Tx, project uuid.UUID, ids []uuid.UUID) (found []lockedIssue, missing []uuid.UUID, err error) {
	roots, err := follow(ctx, tx, project, ids)
	if err != nil {
		return nil, nil, err
	}
	wanted := make([]uuid.UUID, 0, len(roots))
	for _, root := range roots {
		wanted = append(wanted, root)
	}
	rows, err := tx.Query(ctx, `
		select id, title, status, resolved_next, ignored_until, ignored_events is not null, assignee_id, first_seen,
			merged_into is not null
		from mesher.issues where project_id = $1::uuid and id = any ($2::uuid[])
		order by id for no key update`, project, texts(wanted))
	if err != nil {
		return nil, nil, fmt.Errorf("lock issues: %w", err)
	}
	if found, err = pgx.CollectRows(rows, scanLocked); err != nil {
		return nil, nil, fmt.Errorf("lock issues: %w", err)
	}
	there := make(map[uuid.UUID]bool, len(found))
	for _, i := range found {
		if i.merged {
			return nil, nil, fault.New(fault.Conflict, "the issue %s was merged into another just now; try again", i.id).Named("issue_merged")
		}
		there[i.id] = true
	}
	return found, absent(ids, roots, there), nil
}

func scanLocked(row pgx.CollectableRow) (lockedIssue, error) {
	var i lockedIssue
	err := row.Scan(&i.id, &i.title, &i.status, &i.resolvedNext, (*postgres.Time)(&i.ignoredUntil), &i.ignoredEvents, &i.assignee,
		(*postgres.Time)(&i.firstSeen), &i.merged)
	return i, err
}

// absent returns the ids, each once, that lead to no issue that is there.
func absent(ids []uuid.UUID, roots map[uuid.UUID]uuid.UUID, there map[uuid.UUID]bool) []uuid.UUID {
	var out []uuid.UUID
	seen := make(map[uuid.UUID]bool, len(ids))
	for _, id := range ids {
		if root, ok := roots[id]; !seen[id] && (!ok || !there[root]) {
			out = append(out, id)
		}
		seen[id] = true
	}
	return out
}
