package local

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/local/cluster"
)

// databaseName is the database that everything lies in, besides the one that every server has.
const databaseName = "mesher"

// restartPause is how long a server that ended by itself is left alone before it is started again.
const restartPause = 500 * time.Millisecond

// database is the platform's own Postgres. A server that dies is started again on the same port, as a managed
// one would be.
type database struct {
	url  string
	dir  string
	opts cluster.Options
	log  *slog.Logger

	mu       sync.Mutex
	cluster  *cluster.Cluster
	stopping chan struct{}
	watching sync.WaitGroup
}

// startDatabase starts the server and creates the database in it.
func startDatabase(ctx context.Context, opts cluster.Options, log *slog.Logger) (*database, error) {
	c, err := cluster.Start(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("start the database: %w", err)
	}
	opts.Port = c.Port()
	d := &database{dir: c.Dir(), opts: opts, log: log, cluster: c, stopping: make(chan struct{})}
	d.watching.Go(func() { d.watch(context.WithoutCancel(ctx)) })
	if d.url, err = create(ctx, c.URL()); err != nil {
		_ = d.stop(context.WithoutCancel(ctx))
		return nil, err
	}
	return d, nil
}

// create creates the database if it is missing and returns its URL.
func create(ctx context.Context, server string) (string, error) {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return "", fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Close(ctx)
	var exists bool
	if err := conn.QueryRow(ctx, `select exists (select from pg_database where datname = $1)`, databaseName).Scan(&exists); err != nil {
		return "", fmt.Errorf("look for the database: %w", err)
	}
	if !exists {
		if _, err := conn.Exec(ctx, "create database "+databaseName); err != nil {
			return "", fmt.Errorf("create the database: %w", err)
		}
	}
	u, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("read the database's URL: %w", err)
	}
	u.Path = "/" + databaseName
	return u.String(), nil
}

// watch starts the server again whenever it ends without having been told to.
func (d *database) watch(ctx context.Context) {
	for {
		d.mu.Lock()
		ended := d.cluster.Done()
		d.mu.Unlock()
		select {
		case <-d.stopping:
			return
		case <-ended:
		}
		select {
		case <-d.stopping:
			return
		case <-time.After(restartPause):
		}
		d.log.ErrorContext(ctx, "Postgres ended by itself and is started again")
		if err := d.restart(ctx); err != nil {
			d.log.ErrorContext(ctx, "Postgres does not start", "error", err)
		}
	}
}

func (d *database) restart(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.cluster.Stop(ctx); err != nil { // gives up the directory
		return fmt.Errorf("clear what is left of the server: %w", err)
	}
	c, err := cluster.Start(ctx, d.opts)
	if err != nil {
		return err
	}
	d.cluster = c
	return nil
}

// stop ends the server for good.
func (d *database) stop(ctx context.Context) error {
	close(d.stopping)
	d.watching.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.cluster.Stop(ctx); err != nil {
		return fmt.Errorf("stop the database: %w", err)
	}
	return nil
}
