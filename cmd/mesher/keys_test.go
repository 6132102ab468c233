package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// keysDB is a database with a project in each of two organizations.
type keysDB struct {
	*pgtest.Database
	pool       *pgxpool.Pool
	mine, rest tenant.Project
}

func newKeysDB(t *testing.T) *keysDB {
	t.Helper()
	db := pgtest.NewCluster(t).New(t)
	k := &keysDB{Database: db, pool: db.Pool(t, pgtest.Admin)}
	for slug, p := range map[string]*tenant.Project{"acme": &k.mine, "rival": &k.rest} {
		o, err := tenant.EnsureOrganization(t.Context(), k.pool, slug, slug)
		if err == nil {
			*p, err = tenant.EnsureProject(t.Context(), k.pool, o.ID, "Shop", "shop")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// keys runs an action in this process.
func (k *keysDB) keys(ctx context.Context, name string, args ...string) (string, error) {
	for _, a := range keysActions() {
		if a.name == name {
			o, err := a.options(args)
			if err != nil {
				return "", err
			}
			var out bytes.Buffer
			err = explainDatabase(a.run(ctx, k.pool, o, &out))
			return out.String(), err
		}
	}
	return "", errors.New("no such action")
}

func (k *keysDB) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := k.keys(t.Context(), name, args...)
	if err != nil {
		t.Fatalf("keys %s %v: %v", name, args, err)
	}
	return out
}

// created is what create and rotate print for scripts.
type created struct {
	tenant.Key
	Secret   string      `json:"key"`
	Replaces *tenant.Key `json:"replaces"`
	Changed  *bool       `json:"changed"`
}

func decoded[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// opens reports whether Ingest would take the key.
func (k *keysDB) opens(t *testing.T, key string) bool {
	t.Helper()
	hash, err := tenant.HashKey(key)
	if err != nil {
		t.Fatalf("that is no key: %v", err)
	}
	access, err := tenant.FindAccess(t.Context(), k.pool, hash)
	if err != nil && !fault.Is(err, fault.Unauthenticated) {
		t.Fatal(err)
	}
	return access.ProjectID == k.mine.ID
}

var wholeKey = regexp.MustCompile(`mshr_[0-9A-Za-z]{36}`)

func TestKeys_LifeOfAKey(t *testing.T) {
	t.Parallel()
	k := newKeysDB(t)
	out := k.must(t, "create", "-project", "acme/shop", "-label", "web front", "-environment", "live", "-expires", "90d")
	secrets := wholeKey.FindAllString(out, -1)
	if len(secrets) != 1 || !k.opens(t, secrets[0]) {
		t.Fatalf("create shows %d keys:\n%s", len(secrets), out)
	}
	contains(t, out, "for acme/shop; it expires 20", "only time")
	first := secrets[0]
	name := first[:9] + "…" + first[37:]

	list := k.must(t, "list")
	contains(t, list, "PROJECT", "acme/shop", name, "active", "web front", "live", "never")
	if wholeKey.MatchString(list) {
		t.Errorf("the list shows a key:\n%s", list)
	}
	if theirs := k.must(t, "list", "-project", k.rest.ID.String()); !strings.Contains(theirs, "(no keys)") {
		t.Errorf("another project has keys:\n%s", theirs)
	}

	out = k.must(t, "rotate", strings.Replace(name, "…", "...", 1), "-overlap", "1d", "-project", "acme/shop")
	secrets = wholeKey.FindAllString(out, -1)
	if len(secrets) != 1 || secrets[0] == first || !k.opens(t, secrets[0]) || !k.opens(t, first) {
		t.Fatalf("rotate shows %d keys, or one of the two is refused:\n%s", len(secrets), out)
	}
	contains(t, out, name, "is replaced by "+secrets[0][:9]+"…"+secrets[0][37:], "it was last used: never", "up to 60 s")
	if _, err := k.keys(t.Context(), "rotate", name); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "was rotated already") {
		t.Errorf("rotated again: %v", err)
	}

	if _, err := k.pool.Exec(t.Context(), "update mesher.api_keys set last_used_at = '2026-02-03 04:05:06Z'"); err != nil {
		t.Fatal(err)
	}
	out = k.must(t, "revoke", name)
	contains(t, out, name+" of acme/shop is revoked; it was last used: 2026-02-03 04:05:06", "up to 60 s")
	if k.opens(t, first) || !k.opens(t, secrets[0]) {
		t.Error("the revoked key opens, or its successor does not")
	}
	contains(t, k.must(t, "revoke", name), "was revoked already, 20", "last used: 2026-02-03")
	contains(t, k.must(t, "list", "-project", "acme/shop"), "revoked", "active")
}

func TestKeys_ForScripts(t *testing.T) {
	t.Parallel()
	k := newKeysDB(t)
	if out := k.must(t, "list", "-json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("no keys are %q, want an empty list", out)
	}
	c := decoded[created](t, k.must(t, "create", "-json", "-project", k.mine.ID.String(), "-label", "x"))
	if !k.opens(t, c.Secret) || c.Label != "x" || c.ProjectID != k.mine.ID || !c.ExpiresAt.IsZero() {
		t.Errorf("created %+v", c.Key)
	}
	r := decoded[created](t, k.must(t, "rotate", "-json", "-overlap", "0m", c.ID.String()))
	if !k.opens(t, r.Secret) || k.opens(t, c.Secret) || r.Replaces == nil || r.Replaces.ID != c.ID || r.Replaces.State != tenant.KeyExpired {
		t.Errorf("rotated %+v", r)
	}
	for i := range 2 {
		v := decoded[created](t, k.must(t, "revoke", r.ID.String(), "-json"))
		if v.Secret != "" || v.State != tenant.KeyRevoked || v.Changed == nil || *v.Changed != (i == 0) {
			t.Errorf("revocation %d: %+v", i+1, v)
		}
	}
	text := k.must(t, "list", "-json", "-project", "acme/shop")
	if all := decoded[[]tenant.Key](t, text); len(all) != 2 || all[0].State != tenant.KeyRevoked || all[1].State != tenant.KeyExpired {
		t.Errorf("list: %s", text)
	}
	if wholeKey.MatchString(text) {
		t.Error("the list shows a key")
	}
}

func TestKeys_StayWithinTheirProject(t *testing.T) {
	t.Parallel()
	k := newKeysDB(t)
	mine := decoded[created](t, k.must(t, "create", "-json", "-project", "acme/shop", "-label", "x"))
	for _, action := range []string{"rotate", "revoke"} {
		for _, ref := range []string{mine.ID.String(), mine.Name()} {
			if _, err := k.keys(t.Context(), action, ref, "-project", "rival/shop"); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s by another project: %v, want the key unknown", action, err)
			}
		}
	}
	if !k.opens(t, mine.Secret) {
		t.Error("another project changed the key")
	}
}

func TestKeys_RotatedTogether(t *testing.T) {
	t.Parallel()
	k := newKeysDB(t)
	c := decoded[created](t, k.must(t, "create", "-json", "-project", "acme/shop", "-label", "x"))
	const operators = 6
	outs, errs := make([]string, operators), make([]error, operators)
	var wg sync.WaitGroup
	for i := range operators {
		other := &keysDB{pool: k.Pool(t, pgtest.Admin)}
		wg.Go(func() { outs[i], errs[i] = other.keys(t.Context(), "rotate", c.Name(), "-json") })
	}
	wg.Wait()
	won := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won++
			if r := decoded[created](t, outs[i]); !k.opens(t, r.Secret) {
				t.Error("the successor is refused")
			}
		case !fault.Is(err, fault.Conflict):
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d rotations succeeded, want 1", won, operators)
	}
}

