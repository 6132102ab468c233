package alert

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/postgres"
)

// activeSQL is the issues of the project $1 that were active since $6 and meet the filter, the latest first, at most $7.
const activeSQL = `
	active as materialized (
		select i.id, i.title from mesher.issues i
		where i.project_id = $1::uuid and i.active_hour >= date_trunc('hour', $6::timestamptz, 'UTC') and i.merged_into is null
			and (cardinality($8::text[]) = 0 or exists (
				select from mesher.issue_fingerprints g join mesher.issue_tags a on a.project_id = g.project_id and a.fingerprint = g.fingerprint
				where g.project_id = i.project_id and g.issue_id = i.id and a.key = 'release' and a.value = any ($8::text[])))
			and ` + passing + `
		order by i.active_hour desc, i.id limit $7::bigint)`

// eventHoursSQL gives the events of each issue by the hour.
const eventHoursSQL = `with ` + activeSQL + `
	select a.id, a.title, h.hour, sum(h.events)::bigint from active a
	join mesher.issue_fingerprints f on f.project_id = $1::uuid and f.issue_id = a.id
	join mesher.issue_hourly_counts h on h.project_id = $1::uuid and h.fingerprint = f.fingerprint and h.hour >= date_trunc('hour', $6::timestamptz, 'UTC')
	group by 1, 2, 3 order by 3, 1 limit $9::bigint`

// userHoursSQL gives the users of each issue by the hour in which they were seen last.
const userHoursSQL = `with ` + activeSQL + `
	select a.id, a.title, u.seen_hour, count(distinct u.user_hash) from active a
	join mesher.issue_fingerprints f on f.project_id = $1::uuid and f.issue_id = a.id
	join mesher.issue_users u on u.project_id = $1::uuid and u.fingerprint = f.fingerprint and u.seen_hour >= date_trunc('hour', $6::timestamptz, 'UTC')
	group by 1, 2, 3 order by 3, 1 limit $9::bigint`

// projectUserHoursSQL gives the same of all issues together.
const projectUserHoursSQL = `with ` + activeSQL + `
	select $1::uuid, '', u.seen_hour, count(distinct u.user_hash) from active a
	join mesher.issue_fingerprints f on f.project_id = $1::uuid and f.issue_id = a.id
	join mesher.issue_users u on u.project_id = $1::uuid and u.fingerprint = f.fingerprint and u.seen_hour >= date_trunc('hour', $6::timestamptz, 'UTC')
	group by 1, 2, 3 order by 3, 1 limit $9::bigint`

// userCounts looks at the users of each hour.
func (t *trial) userCounts(ctx context.Context) error {
	query := projectUserHoursSQL
	if t.rule.Condition.Scope == ByIssue {
		query = userHoursSQL
	}
	return t.hourly(ctx, query, "of each user of an issue, only the hour of the last event is kept; who came again later is missing before")
}

// hourly looks at what a query gives by subject and hour: a window is as many hours as it begins.
func (t *trial) hourly(ctx context.Context, query, why string) error {
	t.about("%s; a window is taken for the whole hours that it lies in", why)
	args := append(t.byTags("those in the window"), t.From, dryRunIssues+1, listed(t.rule.Filter.Releases), dryRunRows)
	if len(t.rule.Filter.Releases) > 0 {
		t.about("releases are those of all events of an issue, not of those in the window")
	}
	read := each(t.db.Query(ctx, query, args...))
	type series struct {
		title  string
		counts []int64
	}
	var (
		order []uuid.UUID
		all   = map[uuid.UUID]*series{}
		first = t.From.Truncate(time.Hour)
		hours = int(t.at.Truncate(time.Hour).Sub(first)/time.Hour) + 1
		seen  = 0
		id    uuid.UUID
		title string
		hour  time.Time
		n     int64
	)
	err := read([]any{&id, &title, &hour, &n}, func() {
		seen++
		s := all[id]
		if s == nil {
			s = &series{title, make([]int64, hours)}
			all[id], order = s, append(order, id)
		}
		if h := int(hour.Sub(first) / time.Hour); h >= 0 && h < hours {
			s.counts[h] += n
		}
	})
	if err != nil {
		return fmt.Errorf("read counts by the hour: %w", err)
	}
	if seen >= dryRunRows || len(order) > dryRunIssues {
		t.about("there is more than was looked at: %d issues and %d hours of them at most", dryRunIssues, dryRunRows)
	}
	width := (t.rule.Condition.WindowMinutes + 59) / 60
	by := t.rule
	by.ForMinutes = (by.ForMinutes + 59) / 60
	for _, id := range order {
		s := all[id]
		sums := newSums(s.counts)
		by.simulate(hours, func(h int) level {
			return level{float64(sums.window(h, width)), float64(by.Condition.Threshold), true}
		}, func(h int, v float64) {
			f := Firing{At: first.Add(time.Duration(h) * time.Hour), Value: v, What: s.title}
			if by.Condition.Scope == ByIssue {
				f.IssueID = id
			}
			t.Firings = append(t.Firings, f)
		})
	}
	return nil
}

// monitors lists when single checks found a monitor to be what the rule is about, and the check before did not.
func (t *trial) monitors(ctx context.Context) error {
	c := t.rule.Condition
	t.about("single checks are looked at; a monitor whose state changes only after several failures changes less often")
	read := each(t.db.Query(ctx, `
		with watched as materialized (
			select m.id, m.name from mesher.monitors m
			where m.organization_id = $1::uuid and ($2::uuid is null or m.project_id = $2::uuid)
				and (cardinality($3::text[]) = 0 or m.id = any ($3::text[]::uuid[]))
			order by m.id limit $4::bigint),
		seen as (
			select w.id, w.name, h.created_at, h.status = any ($5::text[]) as bad,
				lag(h.status = any ($5::text[]), 1, false) over (partition by w.id order by h.created_at, h.id) as was
			from watched w join mesher.service_health_checks h on h.monitor_id = w.id and h.created_at >= $6::timestamptz and h.created_at < $7::timestamptz)
		select count(*) over (), (select count(*) from watched), s.created_at, s.id, s.name from seen s where s.bad and not s.was
		order by s.created_at desc, s.id limit $8::bigint`,
		t.rule.OrganizationID, postgres.OrNull(t.rule.ProjectID), texts(c.Monitors), dryRunMonitors+1, listed(c.Statuses), t.From, t.Until, firingsMost))
	all, watched := 0, 0
	var f Firing
	err := read([]any{&all, &watched, (*postgres.Time)(&f.At), &f.MonitorID, &f.What}, func() {
		t.Firings = append(t.Firings, f)
	})
	if err != nil {
		return fmt.Errorf("look at health checks: %w", err)
	}
	if watched > dryRunMonitors {
		t.about("only about %d monitors were looked at", dryRunMonitors)
	}
	t.Fired = &all
	return nil
}
