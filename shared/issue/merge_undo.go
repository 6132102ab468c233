package issue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/grouping"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Unmerged says which issue was opened, and from which its fingerprints came.
type Unmerged struct {
	ID, From uuid.UUID
	Title    string // of the new issue
}

// Unmerge opens an issue with some of an issue's fingerprints, not all of them. It counts the events that are counted by
// the hour for those, which the other issue loses; of both, users are counted anew, and first and last seen follow from the
// events that are kept, or else from those hours. Title and the like are those of the newest event of the fingerprints.
//
// What was merged and is unmerged again is a new issue with an id of its own. A fingerprint that the issue does not have is a
// fault.NotFound.
func Unmerge(ctx context.Context, tx postgres.Tx, project uuid.UUID, who Actor, id uuid.UUID, fingerprints []uuid.UUID) (Unmerged, error) {
	if len(fingerprints) == 0 {
		return Unmerged{}, fault.New(fault.Invalid, "no fingerprint is given; list those that become an issue of their own")
	}
	if err := lockProject(ctx, tx, project); err != nil {
		return Unmerged{}, err
	}
	found, missing, err := lockIssues(ctx, tx, project, []uuid.UUID{id})
	if err != nil {
		return Unmerged{}, err
	}
	if len(missing) > 0 {
		return Unmerged{}, errNoIssue(id)
	}
	from := found[0]
	if err := checkFingerprints(ctx, tx, project, from.id, fingerprints); err != nil {
		return Unmerged{}, err
	}
	u := Unmerged{From: from.id}
	if u.ID, err = uuid.NewV7(); err != nil {
		return Unmerged{}, fmt.Errorf("make an issue id: %w", err)
	}
	if u.Title, err = separate(ctx, tx, project, u, from, fingerprints); err != nil {
		return Unmerged{}, fmt.Errorf("unmerge an issue: %w", err)
	}
	if err := act(ctx, tx, project, who, actionUnmerged, map[string]any{"issue": u.ID, "fingerprints": len(fingerprints)}, from.id); err != nil {
		return Unmerged{}, err
	}
	return u, act(ctx, tx, project, who, actionUnmerged, map[string]any{"from": from.id}, u.ID)
}

func checkFingerprints(ctx context.Context, tx postgres.Tx, project, id uuid.UUID, fingerprints []uuid.UUID) error {
	var foreign *uuid.UUID
	var others bool
	if err := tx.QueryRow(ctx, `
		select (select g.id from unnest($3::uuid[]) with ordinality g (id, place)
				where not exists (select from mesher.issue_fingerprints f
					where f.project_id = $1::uuid and f.fingerprint = g.id and f.issue_id = $2::uuid)
				order by g.place limit 1),
			exists (select from mesher.issue_fingerprints f
				where f.project_id = $1::uuid and f.issue_id = $2::uuid and f.fingerprint <> all ($3::uuid[]))`,
		project, id, texts(fingerprints)).Scan(&foreign, &others); err != nil {
		return fmt.Errorf("look up fingerprints: %w", err)
	}
	if foreign != nil {
		return fault.New(fault.NotFound, "the issue has no fingerprint %s", *foreign)
	}
	if !others {
		return fault.New(fault.Conflict, "these are all fingerprints of the issue; leave at least one out").Named("all_fingerprints")
	}
	return nil
}

// separate opens the issue u.ID and shares out fingerprints and counts. It returns the new issue's title.
func separate(ctx context.Context, tx postgres.Tx, project uuid.UUID, u Unmerged, from lockedIssue, fingerprints []uuid.UUID) (string, error) {
	title, err := openIssue(ctx, tx, project, u, fingerprints)
	if err != nil {
		return "", err
	}
	if _, err := tx.Exec(ctx, `
		update mesher.issue_fingerprints set issue_id = $2::uuid where project_id = $1::uuid and fingerprint = any ($3::uuid[])`,
		project, u.ID, texts(fingerprints)); err != nil {
		return "", err
	}
	if _, err := tx.Exec(ctx, `
		with moved as (
			select least(i.event_count, (
				select coalesce(sum(h.events), 0)::bigint from mesher.issue_hourly_counts h
				where h.project_id = $1::uuid and h.fingerprint = any ($4::uuid[])
				  and h.hour >= date_trunc('hour', i.first_seen, 'UTC'))) as events
			from mesher.issues i where i.project_id = $1::uuid and i.id = $2::uuid),
		lost as (
			update mesher.issues i set event_count = i.event_count - moved.events, ignored_events = i.ignored_events - moved.events
			from moved where i.project_id = $1::uuid and i.id = $2::uuid)
		update mesher.issues i set event_count = moved.events from moved where i.project_id = $1::uuid and i.id = $3::uuid`,
		project, u.From, u.ID, texts(fingerprints)); err != nil {
		return "", err
	}
	for _, id := range []uuid.UUID{u.From, u.ID} {
		if err := recount(ctx, tx, project, id, from.firstSeen); err != nil {
			return "", err
		}
	}
	return title, nil
}

