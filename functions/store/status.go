package store

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// sighting is the newest event of a release of a fingerprint whose issue is resolved or ignored.
type sighting struct {
	Fingerprint uuid.UUID `json:"fingerprint"`
	Release     string    `json:"release,omitempty"`
	ReceivedAt  time.Time `json:"received_at"`
	EventID     uuid.UUID `json:"event_id"`
	ActivityID  uuid.UUID `json:"activity_id"` // for the case that it changes the status
}

// sightings returns what may change the status of issues. An issue whose status somebody changes while this
// transaction runs is not among them: its events were received before.
func sightings(rows []row, found look) ([]sighting, error) {
	type name struct {
		fingerprint uuid.UUID
		release     string
	}
	var (
		seen []sighting
		at   map[name]int
	)
	for i := range rows {
		r := &rows[i]
		if !found.of(r.fingerprint).changes {
			continue
		}
		if at == nil {
			at = make(map[name]int)
		}
		n := name{r.fingerprint, r.release}
		j, ok := at[n]
		switch {
		case !ok:
			id, err := uuid.NewV7()
			if err != nil {
				return nil, fmt.Errorf("make an activity's id: %w", err)
			}
			at[n] = len(seen)
			seen = append(seen, sighting{r.fingerprint, r.release, r.receivedAt, r.eventID, id})
		case r.receivedAt.After(seen[j].ReceivedAt):
			seen[j].ReceivedAt, seen[j].EventID = r.receivedAt, r.eventID
		}
	}
	return seen, nil
}

// statusSQL returns the statement that reopens issues at a time. It comes after that of the counters, so that event_count
// holds the batch. Its conditions stand at the updates, too: somebody may have edited an issue meanwhile.
func statusSQL(project uuid.UUID, seen []sighting, at time.Time) (string, error) {
	text, err := hexJSON(seen)
	if err != nil {
		return "", err
	}
	return strings.NewReplacer("$project", project.String(), "$seen", text,
		"$now", "'"+at.UTC().Format(time.RFC3339Nano)+"'::timestamptz").Replace(`
with seen as materialized (
	select f.issue_id, s.release, s.received_at, s.event_id, s.activity_id, r.first_seen
	from json_to_recordset(convert_from(decode('$seen', 'hex'), 'utf8')::json) as s(
		fingerprint uuid, release text, received_at timestamptz, event_id uuid, activity_id uuid)
	join mesher.issue_fingerprints f on f.project_id = '$project' and f.fingerprint = s.fingerprint
	left join mesher.releases r on r.project_id = '$project' and r.version = s.release),
newest as materialized (
	select distinct on (s.issue_id) s.*
	from seen s join mesher.issues i on i.project_id = '$project' and i.id = s.issue_id
	where i.status = 'resolved' and s.received_at > i.resolved_at
		and (not i.resolved_next or s.first_seen > i.resolved_at)
	order by s.issue_id, s.received_at desc, s.activity_id),
regressed as (
	update mesher.issues i set
		status = 'unresolved', regressed_at = s.received_at, regressed_release = s.release, updated_at = $now
	from newest s
	where i.project_id = '$project' and i.id = s.issue_id
		and i.status = 'resolved' and s.received_at > i.resolved_at
		and (not i.resolved_next or s.first_seen > i.resolved_at)
	returning i.id, s.activity_id, 'regressed' as action,
		jsonb_build_object('release', s.release, 'event_id', s.event_id) as details),
unignored as (
	update mesher.issues i set status = 'unresolved', updated_at = $now
	from (
		select issue_id, max(received_at) as last, (array_agg(activity_id))[1] as activity_id
		from seen group by issue_id) s
	where i.project_id = '$project' and i.id = s.issue_id and i.status = 'ignored'
		and (i.ignored_until <= greatest($now, s.last) or i.event_count >= i.ignored_events)
	returning i.id, s.activity_id, 'unignored' as action, jsonb_build_object('reason',
		case when i.ignored_until <= greatest($now, s.last) then 'time' else 'events' end) as details)
insert into mesher.issue_activity (id, project_id, issue_id, created_at, action, details)
select c.activity_id, '$project', c.id, $now, c.action, c.details
from (select * from regressed union all select * from unignored) c`), nil
}
