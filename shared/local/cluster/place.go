package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// rootPlaces is where the directories of servers started by root lie when the unprivileged user cannot reach
// the wanted one. It does not depend on the environment, so that the same data is found again.
const rootPlaces = "/var/lib/mesher"

// place is a server's directory and the user that it runs as.
type place struct {
	dir string
	as  *syscall.Credential // nil: the user of this process
}

func (p place) data() string     { return filepath.Join(p.dir, "data") }
func (p place) password() string { return filepath.Join(p.dir, "password") }

// choosePlace finds the place for dir and creates its directory, owned by the user of the server.
func choosePlace(dir string) (place, error) {
	p, err := findPlace(dir)
	if err != nil {
		return place{}, err
	}
	if err := os.MkdirAll(filepath.Dir(p.dir), 0o755); err != nil {
		return place{}, fmt.Errorf("create the server's directory: %w", err)
	}
	// What was just created may be out of reach as well, when the umask is strict.
	if p, err = findPlace(dir); err != nil {
		return place{}, err
	}
	if err := os.MkdirAll(filepath.Dir(p.dir), 0o755); err != nil {
		return place{}, fmt.Errorf("create the server's directory: %w", err)
	}
	if err := p.claim(); err != nil {
		return place{}, err
	}
	return p, nil
}

// findPlace says where the server of dir is or would be, and changes nothing.
func findPlace(dir string) (place, error) {
	dir, err := realPath(dir)
	if err != nil {
		return place{}, err
	}
	p := place{dir: dir}
	if os.Geteuid() != 0 {
		return p, nil
	}
	if p.as, err = unprivileged(p.data()); err != nil {
		return place{}, err
	}
	if !reachable(filepath.Dir(dir), p.as) {
		sum := sha256.Sum256([]byte(dir))
		p.dir = filepath.Join(rootPlaces, filepath.Base(dir)+"-"+hex.EncodeToString(sum[:6]))
		if p.as, err = unprivileged(p.data()); err != nil {
			return place{}, err
		}
	}
	return p, nil
}

// claim creates the directory for the server's user alone. A directory that holds something else is refused:
// it would change its owner, and Remove would delete it.
func (p place) claim() error {
	if err := os.Mkdir(p.dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("create the server's directory: %w", err)
	}
	if err := p.check(); err != nil {
		return err
	}
	if err := os.Chmod(p.dir, 0o700); err != nil {
		return fmt.Errorf("protect the server's directory: %w", err)
	}
	return p.give(p.dir)
}

// check refuses a directory that is neither empty nor a server's.
func (p place) check() error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return fmt.Errorf("look into the server's directory: %w", err)
	}
	for _, e := range entries {
		if e.Name() == lockName {
			return nil
		}
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s holds other files; give the server a directory of its own", p.dir)
	}
	return nil
}

// give makes the server's user the owner of a file.
func (p place) give(file string) error {
	if p.as == nil {
		return nil
	}
	if err := os.Lchown(file, int(p.as.Uid), int(p.as.Gid)); err != nil {
		return fmt.Errorf("hand %s to the server's user: %w", file, err)
	}
	return nil
}

// unprivileged returns the user that root runs a server as: the owner of existing data, else postgres or nobody.
func unprivileged(data string) (*syscall.Credential, error) {
	if info, err := os.Stat(data); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			return &syscall.Credential{Uid: st.Uid, Gid: st.Gid}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("postgres does not run as root, and there is neither a user postgres nor a user nobody to run it as")
}

// reachable reports whether a user may pass through dir and everything above it. What does not exist yet is
// created open, so it counts as passable.
func reachable(dir string, as *syscall.Credential) bool {
	for ; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil {
			st, ok := info.Sys().(*syscall.Stat_t)
			if !ok {
				return false
			}
			shift := 0
			switch {
			case st.Uid == as.Uid:
				shift = 6
			case st.Gid == as.Gid:
				shift = 3
			}
			if info.Mode().Perm()>>shift&1 == 0 {
				return false
			}
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

// realPath resolves the symbolic links of the part of dir that exists: the server reports its directory so.
func realPath(dir string) (string, error) {
	dir, err := abs(dir)
	if err != nil {
		return "", err
	}
	rest := ""
	for at := dir; ; at = filepath.Dir(at) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest), nil
		}
		if at == filepath.Dir(at) {
			return dir, nil
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}
