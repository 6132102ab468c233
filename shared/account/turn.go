package account

import (
	"context"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
)

const (
	// hashWait is how long a password waits for its turn, hashRetry how long one is told to wait that got none.
	hashWait, hashRetry = 5 * time.Second, 2 * time.Second
	// doorWait and doorRetry are the same for a request that is to be looked at.
	doorWait, doorRetry = time.Second, time.Second
	// waitingEach is how many passwords wait for each that is hashed: about what is hashed within hashWait on a slow machine.
	waitingEach = 8
	// doorMost is how many requests wait to be looked at.
	doorMost = 512
)

// turns is who hashes and who waits to. Whoever floods an instance with passwords fills common and waiting; who logs in from
// a network that the user is known from has a turn besides.
type turns struct {
	common   chan struct{}
	reserved chan struct{}
	waiting  chan struct{} // for one of common
	inside   chan struct{} // requests that ask the database before they hash
	outside  chan struct{} // those that wait for that
}

func newTurns(concurrency int) turns {
	return turns{
		common: make(chan struct{}, concurrency), reserved: make(chan struct{}, 1),
		waiting: make(chan struct{}, waitingEach*concurrency), inside: make(chan struct{}, waitingEach*concurrency),
		outside: make(chan struct{}, doorMost),
	}
}

// Enter waits, shortly, until a request that comes with a password may ask the database, and refuses it as a
// fault.Unavailable when too many do. It leaves before it hashes. So a flood costs few connections, and those who
// wait get in by the order they came in.
func (h *Hasher) Enter(ctx context.Context) (leave func(), err error) {
	busy := func(cause error) error {
		return fault.Wrap(cause, fault.Unavailable, "too many log in at this moment; try again").After(doorRetry)
	}
	select {
	case h.turns.outside <- struct{}{}:
		defer func() { <-h.turns.outside }()
	default:
		return nil, busy(nil)
	}
	done, err := take(ctx, doorWait, h.turns.inside, nil)
	if err != nil {
		return nil, busy(err)
	}
	return done, nil
}

// Known returns the same hasher for a client from a network that the user is known from: it may use the turn that is kept
// free for such.
func (h *Hasher) Known() *Hasher {
	known := *h
	known.known = true
	return &known
}

// turn waits until a password may be hashed. The caller calls done when it is.
func (h *Hasher) turn(ctx context.Context) (done func(), err error) {
	busy := func(cause error, after time.Duration) error {
		return fault.Wrap(cause, fault.Unavailable, "too many passwords are checked at this moment; try again").After(after)
	}
	var reserved chan struct{} // nil: never ready
	if h.known {
		reserved = h.turns.reserved
	} else {
		select {
		case h.turns.waiting <- struct{}{}:
			defer func() { <-h.turns.waiting }()
		default:
			return nil, busy(nil, doorRetry)
		}
	}
	done, err = take(ctx, hashWait, h.turns.common, reserved)
	if err != nil {
		return nil, busy(err, hashRetry)
	}
	return done, nil
}

// take waits for a place in one of two queues, which done gives back.
func take(ctx context.Context, wait time.Duration, one, other chan struct{}) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	// When both are ready, select takes either: nothing is done for a caller who is gone.
	if ctx.Err() == nil {
		select {
		case one <- struct{}{}:
			return func() { <-one }, nil
		case other <- struct{}{}:
			return func() { <-other }, nil
		case <-ctx.Done():
		}
	}
	return nil, ctx.Err()
}
