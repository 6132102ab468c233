package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/postgres"
)

// giveBackMost is how long giving back what was not looked at may take, although the time is used up.
const giveBackMost = 3 * time.Second

// writeTries is how often a transaction is tried that may succeed the next time.
const writeTries = 3

// result is what became of all looks.
type result struct {
	kept, stale, lost int64
	err               error
}

// write writes what looks found, several at a time, until there is no more. What could not be written is looked at again
// when its claim ends.
func (r *round) write(ctx context.Context) (sum result) {
	for first := range r.found {
		batch := append(make([]monitor.Result, 0, writeMost), first)
		wait := time.NewTimer(writeEvery)
	gather:
		for len(batch) < writeMost {
			select {
			case next, open := <-r.found:
				if !open {
					break gather
				}
				batch = append(batch, next)
			case <-wait.C:
				break gather
			}
		}
		wait.Stop()
		done, lost, err := r.finish(ctx, batch)
		sum.lost += lost
		sum.err = errors.Join(sum.err, err)
		sum.kept += done.Checks
		sum.stale += done.Stale
		r.publish(ctx, done.Told)
	}
	if sum.stale > 0 {
		r.log.WarnContext(ctx, "looks came too late and are not kept", "looks", sum.stale)
	}
	return sum
}

// finish writes one batch, and each result for itself when the batch is refused: one must not take others with it. That the connection was lost while it was committed does no harm: the claims do not hold any
// more then, and nothing is written twice.
func (r *round) finish(ctx context.Context, batch []monitor.Result) (done monitor.Finished, lost int64, err error) {
	for try := range writeTries {
		if done, err = monitor.Finish(ctx, r.pool, batch); err == nil || !postgres.Transient(err) || ctx.Err() != nil {
			break
		}
		r.log.WarnContext(ctx, "what looks found could not be written", "try", try+1, "error", err)
	}
	if err == nil || len(batch) == 1 || postgres.Transient(err) || ctx.Err() != nil {
		return done, lostOf(batch, err), err
	}
	for _, one := range batch {
		d, l, e := r.finish(ctx, []monitor.Result{one})
		done.Add(d)
		lost += l
		err = errors.Join(err, e)
	}
	return done, lost, err
}

func lostOf(batch []monitor.Result, err error) int64 {
	if err == nil {
		return 0
	}
	return int64(len(batch))
}

// giveBack releases what was claimed and not looked at, and returns how many monitors are due still.
func (r *round) giveBack(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackMost)
	defer cancel()
	// Each claim has ids of its own; a statement takes any.
	if err := monitor.Release(ctx, r.pool, r.unseen); err != nil {
		return int64(len(r.unseen)), fmt.Errorf("leave monitors for the next run: %w", err)
	}
	return monitor.Waiting(ctx, r.pool, r.run.At)
}
