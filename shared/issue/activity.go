package issue

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Actor is the member who does something to issues. Name is kept as it is now.
type Actor struct {
	ID   uuid.UUID
	Name string
}

// Activity is something that happened to an issue, other than an event. Without an actor it happened by itself.
type Activity struct {
	ID        uuid.UUID       `json:"id" format:"uuid"`
	CreatedAt time.Time       `json:"created_at"`
	ActorID   uuid.UUID       `json:"actor_id,omitzero" format:"uuid" doc:"missing when it happened by itself"`
	ActorName string          `json:"actor_name,omitempty"`
	Action    string          `json:"action" example:"resolved" doc:"resolved, unresolved, ignored, discarded, assigned, unassigned, merged, unmerged, or what happened by itself, such as regressed"`
	Details   json.RawMessage `json:"details,omitempty" doc:"particulars, by action"`
}

// The actions of people.
const (
	actionAssigned   = "assigned"
	actionUnassigned = "unassigned"
	actionMerged     = "merged"
	actionUnmerged   = "unmerged"
)

// ListActivity returns what happened to an issue, the newest first. That of an issue which was merged is that of the issue
// it was merged into.
func ListActivity(ctx context.Context, db DB, project, id uuid.UUID, r page.Request) (page.Of[Activity], error) {
	root, err := Follow(ctx, db, project, id)
	if err != nil {
		return page.Of[Activity]{}, err
	}
	r.Limit = min(max(r.Limit, 1), 1000)
	at, after := r.After.Args()
	rows, err := db.Query(ctx, `
		select a.id, a.created_at, a.actor_id, a.actor_name, a.action, nullif(a.details, '{}'::jsonb)::text
		from mesher.issue_activity a
		where a.project_id = $1::uuid and a.issue_id = $2::uuid
		  and ($3::timestamptz is null or (a.created_at, a.id) < ($3::timestamptz, $4::uuid))
		order by a.created_at desc, a.id desc limit $5::bigint`, project, root, at, after, r.Limit+1)
	if err != nil {
		return page.Of[Activity]{}, fmt.Errorf("list an issue's activity: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanActivity)
	if err != nil {
		return page.Of[Activity]{}, fmt.Errorf("list an issue's activity: %w", err)
	}
	return page.Cut(r, found, func(a Activity) page.Mark { return page.Mark{At: a.CreatedAt, ID: a.ID} }), nil
}

func scanActivity(row pgx.CollectableRow) (Activity, error) {
	var a Activity
	var details *string
	err := row.Scan(&a.ID, (*postgres.Time)(&a.CreatedAt), &a.ActorID, &a.ActorName, &a.Action, &details)
	if details != nil {
		a.Details = json.RawMessage(*details)
	}
	return a, err
}

// act notes what somebody did to issues, the same to all of them.
func act(ctx context.Context, db DB, project uuid.UUID, who Actor, action string, details map[string]any, issues ...uuid.UUID) error {
	if len(issues) == 0 {
		return nil
	}
	if details == nil {
		details = map[string]any{}
	}
	text, err := json.Marshal(details)
	if err != nil {
		return fmt.Errorf("encode the particulars of %s: %w", action, err)
	}
	ids := make([]uuid.UUID, len(issues))
	for n := range ids {
		if ids[n], err = uuid.NewV7(); err != nil {
			return fmt.Errorf("make an id: %w", err)
		}
	}
	if _, err := db.Exec(ctx, `
		insert into mesher.issue_activity (id, project_id, issue_id, created_at, actor_id, actor_name, action, details)
		select n.id, $1::uuid, n.issue_id, clock_timestamp(), $4::uuid, $5::text, $6::text, $7::text::jsonb
		from unnest($2::uuid[], $3::uuid[]) as n (id, issue_id)`,
		project, texts(ids), texts(issues), postgres.OrNull(who.ID), who.Name, action, string(text)); err != nil {
		return fmt.Errorf("note that issues were %s: %w", action, err)
	}
	return nil
}
