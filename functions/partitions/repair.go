package partitions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mesherhq/mesher/shared/job"
	"github.com/mesherhq/mesher/shared/postgres"
)

// repair gives partitions what they lack but indexes. Done counts partitions.
func (f *Function) repair(ctx context.Context, report *Report, run *job.Run, faulty []Repair) (done, left int64, err error) {
	var failed []error
	for _, r := range faulty {
		what := slices.DeleteFunc(slices.Clone(r.What), isIndex)
		if len(what) == 0 {
			continue
		}
		if run.DryRun {
			note(&report.Repaired, Repair{r.Partition, what})
			done++
			continue
		}
		var repaired []string
		ok, err := f.one(ctx, func(ctx context.Context) error {
			if err := f.pool.QueryRow(ctx, "select mesher.repair_event_partition($1::text)", r.Partition).Scan(&repaired); err != nil {
				return fmt.Errorf("repair %s: %w", r.Partition, err)
			}
			return nil
		})
		if err != nil {
			failed = append(failed, err)
		}
		if !ok {
			note(&report.Lacking, Repair{r.Partition, what})
			left++
			continue
		}
		if len(repaired) > 0 {
			note(&report.Repaired, Repair{r.Partition, repaired})
			f.log.WarnContext(ctx, "a partition of events was repaired", "partition", r.Partition, "what", repaired)
			done++
		}
	}
	return done, left, errors.Join(failed...)
}

func isIndex(fault string) bool { return strings.HasPrefix(fault, "index ") }

// index gives partitions the indexes that they lack, built while everybody goes on to read and write. Done counts indexes.
func (f *Function) index(ctx context.Context, report *Report, run *job.Run, faulty []Repair) (done, left int64, err error) {
	var failed []error
	for _, r := range faulty {
		if !slices.ContainsFunc(r.What, isIndex) {
			continue
		}
		lacking, err := f.indexes(ctx, r.Partition)
		if err != nil {
			failed, left = append(failed, err), left+1
			continue
		}
		for _, x := range lacking {
			if run.DryRun {
				note(&report.Repaired, Repair{r.Partition, []string{x.fault}})
				done++
				continue
			}
			ok, err := f.one(ctx, func(ctx context.Context) error { return f.build(ctx, r.Partition, x) })
			if err != nil {
				f.log.ErrorContext(ctx, "an index of a partition cannot be built", "partition", r.Partition, "index", x.fault, "error", err)
				// What takes too long now takes as long in a minute: it is left for the next run, not for a retry.
				if !postgres.Transient(err) {
					failed = append(failed, err)
				}
			}
			if !ok {
				note(&report.Lacking, Repair{r.Partition, []string{x.fault}})
				left++
				continue
			}
			note(&report.Repaired, Repair{r.Partition, []string{x.fault}})
			f.log.WarnContext(ctx, "an index of a partition was missing and is built", "partition", r.Partition, "index", x.fault)
			done++
		}
	}
	return done, left, errors.Join(failed...)
}

// missingIndex is one that a partition lacks, and how it is made.
type missingIndex struct {
	fault, name string
	remains     *string // removes what a try that failed has left
	making      string
}

func (f *Function) indexes(ctx context.Context, part string) ([]missingIndex, error) {
	rows, err := f.pool.Query(ctx, "select fault, name, remains, making from mesher.event_partition_indexes($1::text)", part)
	if err != nil {
		return nil, fmt.Errorf("look for the indexes that %s lacks: %w", part, err)
	}
	defer rows.Close()
	var all []missingIndex
	for rows.Next() {
		var x missingIndex
		if err := rows.Scan(&x.fault, &x.name, &x.remains, &x.making); err != nil {
			return nil, fmt.Errorf("look for the indexes that %s lacks: %w", part, err)
		}
		all = append(all, x)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look for the indexes that %s lacks: %w", part, err)
	}
	return all, nil
}

// build makes one index. Each statement stands by itself: what is built concurrently must not be in a transaction.
func (f *Function) build(ctx context.Context, part string, x missingIndex) error {
	if x.remains != nil {
		if _, err := f.pool.Exec(ctx, *x.remains); err != nil {
			return fmt.Errorf("remove what is left of the index %s: %w", x.name, err)
		}
	}
	if _, err := f.pool.Exec(ctx, x.making); err != nil {
		return fmt.Errorf("build the index %s: %w", x.name, err)
	}
	if _, err := f.pool.Exec(ctx, "select mesher.adopt_event_index($1::text, $2::text, $3::text)", part, x.fault, x.name); err != nil {
		return fmt.Errorf("make the index %s part of its partition: %w", x.name, err)
	}
	return nil
}
