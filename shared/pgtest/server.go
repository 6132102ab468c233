package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/local/cluster"
	"github.com/mesherhq/mesher/shared/postgres"
)

// setupLock serialises test processes that share a server: roles belong to all of them.
const setupLock = 0x706774657374

// server is a running server with a migrated template.
type server struct {
	admin    *url.URL
	template string
	mu       sync.Mutex      // one copy of the template at a time
	pooler   *cluster.Pooler // what the system's roles connect to; nil: the server itself
}

// newServer migrates a template on the server that adminURL connects to.
func newServer(ctx context.Context, adminURL string) (*server, error) {
	u, err := url.Parse(adminURL)
	if err != nil || u.Host == "" {
		return nil, errors.New("TEST_DATABASE_URL is not of the form postgres://user:password@host:port/database")
	}
	s := &server{admin: u, template: "mesher_template_" + strings.ToLower(rand.Text()[:12])}
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return nil, fmt.Errorf("connect to the test server: %w", err)
	}
	defer conn.Close(ctx) // gives the lock back
	if err := run(ctx, conn, fmt.Sprintf("select pg_advisory_lock(%d)", setupLock), "create database "+s.template); err != nil {
		return nil, err
	}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(err, s.dropTemplate(ctx))
	}
	// Nobody may be connected to a template that is copied, not even autovacuum.
	if err := run(ctx, conn, "alter database "+s.template+" with allow_connections false"); err != nil {
		return nil, err
	}
	if behindPooler() {
		if s.pooler, err = s.newPooler(ctx, 0); err != nil {
			return nil, errors.Join(err, s.dropTemplate(ctx))
		}
	}
	return s, nil
}

// migrate brings the template up to date and lets the roles log in.
func (s *server) migrate(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.url(Admin, s.template))
	if err != nil {
		return fmt.Errorf("connect to the template: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := postgres.Migrate(ctx, conn, migrations.FS, postgres.MigrateOptions{}); err != nil {
		return err
	}
	for _, role := range systemRoles() {
		if err := run(ctx, conn, fmt.Sprintf("alter role %s login password '%s'", role, s.password(role))); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) dropTemplate(ctx context.Context) error { return s.drop(ctx, s.template) }

func (s *server) drop(ctx context.Context, name string) error {
	return s.do(ctx, "drop database if exists "+name+" with (force)")
}

// database creates a database for t, migrated or empty.
func (s *server) database(t testing.TB, migrated bool) *Database {
	t.Helper()
	d := &Database{server: s, pooler: s.pooler, name: "mesher_test_" + strings.ToLower(rand.Text()[:12])}
	template := "template0"
	if migrated {
		template = s.template
	}
	s.mu.Lock()
	err := s.do(context.Background(), "create database "+d.name+" template "+template)
	s.mu.Unlock()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		// A test may end with its server gone, and the database with it.
		if err := s.drop(context.Background(), d.name); err != nil && !postgres.Transient(err) {
			t.Errorf("pgtest: %v", err)
		}
	})
	return d
}

// do runs one statement as the administrator on a connection of its own.
func (s *server) do(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.admin.String())
	if err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	defer conn.Close(ctx)
	return run(ctx, conn, sql)
}

func run(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for _, sql := range statements {
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			first, _, _ := strings.Cut(sql, "password")
			return fmt.Errorf("%s: %w", first, err)
		}
	}
	return nil
}

// password of a role: the same in every process that shares the server, and not to be guessed.
func (s *server) password(role Role) string {
	sum := sha256.Sum256([]byte(s.admin.String() + " " + string(role)))
	return hex.EncodeToString(sum[:16])
}

// url connects to a database of the server as role, past the pooler.
func (s *server) url(role Role, database string) string {
	u := *s.admin
	if role != Admin {
		u.User = url.UserPassword(string(role), s.password(role))
	}
	u.Path = "/" + database
	return u.String()
}
