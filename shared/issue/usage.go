package issue

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
)

// Step is the time that one entry of a series stands for. Entries begin at full steps (UTC).
type Step string

// The steps.
const (
	ByMinute Step = "minute"
	ByHour   Step = "hour"
	ByDay    Step = "day"
)

// length returns how long a step is, the usual number of steps, and the most.
func (s Step) length() (step time.Duration, usual, most int) {
	switch s {
	case ByMinute:
		return time.Minute, 60, 24 * 60
	case ByHour:
		return time.Hour, 24, 31 * 24
	case ByDay:
		return day, 30, 92
	}
	return 0, 0, 0
}

// Outcomes are what became of events. Ingest counts each event once, under one of accepted, rejected, dropped, rate_limited,
// over_quota and filtered; Store counts deliveries of those that are accepted.
type Outcomes struct {
	Accepted     int64 `json:"accepted" doc:"taken; the client was told so"`
	Stored       int64 `json:"stored"`
	Duplicates   int64 `json:"duplicates" doc:"came again, and were not stored again"`
	Rejected     int64 `json:"rejected" doc:"invalid; the client was told why"`
	Dropped      int64 `json:"dropped" doc:"valid, but there was no room; the client was told to try again"`
	RateLimited  int64 `json:"rate_limited" doc:"more in a minute than the project or key may send"`
	OverQuota    int64 `json:"over_quota" doc:"more in a month than the budget allows"`
	Filtered     int64 `json:"filtered" doc:"sampled out, or of a discarded issue"`
	Expired      int64 `json:"expired" doc:"came too late to be stored"`
	DeadLettered int64 `json:"dead_lettered" doc:"could not be stored, and were set aside"`
}

func (o *Outcomes) fields() []any {
	return []any{
		&o.Accepted, &o.Stored, &o.Duplicates, &o.Rejected, &o.Dropped, &o.RateLimited, &o.OverQuota, &o.Filtered, &o.Expired, &o.DeadLettered,
	}
}

func (o *Outcomes) add(n Outcomes) {
	to, from := o.fields(), n.fields()
	for i := range to {
		*to[i].(*int64) += *from[i].(*int64)
	}
}

const outcomeSums = `sum(u.accepted)::bigint, sum(u.stored)::bigint, sum(u.duplicates)::bigint, sum(u.rejected)::bigint,
	sum(u.dropped)::bigint, sum(u.rate_limited)::bigint, sum(u.over_quota)::bigint, sum(u.filtered)::bigint, sum(u.expired)::bigint,
	sum(u.dead_lettered)::bigint`

// OutcomesAt are the outcomes of one step.
type OutcomesAt struct {
	At time.Time `json:"at" doc:"when the step begins"`
	Outcomes
}

// ItemCount is how much of a type of data was sent besides events. Nothing of it is stored.
type ItemCount struct {
	Type  string `json:"type"`
	Items int64  `json:"items"`
}

// Usage is what became of what a project sent, over time.
type Usage struct {
	From        time.Time    `json:"from"`
	Until       time.Time    `json:"until"`
	StepSeconds int64        `json:"step_seconds"`
	Total       Outcomes     `json:"total"`
	Steps       []OutcomesAt `json:"steps" nullable:"false" doc:"the oldest first, also those without events"`
	Items       []ItemCount  `json:"items" nullable:"false" doc:"what was sent besides events, by the hour, the most first"`
}

// UsageSpan is which time usage is asked for.
type UsageSpan struct {
	Since, Until time.Time // Until is now when it is zero; Since is the usual number of steps before
	Step         Step
}

// ReadUsage returns what became of a project's events. A span of too many steps is a fault.Invalid.
func ReadUsage(ctx context.Context, db DB, project uuid.UUID, s UsageSpan, now time.Time) (Usage, error) {
	step, usual, most := s.Step.length()
	if step == 0 {
		return Usage{}, fault.New(fault.Invalid, "usage is kept by minute, hour or day, not by %q", s.Step)
	}
	if s.Until.IsZero() {
		s.Until = now
	}
	in := span{to: s.Until.UTC().Add(step - 1).Truncate(step)}
	if in.from = s.Since.UTC().Truncate(step); s.Since.IsZero() {
		in.from = in.to.Add(-time.Duration(usual) * step)
	}
	switch n := in.to.Sub(in.from) / step; {
	case in.to.Year() > yearMost:
		return Usage{}, fault.New(fault.Invalid, "until has to lie in the year %d at the latest", yearMost)
	case n < 1:
		return Usage{}, fault.New(fault.Invalid, "since has to be before until")
	case int64(n) > int64(most):
		return Usage{}, fault.New(fault.Invalid, "the time from since to until is over %d steps of a %s; ask for less, or for longer steps", most, s.Step)
	}
	return readUsage(ctx, db, project, in, step)
}

