package retention

import (
	"context"
	"fmt"

	"github.com/google/uuid"
)

// releasesMost is how many releases of a project are kept: those that were seen last. A client may send any text as one.
const releasesMost = 10_000

// trimReleases deletes the releases of projects beyond those that are kept.
func (f *Function) trimReleases(ctx context.Context) (done, left int64, err error) {
	rows, err := f.pool.Query(ctx, `
		select p.id from mesher.projects p
		where exists (select from mesher.releases r where r.project_id = p.id offset $1::bigint)`, releasesMost)
	if err != nil {
		return 0, 0, fmt.Errorf("look for projects with many releases: %w", err)
	}
	defer rows.Close()
	var many []uuid.UUID
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			return 0, 0, fmt.Errorf("look for projects with many releases: %w", err)
		}
		many = append(many, id)
	}
	if err := rows.Err(); err != nil {
		return 0, 0, fmt.Errorf("look for projects with many releases: %w", err)
	}
	for _, project := range many {
		n, more, err := until(ctx, ruleBatch, func(ctx context.Context, most int64) (int64, error) {
			tag, err := f.pool.Exec(ctx, `
				delete from mesher.releases r using (
					select o.version, o.seen_day from mesher.releases o where o.project_id = $1::uuid
					order by o.seen_day desc, o.first_seen desc, o.version offset $2::bigint limit $3::bigint) o
				where r.project_id = $1::uuid and r.version = o.version and r.seen_day = o.seen_day`, project, releasesMost, most)
			return tag.RowsAffected(), err
		})
		done, left = done+n, left+more
		if err != nil {
			return done, left, fmt.Errorf("remove releases beyond the most: %w", err)
		}
	}
	return done, left, nil
}
