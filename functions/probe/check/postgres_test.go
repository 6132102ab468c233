package check

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/pgtest"
)

// database is a real one, with a table and somebody who may write it.
func database(t testing.TB) (db *pgtest.Database, text string) {
	t.Helper()
	db = pgtest.Empty(t)
	db.Exec(t,
		"create table jobs (id int, state text)", "insert into jobs values (1, 'done'), (2, null)", "grant all on jobs to mesher_app",
		"create schema if not exists x")
	u, err := url.Parse(db.DirectURL(pgtest.App)) // what is checked here is the server
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = "sslmode=disable"
	return db, u.String()
}

func query(t testing.TB, c *Checker, text string, config monitor.PostgresConfig) monitor.Look {
	t.Helper()
	return c.Run(t.Context(), monitor.Postgres, monitor.Config{Postgres: &config}, monitor.Secrets{URL: text}, patient)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	db, text := database(t)
	c := usual(t)
	u, _ := url.Parse(text)
	password, _ := u.User.Password()
	for _, x := range []struct {
		query, expect string
		code          string
		text          string
	}{
		{"", "", monitor.CodeOK, ""},
		{"", "1", monitor.CodeOK, ""},
		{"", "2", monitor.CodeResult, "1 rows"},
		{"select state from jobs where id = 1", "done", monitor.CodeOK, ""},
		{"select state from jobs where id = 2", "done", monitor.CodeResult, ""},
		{"select state from jobs where id = 3", "done", monitor.CodeResult, "0 rows"},
		{"select count(*) from jobs", "2", monitor.CodeOK, ""},
		{"select true", "t", monitor.CodeOK, ""},
		{"select 1.50::numeric", "1.50", monitor.CodeOK, ""},
		{"select generate_series(1, 1000)", "1", monitor.CodeOK, ""},
		{"select current_setting('transaction_read_only')", "on", monitor.CodeOK, ""},
		{"select current_setting('statement_timeout') <> '0'", "t", monitor.CodeOK, ""},
		{"insert into jobs values (3, 'x')", "", monitor.CodeQuery, "25006"},
		{"select * from jobs for update", "", monitor.CodeQuery, "25006"},
		{"do $$ begin insert into jobs values (4, 'x'); end $$", "", monitor.CodeQuery, "25006"},
		{"do $$ begin set transaction read write; insert into jobs values (5, 'x'); end $$", "", monitor.CodeQuery, "25001"},
		{"set transaction read write", "", monitor.CodeQuery, "25001"},
		{"commit; insert into jobs values (6, 'x')", "", monitor.CodeQuery, "42601"},
		{"select 1; select 2", "", monitor.CodeQuery, "42601"},
		{"select no_such_column", "", monitor.CodeQuery, "42703"},
		{"select 'private'::int", "", monitor.CodeQuery, "22P02"},
		{"select repeat('x', 300000)", "", monitor.CodeTooLarge, ""},
		{"select repeat('x', 1000) from generate_series(1, 10000)", "", monitor.CodeTooLarge, ""},
		{"copy jobs to stdout", "", monitor.CodeOK, ""},
		{"nonsense", "", monitor.CodeQuery, "42601"},
	} {
		got := query(t, c, text, monitor.PostgresConfig{Query: x.query, Expect: x.expect})
		if got.Details.Code != x.code || !strings.Contains(got.Details.Error, x.text) {
			t.Errorf("%s: got %s (%s), want %s (%s)", x.query, got.Details.Code, got.Details.Error, x.code, x.text)
		}
		if s := fmt.Sprintf("%+v", got); strings.Contains(s, password) || strings.Contains(s, "private") {
			t.Errorf("%s: the result shows the password, or data: %s", x.query, s)
		}
	}
	var n int
	if err := db.Conn(t, pgtest.Admin).QueryRow(t.Context(), "select count(*) from jobs").Scan(&n); err != nil || n != 2 {
		t.Errorf("there are %d rows (%v), want 2: a look has written", n, err)
	}
	got := query(t, c, text, monitor.PostgresConfig{})
	if got.Details.Address != u.Host || got.Details.ConnectMS <= 0 || got.Latency <= 0 {
		t.Errorf("got %+v", got)
	}
}

