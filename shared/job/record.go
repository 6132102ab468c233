package job

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// leaseSlack is added to the time that a run may take: it is for the notes around it.
const leaseSlack = 10 * time.Second

// begin takes the job's lease and notes that a run has begun. It reports false when another run has the lease. A dry run
// needs none. The lease is counted by the database's clock: those of instances differ.
func (r Runner) begin(ctx context.Context, id uuid.UUID, run *Run) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, noteMost)
	defer cancel()
	tag, err := r.Pool.Exec(ctx, `
		with leased as (
			insert into mesher.job_leases as l (job, holder, leased_until)
			select $1::text, $2::uuid, clock_timestamp() + $4::bigint * interval '1 microsecond' where not $5::boolean
			on conflict (job) do update set holder = excluded.holder, leased_until = excluded.leased_until
			where l.leased_until < clock_timestamp()
			returning 1)
		insert into mesher.job_runs (id, job, started_at)
		select $2::uuid, $1::text, $3::timestamptz where $5::boolean or exists (select from leased)`,
		r.Name, id, run.At, (r.Most + leaseSlack).Microseconds(), r.Shared || run.DryRun)
	if err != nil {
		return false, fmt.Errorf("begin a run of %s: %w", r.Name, err)
	}
	return tag.RowsAffected() > 0, nil
}

// end gives the lease back and notes how the run went.
func (r Runner) end(ctx context.Context, id uuid.UUID, run *Run) error {
	ctx, cancel := context.WithTimeout(ctx, noteMost)
	defer cancel()
	outcome := "done"
	if len(run.summary.Failed) > 0 {
		outcome = "failed"
	}
	text, err := json.Marshal(run.summary)
	if err != nil {
		return fmt.Errorf("encode the summary of %s: %w", r.Name, err)
	}
	_, err = r.Pool.Exec(ctx, `
		with released as (
			update mesher.job_leases set leased_until = '-infinity' where job = $1::text and holder = $2::uuid)
		update mesher.job_runs set finished_at = $3::timestamptz, outcome = $4::text, summary = $5::text::jsonb where id = $2::uuid`,
		r.Name, id, r.Now(), outcome, string(text))
	if err != nil {
		return fmt.Errorf("note how %s went: %w", r.Name, err)
	}
	return nil
}
