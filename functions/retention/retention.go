// Package retention removes what is older than it is to be kept, and what was deleted.
//
// A run goes through four things, each bounded in time and rows, so that what is left waits for the next run: whole days of
// events that no project keeps (days.go), earlier days of the projects that keep less (projects.go), projects and
// organizations that were deleted (erase.go, organizations.go), and rows of all other tables by the table of rules (rules.go).
// Issues stay, with their counts.
//
// Whatever it does may be done twice, at once or half: it deletes what is there and past its time.
package retention

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
const Name = "retention"

// How long a run may take, which the scheduler gives up after ten minutes, and its steps. A rule's is short: there are many.
const (
	runMost           = 9 * time.Minute
	daysMost          = 2 * time.Minute
	projectsMost      = 2 * time.Minute
	eraseMost         = 90 * time.Second
	organizationsMost = 20 * time.Second
	ruleMost          = 20 * time.Second
)

// Function is the deployed function.
type Function struct {
	cfg    Config
	log    *slog.Logger
	pool   *postgres.Pool
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
	cfg.Database.Application = "mesher retention"
	pool, err := postgres.Open(ctx, cfg.Database)
	if err != nil {
		return nil, err
	}
	return &Function{
		cfg: cfg, log: log, pool: pool,
		runner: job.Runner{Name: Name, Pool: pool, Log: log, Now: clock.Of(ctx), Most: runMost},
	}, nil
}

// Health reports whether the database answers.
func (f *Function) Health(ctx context.Context) error { return postgres.Health(ctx, f.pool) }

// Close closes the connections.
func (f *Function) Close(context.Context) { f.pool.Close() }

// ServeHTTP does one run. Called by: the scheduler. What a retry may get past is answered 503.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.runner.Handler(f.remove).ServeHTTP(w, r)
}

// Run does one run, as an operator asks for it; in a dry run nothing is changed.
func (f *Function) Run(ctx context.Context, dry bool) (job.Summary, error) {
	return f.runner.Run(ctx, dry, f.remove)
}

// round is what the steps of a run share.
type round struct {
	*job.Run
	report *Report
}

// remove is one run.
func (f *Function) remove(ctx context.Context, run *job.Run) error {
	r := round{run, newReport()}
	run.Report(r.report)
	longest, err := f.longest(ctx)
	if err != nil {
		return err
	}
	run.Step(ctx, "days", daysMost, func(ctx context.Context) (int64, int64, error) {
		return f.dropDays(ctx, r, longest)
	})
	run.Step(ctx, "events", projectsMost, func(ctx context.Context) (int64, int64, error) {
		return f.cleanProjects(ctx, r, longest)
	})
	run.Step(ctx, "projects", eraseMost, func(ctx context.Context) (int64, int64, error) {
		return f.eraseProjects(ctx, r)
	})
	run.Step(ctx, "organizations", organizationsMost, func(ctx context.Context) (int64, int64, error) {
		return f.eraseOrganizations(ctx, r)
	})
	all := rules(f.cfg)
	// Each hour begins with another one, so that none is for ever the one that there is no time left for.
	first := int(run.At.Unix()/int64(time.Hour/time.Second)) % len(all)
	for _, rule := range append(all[first:len(all):len(all)], all[:first]...) {
		run.Step(ctx, rule.Step, ruleMost, func(ctx context.Context) (int64, int64, error) {
			return f.follow(ctx, r, rule)
		})
	}
	return nil
}
