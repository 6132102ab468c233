package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lockName is the file whose lock tells a live owner from a server that was left running.
const lockName = "cluster.lock"

// lockPatience is how long a start waits for an owner that is just ending.
const lockPatience = 3 * time.Second

// lockDir takes the directory's lock, which the system gives back when this process ends in whatever way.
func lockDir(ctx context.Context, dir string) (*os.File, error) {
	for deadline := time.Now().Add(lockPatience); ; {
		f, err := tryLock(dir)
		if !errors.Is(err, ErrInUse) || time.Now().After(deadline) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the owner of the directory: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tryLock takes the lock or returns ErrInUse.
func tryLock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the directory's lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := os.ReadFile(f.Name())
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (process %s)", ErrInUse, strings.TrimSpace(string(owner)))
		}
		return nil, fmt.Errorf("lock the directory: %w", err)
	}
	// The number is for people only; the lock itself is what counts.
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return f, nil
}
