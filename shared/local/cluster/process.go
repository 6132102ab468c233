package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startPatience bounds a start, recovery after a crash included, when ctx has no earlier end.
const startPatience = 60 * time.Second

// process is a running server program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed after err is set
	err  error
}

// exitError is a server that ended before it was ready.
type exitError struct {
	cause error
	log   string
}

func (e *exitError) Error() string {
	return fmt.Sprintf("the server ended at once (%v), its log ends with:\n%s", e.cause, e.log)
}

func (e *exitError) Unwrap() error { return e.cause }

func (e *exitError) mentions(text string) bool { return strings.Contains(e.log, text) }

// launch starts the server and waits until it accepts connections.
func launch(ctx context.Context, b binaries, p place, args []string, log io.Writer) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	last := &tail{to: log}
	// Not bound to ctx: the server outlives the start.
	cmd := command(context.WithoutCancel(ctx), b, p, "postgres", args...)
	cmd.Stdout, cmd.Stderr = last, last
	cmd.WaitDelay = 2 * time.Second // backends of a killed server may hold the log open
	s, err := spawn(cmd)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", cmd.Path, err)
	}
	for !ready(p.data(), cmd.Process.Pid) {
		select {
		case <-s.done:
			return nil, &exitError{s.err, last.String()}
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("the server is not ready: %w", ctx.Err()), s.kill())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return s, nil
}

// spawn runs cmd in a goroutine that keeps its thread until the program ends: the system sends the signal that
// ends a program with us when the thread that created it ends, not the process.
func spawn(cmd *exec.Cmd) (*process, error) {
	s := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		s.err = cmd.Wait()
		close(s.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return s, nil
}

// output runs a program to its end and returns what it wrote.
func output(cmd *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	s, err := spawn(cmd)
	if err != nil {
		return nil, err
	}
	<-s.done
	return out.Bytes(), s.err
}

// ready reports whether the server of this process id has written that it accepts connections.
func ready(data string, pid int) bool {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	const status = 7
	return len(lines) > status && lines[0] == strconv.Itoa(pid) && strings.TrimSpace(lines[status]) == "ready"
}

// stop asks the server to end, harder and harder.
func (s *process) stop(ctx context.Context) error {
	select {
	case <-s.done:
		return nil
	default:
	}
	// Interrupt cuts connections and writes a checkpoint. An error means that it has just ended.
	_ = s.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	_ = s.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-s.done:
		return fmt.Errorf("the server was ended without a checkpoint: %w", ctx.Err())
	case <-time.After(5 * time.Second):
		return errors.Join(fmt.Errorf("the server did not end: %w", ctx.Err()), s.kill())
	}
}

// kill ends the server as a crash would and waits for it. Its backends notice and follow.
func (s *process) kill() error {
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill the server: %w", err)
	}
	<-s.done
	return nil
}
