package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

func migrateIn(t *testing.T, settings map[string]string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := migrateWith(t.Context(), env.Map(settings), args, &out)
	return out.String(), err
}

func TestMigrate_RefusesFlagsThatDiffer(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-status", "-dry-run"},
		{"-print-exec-sql", "-supabase-dir", t.TempDir()},
		{"-via", "https://abc.supabase.co", "-print-exec-sql"},
		{"-via", "https://abc.supabase.co", "-supabase-dir", t.TempDir()},
		{"-remove-exec-sql", "-status"},
		{"up"},
	} {
		if out, err := migrateIn(t, nil, args...); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	for args, key := range map[string]string{
		"https://abc.supabase.co": "",
		"https://a.supabase.co":   "sb_publishable_x",
		"http://abc.supabase.co":  "sb_secret_x",
		"abc.supabase.co":         "sb_secret_y",
	} {
		_, err := migrateIn(t, map[string]string{keyVariable: key}, "-via", args)
		if !fault.Is(err, fault.NotConfigured) || key != "" && strings.Contains(err.Error(), key) {
			t.Errorf("%s with %q: %v", args, key, err)
		}
	}
}

func TestMigrate_PrintsAndRemovesExecSQL(t *testing.T) {
	h := newHosted(t)
	sql, err := migrateIn(t, nil, "-print-exec-sql")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), h.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
	exists := func() (yes bool) {
		t.Helper()
		scanAs(t, h.url, "select to_regprocedure('public.exec_sql(text, text)') is not null", &yes)
		return yes
	}
	if !exists() {
		t.Fatal("what is printed defines nothing")
	}
	t.Setenv("DATABASE_URL", h.url)
	for range 2 { // the second finds nothing to remove
		if out, err := migrateIn(t, nil, "-remove-exec-sql"); err != nil || !strings.Contains(out, "is removed") || exists() {
			t.Errorf("%v, still there: %t\n%s", err, exists(), out)
		}
	}
}

func TestMigrate_WritesForSupabasesCLI(t *testing.T) {
	h := newHosted(t)
	dir := filepath.Join(t.TempDir(), "supabase")
	at := time.Date(2026, 11, 30, 23, 59, 58, 5, time.UTC)
	write := func() (string, error) {
		var out bytes.Buffer
		err := (&migrate{supabase: dir, out: &out}).write(at)
		return out.String(), err
	}
	list := func() (found []string) {
		t.Helper()
		entries, err := os.ReadDir(filepath.Join(dir, "migrations"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			found = append(found, e.Name())
		}
		return found
	}
	if out, err := write(); err != nil || !strings.Contains(out, "20261130235958_mesher_0001_create_schema.sql") {
		t.Fatalf("%v\n%s", err, out)
	}
	first := list()
	all, err := postgres.Scripts(migrations.FS)
	if err != nil || len(first) != len(all) || first[2] != "20261201000000_mesher_0003_create_events.sql" {
		t.Errorf("%d files of %d, %v: %v", len(first), len(all), err, first)
	}
	at = at.AddDate(0, 1, 0)
	if out, err := write(); err != nil || !strings.Contains(out, "has every migration") || !slices.Equal(list(), first) {
		t.Errorf("once more: %v\n%s", err, out)
	}
	// A file that is new comes after what the team has of its own.
	lastFile := filepath.Join(dir, "migrations", first[len(first)-1])
	if err := errors.Join(os.Remove(lastFile), os.WriteFile(filepath.Join(dir, "migrations", "20270301000000_own.sql"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if out, err := write(); err != nil || !strings.Contains(out, "20270301000001_mesher_"+first[len(first)-1][22:]) {
		t.Errorf("a new one: %v\n%s", err, out)
	}

	for _, name := range list() {
		text, err := os.ReadFile(filepath.Join(dir, "migrations", name))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := pgx.Connect(t.Context(), h.url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.PgConn().Exec(t.Context(), string(text)).ReadAll(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		conn.Close(t.Context())
	}
	t.Setenv("DATABASE_URL", h.url)
	out, err := migrateIn(t, nil, "-status")
	if err != nil || strings.Contains(out, "pending") || strings.Count(out, "applied") != len(all) {
		t.Errorf("status: %v\n%s", err, out)
	}
	if out, err := migrateIn(t, nil); err != nil || !strings.Contains(out, "up to date") {
		t.Errorf("migrate: %v\n%s", err, out)
	}

	if err := os.WriteFile(filepath.Join(dir, "migrations", first[0]), []byte("select 1;"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := write(); err == nil || !strings.Contains(err.Error(), first[0]+" was edited") {
		t.Errorf("with an edited file: %v", err)
	}
}
