package partitions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mesherhq/mesher/shared/job"
	"github.com/mesherhq/mesher/shared/postgres"
)

// listedMost bounds each list of a report, which is kept with the run.
const listedMost = 100

// note adds to a list of a report.
func note[T any](list *[]T, more ...T) {
	*list = append(*list, more[:min(len(more), max(0, listedMost-len(*list)))]...)
}

// Report is what a run reports besides numbers. A list names the first hundred.
type Report struct {
	Last     string   `json:"last"` // the last day up to which every day from today on has its partition; yesterday if today has none
	Days     int      `json:"days"` // how many days after today that is; -1 if today has none
	Gaps     []string `json:"gaps"` // days that had no partition although later ones, or today's events, needed one
	Missing  []string `json:"missing"`
	Made     []string `json:"made"`
	Repaired []Repair `json:"repaired"`
	Lacking  []Repair `json:"lacking"` // what is not repaired, because it was in use or could not be
}

// Repair is what a partition lacks, or lacked.
type Repair struct {
	Partition string   `json:"partition"`
	What      []string `json:"what"`
}

// How long the steps may take, and one partition of them.
const (
	makeMost   = 90 * time.Second
	repairMost = time.Minute
	indexMost  = 75 * time.Second
	oneMost    = 35 * time.Second // the role's statement_timeout comes first
)

// keep does one run. In a dry run it says what it would do.
func (f *Function) keep(ctx context.Context, run *job.Run) error {
	report := &Report{Gaps: []string{}, Missing: []string{}, Made: []string{}, Repaired: []Repair{}, Lacking: []Repair{}}
	run.Report(report)
	before, err := postgres.PartitionHorizon(ctx, f.pool, run.At)
	if err != nil {
		return err
	}
	f.lookForGaps(ctx, report, before, run.At)
	run.Step(ctx, "made", makeMost, func(ctx context.Context) (int64, int64, error) {
		return f.makeMissing(ctx, report, run)
	})
	var faulty []Repair
	run.Step(ctx, "repaired", repairMost, func(ctx context.Context) (done, left int64, err error) {
		if faulty, err = f.faults(ctx); err != nil {
			return 0, 0, err
		}
		return f.repair(ctx, report, run, faulty)
	})
	run.Step(ctx, "indexed", indexMost, func(ctx context.Context) (int64, int64, error) {
		return f.index(ctx, report, run, faulty)
	})
	return f.conclude(ctx, report, run)
}

// lookForGaps notes what should never have happened: events that come now, or soon, have no partition.
func (f *Function) lookForGaps(ctx context.Context, report *Report, h postgres.Horizon, now time.Time) {
	note(&report.Gaps, dates(h.Gaps)...)
	if h.Days < 0 && len(h.Gaps) == 0 {
		note(&report.Gaps, postgres.Day(now).Format(time.DateOnly))
	}
	if len(report.Gaps) > 0 {
		f.log.ErrorContext(ctx, "days of events have no partition", "days", report.Gaps)
	}
}

// wanted returns the days from yesterday, of which events may still come, to the last one ahead.
func (f *Function) wanted(now time.Time) []time.Time {
	var days []time.Time
	for n := -1; n <= f.days; n++ {
		days = append(days, postgres.Day(now).AddDate(0, 0, n))
	}
	return days
}

// makeMissing makes the partitions that are missing, each in a transaction of its own.
func (f *Function) makeMissing(ctx context.Context, report *Report, run *job.Run) (done, left int64, err error) {
	missing, err := postgres.MissingPartitions(ctx, f.pool, f.wanted(run.At))
	if err != nil {
		return 0, 0, err
	}
	if run.DryRun {
		report.Made = dates(missing)
		return int64(len(missing)), 0, nil
	}
	var failed []error
	for _, day := range missing {
		made, err := f.one(ctx, func(ctx context.Context) error {
			_, err := postgres.EnsurePartitions(ctx, f.pool, day, day)
			return err
		})
		switch {
		case err != nil:
			failed = append(failed, err)
		case made:
			note(&report.Made, day.Format(time.DateOnly))
			done++
			continue
		}
		left++
	}
	return done, left, errors.Join(failed...)
}

// one does the work on one partition. A lock that was not to be had is no error: the next run tries again.
func (f *Function) one(ctx context.Context, do func(context.Context) error) (bool, error) {
	if ctx.Err() != nil {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, oneMost)
	defer cancel()
	err := do(ctx)
	if postgres.LockNotAvailable(err) {
		f.log.InfoContext(ctx, "a partition is in use and left for the next run", "error", err)
		return false, nil
	}
	return err == nil, err
}

// conclude says how far the partitions reach now.
func (f *Function) conclude(ctx context.Context, report *Report, run *job.Run) error {
	h, err := postgres.PartitionHorizon(ctx, f.pool, run.At)
	if err != nil {
		return err
	}
	missing, err := postgres.MissingPartitions(ctx, f.pool, f.wanted(run.At))
	if err != nil {
		return err
	}
	report.Last, report.Days, report.Missing = h.Last.Format(time.DateOnly), h.Days, dates(missing)
	if len(missing) > 0 && !run.DryRun {
		f.log.ErrorContext(ctx, "partitions of events are missing after a run", "days", report.Missing)
	}
	for _, r := range report.Lacking {
		f.log.ErrorContext(ctx, "a partition of events lacks something", "partition", r.Partition, "what", r.What)
	}
	return nil
}

func dates(days []time.Time) []string {
	out := make([]string, len(days))
	for i, d := range days {
		out[i] = d.Format(time.DateOnly)
	}
	return out
}

// faults lists the partitions that lack something.
func (f *Function) faults(ctx context.Context) ([]Repair, error) {
	rows, err := f.pool.Query(ctx, "select part, faults from mesher.event_partition_faults()")
	if err != nil {
		return nil, fmt.Errorf("look for what partitions lack: %w", err)
	}
	defer rows.Close()
	var all []Repair
	for rows.Next() {
		var r Repair
		if err := rows.Scan(&r.Partition, &r.What); err != nil {
			return nil, fmt.Errorf("look for what partitions lack: %w", err)
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look for what partitions lack: %w", err)
	}
	return all, nil
}
