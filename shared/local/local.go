// Package local is the laptop's cloud: it runs the deployed functions in one process, with a Postgres of its
// own, a Pub/Sub and a Cloud Scheduler of its own and everything seeded that a first event needs.
//
// All state lies under one folder and survives restarts, also after kill -9.
package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/local/cluster"
	"github.com/mesherhq/mesher/shared/local/pubsub"
	"github.com/mesherhq/mesher/shared/local/scheduler"
)

// Options says where the platform runs.
type Options struct {
	Home        string // the folder of all state; created if missing
	Port        int    // of the HTTP server on 127.0.0.1; 0 picks a free one
	DatabaseURL string // a Postgres to use instead of an own one; its role must be able to create roles
	Adopt       bool   // use that Postgres also when it holds organizations that no platform made
	PubSub      string // host:port of a Pub/Sub emulator to use instead of the own one
	Functions   []Function
	Lookup      env.Lookup // settings of the functions that the platform does not set itself
	Log         *slog.Logger
	Progress    func(format string, args ...any) // is told what is being started
	DatabaseLog io.Writer
	// Now is the time that the functions live in, for tests. Nil: the system's, in which scheduled functions are called by
	// themselves. In another they are called by Advance only.
	Now clock.Clock
}

// Function is an entry point and where it is served.
type Function struct {
	Name  string
	Path  string // where it is served with everything below, such as "/auth/" or "POST /v1/events"; unused with a Topic or Job
	Topic string // the topic whose messages are pushed to it; empty: it is called by HTTP
	Job   bool   // it is called by the job of its name in the schedule
	Role  string // database role that it connects as
	Build boot.Build
}

// Platform is a running platform.
type Platform struct {
	opts       Options
	lock       *os.File
	database   *database
	queue      *pubsub.Server
	scheduler  *scheduler.Server
	server     *http.Server
	functions  []*boot.Lazy
	serving    chan error
	pushToken  string // what the queue shows to push
	queueToken string // what the queue asks its clients for
	jobToken   string // what the scheduler shows to call a job
	clockToken string // what the scheduler asks its clients for
	sealKey    string // what seals secrets in the database
	Info       Info
}

// project is the name of the Google Cloud project that there is none of.
const project = "mesher-dev"

// declareMost is how long a Pub/Sub may take to declare the topics.
const declareMost = 10 * time.Second

// How long the headers of a request may take and how many bytes they may have: every connection, also one that sends
// nothing more, can hold that much memory for that long.
const (
	headerTime = 10 * time.Second
	headerMost = 32 << 10
)

// pushWindow is how many messages are pushed at the same time. The real service's window grows to thousands
// while pushes are answered within a second; the more messages of a project wait in Store, the larger its
// transactions are.
const pushWindow = 1000

// jobsGrace is how long Stop waits for jobs that are being called.
const jobsGrace = 3 * time.Second

// Start starts the platform and returns when it is ready for events. What it started before a failure is
// stopped again.
func Start(ctx context.Context, opts Options) (*Platform, error) {
	p := &Platform{opts: opts, serving: make(chan error, 1), pushToken: rand.Text(), jobToken: rand.Text(), clockToken: rand.Text()}
	if err := p.start(ctx); err != nil {
		p.Stop(context.WithoutCancel(ctx))
		return nil, err
	}
	return p, nil
}

func (p *Platform) start(ctx context.Context) error {
	home, err := filepath.Abs(p.opts.Home)
	if err != nil {
		return fmt.Errorf("find the folder of the platform's state: %w", err)
	}
	p.opts.Home = home
	if err := os.MkdirAll(home, 0o700); err != nil {
		return fmt.Errorf("create the folder of the platform's state: %w", err)
	}
	if p.lock, err = lockHome(home); err != nil {
		return err
	}
	// The port first: if it is taken, nothing needs to be started.
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", p.opts.Port))
	if err != nil {
		return fmt.Errorf("listen for HTTP (set PORT to another port, 0 picks a free one): %w", err)
	}
	if err := p.startParts(ctx, "http://"+listener.Addr().String()); err != nil {
		return errors.Join(err, listener.Close())
	}
	go func() { p.serving <- p.server.Serve(listener) }()
	if p.opts.PubSub == "" {
		p.opts.PubSub = p.queue.Addr()
	}
	if p.database != nil {
		p.Info.DatabaseDir = p.database.dir
	}
	p.Info.PubSub, p.Info.PubSubToken = p.opts.PubSub, p.queueToken
	p.Info.Scheduler, p.Info.SchedulerToken = p.scheduler.Addr(), p.clockToken
	if err := p.connectQueue(ctx); err != nil {
		return err
	}
	if err := p.connectSchedule(ctx); err != nil {
		return err
	}
	return p.Info.write(p.opts.Home)
}

