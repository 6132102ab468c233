package scheduler

import (
	"context"
	"fmt"
	"strings"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/mesherhq/mesher/shared/schedule"
)

// utc is the time zone of every job.
const utc = "Etc/UTC"

// Action is what Sync does about a job, or would.
type Action string

// The actions.
const (
	Same    Action = "same"
	Create  Action = "create"
	Update  Action = "update"
	Missing Action = "missing" // it is not deployed, and nothing is known that it could call
	Extra   Action = "extra"   // the table does not have it; it is left alone
)

// Change is what Sync found out about one job.
type Change struct {
	Job     string   `json:"job"`
	Action  Action   `json:"action"`
	Differs []string `json:"differs,omitempty"` // what an update changes, from what to what
	Done    bool     `json:"done"`
}

// Sync brings the deployed jobs in line with the table: schedule, time zone and deadline of those that exist are changed
// and what they call is kept; those that are missing are created where target knows what they are to call. Jobs that the
// table does not have are reported only, since they may be somebody else's. With dry nothing is changed. What was done
// before an error is returned with it.
func (c *Client) Sync(ctx context.Context, table []schedule.Job, target func(schedule.Job) (Target, bool), dry bool) ([]Change, error) {
	deployed, err := c.List(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string]Job{}
	for _, j := range deployed {
		found[j.Name] = j
	}
	var out []Change
	for _, want := range table {
		change := Change{Job: want.Name}
		have, there := found[want.Name]
		delete(found, want.Name)
		if there {
			err = c.syncUpdate(ctx, want, have, &change, dry)
		} else {
			err = c.syncCreate(ctx, want, target, &change, dry)
		}
		out = append(out, change)
		if err != nil {
			return out, err
		}
	}
	for _, j := range deployed {
		if _, extra := found[j.Name]; extra {
			out = append(out, Change{Job: j.Name, Action: Extra})
		}
	}
	return out, nil
}

func (c *Client) syncCreate(ctx context.Context, want schedule.Job, target func(schedule.Job) (Target, bool), change *Change, dry bool) error {
	t, known := target(want)
	change.Action = Create
	if !known {
		change.Action = Missing
		return nil
	}
	if dry {
		return nil
	}
	_, err := c.Put(ctx, want, t)
	change.Done = err == nil
	return err
}

func (c *Client) syncUpdate(ctx context.Context, want schedule.Job, have Job, change *Change, dry bool) error {
	change.Action, change.Differs = Update, differs(want, have)
	if change.Differs == nil {
		change.Action = Same
		return nil
	}
	if dry {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callMost)
	defer cancel()
	_, err := c.client.UpdateJob(ctx, &schedulerpb.UpdateJobRequest{
		Job: c.wanted(want), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"schedule", "time_zone", "attempt_deadline"}},
	})
	change.Done = err == nil
	return explain(err, "update "+want.Name)
}

// differs says in what a deployed job is not as the table has it.
func differs(want schedule.Job, have Job) []string {
	var out []string
	if strings.Join(strings.Fields(have.Cron), " ") != want.Cron {
		out = append(out, fmt.Sprintf("schedule %q, not %q", have.Cron, want.Cron))
	}
	if !isUTC(have.Zone) {
		out = append(out, fmt.Sprintf("time zone %s, not UTC", have.Zone))
	}
	if have.Deadline != want.Deadline {
		out = append(out, fmt.Sprintf("deadline %s, not %s", have.Deadline, want.Deadline))
	}
	return out
}

func isUTC(zone string) bool {
	switch strings.ToLower(zone) {
	case "", "utc", "etc/utc", "gmt", "etc/gmt":
		return true
	}
	return false
}
