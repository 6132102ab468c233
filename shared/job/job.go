// Package job is the contract of everything that runs on schedule: one run at a time, in bounded steps that end well before
// the scheduler gives up, a summary as the answer, and a record of each run.
//
// A run that finds another one under way is skipped with 200. A step that fails does not keep the next ones from running.
// The answer is 503 only when a step failed in a way that may pass, because only then a retry helps.
package job

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/web"
)

// reserve is how long before its deadline a run starts no more steps: what is left is for noting how it went.
const reserve = 5 * time.Second

// noteMost bounds each of the short statements around a run.
const noteMost = 5 * time.Second

// Runner runs one job. All fields but Shared must be set.
type Runner struct {
	Name string
	Pool *postgres.Pool
	Log  *slog.Logger
	Now  clock.Clock
	Most time.Duration // how long a run may take; below the scheduler's deadline
	// Shared says that runs may overlap, because each claims what it works on.
	Shared bool
}

// Summary is the answer to a run, and what job_runs keeps of it.
type Summary struct {
	Job       string            `json:"job"`
	Skipped   string            `json:"skipped,omitempty"`   // why nothing was done
	Done      map[string]int64  `json:"done"`                // by step, what it did
	Remaining map[string]int64  `json:"remaining,omitempty"` // by step, what is left for the next run; at least that much
	Failed    map[string]string `json:"failed,omitempty"`    // by step, why it did not finish
	Report    any               `json:"report,omitempty"`
	TookMS    int64             `json:"took_ms"`
}

// Run is one run of a job. It is for one goroutine.
type Run struct {
	At     time.Time // when it began: the run's idea of now
	DryRun bool      // the steps only say what they would do

	ends    time.Time // by the real clock
	log     *slog.Logger
	summary Summary
	retry   bool
}

// Report attaches something to the summary. It must encode as JSON.
func (r *Run) Report(v any) { r.summary.Report = v }

// Time returns how long the run may still take.
func (r *Run) Time() time.Duration { return time.Until(r.ends) - reserve }

// Step runs one step for at most so long, or not at all when the run's time is used up, which leaves it for the next run.
// do returns how much it did and how much it knows to be left.
func (r *Run) Step(ctx context.Context, name string, most time.Duration, do func(context.Context) (done, left int64, err error)) {
	left := r.Time()
	if left <= 0 {
		r.add(name, 0, 1)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, min(most, left))
	defer cancel()
	done, remaining, err := do(ctx)
	r.add(name, done, remaining)
	if err == nil {
		return
	}
	r.summary.Failed[name] = reason(err)
	r.retry = r.retry || postgres.Transient(err) || fault.Is(err, fault.Unavailable)
	r.log.ErrorContext(ctx, "a step of a job failed", "step", name, "done", done, "error", err)
}

func (r *Run) add(name string, done, left int64) {
	r.summary.Done[name] += done
	if left > 0 {
		r.summary.Remaining[name] += left
	}
}

// reason returns what may be shown of an error.
func reason(err error) string {
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		return f.Detail
	case errors.Is(err, context.DeadlineExceeded):
		return "its time was used up"
	}
	if state := postgres.SQLState(err); state != "" {
		return "the database refused it (SQLSTATE " + state + "); the log has the details"
	}
	return "it failed; the log has the details"
}

// Handler returns the HTTP function of the job. Called by: the scheduler. `?dry_run=true` asks for a dry run.
func (r Runner) Handler(do func(ctx context.Context, run *Run) error) http.Handler {
	return web.Handler(r.Log, func(w http.ResponseWriter, req *http.Request) error {
		if req.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			return fault.New(fault.Method, "%s is called by POST", r.Name)
		}
		s, err := r.Run(req.Context(), req.URL.Query().Get("dry_run") == "true", do)
		if err != nil {
			return &web.Problem{Err: err, Extra: map[string]any{"summary": s}}
		}
		return web.JSON(w, http.StatusOK, s)
	})
}

// Run runs the job once. Its error is a fault.Unavailable where trying again helps.
func (r Runner) Run(ctx context.Context, dry bool, do func(ctx context.Context, run *Run) error) (Summary, error) {
	// Whoever called may go away; what has begun is ended all the same.
	ctx = context.WithoutCancel(ctx)
	began := time.Now()
	run := &Run{At: r.Now(), DryRun: dry, ends: began.Add(r.Most), log: r.Log.With("job", r.Name), summary: Summary{
		Job: r.Name, Done: map[string]int64{}, Remaining: map[string]int64{}, Failed: map[string]string{},
	}}
	id, err := uuid.NewV7()
	if err != nil {
		return run.summary, err
	}
	taken, err := r.begin(ctx, id, run)
	if err != nil {
		return run.summary, fault.Wrap(err, fault.Unavailable, "%s cannot begin now", r.Name)
	}
	if !taken {
		run.summary.Skipped = "another run is under way"
		run.log.InfoContext(ctx, "a job is skipped", "why", run.summary.Skipped)
		return run.summary, nil
	}
	working, cancel := context.WithDeadline(ctx, run.ends)
	defer cancel()
	if err := do(working, run); err != nil {
		run.summary.Failed["run"] = reason(err)
		run.retry = run.retry || postgres.Transient(err) || fault.Is(err, fault.Unavailable)
		run.log.ErrorContext(ctx, "a job failed", "error", err)
	}
	run.summary.TookMS = time.Since(began).Milliseconds()
	if err := r.end(ctx, id, run); err != nil {
		return run.summary, fault.Wrap(err, fault.Unavailable, "how %s went could not be noted", r.Name)
	}
	run.log.InfoContext(ctx, "a job is done", "summary", run.summary)
	if run.retry {
		return run.summary, fault.New(fault.Unavailable, "%s did not finish: %s", r.Name, run.failures())
	}
	return run.summary, nil
}

func (r *Run) failures() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.summary.Failed)) {
		parts = append(parts, name+": "+r.summary.Failed[name])
	}
	return strings.Join(parts, "; ")
}