// startParts starts everything behind the HTTP server at url.
func (p *Platform) startParts(ctx context.Context, url string) error {
	admin, err := p.adminURL(ctx)
	if err != nil {
		return err
	}
	pool, err := p.openAdmin(ctx, admin)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := p.mayUse(ctx, pool); err != nil {
		return err
	}
	if err := p.prepare(ctx, pool); err != nil {
		return err
	}
	if p.Info, err = seed(ctx, pool, p.opts.Home, url, admin); err != nil {
		return err
	}
	if err := seedMonitors(ctx, pool, p.Info.OrganizationID); err != nil {
		return err
	}
	if p.opts.PubSub != "" {
		p.opts.Progress("using the Pub/Sub of PUBSUB_EMULATOR_HOST")
		token, _ := p.opts.Lookup("PUBSUB_EMULATOR_TOKEN")
		p.queueToken = strings.TrimSpace(token)
	} else {
		p.opts.Progress("starting Pub/Sub")
		p.queueToken = rand.Text()
		p.queue, err = pubsub.Open(ctx, pubsub.Options{
			Path: filepath.Join(p.opts.Home, "pubsub", "messages.db"), Logger: p.opts.Log.With("part", "pubsub"),
			MaxOutstanding: pushWindow, Token: p.queueToken,
		})
		if err != nil {
			return fmt.Errorf("start Pub/Sub: %w", err)
		}
	}
	if err := p.startScheduler(ctx); err != nil {
		return err
	}
	if p.sealKey, err = sealKey(p.opts.Home); err != nil {
		return err
	}
	handler, err := p.handler(admin)
	if err != nil {
		return err
	}
	p.server = &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTime, MaxHeaderBytes: headerMost,
		ErrorLog: slog.NewLogLogger(p.opts.Log.Handler(), slog.LevelWarn),
	}
	if p.opts.Now != nil {
		living := clock.With(context.WithoutCancel(ctx), p.opts.Now)
		p.server.BaseContext = func(net.Listener) context.Context { return living }
	}
	return nil
}

// adminURL returns the database's URL for the role that owns everything, starting Postgres unless one is given.
func (p *Platform) adminURL(ctx context.Context) (string, error) {
	if p.opts.DatabaseURL != "" {
		p.opts.Progress("using the database of DATABASE_URL: %s", where(p.opts.DatabaseURL))
		return p.opts.DatabaseURL, nil
	}
	if err := p.forgetOld(ctx); err != nil {
		return "", err
	}
	p.opts.Progress("starting Postgres (version 15 or later; if none is installed, it is downloaded now)")
	var err error
	p.database, err = startDatabase(ctx, cluster.Options{
		Dir: filepath.Join(p.opts.Home, "postgres"), FetchDir: cluster.CacheDir(),
		Fsync: true, Log: p.opts.DatabaseLog,
		Settings: map[string]string{"shared_buffers": "256MB", "max_wal_size": "2GB"},
	}, p.opts.Log.With("part", "postgres"))
	if errors.Is(err, cluster.ErrNoBinaries) {
		return "", fmt.Errorf("%w\ninstall Postgres 15 or later, or set DATABASE_URL to one that runs", err)
	}
	if err != nil {
		return "", err
	}
	return p.database.url, p.rememberDir(p.database.dir)
}

// connectQueue declares the topics and has the messages of each pushed to its function.
func (p *Platform) connectQueue(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, declareMost)
	defer cancel()
	for _, f := range p.opts.Functions {
		if f.Topic == "" {
			continue
		}
		err := pubsub.Declare(ctx, p.opts.PubSub, project, pubsub.Topology{
			Topic: f.Topic, Subscription: strings.ToLower(f.Name),
			Endpoint:   p.Info.URL + pushPath(f.Name) + "?token=" + p.pushToken,
			MinBackoff: 100 * time.Millisecond, MaxBackoff: 10 * time.Second, LateRetry: time.Minute,
			Token: p.queueToken,
		})
		if err != nil {
			return fmt.Errorf("the Pub/Sub at %s does not answer as one; PUBSUB_EMULATOR_HOST must be its host:port: %w", p.opts.PubSub, err)
		}
	}
	return nil
}

// Wait returns when ctx ends or the HTTP server fails.
func (p *Platform) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-p.serving:
		return fmt.Errorf("serve HTTP: %w", err)
	}
}

// Stop ends everything that Start started: first the schedule, then requests, which still need the queue, then the queue
// and the functions, last the database. It gives up on each when ctx ends.
func (p *Platform) Stop(ctx context.Context) {
	warn := func(what string, err error) {
		if err != nil {
			p.opts.Log.WarnContext(ctx, "a part does not stop cleanly", "part", what, "error", err)
		}
	}
	if p.scheduler != nil {
		// A job that takes longer is broken off and called again in the next run; its function goes on, and HTTP waits for it.
		soon, cancel := context.WithTimeout(ctx, jobsGrace)
		warn("Cloud Scheduler", p.scheduler.Close(soon))
		cancel()
	}
	if p.server != nil {
		warn("HTTP", p.server.Shutdown(ctx))
	}
	if p.queue != nil {
		warn("Pub/Sub", p.queue.Close(ctx))
	}
	for _, f := range p.functions {
		f.Drain(ctx)
	}
	if p.database != nil {
		warn("Postgres", p.database.stop(ctx))
	}
	if p.lock != nil {
		warn("the lock of the home", p.lock.Close())
	}
}
