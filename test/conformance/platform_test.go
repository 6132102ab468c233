// Package conformance drives real SDKs against a running Mesher, the way a program that uses them does, and reads
// from its database what became of everything that they sent.
//
// It knows the platform only from outside: the command `mesher dev`, the addresses in its dev.json, and the table
// of events.
package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that has to come.
const patience = 90 * time.Second

// mesher is the platform that all tests share: what one of them sends is told apart by its event ids and release.
var mesher platform

func TestMain(m *testing.M) {
	if err := mesher.start(); err != nil {
		err = errors.Join(err, mesher.stop())
		fmt.Fprintf(os.Stderr, "%v\n%s", err, mesher.output.String())
		os.Exit(1)
	}
	code := m.Run()
	if code != 0 {
		fmt.Fprintf(os.Stderr, "what mesher dev wrote:\n%s\n", mesher.output.String())
	}
	if err := mesher.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// platform is a running `mesher dev`.
type platform struct {
	dir    string // of the program and of its state
	cmd    *exec.Cmd
	ended  chan struct{}
	output output

	URL         string `json:"url"`
	APIKey      string `json:"api_key"`
	DSN         string `json:"dsn"`
	DatabaseURL string `json:"database_url"`
	DatabaseDir string `json:"database_dir"` // when it is not below the platform's home
}

// start builds the command, starts it with a fresh database and returns when it is ready for events.
func (p *platform) start() error {
	var err error
	if p.dir, err = os.MkdirTemp("", "mesher-conformance-"); err != nil {
		return err
	}
	// The database server may run as another user, who must be able to pass.
	if err := os.Chmod(p.dir, 0o711); err != nil {
		return err
	}
	program, err := p.program()
	if err != nil {
		return err
	}
	p.cmd = exec.Command(program, "dev")
	p.cmd.Env = environment("MESHER_HOME="+p.home(), "PORT=0", "MESHER_STOP_WITH_PARENT=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start the command: %w", err)
	}
	p.ended = make(chan struct{})
	go func() {
		_ = p.cmd.Wait() // its state is asked for
		close(p.ended)
	}()
	if err := p.ready(); err != nil {
		return err
	}
	info, err := os.ReadFile(filepath.Join(p.home(), "dev.json"))
	if err != nil {
		return err
	}
	return json.Unmarshal(info, p)
}

// program returns the path of the command: that of CONFORMANCE_PROGRAM, else it is built.
func (p *platform) program() (string, error) {
	if built := os.Getenv("CONFORMANCE_PROGRAM"); built != "" {
		return built, nil
	}
	path := filepath.Join(p.dir, "mesher")
	build := exec.Command("go", "build", "-C", filepath.Join("..", ".."), "-buildvcs=false", "-o", path, "./cmd/mesher")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the command: %w\n%s", err, out)
	}
	return path, nil
}

func (p *platform) home() string { return filepath.Join(p.dir, "home") }

// ready waits until the platform says that it is.
func (p *platform) ready() error {
	for deadline := time.Now().Add(patience); !strings.Contains(p.output.String(), "Mesher is ready on"); {
		select {
		case <-p.ended:
			return fmt.Errorf("mesher dev ended: %v", p.cmd.ProcessState)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("mesher dev is not ready within %s", patience)
		}
	}
	return nil
}

// stop ends the platform the way a supervisor does and removes all of its state.
func (p *platform) stop() error {
	err := p.terminate()
	for _, dir := range []string{p.DatabaseDir, p.dir} {
		if dir == "" {
			continue
		}
		if removeErr := os.RemoveAll(dir); err == nil {
			err = removeErr
		}
	}
	return err
}

// terminate asks the platform to end, and kills all of its processes if it does not.
func (p *platform) terminate() error {
	if p.ended == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
		return fmt.Errorf("mesher dev did not end within %s of SIGTERM", patience)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("mesher dev ended with %d after SIGTERM\n%s", code, p.output.String())
	}
	return nil
}

// environment returns this process's, without what would lead a program elsewhere or let an SDK find another
// project, and with the given settings.
func environment(settings ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		foreign := strings.HasPrefix(name, "SENTRY_") || strings.HasPrefix(name, "OTEL_") || strings.HasPrefix(name, "MESHER_") ||
			name == "DATABASE_URL" || name == "PUBSUB_EMULATOR_HOST" || strings.HasSuffix(strings.ToUpper(name), "_PROXY")
		if !foreign {
			env = append(env, e)
		}
	}
	return append(env, settings...)
}

// run runs a program to its end and returns what it wrote.
func run(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = environment("MESHER_DSN="+mesher.DSN, "MESHER_URL="+mesher.URL, "MESHER_KEY="+mesher.APIKey)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, said.Bytes(), out)
	}
	return out
}

// output collects what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes text of the process.
func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

// String returns the last part of it.
func (o *output) String() string {
	const most = 8000
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.text.String()
	return text[max(0, len(text)-most):]
}
