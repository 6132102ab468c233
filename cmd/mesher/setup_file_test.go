package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSetup_WritesAFile(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "functions.env")

	// What cannot be finished changes nothing.
	if out, err := setUp(t, h.url, "-out", filepath.Join(dir, "missing", "x")); err == nil {
		t.Errorf("a folder that does not exist is written to:\n%s", out)
	}
	out := mustSetUp(t, h.url, "-out", file)
	contains(t, out, "mesher_app can log in now", "the secrets are in "+file)
	if v := variables(out); len(v) != 0 || regexp.MustCompile(`mshr_[^…]{10}`).MatchString(out) {
		t.Errorf("secrets are printed beside the file:\n%s", out)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the file is %v, %v; want only its owner to read it", info, err)
	}
	read := func() map[string]string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return variables(string(text))
	}
	first := read()
	if _, err := login(t, first["DATABASE_URL_STORE"]); err != nil || len(first) != 5 {
		t.Errorf("the file holds %d variables, and mesher_store cannot log in: %v", len(first), err)
	}

	for name, args := range map[string][]string{
		"exists; give -out another place":  {"-out", file, "-rotate-passwords"},
		"holds MESHER_API_KEY, which":      {"-out", file, "-rotate-passwords", "-force"},
		"holds DATABASE_URL_INGEST, which": {"-out", file, "-project", "Another", "-force"},
		"is not a plain file":              {"-out", dir, "-rotate-passwords", "-force"},
		"-force is about":                  {"-rotate-passwords", "-force"},
	} {
		if out, err := setUp(t, h.url, args...); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: %v, want %s\n%s", args, err, name, out)
		}
	}
	if diff := cmp.Diff(first, read()); diff != "" {
		t.Error("the file is changed")
	}
	if _, err := login(t, first["DATABASE_URL_STORE"]); err != nil {
		t.Errorf("a run that was refused changed the password: %v", err)
	}
	other := filepath.Join(dir, "other.env")
	contains(t, mustSetUp(t, h.url, "-out", other), "there is no new secret; "+other+" is not written")
	mustSetUp(t, h.url, "-out", other, "-rotate-passwords")
	mustSetUp(t, h.url, "-out", other, "-rotate-passwords", "-force")
	file = other
	last := read()
	if _, err := login(t, last["DATABASE_URL_APP"]); err != nil || len(last) != 3 {
		t.Errorf("the replaced file holds %d variables, and mesher_app cannot log in: %v", len(last), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("the folder holds %v, %v; want the two files", left, err)
	}
}

func TestSetup_PrintsJSON(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	decode := func(args ...string) setupReport {
		t.Helper()
		var r setupReport
		d := json.NewDecoder(strings.NewReader(mustSetUp(t, h.url, append(args, "-json")...)))
		d.DisallowUnknownFields()
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			t.Errorf("something follows the object: %v", err)
		}
		return r
	}
	r := decode()
	if len(r.Migrations) == 0 || r.Partitions != 16 || len(r.Roles) != 3 || !r.Organization.Created || !r.Project.Created ||
		r.Project.Number != 1 || r.APIKey == nil || len(r.Env) != 5 {
		t.Errorf("first run: %+v", r)
	}
	if _, err := login(t, r.Env["DATABASE_URL_APP"]); err != nil {
		t.Error(err)
	}
	r = decode("-out", filepath.Join(t.TempDir(), "x"), "-rotate-passwords")
	if len(r.Migrations) != 0 || r.Roles[0].Password != "new" || r.Organization.Created || r.Project.Created || r.APIKey != nil || r.Env != nil || r.File == "" {
		t.Errorf("second run: %+v", r)
	}
	if got := password(t, r.Roles[1].URL); got != "PASSWORD" {
		t.Errorf("the report beside a file shows a password of %d characters", len(got))
	}
	if r = decode(); r.Roles[0].Password != "kept" || len(r.Env) != 0 {
		t.Errorf("third run: %+v", r)
	}
}
