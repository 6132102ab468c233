package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/local"
	"github.com/mesherhq/mesher/shared/local/cluster"
)

// patience bounds every wait for something that has to come.
const patience = 90 * time.Second

// program is the real command, built once for all tests.
var program struct {
	sync.Once
	dir  string
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if program.dir != "" {
		_ = os.RemoveAll(program.dir)
	}
	os.Exit(code)
}

// binary returns the path of the command.
func binary(t testing.TB) string {
	t.Helper()
	program.Do(func() {
		if program.dir, program.err = os.MkdirTemp("", "mesher-program-"); program.err != nil { //nolint:usetesting // outlives the test that is first
			return
		}
		program.path = filepath.Join(program.dir, "mesher")
		out, err := exec.Command("go", "build", "-o", program.path, ".").CombinedOutput()
		if err != nil {
			program.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if program.err != nil {
		t.Fatalf("build the command: %v", program.err)
	}
	return program.path
}

// newHome returns an empty folder for a platform, which the server's user can reach also when root runs the test.
func newHome(t testing.TB) string {
	t.Helper()
	home, err := os.MkdirTemp("", "mesher-home-") //nolint:usetesting // the server's user cannot reach t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(home, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := cluster.Remove(context.Background(), filepath.Join(home, "postgres"))
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
		if err != nil {
			t.Errorf("remove the database: %v", err)
		}
	})
	return home
}

// environment returns this process's, without what would lead the command elsewhere.
func environment(home, port string) []string {
	var env []string
	for _, e := range os.Environ() {
		switch name, _, _ := strings.Cut(e, "="); name {
		case "DATABASE_URL", "PUBSUB_EMULATOR_HOST", "MESHER_HOME", "PORT":
		default:
			env = append(env, e)
		}
	}
	return append(env, "MESHER_HOME="+home, "PORT="+port)
}

// runProgram runs a subcommand to its end and returns what it wrote and its exit code.
func runProgram(t testing.TB, home string, args ...string) (output string, code int) {
	t.Helper()
	return runProgramAt(t, home, "0", args...)
}

func runProgramAt(t testing.TB, home, port string, args ...string) (output string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t), args...)
	cmd.Env = environment(home, port)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("mesher %v does not end:\n%s", args, out)
	}
	if cmd.ProcessState == nil {
		t.Fatalf("mesher %v: %v", args, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// platform is a running `mesher dev`.
type platform struct {
	home   string
	cmd    *exec.Cmd
	out    *output
	exited chan struct{}
	local.Info
}

// start runs `mesher dev` and waits until it says that it is ready.
func start(t testing.TB, home string) *platform {
	t.Helper()
	p := launch(t, home)
	wait(t, "mesher dev is ready", func() bool {
		if !p.running() {
			t.Fatalf("mesher dev ended: %v", p.cmd.ProcessState)
		}
		return strings.Contains(p.out.String(), "Mesher is ready on")
	})
	var err error
	if p.Info, err = local.ReadInfo(home); err != nil {
		t.Fatal(err)
	}
	return p
}

// launch runs `mesher dev` in a process group of its own, which is gone when the test ends.
func launch(t testing.TB, home string) *platform {
	t.Helper()
	p := &platform{home: home, out: new(output), exited: make(chan struct{})}
	p.cmd = exec.Command(binary(t), "dev")
	p.cmd.Env = environment(home, "0")
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		if p.running() {
			p.kill(t)
		}
		if t.Failed() {
			t.Logf("what mesher dev (process %d) wrote:\n%s", p.cmd.Process.Pid, p.out.end())
		}
	})
	return p
}

func (p *platform) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// ended waits for the process to end and returns its exit code.
func (p *platform) ended(t testing.TB) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatal("mesher dev does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// interrupt does what Ctrl-C does and returns the exit code.
func (p *platform) interrupt(t testing.TB) int {
	t.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	return p.ended(t)
}

// kill ends the whole process group at once.
func (p *platform) kill(t testing.TB) {
	t.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.ended(t)
}

// killAfter and interruptAfter end a platform at some moment of its start.
func (p *platform) killAfter(t testing.TB, d time.Duration) {
	t.Helper()
	p.lives(t, d)
	p.kill(t)
}

func (p *platform) interruptAfter(t testing.TB, d time.Duration) {
	t.Helper()
	p.lives(t, d)
	p.interrupt(t)
}

// lives fails the test when the process ends by itself within d.
func (p *platform) lives(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-p.exited:
		t.Fatalf("mesher dev ended: %v", p.cmd.ProcessState)
	case <-time.After(d):
	}
}

// postmaster returns the process id of the database server.
func (p *platform) postmaster(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.home, "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// gone fails the test unless all processes of platforms in home end: those in the process groups of the given
// ones, and every process of the database server, each of which works in its data directory.
func gone(t testing.TB, home string, platforms ...*platform) {
	t.Helper()
	data := filepath.Join(home, "postgres", "data")
	wait(t, "all processes are gone", func() bool {
		for _, p := range platforms {
			if syscall.Kill(-p.cmd.Process.Pid, 0) == nil {
				return false
			}
		}
		links, err := filepath.Glob("/proc/[0-9]*/cwd")
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			if at, err := os.Readlink(link); err == nil && at == data {
				return false
			}
		}
		return true
	})
}

// query returns the one number that a query of the platform's database gives.
func (p *platform) query(ctx context.Context, sql string, args ...any) (int, error) {
	conn, err := pgx.Connect(ctx, p.DatabaseURL)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	var n int
	err = conn.QueryRow(ctx, sql, args...).Scan(&n)
	return n, err
}

func (p *platform) number(t testing.TB, sql string, args ...any) int {
	t.Helper()
	n, err := p.query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// client is what tests send with.
var client = &http.Client{
	Timeout:   30 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 64},
}

// answer is what Ingest answers.
type answer struct {
	status   int
	Accepted []struct {
		EventID string `json:"event_id"`
	} `json:"accepted"`
}

// send posts events.
func send(url, key string, body []byte) (answer, error) {
	var a answer
	req, err := http.NewRequest(http.MethodPost, url+"/v1/events", bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("X-Mesher-Key", key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	a.status = resp.StatusCode
	if a.status != http.StatusAccepted {
		return a, nil
	}
	return a, json.Unmarshal(text, &a)
}

// status returns the status of a GET.
func status(url string) (int, error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// wait fails the test unless done becomes true.
func wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// output collects what a process writes.
type output struct {
	mu   sync.Mutex
	text []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// end returns the last lines.
func (o *output) end() string {
	const most = 4000
	s := o.String()
	return s[max(0, len(s)-most):]
}
