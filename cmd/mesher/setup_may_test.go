package main

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A second installation on a server, by somebody who did not make the roles that the first one left there.
func TestSetup_NamesTheGrantsThatAreMissing(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	mustSetUp(t, h.url)
	h.exec(t, "create role other login createrole password 'other-other'")
	h.exec(t, "create database second owner other")
	u, err := url.Parse(h.as(t, "other", "other-other"))
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/second"
	fixes := func(args ...string) (out []string) {
		t.Helper()
		_, err := setUp(t, u.String(), args...)
		if err == nil {
			return nil
		}
		for line := range strings.Lines(err.Error()) {
			if fix, ok := strings.CutPrefix(line, "  "); ok {
				out = append(out, strings.TrimRight(fix, ";\n"))
			}
		}
		if out == nil {
			t.Fatalf("the error names no statement: %v", err)
		}
		return out
	}
	if h.strict(t) {
		want := []string{
			"grant mesher_app to other with admin option", "grant mesher_ingest to other with admin option",
			"grant mesher_owner to other with admin option", "grant mesher_store to other with admin option",
		}
		if diff := cmp.Diff(want, fixes("-rotate-passwords")); diff != "" {
			t.Errorf("with new passwords (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want[2:3], fixes()); diff != "" {
			t.Errorf("missing (-want +got):\n%s", diff)
		}
	}
	for _, fix := range fixes() {
		h.exec(t, fix)
	}
	contains(t, mustSetUp(t, u.String()), "mesher_app can log in already; its password is left alone", "organization default")
	for _, fix := range fixes("-rotate-passwords") {
		h.exec(t, fix)
	}

	h.exec(t, "create role late login password 'late-late'")
	if _, err := setUp(t, h.as(t, "late", "late-late")); err == nil || !strings.Contains(err.Error(), "to late with admin option") {
		t.Errorf("a user who is nobody: %v", err)
	}
}

// strict reports whether CREATEROLE does not reach roles of others.
func (h *hosted) strict(t *testing.T) bool {
	t.Helper()
	var version int
	scanAs(t, h.super, "select current_setting('server_version_num')::int", &version)
	return version >= 160000
}
