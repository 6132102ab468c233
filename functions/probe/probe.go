// Package probe looks at the services that are watched, each minute at those that are due, and judges what jobs said of
// themselves.
//
// Read it along one run: run → adopt (monitors that check-ins of SDKs describe) → digest (heartbeats) → tell (alerts that a
// mute held back) → look (claim what is due, look at it, write what was found). What a monitor was found to be, its health
// check and the alerts that follow are one transaction. Any number of runs may overlap: each claims what it looks at.
package probe

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/job"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/scheduler"
	"github.com/mesherhq/mesher/shared/secret"
)

// Looker makes one look at a service, for no longer than the monitor's timeout. What goes wrong is what it found.
type Looker interface {
	Look(ctx context.Context, m monitor.Monitor, s monitor.Secrets) monitor.Look
}

// Function is the deployed function.
type Function struct {
	pool        *postgres.Pool
	outbox      *outbox.Outbox
	log         *slog.Logger
	now         clock.Clock
	looker      Looker
	schedule    *scheduler.Client // nil: it is not known where the schedule is
	keeper      monitor.Keeper
	concurrency int
	handler     http.Handler
}

// Build makes the function from its settings, as boot calls it.
func Build(ctx context.Context, lookup env.Lookup, log *slog.Logger) (boot.Handler, error) {
	var cfg Config
	if err := env.Read(lookup, &cfg); err != nil {
		return nil, err
	}
	looker, err := newLooker(cfg, log)
	if err != nil {
		return nil, err
	}
	return New(ctx, cfg, looker, log)
}

// New returns the function. Nothing is connected yet.
func New(ctx context.Context, cfg Config, looker Looker, log *slog.Logger) (*Function, error) {
	if cfg.Concurrency < 1 || cfg.Concurrency > 2000 {
		return nil, fault.New(fault.NotConfigured, "setting PROBE_CONCURRENCY is %d; it must be from 1 to 2000", cfg.Concurrency)
	}
	sealer, err := secret.NewSealer(cfg.Seal)
	if err != nil {
		return nil, err
	}
	cfg.Database.Application = "mesher probe"
	pool, err := postgres.Open(ctx, cfg.Database)
	if err != nil {
		return nil, err
	}
	box, err := outbox.Open(ctx, cfg.Outbox, pool, log)
	if err != nil {
		pool.Close()
		return nil, err
	}
	var jobs *scheduler.Client
	if cfg.Schedule.Known() {
		if jobs, err = scheduler.Open(ctx, cfg.Schedule); err != nil {
			pool.Close()
			return nil, errors.Join(err, box.Close())
		}
	}
	f := &Function{
		pool: pool, outbox: box, log: log, now: clock.Of(ctx), looker: looker, schedule: jobs, keeper: monitor.Keeper{Sealer: sealer},
		concurrency: cfg.Concurrency,
	}
	f.handler = job.Runner{Name: "probe", Pool: pool, Log: log, Now: f.now, Most: runMost, Shared: true}.Handler(f.run)
	return f, nil
}

// Health reports whether the database answers.
func (f *Function) Health(ctx context.Context) error { return postgres.Health(ctx, f.pool) }

// Close closes the connections.
func (f *Function) Close(ctx context.Context) {
	if err := f.outbox.Close(); err != nil {
		f.log.WarnContext(ctx, "the connection to the queue did not close", "error", err)
	}
	if f.schedule != nil {
		if err := f.schedule.Close(); err != nil {
			f.log.WarnContext(ctx, "the connection to the schedule did not close", "error", err)
		}
	}
	f.pool.Close()
}

// ServeHTTP runs the job once. Called by: the scheduler, each minute.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.handler.ServeHTTP(w, r) }

// run is one run. A dry run only counts what is due.
func (f *Function) run(ctx context.Context, run *job.Run) error {
	if run.DryRun {
		run.Step(ctx, "look", runMost, func(ctx context.Context) (int64, int64, error) {
			n, err := monitor.Waiting(ctx, f.pool, run.At)
			return 0, n, err
		})
		return nil
	}
	run.Step(ctx, "adopt", adoptMost, func(ctx context.Context) (int64, int64, error) { return f.adopt(ctx, run) })
	run.Step(ctx, "heartbeats", digestMost, func(ctx context.Context) (int64, int64, error) {
		d, err := monitor.Digest(ctx, f.pool, run.At, heartbeatsMost)
		f.outbox.Publish(ctx, d.Told...)
		return d.Monitors, d.Remaining, err
	})
	run.Step(ctx, "unmuted", tellMost, func(ctx context.Context) (int64, int64, error) {
		n, told, err := monitor.TellMuted(ctx, f.pool, run.At)
		f.outbox.Publish(ctx, told...)
		return n, 0, err
	})
	run.Step(ctx, "look", runMost, func(ctx context.Context) (int64, int64, error) { return f.look(ctx, run) })
	return nil
}

// adopt makes the monitors that check-ins of SDKs describe.
func (f *Function) adopt(ctx context.Context, run *job.Run) (done, left int64, err error) {
	a, err := f.keeper.Adopt(ctx, f.pool, run.At)
	if a.Ignored > 0 {
		reasons := slices.Sorted(maps.Keys(a.Refused))
		f.log.WarnContext(ctx, "check-ins are ignored: there is no monitor for them", "check_ins", a.Ignored,
			"reasons", reasons[:min(len(reasons), 5)])
	}
	return a.Created, 0, err
}

// publish hands notifications over that are committed.
func (f *Function) publish(ctx context.Context, ids []uuid.UUID) {
	if len(ids) > 0 {
		f.outbox.Publish(ctx, ids...)
	}
}