func TestPostgresEndsSlowQueries(t *testing.T) {
	t.Parallel()
	db, text := database(t)
	c := usual(t)
	run := func(q string) monitor.Look {
		config := monitor.Config{Postgres: &monitor.PostgresConfig{Query: q, DegradedAfterMS: 1}}
		return c.Run(t.Context(), monitor.Postgres, config, monitor.Secrets{URL: text}, time.Second)
	}
	want(t, run("select pg_sleep(30)"), monitor.Down, monitor.CodeTimeout, "waiting for the answer")
	want(t, run("select pg_sleep(0.05)"), monitor.Degraded, monitor.CodeSlow)
	// Nothing runs on at the server.
	conn := db.Conn(t, pgtest.Admin)
	for ends := time.Now().Add(patient); ; time.Sleep(20 * time.Millisecond) {
		var n int
		err := conn.QueryRow(t.Context(), "select count(*) from pg_stat_activity where application_name = 'mesher-probe' and datname = current_database()").Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		if time.Now().After(ends) {
			t.Fatalf("%d connections are left", n)
		}
	}
}

func TestPostgresLogin(t *testing.T) {
	t.Parallel()
	_, text := database(t)
	c := usual(t)
	change := func(f func(*url.URL)) string {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		f(u)
		return u.String()
	}
	for name, x := range map[string]struct{ url, code, text string }{
		"wrong password": {change(func(u *url.URL) { u.User = url.UserPassword("mesher_app", "hunter2") }), monitor.CodeLogin, "28P01"},
		"unknown user":   {change(func(u *url.URL) { u.User = url.UserPassword("nobody", "hunter2") }), monitor.CodeLogin, "28P01"},
		"no database":    {change(func(u *url.URL) { u.Path = "/none" }), monitor.CodeLogin, "3D000"},
		"no TLS there":   {change(func(u *url.URL) { u.RawQuery = "" }), monitor.CodeTLS, "sslmode=disable"},
		"TLS required":   {change(func(u *url.URL) { u.RawQuery = "sslmode=require" }), monitor.CodeTLS, "takes no encrypted connections"},
		"nobody there":   {change(func(u *url.URL) { u.Host = "127.0.0.1:1" }), monitor.CodeConnect, "nothing listens"},
		"metadata":       {change(func(u *url.URL) { u.Host = "169.254.169.254:5432" }), monitor.CodeRefusedAddress, "refused"},
		"port 25":        {change(func(u *url.URL) { u.Host = "127.0.0.1:25" }), monitor.CodeRefusedPort, "refused"},
	} {
		got := query(t, c, x.url, monitor.PostgresConfig{})
		if got.Details.Code != x.code || !strings.Contains(got.Details.Error, x.text) || strings.Contains(got.Details.Error, "hunter2") {
			t.Errorf("%s: got %s (%s), want %s (%s)", name, got.Details.Code, got.Details.Error, x.code, x.text)
		}
	}
}

