package alert

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/postgres"
)

// counted reports whether the rule's own counts may be used, and sees to it that the trial begins with them.
func (t *trial) counted() bool {
	if t.rule.ID == uuid.Nil {
		return false
	}
	if t.rule.CountsFrom.After(t.From) {
		t.From = t.rule.CountsFrom
		t.about("events are counted by this filter since %s; what was before is not known", t.From.Format(time.RFC3339))
	}
	return true
}

// eventCounts looks at the windows of each minute, or by issue, of each hour.
func (t *trial) eventCounts(ctx context.Context) error {
	if t.rule.Condition.Scope == ByIssue {
		return t.hourly(ctx, eventHoursSQL, "the counts of an issue are kept by the hour")
	}
	f := t.rule.Filter
	var minutes sums
	var err error
	switch {
	case len(f.Tags)+len(f.Releases) == 0:
		minutes, err = t.projectMinutes(ctx, t.rule.Condition.WindowMinutes+lagMinutes)
	case t.counted():
		minutes, err = t.ruleMinutes(ctx)
	default:
		t.unknown("events are counted by tag or release only for rules that exist; create the rule, and try it when it has counted for a while")
		return nil
	}
	if err != nil {
		return err
	}
	t.replay(minutes, func(m int) level {
		return level{float64(minutes.latest(m, t.rule.Condition.WindowMinutes)), float64(t.rule.Condition.Threshold), true}
	})
	return nil
}

// replay simulates the minutes of the trial. minutes end with the present one, and may begin before the trial does.
func (t *trial) replay(minutes sums, at func(m int) level) {
	first := len(minutes) - 1 - t.minutes()
	t.rule.simulate(t.minutes(), func(m int) level { return at(first + m) }, func(m int, v float64) {
		t.Firings = append(t.Firings, Firing{At: t.From.Add(time.Duration(m) * time.Minute), Value: tenth(v)})
	})
}

// minutes is how many minutes the trial has, the begun ones at both ends among them.
func (t *trial) minutes() int { return int(minuteOf(t.at).Sub(minuteOf(t.From))/time.Minute) + 1 }

// projectMinutes returns the project's events that meet the filter's levels and environments, beginning so many minutes before
// the trial. Where they were not counted from then on, the trial begins later.
func (t *trial) projectMinutes(ctx context.Context, before int) (sums, error) {
	var first, known time.Time
	err := t.db.QueryRow(ctx, `
		select (select m.minute from mesher.project_minute_counts m where m.project_id = $1::uuid order by m.minute limit 1),
			(select h.hour from mesher.project_hourly_counts h where h.project_id = $1::uuid and h.hour > $2::timestamptz - interval '1 hour' order by h.hour limit 1)`,
		t.rule.ProjectID, t.From).Scan((*postgres.Time)(&first), (*postgres.Time)(&known))
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("look since when events are counted: %w", err)
	}
	switch {
	case first.IsZero() && !known.IsZero():
		t.From = t.at
		t.unknown("no event was counted by the minute yet")
	case first.After(t.From) && known.Before(first.Truncate(time.Hour)) && !known.IsZero():
		t.From = minuteOf(first)
		t.about("events are counted by the minute since %s; what was before is not known", t.From.Format(time.RFC3339))
	}
	from := minuteOf(t.From).Add(-time.Duration(before) * time.Minute)
	return t.series(ctx, from, `
		select m.minute, sum(m.events)::bigint from mesher.project_minute_counts m
		where m.project_id = $1::uuid and m.minute >= $2::timestamptz and m.minute <= $3::timestamptz
			and (cardinality($4::text[]) = 0 or m.level = any ($4::text[])) and (cardinality($5::text[]) = 0 or m.environment = any ($5::text[]))
		group by 1`, t.rule.ProjectID, listed(t.rule.Filter.Levels), listed(t.rule.Filter.Environments))
}

// ruleMinutes returns what was counted for the rule.
func (t *trial) ruleMinutes(ctx context.Context) (sums, error) {
	return t.series(ctx, minuteOf(t.From), `
		select c.minute, sum(c.events)::bigint from mesher.alert_counts c
		where c.rule_id = $1::uuid and c.minute >= $2::timestamptz and c.minute <= $3::timestamptz group by 1`, t.rule.ID)
}

// series reads events by the minute, from a minute to the present one. of is the first argument of the query, more follow the
// two times.
func (t *trial) series(ctx context.Context, from time.Time, query string, of uuid.UUID, more ...any) (sums, error) {
	counts := make([]int64, int(minuteOf(t.at).Sub(from)/time.Minute)+1)
	read := each(t.db.Query(ctx, query, append([]any{of, from, minuteOf(t.at)}, more...)...))
	var at time.Time
	var n int64
	err := read([]any{&at, &n}, func() {
		counts[int(at.Sub(from)/time.Minute)] += n
	})
	if err != nil {
		return nil, fmt.Errorf("read counts: %w", err)
	}
	return newSums(counts), nil
}

