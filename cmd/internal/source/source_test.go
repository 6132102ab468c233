package source_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/cmd/internal/source"
)

// sample is a small module with all that is to be left out.
var sample = map[string]string{
	"go.mod": "module example.com/m\n", "m.go": "package m\n", "m_test.go": "package m\n", "a/b/deep.sql": "select 1;\r\n",
	"a/testdata/x.json": "{}", "docs/x.md": "text", ".mesher/key": "secret", ".env": "SECRET=1", "é ü/name.txt": "odd",
	".gitignore": "/.mesher/\n.env\n", ".gcloudignore": ".git\n.gitignore\n.gcloudignore\n*_test.go\ntestdata/\n/docs/\n",
}

var uploaded = []string{"a/b/deep.sql", "go.mod", "m.go", "é ü/name.txt"}

// lay writes the files below a new folder, with modes and times of its own.
func lay(t *testing.T, files map[string]string, mode os.FileMode, at time.Time) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		put(t, root, name, text)
		path := filepath.Join(root, name)
		if err := errors.Join(os.Chmod(path, mode), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func put(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// git runs git with a user of the test's own.
func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "core.autocrlf=false"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// clone returns a repository with the sample in one commit.
func clone(t *testing.T) string {
	t.Helper()
	root := lay(t, sample, 0o644, time.Unix(1e9, 0))
	git(t, root, "init", "--quiet")
	git(t, root, "add", "--all")
	git(t, root, "commit", "--quiet", "--message=all")
	return root
}

func names(files []source.File) []string {
	var out []string
	for _, f := range files {
		out = append(out, f.Name)
	}
	return out
}

func zipped(t *testing.T, files []source.File) []byte {
	t.Helper()
	archive, err := source.Zip(files)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

func TestTree(t *testing.T) {
	t.Parallel()
	one := lay(t, sample, 0o644, time.Unix(1e9, 0))
	two := lay(t, sample, 0o755, time.Now())
	git(t, two, "init", "--quiet") // whether it is a clone makes no difference
	put(t, two, ".git/info/exclude", "m.go\n")
	var archives [][]byte
	for _, root := range []string{one, two} {
		files, err := source.Tree(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(uploaded, names(files)); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
		archives = append(archives, zipped(t, files))
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the same files in another folder, at another time, make another archive")
	}
}

func TestTree_RefusesWhatCannotBeArchived(t *testing.T) {
	t.Parallel()
	linked := lay(t, sample, 0o644, time.Unix(1e9, 0))
	if err := os.Symlink("m.go", filepath.Join(linked, "link.go")); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ root, want string }{
		"a link":             {linked, "link.go is not a plain file"},
		"no list to go by":   {lay(t, map[string]string{"m.go": ""}, 0o644, time.Now()), ".gcloudignore"},
		"nothing to archive": {lay(t, map[string]string{".gcloudignore": "*\n"}, 0o644, time.Now()), "nothing to upload"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := source.Tree(t.Context(), tt.root); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// A commit makes the same bytes, however it is checked out.
func TestCommit(t *testing.T) {
	t.Parallel()
	first := clone(t)
	id, files, err := source.Commit(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(uploaded, names(files)); diff != "" || len(id) != 40 {
		t.Errorf("commit %q, files (-want +got):\n%s", id, diff)
	}
	want := zipped(t, files)

	other := filepath.Join(t.TempDir(), "elsewhere", "m")
	git(t, first, "clone", "--quiet", first, other)
	put(t, other, "m.go", "package m\r\n") // as a checkout on Windows has it
	again, files, err := source.Commit(t.Context(), other)
	if err != nil || again != id {
		t.Fatalf("commit %s, %v; want %s", again, err, id)
	}
	if got := zipped(t, files); !bytes.Equal(got, want) {
		t.Errorf("sha256 %x, in another clone %x", sha256.Sum256(want), sha256.Sum256(got))
	}
}

func TestCommit_RefusesWhatIsNotCommitted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(t *testing.T, root string)
		want   []string // files of the error; nil for none
	}{
		"a changed file":                  {func(t *testing.T, root string) { put(t, root, "m.go", "package x\n") }, []string{"m.go"}},
		"a new file":                      {func(t *testing.T, root string) { put(t, root, "new.go", "package m\n") }, []string{"new.go"}},
		"a deleted file":                  {func(t *testing.T, root string) { _ = os.Remove(filepath.Join(root, "m.go")) }, []string{"m.go"}},
		"but not a file that is left out": {func(t *testing.T, root string) { put(t, root, "docs/x.md", "other") }, nil},
		"but not an ignored file":         {func(t *testing.T, root string) { put(t, root, ".env", "SECRET=2") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := clone(t)
			tt.change(t, root)
			_, _, err := source.Commit(t.Context(), root)
			var dirty *source.DirtyError
			if errors.As(err, &dirty) != (tt.want != nil) || err != nil && !slices.Equal(dirty.Files, tt.want) {
				t.Errorf("error %v, want one about %v", err, tt.want)
			}
		})
	}
	t.Run("no clone", func(t *testing.T) {
		t.Parallel()
		root := lay(t, sample, 0o644, time.Now())
		if _, _, err := source.Commit(t.Context(), root); err == nil {
			t.Error("a folder that is no clone has a commit")
		}
	})
}

func TestZip(t *testing.T) {
	t.Parallel()
	archive := zipped(t, []source.File{{Name: "b", Data: []byte("two")}, {Name: "a/x", Data: []byte("one")}, {Name: "empty"}})
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	var order []string
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		got[f.Name], order = string(data), append(order, f.Name)
		if f.Mode() != 0o644 || f.Modified.Year() != 1980 {
			t.Errorf("%s has mode %v and time %v", f.Name, f.Mode(), f.Modified)
		}
	}
	if diff := cmp.Diff(map[string]string{"a/x": "one", "b": "two", "empty": ""}, got); diff != "" || !slices.IsSorted(order) {
		t.Errorf("order %v, files (-want +got):\n%s", order, diff)
	}
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	want := []source.File{{Name: "a/x", Data: []byte("one")}, {Name: "b", Data: []byte("two")}}
	to := filepath.Join(t.TempDir(), "to")
	n, err := source.Unpack(zipped(t, want), to)
	if err != nil || n != 2 {
		t.Fatalf("%d files, %v", n, err)
	}
	for _, f := range want {
		if data, err := os.ReadFile(filepath.Join(to, f.Name)); err != nil || !bytes.Equal(data, f.Data) {
			t.Errorf("%s holds %q, %v", f.Name, data, err)
		}
	}
	outside := zipped(t, []source.File{{Name: "../x", Data: []byte("out")}})
	if _, err := source.Unpack(outside, filepath.Join(t.TempDir(), "to")); err == nil {
		t.Error("a file outside of the folder is unpacked")
	}
}
