package main

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/local/cluster"
)

// hosted is a fresh server as a hosting company hands it out: its user is no superuser. It logs every statement.
type hosted struct {
	url   string // as that user
	super string
	log   *output
	stop  func()
}

func newHosted(t *testing.T) *hosted {
	t.Helper()
	h := &hosted{log: new(output)}
	c, err := cluster.Start(t.Context(), cluster.Options{
		Dir: filepath.Join(newHome(t), "postgres"), FetchDir: cluster.CacheDir(), Log: h.log,
		Settings: map[string]string{"log_statement": "all", "log_min_duration_statement": "0", "log_parameter_max_length_on_error": "-1"},
	})
	if ci, _ := env.OS("CI"); errors.Is(err, cluster.ErrNoBinaries) && ci == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	h.stop = func() {
		once.Do(func() {
			if err := c.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(h.stop)
	h.super = c.URL()
	for _, sql := range []string{
		"create role anon nologin", "create role authenticated nologin", "create role service_role nologin bypassrls",
		"create role postgres_like login createrole createdb password 'postgres-like'",
		"create role powerless login password 'powerless'",
		"create database hosted owner postgres_like",
	} {
		h.exec(t, sql)
	}
	h.url = h.as(t, "postgres_like", "postgres-like")
	return h
}

// as returns the URL of the hosted database for another user.
func (h *hosted) as(t *testing.T, user, password string) string {
	t.Helper()
	u, err := url.Parse(h.super)
	if err != nil {
		t.Fatal(err)
	}
	u.User, u.Path = url.UserPassword(user, password), "/hosted"
	return u.String()
}

// exec runs a statement as the superuser.
func (h *hosted) exec(t *testing.T, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), h.super)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// hides ends the server and fails the test when its log holds one of the secrets.
func (h *hosted) hides(t *testing.T, secrets ...string) {
	t.Helper()
	h.stop()
	text := h.log.String()
	if !strings.Contains(text, "alter role") {
		t.Error("the server's log does not hold the statements")
	}
	for _, s := range append(secrets, "postgres-like") {
		if len(s) < 10 {
			t.Errorf("%q is no secret", s)
		}
		if at := strings.Index(strings.ReplaceAll(text, "password 'postgres-like'", ""), s); at >= 0 {
			t.Errorf("the server's log holds a secret: …%s", text[max(0, at-200):at+len(s)])
		}
	}
}

// setUp runs the command in this process.
func setUp(t *testing.T, database string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := setupWith(t.Context(), env.Map(map[string]string{"DATABASE_URL": database}), args, &out)
	return out.String(), err
}

func mustSetUp(t *testing.T, database string, args ...string) string {
	t.Helper()
	out, err := setUp(t, database, args...)
	if err != nil {
		t.Fatalf("setup %v: %v\n%s", args, err, out)
	}
	return out
}

// variables reads the environment out of what the command printed or wrote.
func variables(text string) map[string]string {
	out := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+)=(.*)$`).FindAllStringSubmatch(text, -1) {
		out[m[1]] = strings.Trim(m[2], "'")
	}
	return out
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("there is no %q in:\n%s", p, text)
		}
	}
}

// login connects and returns who is connected.
func login(t *testing.T, database string) (user string, err error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		return "", err
	}
	defer conn.Close(t.Context())
	return user, conn.QueryRow(t.Context(), "select current_user").Scan(&user)
}

func password(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	return secret
}

// scanAs reads the one row of a query.
func scanAs(t *testing.T, database, sql string, into ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), sql).Scan(into...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
