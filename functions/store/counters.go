package store

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/grouping"
)

// outcome is what became of a batch's rows. Each event is stored once, but duplicates, expired and filtered count
// deliveries: when a message comes again, because its answer was lost or another part of its batch failed, its
// rows are duplicates, or have expired, once more.
type outcome struct {
	stored, duplicates, expired, filtered int
}

func (n *outcome) add(more outcome) {
	n.stored += more.stored
	n.duplicates += more.duplicates
	n.expired += more.expired
	n.filtered += more.filtered
}

// countersSQL returns the statement that counts rows just inserted, which add up to s, as text for a simple-protocol string:
// nothing but UUIDs, integers and hex stands in it, so nothing can be injected. The writer holds the project's
// lock, so no other binds a fingerprint between the look at issue_fingerprints and the insert into it.
func countersSQL(project uuid.UUID, s sums, users []userValue) (string, error) {
	issues, err := hexJSON(s.issues)
	if err != nil {
		return "", err
	}
	return strings.NewReplacer("$project", project.String(), "$issues", issues, "$users", usersSQL(project, users),
		"$grouping", strconv.Itoa(grouping.Version), "$levels", s.levelsSQL(project), "$hours", s.hoursSQL()).Replace(`
with batch as materialized (
	select b.*, f.issue_id as bound
	from json_to_recordset(convert_from(decode('$issues', 'hex'), 'utf8')::json) as b(
		fingerprint uuid, issue_id uuid, events bigint, first_seen timestamptz, last_seen timestamptz,
		active_hour timestamptz, level text, last_release text, title text, culprit text,
		exception_type text, exception_value text, message text, platform text, first_release text)
	left join mesher.issue_fingerprints f on f.project_id = '$project' and f.fingerprint = b.fingerprint),
$users,
opened as (
	insert into mesher.issues
		(project_id, id, title, culprit, level, event_count, first_seen, last_seen, active_hour, user_count,
		exception_type, exception_value, message, platform, first_release, last_release)
	select '$project', b.issue_id, title, culprit, level, events, first_seen, last_seen, active_hour, coalesce(n.users, 0),
		exception_type, exception_value, message, platform, first_release, last_release
	from batch b left join newcomers n on n.issue_id = b.issue_id where bound is null order by b.issue_id),
bindings as (
	insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
	select '$project', fingerprint, issue_id, $grouping from batch where bound is null order by fingerprint),
counted as (
	update mesher.issues i set
		event_count = i.event_count + k.events,
		user_count = i.user_count + k.users,
		first_seen = least(i.first_seen, k.first_seen),
		last_seen = greatest(i.last_seen, k.last_seen),
		active_hour = greatest(i.active_hour, k.active_hour),
		level = case when k.last_seen >= i.last_seen then k.level else i.level end,
		last_release = case when k.last_seen >= i.last_seen then coalesce(k.release, i.last_release) else i.last_release end
	from (
		select b.*, coalesce(n.users, 0) as users from (
			select bound, sum(events) as events, min(first_seen) as first_seen, max(last_seen) as last_seen,
				max(active_hour) as active_hour, (array_agg(level order by last_seen desc))[1] as level,
				(array_agg(last_release order by last_seen desc) filter (where last_release is not null))[1] as release
			from batch where bound is not null group by bound) b
		left join newcomers n on n.issue_id = b.bound) k
	where i.project_id = '$project' and i.id = k.bound),
$levels
insert into mesher.issue_hourly_counts as h (project_id, fingerprint, hour, events)
select '$project', fingerprint, to_timestamp(hour * 3600), events
from $hours
on conflict (project_id, fingerprint, hour) do update set events = h.events + excluded.events`), nil
}

// levelsSQL returns the part of the statement that counts levels.
func (s sums) levelsSQL(project uuid.UUID) string {
	var hours, numbers, events list
	for _, c := range s.levels {
		hours.add(int64(c.hour))
		numbers.add(int64(c.level))
		events.add(int64(c.events))
	}
	return fmt.Sprintf(`graded as (
	insert into mesher.project_hourly_counts as p (project_id, hour, level, events)
	select '%s', to_timestamp(hour * 3600), ('{%s}'::text[])[level], events
	from unnest('{%s}'::bigint[], '{%s}'::int[], '{%s}'::bigint[]) as c (hour, level, events)
	on conflict (project_id, hour, level) do update set events = p.events + excluded.events)`,
		project, levels, hours, numbers, events)
}

// hoursSQL returns the hourly counts as a table, sorted.
func (s sums) hoursSQL() string {
	var (
		fingerprints  = make([]uuid.UUID, len(s.hours))
		hours, events list
	)
	for i, c := range s.hours {
		fingerprints[i] = c.fingerprint
		hours.add(int64(c.hour))
		events.add(int64(c.events))
	}
	return fmt.Sprintf("unnest('{%s}'::uuid[], '{%s}'::bigint[], '{%s}'::bigint[]) as c (fingerprint, hour, events)",
		commas(fingerprints), hours, events)
}

// list is numbers as the inside of an array.
type list []byte

func (l *list) add(n int64) {
	if len(*l) > 0 {
		*l = append(*l, ',')
	}
	*l = strconv.AppendInt(*l, n, 10)
}

func hexJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode counters: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// usageSQL returns the statement that counts what became of a batch's rows in the minute of at. It is the last
// of a transaction, because Ingest counts in the same rows, for many projects at once: it must not wait while
// this transaction waits for an issue that somebody edits.
func usageSQL(project uuid.UUID, n outcome, at time.Time) string {
	return fmt.Sprintf(`insert into mesher.usage as u (project_id, minute, stored, duplicates, expired, filtered)
values ('%s', '%s', %d, %d, %d, %d)
on conflict (project_id, minute) do update set
	stored = u.stored + excluded.stored,
	duplicates = u.duplicates + excluded.duplicates,
	expired = u.expired + excluded.expired,
	filtered = u.filtered + excluded.filtered`, project, at.UTC().Truncate(time.Minute).Format(time.RFC3339), n.stored, n.duplicates, n.expired, n.filtered)
}