// spikes compares the windows of each minute with what was usual then, as far as that is known.
func (t *trial) spikes(ctx context.Context) error {
	const daysMost = 7
	c := t.rule.Condition
	span := max(c.WindowMinutes, 60)
	minutes, err := t.projectMinutes(ctx, int((countsKept-dryRunSpan)/time.Minute))
	if err != nil {
		return err
	}
	known := 0 // the first minute with events: before it, nothing is known
	for known < len(minutes)-1 && minutes[known+1] == 0 {
		known++
	}
	t.about("what is usual is kept for eight days, so the days before are compared with fewer than seven")
	t.replay(minutes, func(m int) level {
		days := min((m-known)/(24*60), daysMost)
		if days < 1 {
			return level{}
		}
		usual := int64(0)
		for d := 1; d <= days; d++ {
			usual += minutes.window(m-d*24*60, span)
		}
		expected := float64(usual) / float64(days) * float64(c.WindowMinutes) / float64(span)
		return level{float64(minutes.latest(m, c.WindowMinutes)), max(float64(c.Minimum), c.Factor*expected), true}
	})
	return nil
}

// rates looks at each release by itself.
func (t *trial) rates(ctx context.Context) error {
	if !t.counted() {
		t.unknown("errors are counted by release only for rules that exist; create the rule, and try it when it has counted for a while")
		return nil
	}
	newestUntil, err := t.newest(ctx)
	if err != nil {
		return err
	}
	type release struct {
		label          string
		events, errors []int64
	}
	var (
		order    []uuid.UUID
		releases = map[uuid.UUID]*release{}
		from, n  = minuteOf(t.From), t.minutes()
		id       uuid.UUID
		at       time.Time
		label    string
		all, bad int64
	)
	read := each(t.db.Query(ctx, `
		select c.subject, c.minute, coalesce(c.label, ''), c.events, c.errors from mesher.alert_counts c
		where c.rule_id = $1::uuid and c.minute >= $2::timestamptz and c.minute <= $3::timestamptz
		order by c.minute, c.subject limit $4::bigint`, t.rule.ID, from, minuteOf(t.at), dryRunRows+1))
	seen := 0
	err = read([]any{&id, &at, &label, &all, &bad}, func() {
		r := releases[id]
		if r == nil {
			r = &release{label, make([]int64, n), make([]int64, n)}
			releases[id], order = r, append(order, id)
		}
		m := int(at.Sub(from) / time.Minute)
		r.events[m], r.errors[m] = all, bad
		seen++
	})
	if err != nil {
		return fmt.Errorf("read counts of releases: %w", err)
	}
	if seen > dryRunRows {
		t.about("only the first %d counts were looked at", dryRunRows)
	}
	for _, id := range order {
		r := releases[id]
		events, errs := newSums(r.events), newSums(r.errors)
		t.rule.simulate(n, func(m int) level {
			if until, ok := newestUntil[id]; t.rule.Condition.Releases == NewestRelease && (!ok || !from.Add(time.Duration(m)*time.Minute).Before(until)) {
				return level{}
			}
			return t.rule.Condition.rate(events, errs, m)
		}, func(m int, v float64) {
			t.Firings = append(t.Firings, Firing{At: t.From.Add(time.Duration(m) * time.Minute), Value: tenth(v), What: r.label})
		})
	}
	return nil
}

// rate returns the share of errors, of the worst of the windows that have enough events.
func (c Condition) rate(events, errs sums, m int) level {
	out := level{needed: c.Percent}
	for lag := range lagMinutes + 1 {
		if n := events.window(m-lag, c.WindowMinutes); n >= c.Minimum {
			out.known = true
			out.value = max(out.value, float64(errs.window(m-lag, c.WindowMinutes))*100/float64(n))
		}
	}
	return out
}

// newest returns until when each release was the newest of the project.
func (t *trial) newest(ctx context.Context) (map[uuid.UUID]time.Time, error) {
	read := each(t.db.Query(ctx, `
		select n.version, n.until from (
			select n.version, lead(n.first_seen, 1, 'infinity') over (order by n.first_seen, n.version) as until
			from (select * from mesher.releases where project_id = $1::uuid order by first_seen desc limit 1000) n) n
		where n.until = 'infinity' or n.until >= $2::timestamptz`, t.rule.ProjectID, t.From))
	out := map[uuid.UUID]time.Time{}
	var version string
	var until any
	err := read([]any{&version, &until}, func() {
		end, ok := until.(time.Time)
		if !ok { // infinity
			end = t.at.Add(time.Hour)
		}
		out[ReleaseSubject(version)] = end
	})
	if err != nil {
		return nil, fmt.Errorf("look for the newest release: %w", err)
	}
	return out, nil
}
