package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/job"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/schedule"
	"github.com/mesherhq/mesher/shared/scheduler"
	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	tagPlatform = "platform"
	pathJobs    = "/platform/jobs"
	// runsMost is how many runs of a job are shown.
	runsMost = 10
)

func (f *Function) platformRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "list-jobs", Method: http.MethodGet, Path: pathJobs, Tag: tagPlatform, Scope: account.ScopeAdmin,
		Role: roleOperator, Summary: "Show the platform's schedule",
		Doc: "Returns what runs on schedule, as this version has it, how it is deployed, its latest 10 runs with what came of them, and " +
			"what is wrong. Where API may not look at Cloud Scheduler, how it is deployed is left out.",
	}, f.listJobs)
	for _, o := range []struct {
		id, verb, action, summary, doc string

		status int
		do     func(*scheduler.Client, context.Context, string) (scheduler.Job, error)
	}{
		{
			"run-job", "run", "job.run", "Run a job now", "Has the job's function called now, also when the job is paused. The answer does not wait for " +
				"the run; the list of jobs shows what comes of it.", http.StatusAccepted, (*scheduler.Client).Run,
		},
		{
			"pause-job", "pause", "job.pause", "Pause a job", "Keeps the job from running until it is resumed. One that is paused stays so.",
			http.StatusOK, (*scheduler.Client).Pause,
		},
		{
			"resume-job", "resume", "job.resume", "Resume a job", "Lets the job run again, from its next time on. One that is not paused stays so.",
			http.StatusOK, (*scheduler.Client).Resume,
		},
	} {
		rest.Handle(f.api, rest.Route{
			ID: o.id, Method: http.MethodPost, Path: pathJobs + "/{job}/" + o.verb, Tag: tagPlatform, Scope: account.ScopeAdmin,
			Role: roleOperator, Status: o.status, Summary: o.summary, Doc: o.doc,
		}, func(ctx context.Context, in *ofJob) (*rest.Body[DeployedJob], error) {
			return f.turnJob(ctx, in.Job, o.action, o.do)
		})
	}
}

// WithSchedule has the function look at, and change, the schedule that is deployed. Nil: it does not know where it is.
func (f *Function) WithSchedule(c *scheduler.Client) *Function {
	f.schedule = c
	return f
}

// PlatformJobs is the platform's schedule.
type PlatformJobs struct {
	Jobs     []PlatformJob `json:"jobs" nullable:"false"`
	Problems []string      `json:"problems" nullable:"false" doc:"what is wrong, in sentences; empty when every job runs as it should"`
}

// PlatformJob is a job of the schedule.
type PlatformJob struct {
	Name     string       `json:"name" example:"retention"`
	Doc      string       `json:"doc" doc:"what it does"`
	Cron     string       `json:"cron" example:"40 * * * *" doc:"minute, hour, day of month, month, day of week, in UTC"`
	Deployed *DeployedJob `json:"deployed,omitempty" doc:"missing when Cloud Scheduler does not have it, or cannot be looked at"`
	Runs     []JobRun     `json:"runs" nullable:"false" doc:"the newest first"`
}

// DeployedJob is a job as Cloud Scheduler has it.
type DeployedJob struct {
	Name          string          `json:"name"`
	State         scheduler.State `json:"state" enum:"enabled,paused,disabled,update_failed"`
	Cron          string          `json:"cron"`
	Zone          string          `json:"time_zone"`
	LastAttemptAt time.Time       `json:"last_attempt_at,omitzero" doc:"when it was last called"`
	LastStatus    string          `json:"last_status,omitempty" doc:"ok, or why the last call failed"`
	NextAttemptAt time.Time       `json:"next_attempt_at,omitzero"`
}

// JobRun is one run of a job.
type JobRun job.Record

func deployedJob(j scheduler.Job) DeployedJob {
	return DeployedJob{
		Name: j.Name, State: j.State, Cron: j.Cron, Zone: j.Zone, LastAttemptAt: j.LastAttempt, LastStatus: j.LastStatus, NextAttemptAt: j.Next,
	}
}

func (f *Function) listJobs(ctx context.Context, _ *nothing) (*rest.Body[PlatformJobs], error) {
	if err := f.operator(ctx); err != nil {
		return nil, err
	}
	out := PlatformJobs{Jobs: []PlatformJob{}, Problems: []string{}}
	var names []string
	for _, j := range schedule.Jobs() {
		names = append(names, j.Name)
	}
	runs, err := job.Recent(ctx, f.pool, names, runsMost)
	if err != nil {
		return nil, err
	}
	last, err := job.LastRuns(ctx, f.pool, names)
	if err != nil {
		return nil, err
	}
	deployed := f.deployed(ctx, &out)
	for _, j := range schedule.Jobs() {
		p := PlatformJob{Name: j.Name, Doc: j.Doc, Cron: j.Cron, Runs: []JobRun{}}
		for _, r := range runs[j.Name] {
			p.Runs = append(p.Runs, JobRun(r))
		}
		for _, d := range deployed {
			if d.Name == j.Name {
				shown := deployedJob(d)
				p.Deployed = &shown
			}
		}
		out.Jobs = append(out.Jobs, p)
	}
	_, problems := scheduler.Check(deployed, last, clock.Of(ctx)())
	out.Problems = append(out.Problems, problems...)
	return &rest.Body[PlatformJobs]{Body: out}, nil
}

// deployed returns the jobs as they are deployed; nil, and why among the problems, where nobody may look.
func (f *Function) deployed(ctx context.Context, out *PlatformJobs) []scheduler.Job {
	if f.schedule == nil {
		return nil
	}
	jobs, err := f.schedule.List(ctx)
	if err == nil {
		return jobs
	}
	f.log.WarnContext(ctx, "the schedule cannot be looked at", "error", err)
	var known *fault.Error
	if errors.As(err, &known) {
		out.Problems = append(out.Problems, known.Detail)
	}
	return nil
}

// ofJob is the parameter of calls about one job.
type ofJob struct {
	Job string `path:"job" pattern:"^[a-z][a-z-]*$" maxLength:"100" example:"retention" doc:"name of the job, as the list has it"`
}

// turnJob does something to a job, and notes it in the audit log: both, or neither. The connection is held meanwhile, for at
// most what one call of Cloud Scheduler may take; operators are few.
func (f *Function) turnJob(ctx context.Context, name, action string,
	do func(*scheduler.Client, context.Context, string) (scheduler.Job, error),
) (*rest.Body[DeployedJob], error) {
	if err := f.operator(ctx); err != nil {
		return nil, err
	}
	if _, ok := schedule.Find(name); !ok {
		return nil, fault.New(fault.NotFound, "there is no such job")
	}
	if f.schedule == nil {
		return nil, fault.New(fault.NotConfigured, "API does not know where the schedule is deployed: its setting SCHEDULER_LOCATION is not set")
	}
	return change(ctx, f, func(tx postgres.Tx) (DeployedJob, error) {
		if err := record(ctx, tx, uuid.Nil, action, tenant.Target{Kind: "job", Name: name}, nil); err != nil {
			return DeployedJob{}, err
		}
		j, err := do(f.schedule, ctx, name)
		return deployedJob(j), err
	})
}