func TestKeys_RefusesClearly(t *testing.T) {
	t.Parallel()
	k := newKeysDB(t)
	whole := tenant.NewKey()
	c := decoded[created](t, k.must(t, "create", "-json", "-project", "acme/shop", "-label", "x"))
	for _, tt := range []struct {
		action string
		args   []string
		want   string
		usage  bool
	}{
		{"create", []string{"-project", "acme/shop"}, "the label is empty", true},
		{"create", []string{"-project", "acme/shop", "-label", strings.Repeat("x", 101)}, "101 characters; at most 100", true},
		{"create", []string{"-project", "acme/shop", "-label", "x", "-environment", strings.Repeat("x", 65)}, "65 characters; at most 64", true},
		{"create", []string{"-project", "acme/shop", "-label", "x", "-expires", "90"}, "-expires", true},
		{"create", []string{"-project", "acme/shop", "-label", "x", "-expires", "0d"}, "of no use", true},
		{"create", []string{"-label", "x"}, "several projects; give one of acme/shop, rival/shop", false},
		{"create", []string{"-label", "x", "-project", "shop"}, "several projects are called shop; give one of acme/shop, rival/shop", false},
		{"create", []string{"-label", "x", "-project", "nobody"}, `no project "nobody"`, false},
		{"create", []string{"-label", "x", "more"}, "no further argument", true},
		{"list", []string{"-project", uuid.NewString()}, "no project", false},
		{"rotate", nil, "mesher keys rotate KEY", true},
		{"rotate", []string{c.Name(), "x"}, "no further argument", true},
		{"rotate", []string{c.Name(), "-overlap", "soon"}, "-overlap", true},
		{"rotate", []string{"nonsense"}, "by its id, or by its start and end", true},
		{"revoke", []string{whole}, "a whole API key", true},
		{"revoke", []string{uuid.NewString()}, "no API key", false},
		{"revoke", []string{"-nonsense"}, "not defined", true},
	} {
		_, err := k.keys(t.Context(), tt.action, tt.args...)
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, errUsage) != tt.usage {
			t.Errorf("keys %s %q: %v; want %s, of usage: %t", tt.action, tt.args, err, tt.want, tt.usage)
		}
		if err != nil && strings.Contains(err.Error(), whole) {
			t.Errorf("the error repeats a key: %v", err)
		}
	}
	if _, err := k.keys(t.Context(), "create", "-h"); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
	k.Exec(t, "revoke update (revoked_at) on mesher.api_keys from mesher_app")
	app := &keysDB{pool: k.Pool(t, pgtest.App)}
	if _, err := app.keys(t.Context(), "revoke", c.Name()); err == nil || !strings.Contains(err.Error(), "connect as the one who migrates") {
		t.Errorf("as somebody who may not: %v", err)
	}
	k.Exec(t, "drop schema mesher cascade")
	if _, err := k.keys(t.Context(), "list"); err == nil || !strings.Contains(err.Error(), "run mesher setup") {
		t.Errorf("without a schema: %v", err)
	}
}

