package scheduler

import (
	"context"
	"errors"
	"path"
	"strings"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/mesherhq/mesher/shared/schedule"
)

// listMost bounds how many jobs are looked at: those of others may lie in the same region.
const listMost = 2000

// List returns the deployed jobs, by name: all of the region whose names have the installation's prefix.
func (c *Client) List(ctx context.Context) ([]Job, error) {
	ctx, cancel := context.WithTimeout(ctx, callMost)
	defer cancel()
	out := []Job{}
	it := c.client.ListJobs(ctx, &schedulerpb.ListJobsRequest{Parent: c.parent})
	for range listMost {
		pb, err := it.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			return nil, explain(err, "list the schedule")
		}
		if strings.HasPrefix(path.Base(pb.GetName()), c.prefix) {
			out = append(out, c.read(pb))
		}
	}
	return out, nil
}

// name returns what Cloud Scheduler calls a job.
func (c *Client) name(job string) string { return c.parent + "/jobs/" + c.prefix + job }

// Run has a job called now. It returns once it is on its way; job_runs says what comes of it.
func (c *Client) Run(ctx context.Context, job string) (Job, error) {
	ctx, cancel := context.WithTimeout(ctx, callMost)
	defer cancel()
	pb, err := c.client.RunJob(ctx, &schedulerpb.RunJobRequest{Name: c.name(job)})
	if err != nil {
		return Job{}, explain(err, "run "+job)
	}
	return c.read(pb), nil
}

// Pause keeps a job from being called; one that is paused stays so.
func (c *Client) Pause(ctx context.Context, job string) (Job, error) {
	return c.turn(ctx, "pause "+job, job, schedulerpb.Job_PAUSED, func(ctx context.Context, name string) (*schedulerpb.Job, error) {
		return c.client.PauseJob(ctx, &schedulerpb.PauseJobRequest{Name: name})
	})
}

// Resume lets a job be called again, from its next time on; one that is not paused stays so.
func (c *Client) Resume(ctx context.Context, job string) (Job, error) {
	return c.turn(ctx, "resume "+job, job, schedulerpb.Job_ENABLED, func(ctx context.Context, name string) (*schedulerpb.Job, error) {
		return c.client.ResumeJob(ctx, &schedulerpb.ResumeJobRequest{Name: name})
	})
}

// turn changes a job's state. The service refuses what is so already.
func (c *Client) turn(ctx context.Context, doing, job string, to schedulerpb.Job_State,
	do func(context.Context, string) (*schedulerpb.Job, error),
) (Job, error) {
	ctx, cancel := context.WithTimeout(ctx, callMost)
	defer cancel()
	pb, err := do(ctx, c.name(job))
	if status.Code(err) == codes.FailedPrecondition {
		is, found := c.client.GetJob(ctx, &schedulerpb.GetJobRequest{Name: c.name(job)})
		if found == nil && is.GetState() == to {
			return c.read(is), nil
		}
	}
	if err != nil {
		return Job{}, explain(err, doing)
	}
	return c.read(pb), nil
}

// Target is what a job calls, by POST.
type Target struct {
	URL            string
	ServiceAccount string            // in whose name, by an OIDC token for the URL; empty: in nobody's
	Headers        map[string]string // sent besides
}

// Put creates a job, or makes it what the table says and have it call the target. One that is paused stays paused.
func (c *Client) Put(ctx context.Context, j schedule.Job, t Target) (Job, error) {
	ctx, cancel := context.WithTimeout(ctx, callMost)
	defer cancel()
	want := c.wanted(j)
	http := &schedulerpb.HttpTarget{Uri: t.URL, HttpMethod: schedulerpb.HttpMethod_POST, Headers: t.Headers}
	if t.ServiceAccount != "" {
		http.AuthorizationHeader = &schedulerpb.HttpTarget_OidcToken{OidcToken: &schedulerpb.OidcToken{
			ServiceAccountEmail: t.ServiceAccount, Audience: shown(t.URL),
		}}
	}
	want.Target = &schedulerpb.Job_HttpTarget{HttpTarget: http}
	pb, err := c.client.UpdateJob(ctx, &schedulerpb.UpdateJobRequest{Job: want})
	if status.Code(err) == codes.NotFound {
		pb, err = c.client.CreateJob(ctx, &schedulerpb.CreateJobRequest{Parent: c.parent, Job: want})
	}
	if err != nil {
		return Job{}, explain(err, "put "+j.Name)
	}
	return c.read(pb), nil
}

// wanted returns a job of the table as it should be deployed, without its target.
func (c *Client) wanted(j schedule.Job) *schedulerpb.Job {
	return &schedulerpb.Job{
		Name: c.name(j.Name), Description: j.Doc, Schedule: j.Cron, TimeZone: utc, AttemptDeadline: durationpb.New(j.Deadline),
		RetryConfig: &schedulerpb.RetryConfig{RetryCount: int32(j.Retries)},
	}
}
