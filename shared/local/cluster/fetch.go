package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// CacheDir returns the directory that downloaded binaries are shared in by everything this user runs.
func CacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir() // no home, as for some system users
	}
	return filepath.Join(dir, "mesher", "postgres")
}

// fetch returns binaries of the major version want (0: the default one) from the cache in dir, downloading them
// first when they are not there: about 25 MB, checked against the checksum published beside them. As root, a
// directory that the server's user cannot reach is replaced by one below /var/lib/mesher.
func fetch(ctx context.Context, p place, dir string, want int) (binaries, error) {
	version := embedded.V17
	switch want {
	case 15:
		version = embedded.V15
	case 16:
		version = embedded.V16
	case 18:
		version = embedded.V18
	}
	cache, err := realPath(dir)
	if err != nil {
		return binaries{}, err
	}
	if p.as != nil && !reachable(cache, p.as) {
		cache = filepath.Join(rootPlaces, "binaries")
	}
	home := filepath.Join(cache, "postgres-"+string(version)+"-"+platform())
	if _, err := os.Stat(home); err != nil {
		if err := download(ctx, version, cache, home); err != nil {
			return binaries{}, fmt.Errorf("fetch Postgres %s: %w", version, err)
		}
	}
	return inspect(ctx, filepath.Join(home, "bin"), p)
}

// download puts the binaries of one version into home, whole or not at all.
func download(ctx context.Context, version embedded.PostgresVersion, cache, home string) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return fmt.Errorf("create the cache: %w", err)
	}
	done := make(chan error, 1)
	// The library takes no context: when ctx ends, the download finishes by itself and is found by the next start.
	go func() { done <- extract(version, cache, home) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func extract(version embedded.PostgresVersion, cache, home string) error {
	tmp, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return fmt.Errorf("create the cache: %w", err)
	}
	defer os.RemoveAll(tmp)
	unpacked := filepath.Join(tmp, "postgres")

	// The library downloads, unpacks and then runs what it unpacked, which it cannot do as root. A data
	// directory that can never be cleared ends it right before that, for every user alike.
	err = embedded.NewDatabase(embedded.DefaultConfig().
		Version(version).
		Port(0).
		CachePath(filepath.Join(tmp, "archive")).
		RuntimePath(filepath.Join(tmp, "runtime")).
		BinariesPath(unpacked).
		DataPath(filepath.Join(tmp, "data") + "/.").
		Logger(io.Discard)).Start()
	for _, name := range []string{"initdb", "postgres"} {
		if _, missing := os.Stat(filepath.Join(unpacked, "bin", name)); missing != nil {
			return errors.Join(err, missing)
		}
	}
	if err := open(unpacked); err != nil {
		return err
	}
	// Whoever comes first wins; the result is the same.
	if err := os.Rename(unpacked, home); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("move the binaries into place: %w", err)
	}
	return nil
}

// open lets every user read the binaries, whatever the umask was.
func open(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if d.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
	if err != nil {
		return fmt.Errorf("open the binaries to all users: %w", err)
	}
	return nil
}
