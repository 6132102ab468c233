// Package issue is what people look at and work on: events grouped into issues, what is known of them, and what is done
// about them. Store opens issues and counts; everything that people do is here.
//
// Nothing here asks who calls: the caller has authorized the project. Every query is restricted to the project that it is
// given, so that the ids of another project's issues are those of issues that do not exist.
package issue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// DB is what a query needs: a pool, a connection or a transaction.
type DB = postgres.DB

// Status says what people think of an issue.
type Status string

// The statuses of an issue. Events of a discarded one are not stored.
const (
	Unresolved Status = "unresolved"
	Resolved   Status = "resolved"
	Ignored    Status = "ignored"
	Discarded  Status = "discarded"
)

// Assignee is the member who takes care of an issue.
type Assignee struct {
	ID    uuid.UUID `json:"id" format:"uuid"`
	Name  string    `json:"name"`
	Email string    `json:"email"`
}

// Issue is a group of events that have one cause, as far as their fingerprints tell.
type Issue struct {
	ID                 uuid.UUID `json:"id" format:"uuid"`
	ProjectID          uuid.UUID `json:"project_id" format:"uuid"`
	Title              string    `json:"title"`
	Culprit            string    `json:"culprit"`
	Level              string    `json:"level" enum:"fatal,error,warning,info,debug" doc:"of the latest event"`
	Status             Status    `json:"status" enum:"unresolved,resolved,ignored,discarded"`
	ExceptionType      string    `json:"exception_type,omitempty"`
	ExceptionValue     string    `json:"exception_value,omitempty"`
	Message            string    `json:"message,omitempty"`
	Platform           string    `json:"platform,omitempty"`
	EventCount         int64     `json:"event_count" doc:"events ever stored, also those that are erased by now"`
	UserCount          int64     `json:"user_count" doc:"different users affected"`
	FirstSeen          time.Time `json:"first_seen"`
	LastSeen           time.Time `json:"last_seen"`
	FirstRelease       string    `json:"first_release,omitempty"`
	LastRelease        string    `json:"last_release,omitempty"`
	Assignee           *Assignee `json:"assignee,omitempty" doc:"who takes care of it; missing when nobody does"`
	ResolvedAt         time.Time `json:"resolved_at,omitzero"`
	ResolvedNext       bool      `json:"resolved_in_next_release" doc:"only events of a release that was first seen after it was resolved open it again"`
	RegressedAt        time.Time `json:"regressed_at,omitzero" doc:"when an event opened it again after it was resolved"`
	RegressedRelease   string    `json:"regressed_release,omitempty"`
	IgnoredUntil       time.Time `json:"ignored_until,omitzero"`
	IgnoredUntilEvents int64     `json:"ignored_until_events,omitempty" doc:"how many more events end ignoring it"`
	Fingerprints       int64     `json:"fingerprints" doc:"how many fingerprints belong to it"`
	Counts             Series    `json:"counts" doc:"events over time, the latest last"`
}

const issueColumns = `i.id, i.project_id, i.title, i.culprit, i.level, i.status, coalesce(i.exception_type, ''),
	coalesce(i.exception_value, ''), coalesce(i.message, ''), coalesce(i.platform, ''), i.event_count, i.user_count,
	i.first_seen, i.last_seen, coalesce(i.first_release, ''), coalesce(i.last_release, ''),
	u.id, coalesce(u.name, ''), coalesce(u.email, ''), i.resolved_at, i.resolved_next, i.regressed_at,
	coalesce(i.regressed_release, ''), i.ignored_until, greatest(coalesce(i.ignored_events - i.event_count, 0), 0),
	(select count(*) from mesher.issue_fingerprints f where f.project_id = i.project_id and f.issue_id = i.id)`

// scanIssue reads issueColumns, and what follows them into more.
func scanIssue(row pgx.CollectableRow, more ...any) (Issue, error) {
	var i Issue
	var a Assignee
	var assignee pgtype.UUID
	err := row.Scan(append([]any{
		&i.ID, &i.ProjectID, &i.Title, &i.Culprit, &i.Level, &i.Status, &i.ExceptionType, &i.ExceptionValue, &i.Message,
		&i.Platform, &i.EventCount, &i.UserCount, (*postgres.Time)(&i.FirstSeen), (*postgres.Time)(&i.LastSeen), &i.FirstRelease,
		&i.LastRelease, &assignee, &a.Name, &a.Email, (*postgres.Time)(&i.ResolvedAt), &i.ResolvedNext, (*postgres.Time)(&i.RegressedAt),
		&i.RegressedRelease, (*postgres.Time)(&i.IgnoredUntil), &i.IgnoredUntilEvents, &i.Fingerprints,
	}, more...)...)
	if assignee.Valid {
		a.ID = assignee.Bytes
		i.Assignee = &a
	}
	return i, err
}

