package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// helperDir makes this test binary start a cluster there and wait to be killed.
const helperDir = "MESHER_TEST_CLUSTER_HELPER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		c, err := Start(context.Background(), Options{Dir: dir})
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(c.URL())
		time.Sleep(time.Minute)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// newDir returns a directory that does not exist yet, where an unprivileged user can reach it, which is not so
// below t.TempDir.
func newDir(t *testing.T) string {
	t.Helper()
	f, err := os.CreateTemp("", "mesher-cluster-test-")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Remove(context.Background(), f.Name()); err != nil {
			t.Errorf("Remove: %v", err)
		}
	})
	return f.Name()
}

// startTest starts a cluster and stops it when the test ends; without Postgres the test is skipped.
func startTest(t *testing.T, o Options) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), o)
	if errors.Is(err, ErrNoBinaries) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop(context.Background()) })
	return c
}

func query(t *testing.T, url, sql string) (string, error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.Background())
	var out string
	rows, err := conn.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return "", err
	}
	for rows.Next() {
		if err := rows.Scan(&out); err != nil {
			return "", err
		}
	}
	return out, rows.Err()
}

func must(t *testing.T, url, sql string) string {
	t.Helper()
	out, err := query(t, url, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

func TestCluster_KeepsDataAcrossRestarts(t *testing.T) {
	t.Parallel()
	o := Options{Dir: newDir(t), Settings: map[string]string{"max_connections": "20"}}
	for _, end := range []func(*Cluster) error{
		func(c *Cluster) error { return c.Stop(t.Context()) },
		(*Cluster).Kill,
	} {
		c := startTest(t, o)
		must(t, c.URL(), "create table if not exists kept (n int)")
		must(t, c.URL(), "insert into kept values (1)")
		if err := end(c); err != nil {
			t.Fatal(err)
		}
		select {
		case <-c.Done():
		default:
			t.Error("Done is open although the server has ended")
		}
		if _, err := query(t, c.URL(), "select 1"); err == nil {
			t.Error("the server answers after its end")
		}
	}
	begin := time.Now()
	c := startTest(t, o)
	t.Logf("start after kill: %v", time.Since(begin))
	for sql, want := range map[string]string{
		"select count(*)::text from kept": "2",
		"show max_connections":            "20",
		"show fsync":                      "off",
		"show server_encoding":            "UTF8",
		"show timezone":                   "UTC",
		"show listen_addresses":           "127.0.0.1",
		"show password_encryption":        "scram-sha-256",
	} {
		if got := must(t, c.URL(), sql); got != want {
			t.Errorf("%s = %q, want %q", sql, got, want)
		}
	}
}

func TestCluster_AsksForThePassword(t *testing.T) {
	t.Parallel()
	c := startTest(t, Options{Dir: newDir(t)})
	if _, err := query(t, fmt.Sprintf("postgres://postgres:wrong@127.0.0.1:%d/postgres", c.Port()), "select 1"); err == nil {
		t.Error("a wrong password was accepted")
	}
	info, err := os.Stat(filepath.Join(c.Dir(), "password"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the password file = %v, want 0600", info.Mode().Perm())
	}
}

func TestCluster_RefusesADirectoryInUse(t *testing.T) {
	t.Parallel()
	o := Options{Dir: newDir(t)}
	c := startTest(t, o)
	if _, err := Start(t.Context(), o); !errors.Is(err, ErrInUse) {
		t.Errorf("second Start = %v, want ErrInUse", err)
	}
	if err := Remove(t.Context(), o.Dir); !errors.Is(err, ErrInUse) {
		t.Errorf("Remove of a running cluster = %v, want ErrInUse", err)
	}
	must(t, c.URL(), "select 1::text")
}

func TestCluster_RefusesAForeignDirectory(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	precious := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{Dir: dir}); err == nil {
		t.Error("Start took over a directory that holds something else")
	}
	if err := Remove(t.Context(), dir); err == nil {
		t.Error("Remove deleted a directory that holds something else")
	}
	if err := os.Remove(precious); err != nil {
		t.Error(err)
	}
}

func TestCluster_IgnoresAStaleProcessFile(t *testing.T) {
	t.Parallel()
	o := Options{Dir: newDir(t)}
	c := startTest(t, o)
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Our own number lives and is no server; it must survive this.
	data := filepath.Join(c.Dir(), "data")
	for _, text := range []string{strconv.Itoa(os.Getpid()) + "\n" + data + "\n", "999999999\n", ""} {
		file := filepath.Join(data, "postmaster.pid")
		if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), c.place.give(file)); err != nil {
			t.Fatal(err)
		}
		c = startTest(t, o)
		must(t, c.URL(), "select 1::text")
		if err := c.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCluster_TellsWhyAStartFailed(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{Dir: newDir(t), Settings: map[string]string{"no_such": "1"}})
	if errors.Is(err, ErrNoBinaries) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err == nil || !strings.Contains(err.Error(), "no_such") {
		t.Errorf("error = %v, want one that repeats the server's log", err)
	}
}
