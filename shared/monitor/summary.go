package monitor

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Summary is how a service was over a time.
type Summary struct {
	Status      Status    `json:"status" enum:"unknown,healthy,degraded,down" doc:"now"`
	StatusSince time.Time `json:"status_since"`
	Since       time.Time `json:"since" doc:"from then on"`
	Until       time.Time `json:"until" doc:"before"`
	Checks      int64     `json:"checks" doc:"looks in that time"`
	Healthy     int64     `json:"healthy"`
	Degraded    int64     `json:"degraded"`
	Down        int64     `json:"down"`
	Uptime      *float64  `json:"uptime,omitempty" doc:"the share of looks that did not find it down, from 0 to 1; missing: there was none"`
	P50MS       *float64  `json:"latency_p50_ms,omitempty" doc:"of looks that did not find it down"`
	P95MS       *float64  `json:"latency_p95_ms,omitempty"`
}

// summaryMost is the longest time of a summary: for so long health checks are kept.
const summaryMost = 31 * 24 * time.Hour

// Summarize returns how an organization's monitor was over at most 31 days.
func Summarize(ctx context.Context, db DB, organization, id uuid.UUID, since, until time.Time) (Summary, error) {
	if !until.After(since) || until.Sub(since) > summaryMost {
		return Summary{}, fault.New(fault.Invalid, "until: it is not after since, or more than %d days after it", int(summaryMost.Hours()/24))
	}
	m, err := Find(ctx, db, organization, id)
	if err != nil {
		return Summary{}, err
	}
	s := Summary{Status: m.Status, StatusSince: m.StatusSince}
	err = db.QueryRow(ctx, `
		select $2::timestamptz, $3::timestamptz, count(*), count(*) filter (where status = 'healthy'), count(*) filter (where status = 'degraded'),
			count(*) filter (where status = 'down'),
			(count(*) filter (where status <> 'down'))::double precision / nullif(count(*), 0),
			percentile_cont(0.5) within group (order by latency_ms) filter (where status <> 'down'),
			percentile_cont(0.95) within group (order by latency_ms) filter (where status <> 'down')
		from mesher.service_health_checks
		where monitor_id = $1::uuid and created_at >= $2::timestamptz and created_at < $3::timestamptz`, m.ID, since, until).
		Scan((*postgres.Time)(&s.Since), (*postgres.Time)(&s.Until), &s.Checks, &s.Healthy, &s.Degraded, &s.Down, &s.Uptime, &s.P50MS, &s.P95MS)
	if err != nil {
		return Summary{}, fmt.Errorf("summarize health checks: %w", err)
	}
	return s, nil
}
