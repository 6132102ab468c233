// Package cluster runs a private Postgres server as a child of this process: for the laptop, and for tests.
//
// The server listens on 127.0.0.1 only and asks for a password. It ends when it is stopped and, on Linux, also
// when this process is killed; where the system cannot promise that, the next Start for the same directory ends
// what was left. As root, which Postgres refuses to run as, the server runs as an unprivileged user.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrNoBinaries means that no usable Postgres is installed and that fetching one was not allowed.
var ErrNoBinaries = errors.New("no Postgres of version 15 or later found on PATH or in the usual places")

// ErrInUse means that another live process runs a server in the directory.
var ErrInUse = errors.New("the directory is in use by another process")

// superuser is the role that URL connects as.
const superuser = "postgres"

// Options says where and how a server runs.
type Options struct {
	// Dir holds everything of this server and belongs to this package alone. It is created when missing, and
	// read back by Dir of the started cluster: as root, a directory that the unprivileged user cannot reach is
	// replaced by one below /var/lib/mesher whose name depends only on Dir.
	Dir string
	// Port on 127.0.0.1; 0 picks a free one.
	Port int
	// FetchDir caches Postgres binaries downloaded when none is installed; empty forbids the download.
	FetchDir string
	// Fsync makes commits survive a crash of the machine. Without it they survive only a crash of processes.
	Fsync bool
	// Log receives the server's log; nil drops it. The last lines are part of the error when a start fails.
	Log io.Writer
	// Settings are added to the server's command line and win over the defaults.
	Settings map[string]string

	onlyFetched bool // as if nothing were installed
}

// Cluster is a running server.
type Cluster struct {
	place    place
	port     int
	password string
	server   *process
	lock     *os.File
}

// Start starts the server in o.Dir, creating its data first when there is none, and returns when it accepts
// connections. The data of an earlier run is kept, whichever way that run ended. It returns ErrInUse when a
// live process holds the directory, and ErrNoBinaries.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c, err := start(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start Postgres in %s: %w", o.Dir, err)
	}
	return c, nil
}

func start(ctx context.Context, o Options) (*Cluster, error) {
	p, err := choosePlace(o.Dir)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(ctx, p.dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{place: p, lock: lock}
	if err := c.run(ctx, o); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return c, nil
}

// run brings the data directory into a usable state and starts the server, with the directory's lock held.
func (c *Cluster) run(ctx context.Context, o Options) error {
	if err := stopOrphan(ctx, c.place.data()); err != nil {
		return err
	}
	bin, err := locate(ctx, c.place, o)
	if err != nil {
		return err
	}
	if err := initialise(ctx, bin, c.place, o.Fsync); err != nil {
		return err
	}
	secret, err := os.ReadFile(c.place.password())
	if err != nil {
		return fmt.Errorf("read the superuser's password: %w", err)
	}
	c.password = strings.TrimSpace(string(secret))

	const tries = 5
	for try := 1; ; try++ {
		c.port = o.Port
		if c.port == 0 {
			if c.port, err = freePort(); err != nil {
				return err
			}
		}
		c.server, err = launch(ctx, bin, c.place, arguments(c.place, c.port, o), o.Log)
		if err == nil {
			return nil
		}
		// The port may have been taken in between, and backends of a server that was killed hold its shared
		// memory for a moment: both pass.
		var early *exitError
		passing := errors.As(err, &early) && (early.mentions("shared memory block") ||
			o.Port == 0 && early.mentions("Address already in use"))
		if !passing || try == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * 100 * time.Millisecond):
		}
	}
}

// URL connects to the database postgres as the superuser. It contains the password.
func (c *Cluster) URL() string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, c.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)),
		Path:     "/postgres",
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Port returns the port on 127.0.0.1.
func (c *Cluster) Port() int { return c.port }

// Dir returns the directory really used, which as root may differ from the one asked for. Passing it to a
// later Start leads to the same data.
func (c *Cluster) Dir() string { return c.place.dir }

// Done is closed when the server has ended, whatever the reason.
func (c *Cluster) Done() <-chan struct{} { return c.server.done }

// Stop ends the server: connections are cut, everything committed is on disk. It waits until ctx ends or for
// 15 s, and then ends the server the hard way. Stopping an ended server is not an error.
func (c *Cluster) Stop(ctx context.Context) error {
	defer c.lock.Close()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	return c.server.stop(ctx)
}

// Kill ends the server as a crash does, without any chance to tidy up. The next Start recovers the data.
func (c *Cluster) Kill() error {
	defer c.lock.Close()
	return c.server.kill()
}

// Remove deletes the directory of a server that no live process holds, after ending a server that was left
// running in it. It returns ErrInUse when a live process holds it. A directory that does not exist is fine.
func Remove(ctx context.Context, dir string) error {
	p, err := findPlace(dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(p.dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := p.check(); err != nil {
		return err
	}
	lock, err := tryLock(p.dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := stopOrphan(ctx, p.data()); err != nil {
		return err
	}
	if err := os.RemoveAll(p.dir); err != nil {
		return fmt.Errorf("remove the server's directory: %w", err)
	}
	return nil
}

// freePort asks the system for a port that nothing listens on now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func abs(dir string) (string, error) {
	if dir == "" {
		return "", errors.New("no directory given")
	}
	a, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", dir, err)
	}
	return a, nil
}
