package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// initialise creates the data directory when there is none. It is made under another name and moved into place,
// so that an interrupted run leaves nothing that looks finished.
func initialise(ctx context.Context, b binaries, p place, fsync bool) error {
	if _, err := os.Stat(filepath.Join(p.data(), "PG_VERSION")); err == nil {
		return nil
	}
	if err := writePassword(p); err != nil {
		return err
	}
	fresh := p.data() + ".new"
	var failed error
	// Not every system has C.UTF-8, and every one has C.
	for _, locale := range []string{"C.UTF-8", "C"} {
		if err := os.RemoveAll(fresh); err != nil {
			return fmt.Errorf("clear an unfinished data directory: %w", err)
		}
		args := []string{
			"--pgdata=" + fresh, "--username=" + superuser, "--pwfile=" + p.password(), "--auth=scram-sha-256",
			"--encoding=UTF8", "--locale=" + locale, "--lc-messages=C", "--no-instructions",
		}
		if !fsync {
			args = append(args, "--no-sync")
		}
		out, err := output(command(ctx, b, p, "initdb", args...))
		if err == nil {
			if err := os.Rename(fresh, p.data()); err != nil {
				return fmt.Errorf("move the data directory into place: %w", err)
			}
			return nil
		}
		failed = errors.Join(failed, fmt.Errorf("initdb with locale %s: %w: %s", locale, err, strings.TrimSpace(string(out))))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed, os.RemoveAll(fresh))
}

// writePassword generates the superuser's password. The file belongs to the server's user: initdb reads it.
func writePassword(p place) error {
	if err := os.Remove(p.password()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("replace the superuser's password: %w", err)
	}
	// Exclusively: as root, the directory belongs to another user, who must not choose what is written to.
	f, err := os.OpenFile(p.password(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the superuser's password: %w", err)
	}
	_, err = fmt.Fprintln(f, rand.Text())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the superuser's password: %w", err)
	}
	return p.give(p.password())
}

// arguments is the server's command line.
func arguments(p place, port int, o Options) []string {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
		"port":                    strconv.Itoa(port),
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"logging_collector":       "off",
	}
	if !o.Fsync {
		// Only fsync: with synchronous_commit off, a commit could be lost with the server's process.
		settings["fsync"] = "off"
	}
	maps.Copy(settings, o.Settings)
	args := []string{"-D", p.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}
