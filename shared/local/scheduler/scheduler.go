// Package scheduler is the laptop's Cloud Scheduler: a server on loopback that the real client library talks to, whose jobs
// really call their targets when their time has come.
//
// It speaks google.cloud.scheduler.v1.CloudScheduler and does as the service does: one execution of a job at a time, retries
// with backoff until the next one is due, a deadline on each attempt, states that survive a restart. It has no targets but
// HTTP ones, and no identities: a target that asks for a token gets the headers that its job was made with.
//
// Missed executions, such as those of a laptop that slept, are made up for by one. A job is called only once it was created
// or got a target in this run: what a target of the last run was may belong to another program by now.
//
// jobs.go:    what clients ask for → state.go (the file)
// attempt.go: a job whose time has come → HTTP → when it is next
// advance.go: the same in a time that a test moves
package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/grpc"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/loopback"
)

const (
	// maxRequest is the most bytes one request may have: a job has at most 1 MB.
	maxRequest = 2 << 20
	// maxHeaders is the most bytes the headers of one request may have; they are read before its token is known.
	maxHeaders = 32 << 10
	// lookMost is how long the server sleeps between two looks at the clock. Timers stand still while a laptop sleeps.
	lookMost = 5 * time.Second
)

// Options say how a Server runs. Only Path is required.
type Options struct {
	// Path of the file that holds the jobs. It and its folder are created if missing. One server at a time can have it open.
	Path string
	// Listen is the address of the server, by default 127.0.0.1:0, a free port on loopback.
	Listen string
	// Token is what every request must carry as its bearer token. Empty: every user of the machine may call and change jobs.
	Token string
	// Now is the time that the jobs live in. Nil: the system's, in which they run by themselves. In another, nothing runs
	// but by Advance.
	Now clock.Clock
	// Logger gets failed attempts, by default nothing.
	Logger *slog.Logger
}

// Server is a running scheduler. It is safe for concurrent use.
type Server struct {
	schedulerpb.UnimplementedCloudSchedulerServer
	opts     Options
	now      clock.Clock
	file     *file
	grpc     *grpc.Server
	listener net.Listener
	client   *http.Client
	//nolint:containedctx // the life of the server: an attempt belongs to no caller
	alive context.Context
	kill  context.CancelFunc
	work  sync.WaitGroup // the loops and the attempts
	wake  chan struct{}  // something changed that may be due earlier

	forced    chan struct{} // one for each call under way that somebody asked for
	advancing sync.Mutex    // one Advance at a time

	mu      sync.Mutex // guards the map and the jobs in it
	jobs    map[string]*job
	closing bool
}

// Open starts a server on the file at o.Path. ctx ends with the call. Open fails when the file is not one of this package's,
// when another process has it open, or when the address is taken.
func Open(ctx context.Context, o Options) (*Server, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	f, err := openFile(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open the file of jobs %s: %w", o.Path, err)
	}
	s := &Server{
		opts: o, now: o.Now, file: f, client: newClient(), jobs: map[string]*job{},
		wake: make(chan struct{}, 1), forced: make(chan struct{}, forcedMost),
	}
	if s.now == nil {
		s.now = clock.Of(context.WithoutCancel(ctx))
	}
	s.alive, s.kill = context.WithCancel(context.WithoutCancel(ctx))
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("read the file of jobs %s: %w", o.Path, err), f.close())
	}
	if s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", o.Listen); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for clients of the scheduler: %w", err), f.close())
	}
	s.serve()
	if o.Now == nil {
		s.work.Go(s.run)
	}
	return s, nil
}

// serve answers clients.
func (s *Server) serve() {
	serving := []grpc.ServerOption{grpc.MaxRecvMsgSize(maxRequest), grpc.MaxHeaderListSize(maxHeaders)}
	if s.opts.Token != "" {
		serving = append(serving, loopback.Guard(s.opts.Token,
			"this Cloud Scheduler asks for its token, which SCHEDULER_EMULATOR_TOKEN must hold"))
	}
	s.grpc = grpc.NewServer(serving...)
	schedulerpb.RegisterCloudSchedulerServer(s.grpc, s)
	s.work.Go(func() {
		if err := s.grpc.Serve(s.listener); err != nil {
			s.opts.Logger.Error("the local Cloud Scheduler stopped serving", "error", err)
		}
	})
}

// Addr returns the host and port to set as SCHEDULER_EMULATOR_HOST.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close stops serving and calling. Attempts in flight are finished, until ctx is over; one that is broken off then is made
// again in the next run.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.look()
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		s.work.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.kill()
		s.grpc.Stop()
		<-done // attempts end at once
	}
	s.kill()
	s.client.CloseIdleConnections()
	if err := s.file.close(); err != nil {
		return fmt.Errorf("close the file of jobs: %w", err)
	}
	return nil
}

// look has the loop look at the jobs now.
func (s *Server) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run starts what is due, for as long as the server lives.
func (s *Server) run() {
	for {
		next, ok := s.startDue()
		if !ok {
			return
		}
		timer := time.NewTimer(next)
		select {
		case <-timer.C:
		case <-s.wake:
			timer.Stop()
		}
	}
}

// startDue starts every attempt that is due and returns how long nothing else is; false: the server closes.
func (s *Server) startDue() (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return 0, false
	}
	now, next := s.now(), lookMost
	for _, j := range s.jobs {
		if !j.waits() {
			continue
		}
		if left := j.due().Sub(now); left > 0 {
			next = min(next, left)
			continue
		}
		a := s.begin(j, now)
		s.work.Go(func() { s.settle(a, s.call(s.alive, a)) })
	}
	return next, true
}
