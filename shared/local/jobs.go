package local

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	laptop "github.com/mesherhq/mesher/shared/local/scheduler"
	"github.com/mesherhq/mesher/shared/schedule"
	"github.com/mesherhq/mesher/shared/scheduler"
)

// location is the region of the jobs that there is none of.
const location = "local"

// startScheduler starts the platform's own Cloud Scheduler. What it called in an earlier run waits for connectSchedule.
func (p *Platform) startScheduler(ctx context.Context) error {
	p.opts.Progress("starting Cloud Scheduler")
	var err error
	p.scheduler, err = laptop.Open(ctx, laptop.Options{
		Path: filepath.Join(p.opts.Home, "scheduler", "jobs.db"), Logger: p.opts.Log.With("part", "scheduler"),
		Token: p.clockToken, Now: p.opts.Now,
	})
	if err != nil {
		return fmt.Errorf("start Cloud Scheduler: %w", err)
	}
	return nil
}

// connectSchedule has every scheduled function called by the job of the table that names it. A job that somebody paused
// stays paused.
func (p *Platform) connectSchedule(ctx context.Context) error {
	client, err := scheduler.Open(ctx, scheduler.Config{
		Project: project, Location: location, EmulatorHost: p.scheduler.Addr(), EmulatorToken: p.clockToken,
	})
	if err != nil {
		return fmt.Errorf("connect the schedule: %w", err)
	}
	defer client.Close()
	for _, f := range p.opts.Functions {
		if !f.Job {
			continue
		}
		job, ok := byFunction(f.Name)
		if !ok {
			return fmt.Errorf("connect the schedule: it has no job that calls the function %s", f.Name)
		}
		if _, err := client.Put(ctx, job, scheduler.Target{
			URL: p.Info.URL + jobPath(f.Name), Headers: map[string]string{"Authorization": "Bearer " + p.jobToken},
		}); err != nil {
			return fmt.Errorf("connect the schedule: %w", err)
		}
	}
	return nil
}

func byFunction(name string) (schedule.Job, bool) {
	for _, j := range schedule.Jobs() {
		if j.Function == name {
			return j, true
		}
	}
	return schedule.Job{}, false
}

// Advance lets the time of Options.Now pass until to: every scheduled call that falls due on the way is made in its own
// time, in order and one after the other. move sets the clock that Options.Now reads.
func (p *Platform) Advance(ctx context.Context, to time.Time, move func(time.Time)) error {
	return p.scheduler.Advance(ctx, to, move)
}
