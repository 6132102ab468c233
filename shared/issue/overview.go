package issue

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Period is the time that an overview is of. It ends now; its last step is not over yet.
type Period string

// The periods of an overview.
const (
	OneDay     Period = "24h" // by hour
	SevenDays  Period = "7d"  // by 6 hours
	ThirtyDays Period = "30d" // by day
)

func (p Period) steps() (int, time.Duration) {
	switch p {
	case OneDay:
		return 24, time.Hour
	case SevenDays:
		return 28, 6 * time.Hour
	case ThirtyDays:
		return 30, day
	}
	return 0, 0
}

// Overview is what happened in a project lately.
type Overview struct {
	From        time.Time    `json:"from"`
	StepSeconds int64        `json:"step_seconds"`
	Events      int64        `json:"events"`
	Levels      LevelSeries  `json:"levels" doc:"events over time by level, the latest last"`
	NewIssues   int64        `json:"new_issues" doc:"issues first seen in the period"`
	Regressions int64        `json:"regressions" doc:"issues that were resolved and came back in the period"`
	TopIssues   []TopIssue   `json:"top_issues" nullable:"false" doc:"those with the most events in the period"`
	Tags        TagShares    `json:"tags" doc:"environments and releases of the latest events of the period"`
	Outcomes    Outcomes     `json:"outcomes"`
	Usage       []OutcomesAt `json:"usage" nullable:"false" doc:"outcomes over time, the latest last"`
	Items       []ItemCount  `json:"items" nullable:"false" doc:"what was sent besides events, the most first"`
}

// LevelSeries is how many events there were of each level in each step.
type LevelSeries struct {
	Fatal   []int64 `json:"fatal" nullable:"false"`
	Error   []int64 `json:"error" nullable:"false"`
	Warning []int64 `json:"warning" nullable:"false"`
	Info    []int64 `json:"info" nullable:"false"`
	Debug   []int64 `json:"debug" nullable:"false"`
}

// of returns the series of a level; nil for none of them.
func (l *LevelSeries) of(level string) *[]int64 {
	return map[string]*[]int64{"fatal": &l.Fatal, "error": &l.Error, "warning": &l.Warning, "info": &l.Info, "debug": &l.Debug}[level]
}

// TopIssue is an issue with its events of the period.
type TopIssue struct {
	ID        uuid.UUID `json:"id" format:"uuid"`
	Title     string    `json:"title"`
	Culprit   string    `json:"culprit"`
	Level     string    `json:"level" enum:"fatal,error,warning,info,debug"`
	Status    Status    `json:"status" enum:"unresolved,resolved,ignored,discarded"`
	Events    int64     `json:"events" doc:"in the period"`
	UserCount int64     `json:"user_count" doc:"different users ever affected"`
	LastSeen  time.Time `json:"last_seen"`
}

// ReadOverview returns what happened in a project in a period. No events are read for it but the latest 1,000.
func ReadOverview(ctx context.Context, db DB, project uuid.UUID, p Period, now time.Time) (Overview, error) {
	steps, step := p.steps()
	if steps == 0 {
		return Overview{}, fault.New(fault.Invalid, "an overview is of 24h, 7d or 30d, not of %q", p)
	}
	to := now.UTC().Truncate(step).Add(step)
	in := span{from: to.Add(-time.Duration(steps) * step), to: to}
	out := Overview{From: in.from, StepSeconds: int64(step / time.Second)}
	usage, err := readUsage(ctx, db, project, in, step)
	if err != nil {
		return Overview{}, err
	}
	out.Outcomes, out.Usage, out.Items = usage.Total, usage.Steps, usage.Items
	if err := out.addLevels(ctx, db, project, in, steps); err != nil {
		return Overview{}, err
	}
	if err := out.addIssues(ctx, db, project); err != nil {
		return Overview{}, err
	}
	out.Tags, err = sampled(db, project, in.from, now).tags(ctx, []string{"environment", "release"})
	return out, err
}

func (o *Overview) addLevels(ctx context.Context, db DB, project uuid.UUID, in span, steps int) error {
	for _, level := range []string{"fatal", "error", "warning", "info", "debug"} {
		*o.Levels.of(level) = make([]int64, steps)
	}
	read := each(db.Query(ctx, `
		select floor(extract(epoch from c.hour - $2::timestamptz) / $4::bigint)::bigint, c.level, sum(c.events)::bigint
		from mesher.project_hourly_counts c
		where c.project_id = $1::uuid and c.hour >= $2::timestamptz and c.hour < $3::timestamptz
		group by 1, 2`, project, in.from, in.to, o.StepSeconds))
	var slot, n int64
	var level string
	err := read([]any{&slot, &level, &n}, func() {
		if series := o.Levels.of(level); series != nil {
			(*series)[slot] = n
			o.Events += n
		}
	})
	if err != nil {
		return fmt.Errorf("count events by level: %w", err)
	}
	return nil
}

const (
	// topIssues is how many issues are shown.
	topIssues = 10
	// candidates is how many issues are looked at for it: of those that were active in the period, those that had the most
	// events ever.
	candidates = 200
)

func (o *Overview) addIssues(ctx context.Context, db DB, project uuid.UUID) error {
	err := db.QueryRow(ctx, `
		select (select count(*) from mesher.issues i
				where i.project_id = $1::uuid and i.first_seen >= $2::timestamptz and i.merged_into is null),
			(select count(*) from mesher.issues i
				where i.project_id = $1::uuid and i.status = any (array['unresolved', 'resolved', 'ignored', 'discarded'])
				  and i.active_hour >= date_trunc('hour', $2::timestamptz, 'UTC') and i.regressed_at >= $2::timestamptz
				  and i.merged_into is null)`, project, o.From).Scan(&o.NewIssues, &o.Regressions)
	if err != nil {
		return fmt.Errorf("count issues: %w", err)
	}
	rows, err := db.Query(ctx, topIssuesSQL, project, o.From, candidates, topIssues)
	if err != nil {
		return fmt.Errorf("find the top issues: %w", err)
	}
	top, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (TopIssue, error) {
		var t TopIssue
		err := row.Scan(&t.ID, &t.Title, &t.Culprit, &t.Level, &t.Status, &t.UserCount, (*postgres.Time)(&t.LastSeen), &t.Events)
		return t, err
	})
	if err != nil {
		return fmt.Errorf("find the top issues: %w", err)
	}
	o.TopIssues = append([]TopIssue{}, top...)
	return nil
}

const topIssuesSQL = `
	with active as materialized (
		select i.id, i.title, i.culprit, i.level, i.status, i.user_count, i.last_seen,
			greatest($2::timestamptz, date_trunc('hour', i.first_seen, 'UTC')) as begin
		from mesher.issues i
		where i.project_id = $1::uuid and i.status = any (array['unresolved', 'resolved', 'ignored', 'discarded'])
		  and i.active_hour >= date_trunc('hour', $2::timestamptz, 'UTC') and i.merged_into is null
		order by i.event_count desc limit $3::bigint)
	select a.id, a.title, a.culprit, a.level, a.status, a.user_count, a.last_seen, c.events
	from active a cross join lateral (
		select sum(h.events)::bigint as events
		from mesher.issue_fingerprints f cross join lateral (
			select h.events from mesher.issue_hourly_counts h
			where h.project_id = $1::uuid and h.fingerprint = f.fingerprint and h.hour >= a.begin offset 0) h
		where f.project_id = $1::uuid and f.issue_id = a.id) c
	where c.events > 0
	order by c.events desc, a.id limit $4::bigint`
