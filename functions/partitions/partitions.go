// Package partitions keeps the partitions of events ready for the days to come, and in order: each with its indexes, Row
// Level Security, privileges and the unique key of event ids.
//
// It goes by the catalog alone, so that it takes as long on years of events as on none. Each partition is worked on in a
// short transaction of its own that waits half a second for a lock at most: neither readers nor writers of events wait for
// it. What is locked just then is left for the next run.
package partitions

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/job"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Name is what the job is called.
const Name = "partitions"

// runMost is how long a run may take; the scheduler waits for five minutes.
const runMost = 4 * time.Minute

// Function is the deployed function.
type Function struct {
	log    *slog.Logger
	pool   *postgres.Pool
	days   int
	runner job.Runner
}

// Build makes the function from its settings, as boot calls it.
func Build(ctx context.Context, lookup env.Lookup, log *slog.Logger) (boot.Handler, error) {
	var cfg Config
	if err := env.Read(lookup, &cfg); err != nil {
		return nil, err
	}
	return New(ctx, cfg, log)
}

// New returns the function, which lives in the time of clock.Of(ctx). Nothing is connected yet.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*Function, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.Database.Application = "mesher partitions"
	pool, err := postgres.Open(ctx, cfg.Database)
	if err != nil {
		return nil, err
	}
	return &Function{
		log: log, pool: pool, days: cfg.Days,
		runner: job.Runner{Name: Name, Pool: pool, Log: log, Now: clock.Of(ctx), Most: runMost},
	}, nil
}

// Health reports whether the database answers.
func (f *Function) Health(ctx context.Context) error { return postgres.Health(ctx, f.pool) }

// Close closes the connections.
func (f *Function) Close(context.Context) { f.pool.Close() }

// ServeHTTP does one run. Called by: the scheduler. What a retry may get past is answered 503.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.runner.Handler(f.keep).ServeHTTP(w, r)
}
