package scheduler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/job"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/schedule"
)

// lateAfter is how many of its periods a job may be silent.
const lateAfter = 2

// Check reports whether the table's jobs run, and what is wrong in sentences for people, by two sources: the jobs as they
// are deployed, and the runs that the functions recorded. Deployed is nil where nobody may look at them; the records then
// have to do, and a job without any counts as wrong.
//
// A job is wrong that is missing, paused or disabled, differs from the table, failed the last time, or is late: it has not
// run for twice its period, nor was made or changed within that time.
func Check(deployed []Job, runs map[string]job.Last, now time.Time) (ok bool, problems []string) {
	found := map[string]Job{}
	for _, j := range deployed {
		found[j.Name] = j
	}
	for _, want := range schedule.Jobs() {
		have, there := found[want.Name]
		if deployed != nil {
			problems = append(problems, checkDeployed(want, have, there, now)...)
		}
		// One that is missing or does not run has no records either, which says nothing new.
		if deployed == nil || there && have.State == Enabled {
			last, ran := runs[want.Name]
			problems = append(problems, checkRuns(want, last, ran, have.Changed, now)...)
		}
	}
	return len(problems) == 0, problems
}

func checkDeployed(want schedule.Job, have Job, there bool, now time.Time) []string {
	if !there {
		return []string{want.Name + " is missing in Cloud Scheduler"}
	}
	var out []string
	if have.State != Enabled {
		out = append(out, fmt.Sprintf("%s is %s", want.Name, strings.ReplaceAll(string(have.State), "_", " ")))
	}
	for _, d := range differs(want, have) {
		out = append(out, want.Name+" has the "+d)
	}
	if have.LastStatus != "" && have.LastStatus != StatusOK {
		out = append(out, fmt.Sprintf("the last attempt of %s failed (%s)", want.Name, have.LastStatus))
	}
	if have.State == Enabled {
		out = append(out, late(want, byCalls(), have.LastAttempt, have.Changed, now)...)
	}
	return out
}

func checkRuns(want schedule.Job, last job.Last, ran bool, changed, now time.Time) []string {
	if !ran {
		return late(want, byRecords(), time.Time{}, changed, now)
	}
	out := late(want, byRecords(), last.StartedAt, changed, now)
	if last.Outcome == job.Failed {
		var steps []string
		for _, step := range slices.Sorted(maps.Keys(last.Failed)) {
			steps = append(steps, step+": "+last.Failed[step])
		}
		out = append(out, fmt.Sprintf("the last run of %s failed (%s)", want.Name, strings.Join(steps, "; ")))
	}
	if last.Outcome == job.Running && now.Sub(last.StartedAt) > want.Deadline {
		out = append(out, fmt.Sprintf("the last run of %s, of %s, did not come to its end", want.Name, stamp(last.StartedAt)))
	}
	return out
}

// source is where it is known from when a job last ran, as sentences say it.
type source struct{ last, never string }

func byCalls() source   { return source{"it was last called", "it was never called"} }
func byRecords() source { return source{"its last recorded run began", "no run of it is recorded"} }

// late says that a job has been silent for too long, unless it was changed since.
func late(want schedule.Job, by source, last, changed, now time.Time) []string {
	since := last
	if changed.After(since) {
		since = changed
	}
	if !since.IsZero() && now.Sub(since) <= lateAfter*want.Period {
		return nil
	}
	how := by.never
	if !last.IsZero() {
		how = by.last + " " + stamp(last)
	}
	return []string{fmt.Sprintf("%s is late: %s, and it is to run every %s", want.Name, how, every(want.Period))}
}

// every shows a period without the zeros of its smaller units.
func every(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = strings.TrimSuffix(s, zero[1:])
		}
	}
	return s
}

func stamp(t time.Time) string { return t.UTC().Format(time.DateTime) + " UTC" }

// Check looks at both sources and checks them. A nil client looks at the records alone; so does one that Cloud Scheduler
// refuses or does not answer, which is a problem of its own. The error is of the database.
func (c *Client) Check(ctx context.Context, db postgres.DB, now time.Time) (ok bool, problems []string, err error) {
	var names []string
	for _, j := range schedule.Jobs() {
		names = append(names, j.Name)
	}
	runs, err := job.LastRuns(ctx, db, names)
	if err != nil {
		return false, nil, err
	}
	var deployed []Job
	if c != nil {
		if deployed, err = c.List(ctx); err != nil {
			problems = append(problems, detail(err))
		}
	}
	_, found := Check(deployed, runs, now)
	problems = append(problems, found...)
	return len(problems) == 0, problems, nil
}

// detail returns what may be shown of an error.
func detail(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Detail
	}
	return "the schedule cannot be looked at"
}
