package issue

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// Series is how many events there were in each of the steps that follow From.
type Series struct {
	From        time.Time `json:"from"`
	StepSeconds int64     `json:"step_seconds"`
	Events      []int64   `json:"events" nullable:"false"`
}

// Window is a span of time that ends now. Its steps begin at full hours or days (UTC); the last one is not over yet.
type Window string

// The windows. Lists show the first two.
const (
	LastDay       Window = "24h" // by hour
	LastFortnight Window = "14d" // by day
	lastMonth     Window = "30d" // by day
)

// steps returns how many steps a window has, and how long each is.
func (w Window) steps() (int, time.Duration) {
	switch w {
	case LastFortnight:
		return 14, 24 * time.Hour
	case lastMonth:
		return 30, 24 * time.Hour
	}
	return 24, time.Hour
}

// addCounts sets Counts of issues of one project. Counts belong to fingerprints and outlive an issue that is deleted, so
// those from before the issue began are left out.
func addCounts(ctx context.Context, db DB, project uuid.UUID, issues []Issue, w Window) error {
	ids := make([]uuid.UUID, len(issues))
	at := make(map[uuid.UUID]int, len(issues))
	for n, i := range issues {
		ids[n], at[i.ID] = i.ID, n
	}
	steps, step := w.steps()
	rows, err := db.Query(ctx, `
		with w as (
			select to_timestamp((floor(extract(epoch from now()) / $3::bigint) - $4::bigint + 1) * $3::bigint) as start)
		select w.start, c.issue_id, coalesce(c.slot, 0), coalesce(c.events, 0)
		from w left join lateral (
			select f.issue_id, floor(extract(epoch from h.hour - w.start) / $3::bigint)::bigint as slot, sum(h.events)::bigint as events
			from (
				select f.issue_id, f.fingerprint, date_trunc('hour', i.first_seen, 'UTC') as begin
				from mesher.issue_fingerprints f
				join mesher.issues i on i.project_id = f.project_id and i.id = f.issue_id
				where f.project_id = $1::uuid and f.issue_id = any ($2::uuid[])) f
			cross join lateral (
				select h.hour, h.events from mesher.issue_hourly_counts h
				where h.project_id = $1::uuid and h.fingerprint = f.fingerprint and h.hour >= greatest(w.start, f.begin)) h
			group by 1, 2) c on true`, project, texts(ids), int64(step/time.Second), steps)
	if err != nil {
		return fmt.Errorf("count events by time: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[slot])
	if err != nil {
		return fmt.Errorf("count events by time: %w", err)
	}
	for n := range issues {
		issues[n].Counts = Series{From: found[0].Start.UTC(), StepSeconds: int64(step / time.Second), Events: make([]int64, steps)}
	}
	for _, c := range found {
		// An event may have come since this was begun, or be of a clock that is ahead.
		if n, ok := at[c.Issue.Bytes]; ok && c.Issue.Valid && c.Step >= 0 && c.Step < int64(steps) {
			issues[n].Counts.Events[c.Step] += c.Events
		}
	}
	return nil
}

// slot is the events of an issue in one step.
type slot struct {
	Start  time.Time // of the first step
	Issue  pgtype.UUID
	Step   int64
	Events int64
}
