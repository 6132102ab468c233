package main

import (
	"context"
	"errors"
	"flag"
	"os/exec"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/fault"
)

func TestUsers_RefusesClearly(t *testing.T) {
	t.Parallel()
	u := newUsersDB(t)
	for _, tt := range []struct {
		action string
		args   []string
		want   string
		usage  bool
	}{
		{"list", []string{"x"}, "no further argument", true},
		{"list", []string{"-limit", "0"}, "at least 1", true},
		{"list", []string{"-organization", "nobody"}, "no organization nobody", false},
		{"invite", nil, "mesher users invite EMAIL", true},
		{"invite", []string{"x@example.com"}, "several organizations; give one as -organization: acme, rival", false},
		{"invite", []string{"x@example.com", "-organization", "nobody"}, "no organization nobody", false},
		{"invite", []string{"x@example.com", "-organization", "acme", "-role", "king"}, "king", true},
		{"invite", []string{"nonsense", "-organization", "acme"}, "the e-mail address is not one", true},
		{"invite", []string{"bert@example.com", "-organization", "acme"}, "member", false},
		{"invite", []string{"x@example.com", "-organization", "acme", "-link"}, "set AUTH_URL or -url", true},
		{"invite", []string{"x@example.com", "-organization", "acme", "-link", "-url", "auth.example.com"}, "of the form https://", true},
		{"link", []string{"anna@example.com"}, "set AUTH_URL or -url", true},
		{"link", []string{"anna@example.com", "-url", "https://u:p@x/?a=b"}, "of the form https://", true},
		{"link", []string{"nobody@example.com", "-url", "https://x"}, "no user nobody@example.com", false},
		{"link", []string{"a@b.c", "more"}, "no further argument", true},
		{"revoke", []string{"nobody@example.com"}, "no user nobody@example.com", false},
		{"revoke", []string{"-nonsense"}, "not defined", true},
	} {
		_, err := u.users(t.Context(), tt.action, tt.args...)
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, errUsage) != tt.usage {
			t.Errorf("users %s %q: %v; want %s, of usage: %t", tt.action, tt.args, err, tt.want, tt.usage)
		}
	}
	u.must(t, "invite", "x@example.com", "-organization", "acme")
	if _, err := u.users(t.Context(), "invite", "x@example.com", "-organization", "acme", "-role", "owner"); !fault.Is(err, fault.Conflict) {
		t.Errorf("invited again with another role: %v", err)
	}
	if _, err := u.users(t.Context(), "invite", "-h"); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
	if got := trail(t, u.pool); len(got) != 1 {
		t.Errorf("what did not happen is recorded: %v", got)
	}
	u.Exec(t, "drop schema mesher cascade")
	if _, err := u.users(t.Context(), "list"); err == nil || !strings.Contains(err.Error(), "run mesher setup") {
		t.Errorf("without a schema: %v", err)
	}
}

// The real program as a hosting company's user, from an empty database to somebody who is let in and out again.
func TestProgram_Users(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	home := t.TempDir()
	program := func(code int, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, binary(t), args...)
		cmd.Env = append(environment(home, "0"), "DATABASE_URL="+h.url, "AUTH_URL=https://auth.example.com")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
			t.Fatalf("mesher %v: %v, want exit code %d\n%s", args, err, code, out)
		}
		return string(out)
	}
	contains(t, program(0, "users"), "mesher users <action>", "invite EMAIL")
	contains(t, program(2, "users", "nonsense"), `no action "nonsense"`)
	contains(t, program(1, "users", "list"), "run mesher setup")
	owner := variables(program(0, "setup", "-owner", "anna@example.com"))["MESHER_OWNER_PASSWORD"]
	contains(t, program(0, "users", "list"), "anna@example.com", "default (owner)")
	link := token(t, program(0, "users", "link", "anna@example.com"), "https://auth.example.com/auth/reset?token=")
	guest := token(t, program(0, "users", "invite", "bert@example.com", "-link"), "https://auth.example.com/auth/invitation?token=")
	contains(t, program(0, "users", "revoke", "anna@example.com"), "0 sessions ended")
	h.hides(t, owner, link, guest)
}
