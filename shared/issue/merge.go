package issue

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// mergeMost is how many issues are merged at once.
const mergeMost = 100

// Merged says what was merged into what.
type Merged struct {
	Into   uuid.UUID
	Title  string
	Issues []uuid.UUID // that are no longer issues of their own; none when there was nothing to merge
}

// Merge makes issues one: into, which is among ids, or else the one that was first seen. It gets all fingerprints, so that
// later events follow, and what was counted; users are counted anew. The others stay behind without events, resolved,
// and lead to it. An issue that was merged before stands for the one that it was merged into, so that merging again changes
// nothing. The project's lock is held while users are counted: of the most users that are kept, some tenths of a second for
// each fingerprint.
func Merge(ctx context.Context, tx postgres.Tx, project uuid.UUID, who Actor, ids []uuid.UUID, into uuid.UUID) (Merged, error) {
	if len(ids) > mergeMost {
		return Merged{}, fault.New(fault.Invalid, "%d issues are given; at most %d can be merged at once", len(ids), mergeMost)
	}
	if into != uuid.Nil && !slices.Contains(ids, into) {
		return Merged{}, fault.New(fault.Invalid, "the issue to merge into is not among those to be merged; add %s to ids", into)
	}
	if err := lockProject(ctx, tx, project); err != nil {
		return Merged{}, err
	}
	found, missing, err := lockIssues(ctx, tx, project, ids)
	if err != nil {
		return Merged{}, err
	}
	if len(missing) > 0 {
		return Merged{}, errNoIssue(missing[0])
	}
	target, err := mergeTarget(ctx, tx, project, found, into)
	if err != nil {
		return Merged{}, err
	}
	m := Merged{Into: target.id, Title: target.title}
	var titles []string
	for _, i := range found {
		if i.id != target.id {
			m.Issues, titles = append(m.Issues, i.id), append(titles, i.title)
		}
	}
	if len(m.Issues) == 0 {
		return m, nil
	}
	if err := gather(ctx, tx, project, m); err != nil {
		return Merged{}, fmt.Errorf("merge issues: %w", err)
	}
	return m, act(ctx, tx, project, who, actionMerged, map[string]any{"issues": m.Issues, "titles": titles}, target.id)
}

// mergeTarget returns the issue to merge into. Events of a discarded issue are dropped, so it is not mixed with others.
func mergeTarget(ctx context.Context, tx postgres.Tx, project uuid.UUID, found []lockedIssue, into uuid.UUID) (lockedIssue, error) {
	root := uuid.Nil
	if into != uuid.Nil {
		var err error
		if root, err = Follow(ctx, tx, project, into); err != nil {
			return lockedIssue{}, err
		}
	}
	target := found[0]
	for _, i := range found {
		if i.status == Discarded && len(found) > 1 {
			return lockedIssue{}, fault.New(fault.Conflict, "the issue %s is discarded; give it another status before it is merged", i.id).
				Named("issue_discarded")
		}
		if i.id == root || root == uuid.Nil && i.firstSeen.Before(target.firstSeen) {
			target = i
		}
	}
	return target, nil
}

// gather moves fingerprints and counts to the target. Ignoring for so many more events goes on for as many.
func gather(ctx context.Context, tx postgres.Tx, project uuid.UUID, m Merged) error {
	for _, sql := range []string{
		`update mesher.issue_fingerprints set issue_id = $2::uuid where project_id = $1::uuid and issue_id = any ($3::uuid[])`,
		`with parts as (
			select i.* from mesher.issues i where i.project_id = $1::uuid and (i.id = $2::uuid or i.id = any ($3::uuid[]))),
		whole as (
			select sum(event_count)::bigint as events, min(first_seen) as first_seen, max(last_seen) as last_seen,
				(array_agg(level order by last_seen desc, id))[1] as level,
				(array_agg(first_release order by first_seen, id) filter (where first_release is not null))[1] as first_release,
				(array_agg(last_release order by last_seen desc, id) filter (where last_release is not null))[1] as last_release
			from parts)
		update mesher.issues i set event_count = whole.events, ignored_events = i.ignored_events + whole.events - i.event_count,
			user_count = (` + countUsers + `), first_seen = whole.first_seen, last_seen = whole.last_seen,
			active_hour = date_trunc('hour', whole.last_seen, 'UTC'), level = whole.level, first_release = whole.first_release,
			last_release = whole.last_release, updated_at = clock_timestamp()
		from whole where i.project_id = $1::uuid and i.id = $2::uuid`,
		`update mesher.issues set merged_into = $2::uuid, status = 'resolved', event_count = 0, user_count = 0,
			resolved_at = clock_timestamp(), resolved_next = false, regressed_at = null, regressed_release = null,
			ignored_until = null, ignored_events = null, assignee_id = null, updated_at = clock_timestamp()
		where project_id = $1::uuid and id = any ($3::uuid[])`,
	} {
		if _, err := tx.Exec(ctx, sql, project, m.Into, texts(m.Issues)); err != nil {
			return err
		}
	}
	return nil
}

// countUsers counts the different users of the issue $2 of the project $1.
const countUsers = `select count(distinct a.user_hash) from mesher.issue_fingerprints f
	join mesher.issue_users a on a.project_id = f.project_id and a.fingerprint = f.fingerprint
	where f.project_id = $1::uuid and f.issue_id = $2::uuid`
