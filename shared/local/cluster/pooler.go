package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNoPooler means that PgBouncer is not installed.
var ErrNoPooler = errors.New("no pgbouncer found on PATH or in /usr/sbin")

// defaultShared is how many connections to the server the clients of one user and database share: fewer than tests
// have clients, more than any of them holds transactions open at a time while it waits for another one.
const defaultShared = 8

// PoolerOptions says where and in front of what a pooler runs.
type PoolerOptions struct {
	// Dir is like that of Options, and not the directory of a server.
	Dir string
	// Server is the host:port that is connected to.
	Server string
	// Passwords by the names of the users that may connect. The server is shown the same.
	Passwords map[string]string
	// Shared is how many connections to the server the clients of one user and database have among them; 0 is 8.
	Shared int
	// Log receives the pooler's log; nil drops it.
	Log io.Writer
}

// Pooler is a running PgBouncer, for tests of what works behind one. It is in transaction mode, knows no prepared
// statements by name, and hands every transaction to the connection that was idle for the longest time, so that
// whoever relies on a session soon meets another one.
type Pooler struct {
	place  place
	port   int
	server *process
	lock   *os.File
}

// StartPooler starts a PgBouncer on 127.0.0.1 and returns when it takes connections. It returns ErrNoPooler when
// none is installed.
func StartPooler(ctx context.Context, o PoolerOptions) (*Pooler, error) {
	p, err := startPooler(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start PgBouncer in %s: %w", o.Dir, err)
	}
	return p, nil
}

func startPooler(ctx context.Context, o PoolerOptions) (*Pooler, error) {
	b, err := findPooler()
	if err != nil {
		return nil, err
	}
	home, err := choosePlace(o.Dir)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(ctx, home.dir)
	if err != nil {
		return nil, err
	}
	p := &Pooler{place: home, lock: lock}
	if err := p.run(ctx, b, o); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return p, nil
}

// findPooler returns where the program lies. Debian puts it where only root's PATH leads.
func findPooler() (binaries, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return binaries{dir: filepath.Dir(path)}, nil
		}
	}
	return binaries{}, ErrNoPooler
}

// run writes the settings and starts the program.
func (p *Pooler) run(ctx context.Context, b binaries, o PoolerOptions) error {
	text, err := output(command(ctx, b, p.place, "pgbouncer", "--version"))
	if err != nil {
		return fmt.Errorf("ask for its version: %w", err)
	}
	if p.port, err = freePort(); err != nil {
		return err
	}
	config, users := filepath.Join(p.place.dir, "pgbouncer.ini"), filepath.Join(p.place.dir, "users.txt")
	settings, err := poolerSettings(o, p.port, users, string(text))
	if err != nil {
		return err
	}
	for file, text := range map[string]string{config: settings, users: poolerUsers(o.Passwords)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write its settings: %w", err)
		}
		if err := p.place.give(file); err != nil {
			return err
		}
	}
	last := &tail{to: o.Log}
	cmd := command(context.WithoutCancel(ctx), b, p.place, "pgbouncer", config)
	cmd.Stdout, cmd.Stderr = last, last
	if p.server, err = spawn(cmd); err != nil {
		return fmt.Errorf("run %s: %w", cmd.Path, err)
	}
	return p.wait(ctx, last)
}

// wait returns when the program takes connections.
func (p *Pooler) wait(ctx context.Context, log *tail) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "tcp", p.Addr())
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.server.done:
			return &exitError{p.server.err, log.String()}
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("it takes no connection: %w", ctx.Err()), p.server.kill())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Addr returns the host:port that clients connect to.
func (p *Pooler) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

// Stop ends the program, cutting what is connected, and removes its directory.
func (p *Pooler) Stop() error {
	defer p.lock.Close()
	err := p.server.kill() // it has nothing to save
	if e := os.RemoveAll(p.place.dir); e != nil {
		err = errors.Join(err, fmt.Errorf("remove the pooler's directory: %w", e))
	}
	return err
}

// poolerSettings returns the text of pgbouncer.ini. version is what the program says of itself.
func poolerSettings(o PoolerOptions, port int, users, version string) (string, error) {
	host, to, err := net.SplitHostPort(o.Server)
	if err != nil {
		return "", fmt.Errorf("the server's address: %w", err)
	}
	shared := strconv.Itoa(cmp.Or(o.Shared, defaultShared))
	settings := map[string]string{
		"listen_addr":               "127.0.0.1",
		"listen_port":               strconv.Itoa(port),
		"unix_socket_dir":           "",
		"auth_type":                 "scram-sha-256",
		"auth_file":                 users,
		"pool_mode":                 "transaction",
		"default_pool_size":         shared,
		"max_client_conn":           "2000",
		"min_pool_size":             "2", // so that even a lone client is not always served by the same
		"server_round_robin":        "1",
		"server_login_retry":        "1",
		"server_idle_timeout":       "5",
		"autodb_idle_timeout":       "5",
		"query_wait_timeout":        "60", // Supavisor's default as well
		"log_connections":           "0",
		"log_disconnections":        "0",
		"log_pooler_errors":         "1",
		"server_check_delay":        "30",
		"ignore_startup_parameters": "",
	}
	// Since 1.21 statements have names again, unless told so; before, the setting is unknown.
	if major, minor := poolerVersion(version); major > 1 || minor >= 21 {
		settings["max_prepared_statements"] = "0"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[databases]\n* = host=%s port=%s\n\n[pgbouncer]\n", host, to)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s = %s\n", name, settings[name])
	}
	return b.String(), nil
}

// poolerVersion reads "PgBouncer 1.18.0".
func poolerVersion(text string) (major, minor int) {
	_, rest, _ := strings.Cut(text, ".")
	return firstNumber(text), firstNumber(rest)
}

// poolerUsers returns the text of the file of users.
func poolerUsers(passwords map[string]string) string {
	quote := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(passwords)) {
		fmt.Fprintf(&b, "%s %s\n", quote(name), quote(passwords[name]))
	}
	return b.String()
}
