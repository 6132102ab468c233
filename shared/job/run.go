package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// reserve is how long before its deadline a run starts no more steps: what is left is for noting how it went.
const reserve = 5 * time.Second

// wholeRun names in Failed what concerns no single step.
const wholeRun = "run"

// Run is one run of a job. It is for one goroutine.
type Run struct {
	At     time.Time // when it began: the run's idea of now
	DryRun bool      // the steps only say what they would do

	ends    time.Time // by the real clock
	log     *slog.Logger
	summary Summary
	retry   bool
}

func newRun(r Runner, dry bool, began time.Time) *Run {
	return &Run{At: r.Now(), DryRun: dry, ends: began.Add(r.Most), log: r.Log.With("job", r.Name), summary: Summary{
		Job: r.Name, DryRun: dry, Done: map[string]int64{}, Remaining: map[string]int64{}, Failed: map[string]string{},
	}}
}

// Report attaches something to the summary. It must encode as JSON, of at most 32 KiB; what does not is left out, and the
// run counts as failed.
func (r *Run) Report(v any) { r.summary.Report = v }

// Time returns how long the run may still take.
func (r *Run) Time() time.Duration { return time.Until(r.ends) - reserve }

// Step runs one step for at most so long, or not at all when the run's time is used up, which leaves it for the next run.
// do returns how much it did and how much it knows to be left; both count also when it fails.
func (r *Run) Step(ctx context.Context, name string, most time.Duration, do func(context.Context) (done, left int64, err error)) {
	left := r.Time()
	if left <= 0 {
		r.add(name, 0, 1)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, min(most, left))
	defer cancel()
	var done, remaining int64
	err := guard(func() (err error) {
		done, remaining, err = do(ctx)
		return err
	})
	r.add(name, done, remaining)
	if err != nil {
		r.fail(ctx, name, err)
	}
}

func (r *Run) add(name string, done, left int64) {
	r.summary.Done[name] += done
	if left > 0 {
		r.summary.Remaining[name] += left
	}
}

// fail notes that a step failed, and whether a retry helps.
func (r *Run) fail(ctx context.Context, step string, err error) {
	r.summary.Failed[step] = reason(err)
	r.retry = r.retry || postgres.Transient(err) || fault.Is(err, fault.Unavailable)
	r.log.ErrorContext(ctx, "a step of a job failed", "step", step, "done", r.summary.Done[step], "error", err)
}

// failures says in one line what failed.
func (r *Run) failures() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.summary.Failed)) {
		parts = append(parts, name+": "+r.summary.Failed[name])
	}
	return strings.Join(parts, "; ")
}

// guard calls do and makes an error of a panic: one step that is broken must not keep the others from working.
func guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
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
