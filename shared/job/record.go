package job

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/postgres"
)

const (
	// noteMost bounds the notes before and after a run, each with its tries.
	noteMost = 5 * time.Second
	// notePause is how long a note waits that the database could not take.
	notePause = 200 * time.Millisecond
	// leaseSlack is added to the time that a run may take: it is for the notes around it.
	leaseSlack = 2 * noteMost
	// reportMost is how large an encoded summary may be: it is kept and listed.
	reportMost = 32 << 10
)

// begin takes the job's lease and notes that a run has begun. It reports false, and notes that a run was skipped, when
// another one has the lease. A dry run needs none. The lease is counted by the database's clock: those of instances differ.
func (r Runner) begin(ctx context.Context, id uuid.UUID, run *Run) (taken bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, noteMost)
	defer cancel()
	running, skipped := run.summary, run.summary
	skipped.Skipped = underWay
	texts, err := encoded(running, skipped)
	if err != nil {
		return false, err
	}
	err = r.Pool.QueryRow(ctx, `
		with leased as (
			insert into mesher.job_leases as l (job, holder, leased_until)
			select $1::text, $2::uuid, clock_timestamp() + $4::bigint * interval '1 microsecond' where not $5::boolean
			on conflict (job) do update set holder = excluded.holder, leased_until = excluded.leased_until
			where l.leased_until < clock_timestamp()
			returning 1)
		insert into mesher.job_runs (id, job, started_at, finished_at, outcome, summary)
		select $2::uuid, $1::text, $3::timestamptz, case when not ok then $3::timestamptz end,
			case when ok then 'running' else 'skipped' end, case when ok then $6::text else $7::text end::jsonb
		from (select $5::boolean or exists (select from leased)) as t (ok)
		returning outcome = 'running'`,
		r.Name, id, run.At, (r.Most + leaseSlack).Microseconds(), r.Shared || run.DryRun, texts[0], texts[1]).Scan(&taken)
	if err != nil {
		return false, fmt.Errorf("begin a run of %s: %w", r.Name, err)
	}
	return taken, nil
}

func encoded(summaries ...Summary) ([]string, error) {
	out := make([]string, len(summaries))
	for i, s := range summaries {
		b, err := json.Marshal(s)
		if err != nil {
			return nil, fmt.Errorf("encode the summary of %s: %w", s.Job, err)
		}
		// The one character that JSON has and jsonb does not.
		out[i] = string(bytes.ReplaceAll(b, []byte(`\u0000`), []byte(`\ufffd`)))
	}
	return out, nil
}

// end gives the lease back and notes how the run went. It tries again while the database is away: a run that is not noted
// looks as if it had died, and keeps the next ones from running until its lease ends.
func (r Runner) end(ctx context.Context, id uuid.UUID, run *Run) error {
	ctx, cancel := context.WithTimeout(ctx, noteMost)
	defer cancel()
	text, err := run.encode()
	if err != nil {
		return err
	}
	outcome := Done
	if len(run.summary.Failed) > 0 {
		outcome = Failed
	}
	for {
		_, err = r.Pool.Exec(ctx, `
			with released as (
				update mesher.job_leases set leased_until = '-infinity' where job = $1::text and holder = $2::uuid)
			update mesher.job_runs set finished_at = $3::timestamptz, outcome = $4::text, summary = $5::text::jsonb where id = $2::uuid`,
			r.Name, id, r.Now(), string(outcome), text)
		if err == nil {
			return nil
		}
		if !postgres.Transient(err) || !pause(ctx) {
			return fmt.Errorf("note how %s went: %w", r.Name, err)
		}
	}
}

// encode returns the summary as it is kept. A report that does not fit into it is left out, rather than the rest lost.
func (r *Run) encode() (string, error) {
	texts, err := encoded(r.summary)
	if err == nil && len(texts[0]) <= reportMost {
		return texts[0], nil
	}
	r.summary.Report = nil
	r.summary.Failed["report"] = fmt.Sprintf("it does not encode as JSON of at most %d KiB, and is left out", reportMost>>10)
	if texts, err = encoded(r.summary); err != nil {
		return "", err
	}
	return texts[0], nil
}

// pause waits a little; false: ctx is over.
func pause(ctx context.Context) bool {
	select {
	case <-time.After(notePause):
		return true
	case <-ctx.Done():
		return false
	}
}