// openIssue stores the issue, described by the newest event of its fingerprints, or like the other when none is left.
func openIssue(ctx context.Context, tx postgres.Tx, project uuid.UUID, u Unmerged, fingerprints []uuid.UUID) (string, error) {
	title, err := newestTitle(ctx, tx, project, fingerprints)
	if err != nil {
		return "", err
	}
	err = tx.QueryRow(ctx, `
		with newest as (`+newestEvent+`)
		insert into mesher.issues as i (project_id, id, title, culprit, level, status, event_count, user_count, first_seen,
			last_seen, active_hour, exception_type, exception_value, message, platform)
		select i.project_id, $3::uuid, coalesce($5::text, i.title), case when e.level is null then i.culprit else coalesce(e.culprit, '') end,
			coalesce(e.level, i.level), 'unresolved', 0, 0, i.first_seen, i.last_seen, i.active_hour,
			case when e.level is null then i.exception_type else e.exception_type end,
			case when e.level is null then i.exception_value else e.exception_value end,
			coalesce(e.message, i.message), case when e.level is null then i.platform else e.platform end
		from mesher.issues i left join newest e on true
		where i.project_id = $1::uuid and i.id = $4::uuid
		returning i.title`, project, texts(fingerprints), u.ID, u.From, title).Scan(&title)
	if err != nil || title == nil {
		return "", err
	}
	return *title, nil
}

// newestEvent is the newest event of the fingerprints $2 of the project $1.
const newestEvent = `
	select e.* from unnest($2::uuid[]) g (id) cross join lateral (
		select e.received_at, e.level, e.message, e.exception_type, e.exception_value, e.culprit, e.platform
		from mesher.events e where e.project_id = $1::uuid and e.fingerprint = g.id
		order by e.received_at desc limit 1) e
	order by e.received_at desc limit 1`

// newestTitle returns the title of the newest event, as grouping gives it; nil: no event is left.
func newestTitle(ctx context.Context, tx postgres.Tx, project uuid.UUID, fingerprints []uuid.UUID) (*string, error) {
	var e event.Event
	err := tx.QueryRow(ctx, `
		select coalesce(message, ''), coalesce(exception_type, ''), coalesce(exception_value, '') from (`+newestEvent+`) e`,
		project, texts(fingerprints)).Scan(&e.Message, &e.ExceptionType, &e.ExceptionValue)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil //nolint:nilnil // there is none, and that is no error
	case err != nil:
		return nil, err
	}
	grouping.Group(project, &e)
	return &e.Title, nil
}

// recount sets what follows from the events and hours of an issue's fingerprints: when it was seen, its releases, level and
// users. What was counted before begin, rounded to its hour, is not the issue's: the fingerprint was another's then.
func recount(ctx context.Context, tx postgres.Tx, project, id uuid.UUID, begin time.Time) error {
	_, err := tx.Exec(ctx, `
		with own as (
			select f.fingerprint from mesher.issue_fingerprints f where f.project_id = $1::uuid and f.issue_id = $2::uuid),
		hours as (
			select min(h.hour) as first, max(h.hour) as last from own
			join mesher.issue_hourly_counts h on h.project_id = $1::uuid and h.fingerprint = own.fingerprint
			where h.hour >= $3::timestamptz),
		oldest as (
			select e.* from own cross join lateral (
				select e.received_at, e.release from mesher.events e
				where e.project_id = $1::uuid and e.fingerprint = own.fingerprint and e.received_at >= $3::timestamptz
				order by e.received_at limit 1) e
			order by e.received_at limit 1),
		newest as (
			select e.* from own cross join lateral (
				select e.received_at, e.release, e.level from mesher.events e
				where e.project_id = $1::uuid and e.fingerprint = own.fingerprint and e.received_at >= $3::timestamptz
				order by e.received_at desc limit 1) e
			order by e.received_at desc limit 1),
		seen as (
			select hours.first as hour, o.received_at as first, coalesce(n.received_at, hours.last) as last,
				o.release as first_release, n.release as last_release, n.level
			from hours left join oldest o on true left join newest n on true)
		update mesher.issues i set user_count = (`+countUsers+`),
			-- Where the first events are erased, only their hour is known.
			first_seen = coalesce(case when seen.first < seen.hour + interval '1 hour' or seen.hour is null then seen.first end,
				greatest(seen.hour, $4::timestamptz)),
			last_seen = coalesce(seen.last, i.last_seen),
			active_hour = date_trunc('hour', coalesce(seen.last, i.last_seen), 'UTC'),
			level = coalesce(seen.level, i.level),
			first_release = coalesce(seen.first_release, i.first_release), last_release = coalesce(seen.last_release, i.last_release),
			updated_at = clock_timestamp()
		from seen where i.project_id = $1::uuid and i.id = $2::uuid`, project, id, begin.Truncate(time.Hour), begin)
	return err
}
