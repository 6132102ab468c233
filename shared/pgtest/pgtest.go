// Package pgtest gives every test a real, migrated Postgres database of its own. Only _test.go files import it.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
// and each of its tests begins with db := pgtest.New(t). The first of them starts a private server, unless
// TEST_DATABASE_URL names one whose user may create databases and roles, and migrates a template that the
// databases are copied from, in some tens of milliseconds each. The server ends with the test process, however
// that ends. Where Postgres is not installed it is downloaded; where that fails too, the tests are
// skipped, and fail when CI is set.
//
// With PGTEST_POOLER=1 a PgBouncer in transaction mode stands between the server and all that connects as one of the
// system's roles.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/local/cluster"
)

// directories of servers started for tests, in the system's directory for temporary files.
const dirPrefix = "mesher-test-"

// shared is the one server of the test process. It holds nothing until the first test needs it.
var shared struct {
	sync.Mutex
	main    bool
	cluster *cluster.Cluster
	server  *server
	err     error
}

// Main runs the tests of a package, ends the server that they used and exits.
func Main(m *testing.M) {
	shared.main = true
	code := m.Run()
	if err := stopShared(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// New returns a migrated database that no other test sees. It is dropped when the test ends.
func New(t testing.TB) *Database {
	t.Helper()
	return sharedServer(t).database(t, true)
}

// Empty returns a database without anything in it, for tests of the migrations themselves. Roles belong to the
// server, so those of the system exist.
func Empty(t testing.TB) *Database {
	t.Helper()
	return sharedServer(t).database(t, false)
}

// sharedServer starts the server on first use. A failure is kept: trying again for each test would only take
// longer to say the same.
func sharedServer(t testing.TB) *server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.main {
		t.Fatal("pgtest: the package needs func TestMain(m *testing.M) { pgtest.Main(m) }")
	}
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = startShared(context.Background())
	}
	require(t, shared.err)
	return shared.server
}

func startShared(ctx context.Context) (*server, error) {
	if url, ok := env.OS("TEST_DATABASE_URL"); ok && url != "" {
		return newServer(ctx, url)
	}
	sweep(ctx)
	c, err := cluster.Start(ctx, options())
	if err != nil {
		return nil, err
	}
	shared.cluster = c
	return newServer(ctx, c.URL())
}

func stopShared(ctx context.Context) error {
	shared.Lock()
	defer shared.Unlock()
	err := shared.server.stopPooler()
	if shared.server != nil && shared.cluster == nil {
		err = errors.Join(err, shared.server.dropTemplate(ctx))
	}
	if shared.cluster != nil {
		// Not Kill: the server collects its own processes, which not every container does.
		err = errors.Join(err, shared.cluster.Stop(ctx), cluster.Remove(ctx, shared.cluster.Dir()))
	}
	return err
}

// require ends the test when there is no server: skipped where Postgres is not installed, failed otherwise.
func require(t testing.TB, err error) {
	t.Helper()
	ci, _ := env.OS("CI")
	switch {
	case errors.Is(err, cluster.ErrNoBinaries) && ci == "":
		t.Skipf("pgtest: %v; install it or set TEST_DATABASE_URL", err)
	case errors.Is(err, cluster.ErrNoPooler):
		t.Fatalf("pgtest: %s is set and %v; make test-pooler installs it", poolerVariable, err)
	case err != nil:
		t.Fatalf("pgtest: %v", err)
	}
}

// options describes a server of a test process: quick rather than durable.
func options() cluster.Options {
	return cluster.Options{
		Dir:      filepath.Join(os.TempDir(), dirPrefix+strings.ToLower(rand.Text()[:12])),
		FetchDir: cluster.CacheDir(),
		Settings: map[string]string{
			"max_connections":  "200",
			"full_page_writes": "off",
			"shared_buffers":   "64MB",
		},
	}
}

// sweep removes what killed test processes left. A directory in use is locked; a young one may be about to be.
func sweep(ctx context.Context) {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*")) // fails only on a malformed pattern
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Minute {
			_ = cluster.Remove(ctx, dir)
		}
	}
}
