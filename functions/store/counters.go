package store

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/grouping"
)

// issueCount is what a batch adds to one fingerprint.
type issueCount struct {
	Fingerprint uuid.UUID   `json:"fingerprint"`
	IssueID     uuid.UUID   `json:"issue_id"` // for the case that the fingerprint is new
	Events      int         `json:"events"`
	First       time.Time   `json:"first_seen"`
	Last        time.Time   `json:"last_seen"`
	ActiveHour  time.Time   `json:"active_hour"`
	Level       event.Level `json:"level"`
	Title       string      `json:"title"`
	Culprit     string      `json:"culprit"`
}

// hourCount is what a batch adds to one fingerprint in one hour.
type hourCount struct {
	Fingerprint uuid.UUID `json:"fingerprint"`
	Hour        time.Time `json:"hour"`
	Events      int       `json:"events"`
}

// tally sums rows by fingerprint and by hour, sorted, so that every writer touches rows in one order.
func tally(rows []row) ([]issueCount, []hourCount, error) {
	type slot struct {
		fingerprint uuid.UUID
		hour        int64
	}
	var (
		issues  []issueCount
		hours   []hourCount
		issueAt = make(map[uuid.UUID]int)
		hourAt  = make(map[slot]int)
	)
	for i := range rows {
		r := &rows[i]
		n, ok := issueAt[r.fingerprint]
		if !ok {
			n = len(issues)
			issueAt[r.fingerprint] = n
			id, err := uuid.NewV7()
			if err != nil {
				return nil, nil, fmt.Errorf("make an issue id: %w", err)
			}
			issues = append(issues, issueCount{
				Fingerprint: r.fingerprint, IssueID: id, First: r.receivedAt, Last: r.receivedAt,
				Level: r.level, Title: r.title, Culprit: r.culprit,
			})
		}
		c := &issues[n]
		c.Events++
		if r.receivedAt.Before(c.First) {
			c.First = r.receivedAt
		}
		if !r.receivedAt.Before(c.Last) {
			c.Last, c.Level = r.receivedAt, r.level
		}
		hour := r.receivedAt.Truncate(time.Hour)
		at := slot{r.fingerprint, hour.Unix()}
		n, ok = hourAt[at]
		if !ok {
			n = len(hours)
			hourAt[at] = n
			hours = append(hours, hourCount{Fingerprint: r.fingerprint, Hour: hour})
		}
		hours[n].Events++
	}
	for i := range issues {
		issues[i].ActiveHour = issues[i].Last.Truncate(time.Hour)
	}
	slices.SortFunc(issues, func(a, b issueCount) int { return bytes.Compare(a.Fingerprint[:], b.Fingerprint[:]) })
	slices.SortFunc(hours, func(a, b hourCount) int {
		return cmp.Or(bytes.Compare(a.Fingerprint[:], b.Fingerprint[:]), a.Hour.Compare(b.Hour))
	})
	return issues, hours, nil
}

// outcome is what became of a batch's rows. Each event is stored once, but duplicates and expired count
// deliveries: when a message comes again, because its answer was lost or another part of its batch failed, its
// rows are duplicates, or have expired, once more.
type outcome struct {
	stored, duplicates, expired int
}

func (n *outcome) add(more outcome) {
	n.stored += more.stored
	n.duplicates += more.duplicates
	n.expired += more.expired
}

// countersSQL returns the statement that counts rows just inserted, as text for a simple-protocol string:
// nothing but UUIDs, integers and hex stands in it, so nothing can be injected. The writer holds the project's
// lock, so no other binds a fingerprint between the look at issue_fingerprints and the insert into it.
func countersSQL(project uuid.UUID, rows []row) (string, error) {
	issues, hours, err := tally(rows)
	if err != nil {
		return "", err
	}
	issuesHex, err := hexJSON(issues)
	if err != nil {
		return "", err
	}
	hoursHex, err := hexJSON(hours)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`
with batch as materialized (
	select b.*, f.issue_id as bound
	from json_to_recordset(convert_from(decode('%[2]s', 'hex'), 'utf8')::json) as b(
		fingerprint uuid, issue_id uuid, events bigint, first_seen timestamptz, last_seen timestamptz,
		active_hour timestamptz, level text, title text, culprit text)
	left join mesher.issue_fingerprints f on f.project_id = '%[1]s' and f.fingerprint = b.fingerprint),
opened as (
	insert into mesher.issues
		(project_id, id, title, culprit, level, event_count, first_seen, last_seen, active_hour)
	select '%[1]s', issue_id, title, culprit, level, events, first_seen, last_seen, active_hour
	from batch where bound is null order by issue_id),
bindings as (
	insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
	select '%[1]s', fingerprint, issue_id, %[4]d from batch where bound is null order by fingerprint),
counted as (
	update mesher.issues i set
		event_count = i.event_count + k.events,
		first_seen = least(i.first_seen, k.first_seen),
		last_seen = greatest(i.last_seen, k.last_seen),
		active_hour = greatest(i.active_hour, k.active_hour),
		level = case when k.last_seen >= i.last_seen then k.level else i.level end
	from (
		select bound, sum(events) as events, min(first_seen) as first_seen, max(last_seen) as last_seen,
			max(active_hour) as active_hour, (array_agg(level order by last_seen desc))[1] as level
		from batch where bound is not null group by bound) k
	where i.project_id = '%[1]s' and i.id = k.bound)
insert into mesher.issue_hourly_counts as h (project_id, fingerprint, hour, events)
select '%[1]s', fingerprint, hour, events
from json_to_recordset(convert_from(decode('%[3]s', 'hex'), 'utf8')::json) as c(
	fingerprint uuid, hour timestamptz, events bigint)
order by fingerprint, hour
on conflict (project_id, fingerprint, hour) do update set events = h.events + excluded.events`,
		project, issuesHex, hoursHex, grouping.Version), nil
}

func hexJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode counters: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// usageSQL returns the statement that counts what became of a batch's rows in the current minute. It is the last
// of a transaction, because Ingest counts in the same rows, for many projects at once: it must not wait while
// this transaction waits for an issue that somebody edits.
func usageSQL(project uuid.UUID, n outcome) string {
	return fmt.Sprintf(`insert into mesher.usage as u (project_id, minute, stored, duplicates, expired)
values ('%s', date_trunc('minute', now()), %d, %d, %d)
on conflict (project_id, minute) do update set
	stored = u.stored + excluded.stored,
	duplicates = u.duplicates + excluded.duplicates,
	expired = u.expired + excluded.expired`, project, n.stored, n.duplicates, n.expired)
}
