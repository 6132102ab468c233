// Package scheduler is the platform's look at its own schedule: what Cloud Scheduler has deployed, how that differs from the
// table of jobs, and whether the jobs really run.
package scheduler

import (
	"context"
	"errors"
	"net/url"
	"path"
	"strings"
	"time"

	scheduler "cloud.google.com/go/scheduler/apiv1"
	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/loopback"
)

// callMost bounds one call of Cloud Scheduler.
const callMost = 5 * time.Second

// Config says where the jobs are deployed.
type Config struct {
	Project  string `env:"GOOGLE_CLOUD_PROJECT" doc:"Google Cloud project of the topics and of the schedule"`
	Location string `env:"SCHEDULER_LOCATION" envDefault:"" doc:"region of the Cloud Scheduler jobs, such as europe-west1; empty: the platform does not look at them"`
	Prefix   string `env:"SCHEDULER_PREFIX" envDefault:"" doc:"what the names of the Cloud Scheduler jobs begin with, before probe and the others, when jobs of others lie in the same region"`
	// EmulatorHost wins over Google's own.
	EmulatorHost string `env:"SCHEDULER_EMULATOR_HOST" envDefault:"" doc:"host:port of a local Cloud Scheduler, spoken to in plain text and without Google's credentials"`
	// EmulatorToken is sent to EmulatorHost and nowhere else. It must not be logged.
	EmulatorToken string `env:"SCHEDULER_EMULATOR_TOKEN" envDefault:"" doc:"token of a local Cloud Scheduler that asks for one"`
}

// Known reports whether it is known where the jobs are.
func (c Config) Known() bool { return c.Location != "" }

// Client looks at the jobs of one installation. It is safe for concurrent use.
type Client struct {
	client         *scheduler.CloudSchedulerClient
	parent, prefix string
}

// Open returns a client. It does not connect: the first call does. ctx ends with the call. It fails with
// fault.NotConfigured where the place of the jobs is not set or no credentials are found.
func Open(ctx context.Context, c Config) (*Client, error) {
	if !c.Known() {
		return nil, fault.New(fault.NotConfigured, "setting SCHEDULER_LOCATION is not set: the region of the Cloud Scheduler jobs, such as europe-west1")
	}
	opts := []option.ClientOption{option.WithGRPCConnectionPool(1)}
	if c.EmulatorHost != "" {
		conn, err := grpc.NewClient(c.EmulatorHost, loopback.Dial(c.EmulatorToken)...)
		if err != nil {
			return nil, fault.Wrap(err, fault.NotConfigured, "SCHEDULER_EMULATOR_HOST is not a host and port")
		}
		opts = []option.ClientOption{option.WithGRPCConn(conn)}
	}
	// Credentials are refreshed with this context for as long as the client lives.
	client, err := scheduler.NewCloudSchedulerClient(context.WithoutCancel(ctx), opts...)
	if err != nil {
		return nil, fault.Wrap(err, fault.NotConfigured, "the Cloud Scheduler client cannot be set up; are there credentials of Google?")
	}
	return &Client{client: client, parent: "projects/" + c.Project + "/locations/" + c.Location, prefix: c.Prefix}, nil
}

// Close ends the connection. A nil client is one that is not configured.
func (c *Client) Close() error {
	if c == nil {
		return nil
	}
	return c.client.Close()
}

// State is what Cloud Scheduler does with a job.
type State string

// The states.
const (
	Enabled      State = "enabled"
	Paused       State = "paused"
	Disabled     State = "disabled"      // by Google, after an error
	UpdateFailed State = "update_failed" // it may not run until an update succeeds
)

// Job is a job as it is deployed.
type Job struct {
	Name        string        `json:"name"` // as the table of jobs calls it, without the installation's prefix
	State       State         `json:"state"`
	Cron        string        `json:"cron"`
	Zone        string        `json:"time_zone"`
	Deadline    time.Duration `json:"-"`
	Target      string        `json:"target"`                // URL, without its query
	LastAttempt time.Time     `json:"last_attempt,omitzero"` // when the last attempt began; zero before the first
	LastStatus  string        `json:"last_status,omitempty"` // "ok" or why it failed; empty before the first
	Next        time.Time     `json:"next_attempt,omitzero"` // the next time of the schedule, or of a retry
	Changed     time.Time     `json:"last_changed,omitzero"` // when somebody made or changed the job
}

// StatusOK is the LastStatus of an attempt that was answered 2xx.
const StatusOK = "ok"

func (c *Client) read(pb *schedulerpb.Job) Job {
	j := Job{
		Name: strings.TrimPrefix(path.Base(pb.GetName()), c.prefix), State: State(strings.ToLower(pb.GetState().String())),
		Cron: pb.GetSchedule(), Zone: pb.GetTimeZone(), Deadline: pb.GetAttemptDeadline().AsDuration(),
		Target: shown(pb.GetHttpTarget().GetUri()),
	}
	if t := pb.GetLastAttemptTime(); t != nil {
		j.LastAttempt = t.AsTime()
	}
	if t := pb.GetScheduleTime(); t != nil {
		j.Next = t.AsTime()
	}
	if t := pb.GetUserUpdateTime(); t != nil {
		j.Changed = t.AsTime()
	}
	switch s := pb.GetStatus(); {
	case s == nil:
	case s.GetCode() == int32(codes.OK):
		j.LastStatus = StatusOK
	default:
		j.LastStatus = strings.TrimSuffix(codes.Code(s.GetCode()).String()+": "+s.GetMessage(), ": ")
	}
	return j
}

// shown returns a URL without what may be secret in it.
func shown(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// explain gives an error of Cloud Scheduler its meaning.
func explain(err error, doing string) error {
	code := status.Code(err)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) { // while the client waits to try again
		code = codes.DeadlineExceeded
	}
	switch code {
	case codes.OK:
		return nil
	case codes.NotFound:
		return fault.Wrap(err, fault.NotFound, "%s: Cloud Scheduler has no such job", doing)
	case codes.AlreadyExists, codes.FailedPrecondition, codes.Aborted:
		return fault.Wrap(err, fault.Conflict, "%s: its state does not allow it: %s", doing, status.Convert(err).Message())
	case codes.InvalidArgument:
		return fault.Wrap(err, fault.Invalid, "%s: %s", doing, status.Convert(err).Message())
	case codes.PermissionDenied, codes.Unauthenticated:
		return fault.Wrap(err, fault.NotConfigured, "%s: Cloud Scheduler does not allow it; looking needs the role roles/cloudscheduler.viewer, "+
			"running roles/cloudscheduler.jobRunner, anything else roles/cloudscheduler.admin", doing)
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted:
		return fault.Wrap(err, fault.Unavailable, "%s: Cloud Scheduler does not answer", doing)
	}
	return fault.Wrap(err, fault.Internal, "%s: Cloud Scheduler failed", doing)
}
