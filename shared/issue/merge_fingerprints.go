package issue

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Fingerprint is one of those that belong to an issue, with what is counted for it since the issue was first seen.
type Fingerprint struct {
	Fingerprint     uuid.UUID `json:"fingerprint" format:"uuid"`
	GroupingVersion int       `json:"grouping_version" doc:"the version of the grouping rules that made it"`
	CreatedAt       time.Time `json:"created_at" doc:"when it was first stored"`
	EventCount      int64     `json:"event_count" doc:"by the hours that are kept"`
	FirstHour       time.Time `json:"first_hour,omitzero" doc:"the first hour with events"`
	LastHour        time.Time `json:"last_hour,omitzero" doc:"the last hour with events"`
}

// ListFingerprints returns the fingerprints of an issue, the newest first; of one that was merged, those of the issue it was
// merged into.
func ListFingerprints(ctx context.Context, db DB, project, id uuid.UUID, r page.Request) (page.Of[Fingerprint], error) {
	root, err := Follow(ctx, db, project, id)
	if err != nil {
		return page.Of[Fingerprint]{}, err
	}
	r.Limit = min(max(r.Limit, 1), 1000)
	at, after := r.After.Args()
	rows, err := db.Query(ctx, `
		select f.fingerprint, f.grouping_version, f.created_at, coalesce(h.events, 0), h.first, h.last
		from (
			select f.*, date_trunc('hour', i.first_seen, 'UTC') as begin
			from mesher.issue_fingerprints f
			join mesher.issues i on i.project_id = f.project_id and i.id = f.issue_id
			where f.project_id = $1::uuid and f.issue_id = $2::uuid
			  and ($3::timestamptz is null or (f.created_at, f.fingerprint) < ($3::timestamptz, $4::uuid))
			order by f.created_at desc, f.fingerprint desc limit $5::bigint) f
		cross join lateral (
			select sum(h.events)::bigint as events, min(h.hour) as first, max(h.hour) as last
			from mesher.issue_hourly_counts h
			where h.project_id = f.project_id and h.fingerprint = f.fingerprint and h.hour >= f.begin) h
		order by f.created_at desc, f.fingerprint desc`, project, root, at, after, r.Limit+1)
	if err != nil {
		return page.Of[Fingerprint]{}, fmt.Errorf("list an issue's fingerprints: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Fingerprint, error) {
		var f Fingerprint
		err := row.Scan(&f.Fingerprint, &f.GroupingVersion, (*postgres.Time)(&f.CreatedAt), &f.EventCount, (*postgres.Time)(&f.FirstHour), (*postgres.Time)(&f.LastHour))
		return f, err
	})
	if err != nil {
		return page.Of[Fingerprint]{}, fmt.Errorf("list an issue's fingerprints: %w", err)
	}
	return page.Cut(r, found, func(f Fingerprint) page.Mark { return page.Mark{At: f.CreatedAt, ID: f.Fingerprint} }), nil
}