// The real program, from an empty database to a key that is revoked, with nothing but DATABASE_URL.
func TestProgram_SetupAndKeys(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	home := t.TempDir()
	program := func(code int, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, binary(t), args...)
		cmd.Env = append(environment(home, "0"), "DATABASE_URL="+h.url)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
			t.Fatalf("mesher %v: %v, want exit code %d\n%s", args, err, code, out)
		}
		return string(out)
	}
	contains(t, program(0, "keys"), "mesher keys <action>", "rotate KEY")
	contains(t, program(2, "keys", "nonsense"), `no action "nonsense"`)
	contains(t, program(1, "keys", "list"), "run mesher setup")
	contains(t, program(2, "setup", "-project", ""), "the project's name is empty")
	contains(t, program(0, "setup", "-h"), "-rotate-passwords")
	key := variables(program(0, "setup"))["MESHER_API_KEY"]
	name := key[:9] + "…" + key[37:]
	contains(t, program(0, "keys", "list"), name, "mesher setup", "default/default")
	second := wholeKey.FindString(program(0, "keys", "create", "-label", "second"))
	rotated := wholeKey.FindString(program(0, "keys", "rotate", name, "-overlap", "30m"))
	contains(t, program(1, "keys", "rotate", name), "was rotated already", rotated[:9]+"…"+rotated[37:])
	contains(t, program(0, "keys", "revoke", second[:9]+"..."+second[37:]), "is revoked")
	if out := program(0, "keys", "list", "-json"); strings.Count(out, `"active"`) != 2 {
		t.Errorf("keys: %s", out)
	}
	h.hides(t, key, second, rotated, key[9:37], second[9:37], rotated[9:37])

	if out, code := runProgram(t, home, "keys", "list"); code != 1 || !strings.Contains(out, "make run") {
		t.Errorf("mesher keys without a database ends with %d:\n%s", code, out)
	}
}
