package cluster

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// oldest is the first major version the schema works on.
const oldest = 15

// binaries is a directory with postgres and initdb of one major version.
type binaries struct {
	dir   string
	major int
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// locate returns installed binaries that the server's user can run and that fit the data already there, else
// fetches some into o.FetchDir.
func locate(ctx context.Context, p place, o Options) (binaries, error) {
	want := dataMajor(p.data())
	var dirs []string
	if !o.onlyFetched {
		dirs = candidates()
	}
	for _, dir := range dirs {
		b, err := inspect(ctx, dir, p)
		if err == nil && b.major >= oldest && (want == 0 || b.major == want) {
			return b, nil
		}
	}
	if o.FetchDir == "" {
		if want != 0 {
			return binaries{}, fmt.Errorf("the data was made by Postgres %d: %w", want, ErrNoBinaries)
		}
		return binaries{}, ErrNoBinaries
	}
	b, err := fetch(ctx, p, o.FetchDir, want)
	if err != nil {
		return binaries{}, fmt.Errorf("%w, and %w", ErrNoBinaries, err)
	}
	return b, nil
}

// candidates lists directories that may hold Postgres, best first: what PATH names, then the newest version of
// each usual place.
func candidates() []string {
	var out []string
	if path, err := exec.LookPath("postgres"); err == nil {
		// Often a link to a version's own directory, where initdb lies too.
		if real, err := filepath.EvalSymlinks(path); err == nil {
			out = append(out, filepath.Dir(real))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/usr/local/pgsql/bin",
	} {
		found, _ := filepath.Glob(pattern) // fails only on a malformed pattern
		slices.SortFunc(found, func(a, b string) int { return cmp.Compare(firstNumber(b), firstNumber(a)) })
		out = append(out, found...)
	}
	return out
}

// inspect reads the version of the binaries in dir by running them, as the server will be run.
func inspect(ctx context.Context, dir string, p place) (binaries, error) {
	b := binaries{dir: dir}
	for _, name := range []string{"initdb", "postgres"} {
		out, err := output(command(ctx, b, p, name, "--version"))
		if err != nil {
			return binaries{}, fmt.Errorf("run %s: %w", b.path(name), err)
		}
		b.major = firstNumber(string(out))
	}
	return b, nil
}

// command prepares a program of b to run as the server's user with an environment that does not depend on
// whose it is: PGDATA, PGPORT or a locale that is not installed would otherwise leak in.
func command(ctx context.Context, b binaries, p place, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.path(name), args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + p.dir, "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = attributes(p.as)
	return cmd
}

// dataMajor returns the major version that made a data directory, 0 when there is none.
func dataMajor(data string) int {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		return 0
	}
	return firstNumber(string(text))
}

// firstNumber returns the first run of digits in s, 0 when there is none.
func firstNumber(s string) int {
	digit := func(r rune) bool { return r >= '0' && r <= '9' }
	i := strings.IndexFunc(s, digit)
	if i < 0 {
		return 0
	}
	s = s[i:]
	if end := strings.IndexFunc(s, func(r rune) bool { return !digit(r) }); end >= 0 {
		s = s[:end]
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// platform names the system in the fetch cache, so that a shared directory never mixes machines.
func platform() string { return runtime.GOOS + "-" + runtime.GOARCH }
