package job

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/postgres"
)

// Outcome is how a run went.
type Outcome string

// The outcomes. A run that died with its instance stays Running.
const (
	Running Outcome = "running"
	Done    Outcome = "done"
	Skipped Outcome = "skipped"
	Failed  Outcome = "failed"
)

// Record is what is kept of one run.
type Record struct {
	ID         uuid.UUID       `json:"id" format:"uuid"`
	StartedAt  time.Time       `json:"started_at"`
	FinishedAt time.Time       `json:"finished_at,omitzero" doc:"missing while the run is under way, and of one that died with its instance"`
	Outcome    Outcome         `json:"outcome" enum:"running,done,skipped,failed"`
	Summary    json.RawMessage `json:"summary" doc:"what the function answered: done, remaining and failed by step, skipped, report, took_ms"`
}

// Recent returns the newest runs of each of the jobs, at most so many of each.
func Recent(ctx context.Context, db postgres.DB, jobs []string, most int) (map[string][]Record, error) {
	rows, err := db.Query(ctx, `
		select j.name, r.id, r.started_at, r.finished_at, r.outcome, r.summary::text
		from unnest($1::text[]) as j (name)
		cross join lateral (
			select * from mesher.job_runs r where r.job = j.name order by r.started_at desc, r.id desc limit $2::bigint) r
		order by j.name, r.started_at desc, r.id desc`, jobs, most)
	if err != nil {
		return nil, fmt.Errorf("list the runs of jobs: %w", err)
	}
	defer rows.Close()
	out := map[string][]Record{}
	for rows.Next() {
		var name, summary string
		var r Record
		if err := rows.Scan(&name, &r.ID, (*postgres.Time)(&r.StartedAt), (*postgres.Time)(&r.FinishedAt), &r.Outcome, &summary); err != nil {
			return nil, fmt.Errorf("list the runs of jobs: %w", err)
		}
		r.Summary = json.RawMessage(summary)
		out[name] = append(out[name], r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list the runs of jobs: %w", err)
	}
	return out, nil
}

// Last is the last run of a job that did something: neither skipped nor dry.
type Last struct {
	StartedAt time.Time
	Outcome   Outcome
	Failed    map[string]string // by step, why it did not finish
}

// LastRuns returns the last run of each of the jobs; those that never ran are missing.
func LastRuns(ctx context.Context, db postgres.DB, jobs []string) (map[string]Last, error) {
	rows, err := db.Query(ctx, `
		select j.name, r.started_at, r.outcome, coalesce(r.summary ->> 'failed', '{}')
		from unnest($1::text[]) as j (name)
		cross join lateral (
			select * from mesher.job_runs r
			where r.job = j.name and r.outcome <> 'skipped' and not r.summary @> '{"dry_run": true}'
			order by r.started_at desc, r.id desc limit 1) r`, jobs)
	if err != nil {
		return nil, fmt.Errorf("find the last runs of jobs: %w", err)
	}
	defer rows.Close()
	out := map[string]Last{}
	for rows.Next() {
		var name, failed string
		var l Last
		if err := rows.Scan(&name, (*postgres.Time)(&l.StartedAt), &l.Outcome, &failed); err != nil {
			return nil, fmt.Errorf("find the last runs of jobs: %w", err)
		}
		if err := json.Unmarshal([]byte(failed), &l.Failed); err != nil {
			return nil, fmt.Errorf("read why a run of %s failed: %w", name, err)
		}
		out[name] = l
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("find the last runs of jobs: %w", err)
	}
	return out, nil
}
