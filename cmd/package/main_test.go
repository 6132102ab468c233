package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mesherhq/mesher/cmd/internal/source"
)

// This very source, in two folders and at two times, makes one archive, without tests.
func TestRun_OfThisSource(t *testing.T) {
	t.Parallel()
	root, err := source.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files, err := source.Tree(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	past := time.Unix(1e9, 0)
	ignored := source.File{Name: ".gcloudignore"}
	if ignored.Data, err = os.ReadFile(filepath.Join(root, ignored.Name)); err != nil {
		t.Fatal(err)
	}
	for _, f := range append(files, ignored) {
		path := filepath.Join(elsewhere, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, past, past); err != nil {
			t.Fatal(err)
		}
	}
	var archives [2][]byte
	for i, from := range []string{root, elsewhere} {
		var out bytes.Buffer
		to := filepath.Join(t.TempDir(), "sub", "x.zip")
		if err := run(t.Context(), []string{"-dirty", "-root", from, "-out", to}, &out); err != nil {
			t.Fatal(err)
		}
		if archives[i], err = os.ReadFile(to); err != nil || !strings.HasPrefix(out.String(), to) {
			t.Fatalf("%v, said %q", err, out.String())
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Errorf("%d and %d bytes that differ", len(archives[0]), len(archives[1]))
	}
	at := map[string]bool{}
	for _, f := range files {
		at[f.Name] = true
		if strings.HasSuffix(f.Name, "_test.go") || strings.Contains(f.Name, "testdata/") || strings.Contains(f.Name, "terraform/") {
			t.Errorf("%s is deployed", f.Name)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "mesher.go", "functions/ingest/ingest.go", "migrations/migrations.go"} {
		if !at[name] {
			t.Errorf("%s is not deployed", name)
		}
	}
}

func TestRun_RefusesWhatIsNotCommitted(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"-root", t.TempDir()}, new(bytes.Buffer))
	if err == nil || !strings.Contains(err.Error(), "-dirty") {
		t.Errorf("error %v, want one that names -dirty", err)
	}
}
