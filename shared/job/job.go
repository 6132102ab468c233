// Package job is the contract of everything that runs on schedule: one run at a time, in bounded steps that end well before
// the scheduler gives up, a summary as the answer, and a record of each run.
//
// A run that finds another one under way is skipped with 200. A step that fails, or panics, does not keep the next ones from
// running. The answer is 503 only when a step failed in a way that may pass, because only then a retry helps.
package job

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/web"
)

// Runner runs one job. All fields but Shared must be set.
type Runner struct {
	Name string
	Pool *postgres.Pool
	Log  *slog.Logger
	Now  clock.Clock
	Most time.Duration // how long a run may take; below the scheduler's deadline, and above 5 s, which are for its end
	// Shared says that runs may overlap, because each claims what it works on.
	Shared bool
}

// Summary is the answer to a run, and what job_runs keeps of it.
type Summary struct {
	Job       string            `json:"job"`
	DryRun    bool              `json:"dry_run,omitempty"`   // nothing was changed; Done is what would have been
	Skipped   string            `json:"skipped,omitempty"`   // why nothing was done
	Done      map[string]int64  `json:"done"`                // by step, what it did
	Remaining map[string]int64  `json:"remaining,omitempty"` // by step, what is left for the next run; at least that much
	Failed    map[string]string `json:"failed,omitempty"`    // by step, why it did not finish
	Report    any               `json:"report,omitempty"`
	TookMS    int64             `json:"took_ms"`
}

// underWay is why a run is skipped.
const underWay = "another run is under way"

// Handler returns the HTTP function of the job. Called by: the scheduler. `?dry_run=true` asks for a dry run; what is
// neither true nor false is refused rather than run.
func (r Runner) Handler(do func(ctx context.Context, run *Run) error) http.Handler {
	return web.Handler(r.Log, func(w http.ResponseWriter, req *http.Request) error {
		if req.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			return fault.New(fault.Method, "%s is called by POST", r.Name)
		}
		dry, err := wantsDry(req)
		if err != nil {
			return err
		}
		s, err := r.Run(req.Context(), dry, do)
		if err != nil {
			return &web.Problem{Err: err, Extra: map[string]any{"summary": s}}
		}
		return web.JSON(w, http.StatusOK, s)
	})
}

func wantsDry(req *http.Request) (bool, error) {
	given, ok := req.URL.Query()["dry_run"]
	if !ok {
		return false, nil
	}
	dry, err := strconv.ParseBool(given[0])
	if err != nil || len(given) > 1 {
		return false, fault.New(fault.Invalid, "dry_run is given once, as true or false")
	}
	return dry, nil
}

// Run runs the job once. Its error is a fault.Unavailable where trying again helps.
func (r Runner) Run(ctx context.Context, dry bool, do func(ctx context.Context, run *Run) error) (Summary, error) {
	// Whoever called may go away; what has begun is ended all the same.
	ctx = context.WithoutCancel(ctx)
	began := time.Now()
	run := newRun(r, dry, began)
	id, err := uuid.NewV7()
	if err != nil {
		return run.summary, err
	}
	taken, err := r.begin(ctx, id, run)
	if err != nil {
		return run.summary, fault.Wrap(err, fault.Unavailable, "%s cannot begin now", r.Name)
	}
	if !taken {
		run.summary.Skipped = underWay
		run.log.InfoContext(ctx, "a job is skipped", "why", underWay)
		return run.summary, nil
	}
	r.work(ctx, run, do)
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

// work calls do within the run's time. What it returns fails the run like a step's error.
func (r Runner) work(ctx context.Context, run *Run, do func(ctx context.Context, run *Run) error) {
	ctx, cancel := context.WithDeadline(ctx, run.ends)
	defer cancel()
	if err := guard(func() error { return do(ctx, run) }); err != nil {
		run.fail(ctx, wholeRun, err)
	}
}