func TestPostgresURL(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "host=127.0.0.1 user=me", "mysql://me@host/db", "postgres://host/db", "postgres://me:hunter2@/db", "postgres:me@host/db",
		"postgres://me:hunter2@a,b/db", "postgres://me:hunter2@host:0/db", "postgres://me:hunter2@host:99999/db", "postgres://me:hunter2@host:x/db",
		"postgres://me:hunter2@host/db?sslmode=prefer", "postgres://me:hunter2@host/db?sslmode=allow", "postgres://me:hunter2@host/db?sslmode=",
		"postgres://me:hunter2@host/db?sslmode=disable&sslmode=require", "postgres://me:hunter2@host/db?host=/var/run/postgresql",
		"postgres://me:hunter2@host/db?sslrootcert=/etc/passwd", "postgres://me:hunter2@host/db?passfile=/etc/passwd",
		"postgres://me:hunter2@host/db?servicefile=/etc/passwd&service=a", "postgres://me:hunter2@host/db?options=-c%20x", "postgres://me:hunter2@%2Ftmp/db",
		"postgres://me:hunter2@host/db#x", "postgres://me:hun%ter2@host/db",
	} {
		if got, err := parseTarget(text); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
		want(t, query(t, usual(t), text, monitor.PostgresConfig{}), monitor.Down, monitor.CodeConfiguration)
	}
	got, err := parseTarget("postgresql://me:p%40ss@db.example.com")
	if want := (target{host: "db.example.com", user: "me", password: "p@ss", database: "me", mode: "verify-full", port: 5432}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// TestPostgresIgnoresThisMachine sets what pgx would otherwise take from the environment.
func TestPostgresIgnoresThisMachine(t *testing.T) {
	for name, value := range map[string]string{
		"PGHOST": "/var/run/postgresql", "PGSSLMODE": "require", "PGPASSWORD": "hunter2", "PGTARGETSESSIONATTRS": "standby", "PGAPPNAME": "other", "PGCONNECT_TIMEOUT": "1",
	} {
		t.Setenv(name, value)
	}
	to, err := parseTarget("postgres://me@db.example.com/db?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	var state *tls.ConnectionState
	c, err := to.config(&wire{}, nil, time.Now, &state)
	if err != nil {
		t.Fatal(err)
	}
	if c.Host != "db.example.com" || c.Password != "" || c.TLSConfig != nil || c.Fallbacks != nil || c.ValidateConnect != nil ||
		c.ConnectTimeout != 0 || len(c.RuntimeParams) != 2 || c.RuntimeParams["application_name"] != "mesher-probe" {
		t.Errorf("got %+v", c)
	}
}

// terminate puts TLS with a certificate in front of a database, as a pooler has it.
func terminate(t testing.TB, database string, cert tls.Certificate) string {
	t.Helper()
	return listen(t, func(c net.Conn) {
		if _, err := io.ReadFull(c, make([]byte, 8)); err != nil { // the wish for encryption
			return
		}
		_, _ = c.Write([]byte("S"))
		outer := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
		if outer.HandshakeContext(context.Background()) != nil {
			return
		}
		inner, err := net.Dial("tcp", database)
		if err != nil {
			return
		}
		defer inner.Close()
		go func() { _, _ = io.Copy(inner, outer); inner.Close() }()
		_, _ = io.Copy(outer, inner)
	})
}

func TestPostgresOverTLS(t *testing.T) {
	t.Parallel()
	_, text := database(t)
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	direct := u.Host
	a := newAuthority(t)
	c := checker(t, settings(), Options{Roots: a.roots})
	for name, x := range certificates(t, a) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := *u
			u.Host = terminate(t, direct, x.cert)
			for mode, code := range map[string]string{
				"":            x.code,
				"verify-full": x.code,
				"verify-ca":   x.code,
				"require":     monitor.CodeOK,
			} {
				if code == monitor.CodeCertificateExpiring || mode == "verify-ca" && code == monitor.CodeCertificateHost {
					code = monitor.CodeOK // nobody asked for days, or for the host
				}
				q := url.Values{}
				if mode != "" {
					q.Set("sslmode", mode)
				}
				u.RawQuery = q.Encode()
				got := query(t, c, u.String(), monitor.PostgresConfig{})
				if got.Details.Code != code || got.Details.ExpiresAt.IsZero() || got.Details.TLSMS <= 0 {
					t.Errorf("sslmode %q: got %s (%s), want %s; %+v", mode, got.Details.Code, got.Details.Error, code, got.Details)
				}
			}
		})
	}
}
