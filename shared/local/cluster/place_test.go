package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A directory below t.TempDir belongs to root alone, so the server's user cannot reach it.
func TestPlace_OfRootIsReachable(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs a server as somebody else")
	}
	dir := filepath.Join(t.TempDir(), "postgres")
	t.Cleanup(func() {
		if err := Remove(context.Background(), dir); err != nil {
			t.Errorf("Remove: %v", err)
		}
	})
	var at [2]string
	for i := range at {
		c := startTest(t, Options{Dir: dir})
		must(t, c.URL(), "create table if not exists kept (n int)")
		at[i] = c.Dir()
		if err := c.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		dir = c.Dir() // what is recorded leads to the same place
	}
	if !strings.HasPrefix(at[0], rootPlaces+"/postgres-") || at[0] != at[1] {
		t.Errorf("directories = %v, want the same one below %s twice", at, rootPlaces)
	}
}

func TestRemove_TakesTheDirectoryAway(t *testing.T) {
	t.Parallel()
	o := Options{Dir: newDir(t)}
	c := startTest(t, o)
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Remove(t.Context(), o.Dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
}

func TestRealPath_ResolvesWhatExists(t *testing.T) {
	t.Parallel()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(base, "real"), 0o755), os.Symlink("real", filepath.Join(base, "link"))); err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"link":         "real",
		"link/new/dir": "real/new/dir",
		"new":          "new",
	} {
		got, err := realPath(filepath.Join(base, in))
		if err != nil || got != filepath.Join(base, want) {
			t.Errorf("realPath(%s) = %s, %v; want %s", in, got, err, want)
		}
	}
	if _, err := realPath(""); err == nil {
		t.Error("an empty path was accepted")
	}
}

func TestFirstNumber(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)": 15,
		"postgres (PostgreSQL) 19beta1":                        19,
		"/usr/lib/postgresql/9.6/bin":                          9,
		"none":                                                 0,
		"":                                                     0,
	} {
		if got := firstNumber(in); got != want {
			t.Errorf("firstNumber(%q) = %d, want %d", in, got, want)
		}
	}
}
