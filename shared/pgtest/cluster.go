package pgtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/local/cluster"
)

const defaultTimeout = 10 * time.Second

// Cluster is a server of one test's own, which the test may stop, kill and start again.
type Cluster struct {
	options cluster.Options
	running *cluster.Cluster
	server  *server
}

// NewCluster starts a server that belongs to the test alone, about two seconds. It is removed when the test
// ends, and does not need Main.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{options: options()}
	running, err := cluster.Start(t.Context(), c.options)
	require(t, err)
	c.running = running
	// The same address after each start: what is connected to it should find it again.
	c.options.Dir, c.options.Port = running.Dir(), running.Port()
	t.Cleanup(func() {
		ctx := context.Background()
		if err := errors.Join(c.server.stopPooler(), c.running.Stop(ctx), cluster.Remove(ctx, c.options.Dir)); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	c.server, err = newServer(t.Context(), running.URL())
	require(t, err)
	return c
}

// New returns a migrated database on this server.
func (c *Cluster) New(t testing.TB) *Database {
	t.Helper()
	return c.server.database(t, true)
}

// Empty returns a database without anything in it on this server.
func (c *Cluster) Empty(t testing.TB) *Database {
	t.Helper()
	return c.server.database(t, false)
}

// Stop ends the server in an orderly way; connections are cut.
func (c *Cluster) Stop(t testing.TB) {
	t.Helper()
	if err := c.running.Stop(context.Background()); err != nil {
		t.Fatalf("pgtest: stop: %v", err)
	}
}

// Kill ends the server as a crash does. What was committed is there after the next Start.
func (c *Cluster) Kill(t testing.TB) {
	t.Helper()
	if err := c.running.Kill(); err != nil {
		t.Fatalf("pgtest: kill: %v", err)
	}
}

// Start starts the server again after Stop or Kill, at the same address and with the same data.
func (c *Cluster) Start(t testing.TB) {
	t.Helper()
	running, err := cluster.Start(context.Background(), c.options)
	if err != nil {
		t.Fatalf("pgtest: start: %v", err)
	}
	c.running = running
}

// DropTemplate removes the migrated template, and with it the last object that the system's roles own, for tests
// of a server that has never seen them. New does not work afterwards.
func (c *Cluster) DropTemplate(t testing.TB) {
	t.Helper()
	if err := c.server.dropTemplate(context.Background()); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
}