// Detail is everything that is known of one issue.
type Detail struct {
	Issue
	DailyCounts Series `json:"daily_counts" doc:"events over the last 30 days (UTC), the latest last"`
}

// Find returns an issue. One that was merged is answered by the issue that it was merged into; one that does not exist is a
// fault.NotFound.
func Find(ctx context.Context, db DB, project, id uuid.UUID) (Detail, error) {
	root, err := Follow(ctx, db, project, id)
	if err != nil {
		return Detail{}, err
	}
	rows, err := db.Query(ctx, `
		select `+issueColumns+` from mesher.issues i left join mesher.users u on u.id = i.assignee_id
		where i.project_id = $1::uuid and i.id = $2::uuid`, project, root)
	if err != nil {
		return Detail{}, fmt.Errorf("look up an issue: %w", err)
	}
	i, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (Issue, error) { return scanIssue(row) })
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Detail{}, errNoIssue(id)
	case err != nil:
		return Detail{}, fmt.Errorf("look up an issue: %w", err)
	}
	found := []Issue{i}
	if err := addCounts(ctx, db, project, found, lastMonth); err != nil {
		return Detail{}, err
	}
	d := Detail{DailyCounts: found[0].Counts}
	if err := addCounts(ctx, db, project, found, LastDay); err != nil {
		return Detail{}, err
	}
	d.Issue = found[0]
	return d, nil
}

// Follow returns the id of the issue that an issue was merged into, over all steps, or its own; fault.NotFound when there
// is none.
func Follow(ctx context.Context, db DB, project, id uuid.UUID) (uuid.UUID, error) {
	roots, err := follow(ctx, db, project, []uuid.UUID{id})
	if err != nil {
		return uuid.Nil, err
	}
	root, ok := roots[id]
	if !ok {
		return uuid.Nil, errNoIssue(id)
	}
	return root, nil
}

// follow returns where ids lead, without those that lead nowhere. An issue is merged once only, so there is no circle.
func follow(ctx context.Context, db DB, project uuid.UUID, ids []uuid.UUID) (map[uuid.UUID]uuid.UUID, error) {
	rows, err := db.Query(ctx, `
		with recursive step as (
			select i.id as of, i.id, i.merged_into from mesher.issues i
			where i.project_id = $1::uuid and i.id = any ($2::uuid[])
			union all
			select s.of, i.id, i.merged_into from step s
			join mesher.issues i on i.project_id = $1::uuid and i.id = s.merged_into)
		select of, id from step where merged_into is null`, project, texts(ids))
	if err != nil {
		return nil, fmt.Errorf("follow merged issues: %w", err)
	}
	type path struct{ From, To uuid.UUID }
	paths, err := pgx.CollectRows(rows, pgx.RowToStructByPos[path])
	if err != nil {
		return nil, fmt.Errorf("follow merged issues: %w", err)
	}
	roots := make(map[uuid.UUID]uuid.UUID, len(paths))
	for _, p := range paths {
		roots[p.From] = p.To
	}
	return roots, nil
}

func errNoIssue(id uuid.UUID) error {
	return fault.New(fault.NotFound, "there is no issue with the id %s in the project", id)
}

// lockProject waits until nobody else writes the project's events and moves its counts, and keeps it so until the
// transaction ends. It is the lock that Store takes for each batch, so it is to be held briefly.
func lockProject(ctx context.Context, tx postgres.Tx, project uuid.UUID) error {
	key := int64(binary.BigEndian.Uint64(project[8:]))
	_, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1::bigint)", key)
	switch {
	case postgres.SQLState(err) == "55P03": // lock not available
		return fault.Wrap(err, fault.Unavailable, "events of the project are just being stored; try again").After(time.Second)
	case err != nil:
		return fmt.Errorf("lock a project's issues: %w", err)
	}
	return nil
}

// texts returns ids as an argument of the type uuid[], which the driver knows no other form of.
func texts(ids []uuid.UUID) []string {
	out := make([]string, len(ids))
	for n, id := range ids {
		out[n] = id.String()
	}
	return out
}
