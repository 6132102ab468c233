package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mesherhq/mesher/shared/local/cluster"
)

// lockHome takes the home for this process, until it ends in whatever way.
func lockHome(home string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(home, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the folder of the platform's state: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := os.ReadFile(f.Name())
		at := ""
		if info, err := ReadInfo(home); err == nil {
			at = " on " + info.URL
		}
		return nil, errors.Join(fmt.Errorf("the platform of %s runs already%s (process %s); stop it first, or set MESHER_HOME to another folder",
			home, at, strings.TrimSpace(string(owner))), f.Close())
	}
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintln(f, os.Getpid()) // for people; the lock is what counts
	}
	return f, nil
}

// dirFile is the file that says where the own Postgres keeps its data. As root that is outside of the home, and
// the file is what ties the two together.
const dirFile = "postgres.dir"

func (p *Platform) rememberDir(dir string) error {
	if err := writeFile(filepath.Join(p.opts.Home, dirFile), []byte(dir+"\n")); err != nil {
		return fmt.Errorf("note where the database lies: %w", err)
	}
	return nil
}

// forgetOld removes the data of an earlier home at the same path: whoever deletes the home expects to start
// afresh.
func (p *Platform) forgetOld(ctx context.Context) error {
	_, err := os.Stat(filepath.Join(p.opts.Home, dirFile))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	inside := filepath.Join(p.opts.Home, "postgres")
	if _, err := os.Stat(inside); err == nil {
		return nil // the data was not deleted, only the note
	}
	if err := cluster.Remove(ctx, inside); err != nil {
		return fmt.Errorf("remove the database of a home that was deleted: %w", err)
	}
	return nil
}
