package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopOrphan ends the server that a killed process of ours left running on a data directory. Called with the
// directory's lock held, so no live process counts on that server. The process id in postmaster.pid may belong
// to somebody else by now: it is signalled only after a look at what it is.
func stopOrphan(ctx context.Context, data string) error {
	file := filepath.Join(data, "postmaster.pid")
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for a running server: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 {
		return remove(file) // cut off while it was written
	}
	for _, step := range []struct {
		signal   syscall.Signal
		patience time.Duration
	}{{syscall.SIGINT, 10 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}, {syscall.SIGKILL, 5 * time.Second}} {
		if !serves(pid, data) {
			break
		}
		if err := syscall.Kill(pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end the server of an earlier run (process %d): %w", pid, err)
		}
		if err := gone(ctx, pid, data, step.patience); err != nil {
			return err
		}
	}
	if serves(pid, data) {
		return fmt.Errorf("the server of an earlier run (process %d) does not end", pid)
	}
	// Postgres clears the file of a dead process by itself. Where the number lives on, as another program or as
	// a process that nobody collected, it would refuse to start.
	if err := syscall.Kill(pid, 0); err == nil || errors.Is(err, syscall.EPERM) {
		return remove(file)
	}
	return nil
}

// gone waits until the process no longer serves the directory, at most for patience. Only the end of ctx is an
// error.
func gone(ctx context.Context, pid int, data string, patience time.Duration) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) && serves(pid, data); {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the server of an earlier run (process %d): %w", pid, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func remove(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("clear a stale process file: %w", err)
	}
	return nil
}
