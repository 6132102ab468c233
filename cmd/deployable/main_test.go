package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckRoot(t *testing.T) {
	t.Parallel()
	const good = "package m\n\nimport _ \"" + framework + "\"\n"
	tests := []struct {
		name  string
		files map[string]string
		want  string // part of the error; empty when there is none
	}{
		{"accepts one package that registers", map[string]string{"m.go": good, "m_test.go": "package m\n"}, ""},
		{"refuses an empty root", nil, "no Go file"},
		{"refuses an external test", map[string]string{"m.go": good, "m_test.go": "package m_test\n"}, "m and m_test"},
		{
			"refuses an ignored program",
			map[string]string{"m.go": good, "gen.go": "//go:build ignore\n\npackage main\n"},
			"m and main",
		},
		{"refuses a registration in a test", map[string]string{"m.go": "package m\n", "m_test.go": good}, "does not import"},
		{"refuses a folder of the same name", map[string]string{"m.go": good, "m/x.go": "package x\n"}, "named like a folder"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range tt.files {
				file := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got := ""
			if err := checkRoot(dir); err != nil {
				got = err.Error()
			}
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got error %q, want one with %q", got, tt.want)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]string{
		"POST /v1/events":           "POST /v1/events",
		"POST /api/{number}/store/": "POST /api/",
		"GET /auth/v1/…":            "GET /auth/v1/",
		"/v1/logs":                  "GET /v1/logs",
	} {
		method, path := split(at)
		if got := method + " " + path; got != want {
			t.Errorf("split(%q) = %q, want %q", at, got, want)
		}
	}
}
