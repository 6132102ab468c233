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

// Release is a version of a project's software that events came from.
type Release struct {
	Version   string    `json:"version"`
	FirstSeen time.Time `json:"first_seen" doc:"when its first event was received; that is the order of releases"`

	mark uuid.UUID
}

// ListReleases returns a project's releases, those first seen last before others. search is a part of the version, in any
// case.
func ListReleases(ctx context.Context, db DB, project uuid.UUID, search string, r page.Request) (page.Of[Release], error) {
	r.Limit = min(max(r.Limit, 1), 100)
	at, after := r.After.Args()
	// Cursors hold an id, so releases of one moment are sorted by one that is made of their version.
	rows, err := db.Query(ctx, `
		select r.version, r.first_seen, md5(r.version)::uuid as mark from mesher.releases r
		where r.project_id = $1::uuid and position(lower($2::text) in lower(r.version)) > 0
		  and ($3::timestamptz is null or r.first_seen <= $3::timestamptz
			and (r.first_seen, md5(r.version)::uuid) < ($3::timestamptz, $4::uuid))
		order by r.first_seen desc, mark desc limit $5::bigint`, project, search, at, after, r.Limit+1)
	if err != nil {
		return page.Of[Release]{}, fmt.Errorf("list releases: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Release, error) {
		var out Release
		err := row.Scan(&out.Version, (*postgres.Time)(&out.FirstSeen), &out.mark)
		return out, err
	})
	if err != nil {
		return page.Of[Release]{}, fmt.Errorf("list releases: %w", err)
	}
	return page.Cut(r, found, func(r Release) page.Mark { return page.Mark{At: r.FirstSeen, ID: r.mark} }), nil
}
