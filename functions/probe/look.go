package probe

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mesherhq/mesher/shared/job"
	"github.com/mesherhq/mesher/shared/monitor"
)

// round is the looks of one run: one goroutine claims, many look, one writes.
type round struct {
	*Function
	run    *job.Run
	ends   time.Time // by the real clock: when the last look must be over
	claims time.Time // when claims end
	work   chan monitor.Claimed
	found  chan monitor.Result

	mu     sync.Mutex
	unseen []monitor.Claimed // claimed, and no time was left for them
}

// look looks at every service that is due. What there is no time for stays due. It returns how many looks were kept.
func (f *Function) look(ctx context.Context, run *job.Run) (done, left int64, err error) {
	ends, ok := ctx.Deadline()
	if !ok {
		return 0, 0, errors.New("look at services without a deadline")
	}
	r := &round{
		Function: f, run: run, ends: ends.Add(-writeReserve), claims: run.At.Add(time.Until(ends) + claimSlack),
		work: make(chan monitor.Claimed), found: make(chan monitor.Result, writeMost),
	}
	var looking, writing sync.WaitGroup
	for range f.concurrency {
		looking.Go(func() { r.lookAt(ctx) })
	}
	var written result
	writing.Go(func() { written = r.write(ctx) })
	// Claims are given back and counted though the time is used up.
	claimErr := r.claim(ctx)
	close(r.work)
	looking.Wait()
	close(r.found)
	writing.Wait()
	left, err = r.giveBack(ctx)
	return written.kept, left + written.lost, errors.Join(claimErr, written.err, err)
}

// claim takes monitors that are due and hands them on, until there are none, or no time.
func (r *round) claim(ctx context.Context) error {
	for most := time.Until(r.ends); most > 0 && ctx.Err() == nil; most = time.Until(r.ends) {
		claimed, err := monitor.Take(ctx, r.pool, monitor.Claim{
			At: r.run.At, Ends: r.claims, Most: claimMost, Time: min(most, monitor.TimeoutMost),
		})
		if err != nil {
			return err
		}
		for _, c := range claimed {
			select {
			case r.work <- c:
			case <-ctx.Done():
				r.pass(c)
			}
		}
		if len(claimed) < claimMost {
			break
		}
	}
	return nil
}

// pass leaves a monitor for the next run.
func (r *round) pass(c monitor.Claimed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unseen = append(r.unseen, c)
}

// lookAt looks at one service after the other. One whose look might not end in time is left.
func (r *round) lookAt(ctx context.Context) {
	for c := range r.work {
		timeout := time.Duration(c.TimeoutMS) * time.Millisecond
		if time.Until(r.ends) < timeout || ctx.Err() != nil {
			r.pass(c)
			continue
		}
		began := r.now()
		look := r.once(ctx, c, timeout)
		if look.Status == monitor.Unknown || ctx.Err() != nil {
			r.pass(c) // the run is ended, and with it the look: it says nothing of the service
			continue
		}
		r.found <- monitor.Result{Claimed: c, Look: look, Began: began}
	}
}

// once makes one look. Whatever goes wrong in it is of this monitor alone.
func (r *round) once(ctx context.Context, c monitor.Claimed, timeout time.Duration) (look monitor.Look) {
	defer func() {
		if p := recover(); p != nil {
			r.log.ErrorContext(ctx, "a look panicked", "monitor", c.ID, "kind", c.Kind, "error", fmt.Sprintf("%v\n%s", p, debug.Stack()))
			look = failed("internal", "the look failed on our side; it is logged")
		}
	}()
	if c.Kind == monitor.Platform {
		return r.platform(ctx, c.Monitor, timeout)
	}
	secrets, err := c.Open(r.keeper.Sealer)
	if err != nil {
		r.log.ErrorContext(ctx, "the secrets of a monitor cannot be read", "monitor", c.ID, "error", err)
		return failed("secrets", "its secrets cannot be read: give them again")
	}
	return r.looker.Look(ctx, c.Monitor, secrets)
}

// failed is a look that did not come about.
func failed(code, why string) monitor.Look {
	return monitor.Look{Status: monitor.Down, Details: monitor.Details{Code: code, Error: why}}
}
