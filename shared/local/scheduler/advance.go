package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Advance lets the time of the jobs pass until to. Every call that falls due on the way is made, one after the other and in
// order: move is told its time, and the next one waits until it is answered. Those of one moment are made in the order of
// their names. In the end move is told to. Calls that somebody asks for meanwhile go on beside it.
//
// It stops with an error when ctx ends, and is refused where the time is the system's.
func (s *Server) Advance(ctx context.Context, to time.Time, move func(time.Time)) error {
	if s.opts.Now == nil {
		return errors.New("advance the time of the jobs: it is the system's, and passes by itself")
	}
	s.advancing.Lock()
	defer s.advancing.Unlock()
	if to.Before(s.now()) {
		return fmt.Errorf("advance the time of the jobs to %s: it is %s already", to, s.now())
	}
	for ctx.Err() == nil {
		j, at := s.earliest(to)
		if j == nil {
			move(to)
			return nil
		}
		move(at)
		s.mu.Lock()
		still := s.jobs[j.pb.GetName()] == j && j.waits() && !j.due().After(at)
		var a attempt
		if still {
			a = s.begin(j, at)
		}
		s.mu.Unlock()
		if still {
			s.settle(a, s.call(ctx, a))
		}
	}
	return fmt.Errorf("advance the time of the jobs: %w", ctx.Err())
}

// earliest returns the job that is called first, and when, unless that is after to. What should have been before now is
// called now.
func (s *Server) earliest(to time.Time) (*job, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first *job
	for _, j := range s.jobs {
		if !j.waits() || j.due().After(to) {
			continue
		}
		if first == nil || j.due().Before(first.due()) || j.due().Equal(first.due()) && j.pb.GetName() < first.pb.GetName() {
			first = j
		}
	}
	if first == nil {
		return nil, to
	}
	at := first.due()
	if now := s.now(); at.Before(now) {
		at = now
	}
	return first, at
}
