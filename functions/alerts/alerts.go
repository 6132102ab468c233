// Package alerts looks at what rules say about windows of time, once a minute, and sees to it that alerts end and that people
// are told.
//
// What it looks at was counted by Store, by the minute, so it never reads an event. Read it along one run: windows (rules are
// evaluated a batch at a time) → ended (alerts whose reason is gone) → outbox (what nobody published) → clean (counts that are
// too old). A run that comes late looks at the windows of now; it makes up for none.
package alerts

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/job"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Config is the settings of Alerts.
type Config struct {
	Database postgres.Config
	Outbox   outbox.Config
}

const (
	// runMost is how long a run may take: the next one is a minute away.
	runMost = 55 * time.Second
	// How long each step may take.
	windowsMost = 30 * time.Second
	endedMost   = 15 * time.Second
	outboxMost  = 10 * time.Second
	cleanMost   = 10 * time.Second
	// sweepAge is how long whoever wrote a notification is given to publish it, and sweepsMost how often a run sweeps.
	sweepAge   = time.Minute
	sweepsMost = 10
)

// Function is the deployed function.
type Function struct {
	log     *slog.Logger
	pool    *postgres.Pool
	outbox  *outbox.Outbox
	handler http.Handler
}

// Build makes the function from its settings, as boot calls it.
func Build(ctx context.Context, lookup env.Lookup, log *slog.Logger) (boot.Handler, error) {
	var cfg Config
	if err := env.Read(lookup, &cfg); err != nil {
		return nil, err
	}
	cfg.Database.Application = "mesher alerts"
	pool, err := postgres.Open(ctx, cfg.Database)
	if err != nil {
		return nil, err
	}
	out, err := outbox.Open(ctx, cfg.Outbox, pool, log)
	if err != nil {
		pool.Close()
		return nil, err
	}
	return New(ctx, pool, out, log), nil
}

// New returns the function, which lives in the time of clock.Of(ctx) and closes pool and out in the end. Nothing is connected
// yet.
func New(ctx context.Context, pool *postgres.Pool, out *outbox.Outbox, log *slog.Logger) *Function {
	f := &Function{log: log, pool: pool, outbox: out}
	f.handler = job.Runner{Name: "alerts", Pool: pool, Log: log, Now: clock.Of(ctx), Most: runMost}.Handler(f.run)
	return f
}

// Health reports whether the database answers.
func (f *Function) Health(ctx context.Context) error { return postgres.Health(ctx, f.pool) }

// Close closes the connections.
func (f *Function) Close(ctx context.Context) {
	if err := f.outbox.Close(); err != nil {
		f.log.WarnContext(ctx, "the connection to the queue did not close", "error", err)
	}
	f.pool.Close()
}

// ServeHTTP runs the job once. Called by: the scheduler.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.handler.ServeHTTP(w, r) }

// Report is what a run found, in its summary.
type Report struct {
	Raised   int `json:"raised"`
	Resolved int `json:"resolved"`
}

func (f *Function) run(ctx context.Context, run *job.Run) error {
	var found Report
	if !run.DryRun {
		run.Step(ctx, "windows", windowsMost, func(ctx context.Context) (int64, int64, error) { return f.windows(ctx, run.At, &found) })
		run.Step(ctx, "ended", endedMost, func(ctx context.Context) (int64, int64, error) { return f.ended(ctx, run.At, &found) })
		run.Step(ctx, "outbox", outboxMost, f.sweep)
		run.Step(ctx, "clean", cleanMost, func(ctx context.Context) (int64, int64, error) { return f.clean(ctx, run.At) })
	}
	run.Report(found)
	return nil
}

// windows evaluates all rules, a batch at a time, and returns how many. What is left are subjects beyond the most that a rule may
// have open alerts for.
func (f *Function) windows(ctx context.Context, at time.Time, found *Report) (rules, left int64, err error) {
	var told []uuid.UUID
	defer func() { f.publish(ctx, told) }()
	for after := uuid.Nil; ; {
		e, err := alert.Evaluate(ctx, f.pool, after, at)
		if err != nil {
			return rules, left, err
		}
		rules, left, told = rules+int64(e.Rules), left+int64(e.Left), append(told, e.Told...)
		found.Raised, found.Resolved = found.Raised+e.Raised, found.Resolved+e.Resolved
		if after = e.Next; after == uuid.Nil {
			return rules, left, nil
		}
	}
}

// ended resolves alerts whose reason is gone, and returns how many.
func (f *Function) ended(ctx context.Context, at time.Time, found *Report) (done, left int64, err error) {
	var told []uuid.UUID
	defer func() { f.publish(ctx, told) }()
	for {
		n, ids, err := alert.ResolveEnded(ctx, f.pool, at)
		if err != nil || n == 0 {
			return done, 0, err
		}
		done, told = done+int64(n), append(told, ids...)
		found.Resolved += n
	}
}

// publish publishes what is committed; what it cannot, a later sweep does.
func (f *Function) publish(ctx context.Context, told []uuid.UUID) {
	if len(told) > 0 {
		f.outbox.Publish(ctx, told...)
	}
}

// sweep publishes what was left behind, and digests that are due, and returns how many notifications.
func (f *Function) sweep(ctx context.Context) (published, left int64, err error) {
	for range sweepsMost {
		n, err := f.outbox.Sweep(ctx, sweepAge)
		if published += int64(n); err != nil || n == 0 {
			return published, 0, err
		}
	}
	return published, 1, nil
}

// clean deletes what is too old, and returns how many rows.
func (f *Function) clean(ctx context.Context, at time.Time) (rows, left int64, err error) {
	for after := uuid.Nil; ; {
		n, next, err := alert.KeepUsers(ctx, f.pool, after, at)
		if rows += n; err != nil {
			return rows, 1, err
		}
		if after = next; after == uuid.Nil {
			break
		}
	}
	n, more, err := alert.Clean(ctx, f.pool, at)
	if more {
		left = 1
	}
	return rows + n, left, err
}