func readUsage(ctx context.Context, db DB, project uuid.UUID, in span, step time.Duration) (Usage, error) {
	out := Usage{From: in.from, Until: in.to, StepSeconds: int64(step / time.Second), Items: []ItemCount{}}
	for at := in.from; at.Before(in.to); at = at.Add(step) {
		out.Steps = append(out.Steps, OutcomesAt{At: at})
	}
	read := each(db.Query(ctx, `
		select floor(extract(epoch from u.minute - $2::timestamptz) / $4::bigint)::bigint, `+outcomeSums+`
		from mesher.usage u where u.project_id = $1::uuid and u.minute >= $2::timestamptz and u.minute < $3::timestamptz
		group by 1`, project, in.from, in.to, out.StepSeconds))
	var slot int64
	var n Outcomes
	err := read(append([]any{&slot}, n.fields()...), func() {
		out.Steps[slot].Outcomes = n
		out.Total.add(n)
	})
	if err != nil {
		return Usage{}, fmt.Errorf("read usage: %w", err)
	}
	rows, err := db.Query(ctx, `
		select i.type, sum(i.items)::bigint from mesher.usage_items i
		where i.project_id = $1::uuid and i.hour >= date_trunc('hour', $2::timestamptz, 'UTC') and i.hour < $3::timestamptz
		group by 1 order by 2 desc, 1 limit 100`, project, in.from, in.to)
	if err != nil {
		return Usage{}, fmt.Errorf("read usage of other items: %w", err)
	}
	items, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ItemCount])
	if err != nil {
		return Usage{}, fmt.Errorf("read usage of other items: %w", err)
	}
	out.Items = append(out.Items, items...)
	return out, nil
}

// MonthUsage is how much of its budgets an organization has used.
type MonthUsage struct {
	OrganizationID uuid.UUID      `json:"organization_id" format:"uuid"`
	Month          string         `json:"month" format:"date" doc:"the first day of the month (UTC)"`
	Accepted       int64          `json:"accepted" doc:"events since then, of all projects"`
	Budget         int64          `json:"monthly_budget,omitempty" doc:"missing: there is none"`
	Projects       []ProjectUsage `json:"projects" nullable:"false" doc:"those with the most events first; at most 1,000"`
}

// ProjectUsage is how much of its budget a project has used.
type ProjectUsage struct {
	ProjectID uuid.UUID `json:"project_id" format:"uuid"`
	Name      string    `json:"name"`
	Accepted  int64     `json:"accepted"`
	Budget    int64     `json:"monthly_budget,omitempty" doc:"missing: there is none"`
}

// ReadMonth returns what the projects of an organization have sent in the month of now.
func ReadMonth(ctx context.Context, db DB, organization uuid.UUID, now time.Time) (MonthUsage, error) {
	month := now.UTC().Format("2006-01") + "-01"
	out := MonthUsage{OrganizationID: organization, Month: month, Projects: []ProjectUsage{}}
	read := each(db.Query(ctx, `
		select p.id, p.name, coalesce(u.accepted, 0), coalesce(p.monthly_budget, 0), coalesce(o.monthly_budget, 0),
			sum(coalesce(u.accepted, 0)) over ()::bigint
		from mesher.projects p
		join mesher.organizations o on o.id = p.organization_id
		left join mesher.usage_months u on u.project_id = p.id and u.month = $2::text::date
		where p.organization_id = $1::uuid and (p.status <> 'deleting' or u.accepted > 0)
		order by 3 desc, p.name, p.id limit 1000`, organization, month))
	var p ProjectUsage
	err := read([]any{&p.ProjectID, &p.Name, &p.Accepted, &p.Budget, &out.Budget, &out.Accepted}, func() {
		out.Projects = append(out.Projects, p)
	})
	if err != nil {
		return MonthUsage{}, fmt.Errorf("read an organization's usage: %w", err)
	}
	return out, nil
}

// each returns what reads the rows of a query one after another: it puts each into to and then calls do.
func each(rows pgx.Rows, err error) func(to []any, do func()) error {
	return func(to []any, do func()) error {
		if err != nil {
			return err
		}
		_, err := pgx.ForEachRow(rows, to, func() error {
			do()
			return nil
		})
		return err
	}
}
