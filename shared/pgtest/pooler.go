package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/local/cluster"
)

// poolerVariable puts a PgBouncer between the tests and their server.
const poolerVariable = "PGTEST_POOLER"

// behindPooler reports whether the tests are to run through a pooler.
func behindPooler() bool {
	on, _ := env.OS(poolerVariable)
	return on != "" && on != "0"
}

// systemRoles are the roles that functions connect as.
func systemRoles() []Role { return []Role{Store, App, Ingest} }

// Behind returns the same database for tests that are about a pooler: what connects as one of the system's roles
// shares that many connections, whether or not PGTEST_POOLER is set. Where PgBouncer is not installed the test is
// skipped, unless PGTEST_POOLER asks for it.
func (d *Database) Behind(t testing.TB, connections int) *Database {
	t.Helper()
	pooler, err := d.server.newPooler(t.Context(), connections)
	if errors.Is(err, cluster.ErrNoPooler) && !behindPooler() {
		t.Skipf("pgtest: %v; make test-pooler installs it", err)
	}
	require(t, err)
	t.Cleanup(func() {
		if err := pooler.Stop(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return &Database{server: d.server, pooler: pooler, name: d.name}
}

// newPooler starts a pooler in front of the server.
func (s *server) newPooler(ctx context.Context, connections int) (*cluster.Pooler, error) {
	port := s.admin.Port()
	if port == "" {
		port = "5432"
	}
	passwords := map[string]string{}
	for _, role := range systemRoles() {
		passwords[string(role)] = s.password(role)
	}
	return cluster.StartPooler(ctx, cluster.PoolerOptions{
		Dir:       filepath.Join(os.TempDir(), dirPrefix+strings.ToLower(rand.Text()[:12])),
		Server:    net.JoinHostPort(s.admin.Hostname(), port),
		Passwords: passwords,
		Shared:    connections,
	})
}

// stopPooler ends the pooler of all tests, if there is one.
func (s *server) stopPooler() error {
	if s == nil || s.pooler == nil {
		return nil
	}
	return s.pooler.Stop()
}

// through returns a URL that leads to the pooler instead of the server.
func through(p *cluster.Pooler, direct string) string {
	u, err := url.Parse(direct)
	if err != nil {
		return direct // it was put together from a URL
	}
	u.Host, u.RawQuery = p.Addr(), "sslmode=disable"
	return u.String()
}
