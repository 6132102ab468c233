package tenant_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// rival returns a project of another organization, with the same slug.
func (f *fixture) rival(t *testing.T) tenant.Project {
	t.Helper()
	o, err := tenant.EnsureOrganization(t.Context(), f.admin, "Rival", "rival")
	must(t, err)
	p, err := tenant.EnsureProject(t.Context(), f.admin, o.ID, "Shop", "shop")
	must(t, err)
	return p
}

// issue makes a key as operators do.
func (f *fixture) issue(t *testing.T, project uuid.UUID, spec tenant.KeySpec) (tenant.Key, string) {
	t.Helper()
	k, secret, err := tenant.IssueKey(t.Context(), f.admin, project, spec)
	must(t, err)
	return k, secret
}

// change alters a key by SQL such as "revoked_at = now()".
func (f *fixture) change(t *testing.T, id uuid.UUID, set string) {
	t.Helper()
	_, err := f.admin.Exec(t.Context(), "update mesher.api_keys set "+set+" where id = $1", id)
	must(t, err)
}

// key returns a project's key as lists show it.
func (f *fixture) keyOf(t *testing.T, project, id uuid.UUID) tenant.Key {
	t.Helper()
	keys, err := tenant.ListKeys(t.Context(), f.admin, project)
	must(t, err)
	for _, k := range keys {
		if k.ID == id {
			return k
		}
	}
	t.Fatalf("key %s is not listed", id)
	return tenant.Key{}
}

func TestIssueKey(t *testing.T) {
	t.Parallel()
	f := setup(t)
	k, secret := f.issue(t, f.project.ID, tenant.KeySpec{Label: "CI", Environment: "staging", Lifetime: time.Hour})
	if got := k.ExpiresAt.Sub(k.CreatedAt); got != time.Hour {
		t.Errorf("it lives for %s, want an hour", got)
	}
	if d := time.Since(k.CreatedAt); d < -time.Minute || d > time.Minute {
		t.Errorf("it was created %s ago", d)
	}
	want := tenant.Key{
		ID: k.ID, ProjectID: f.project.ID, Project: "acme/shop", Prefix: secret[:9], LastFour: secret[37:], Label: "CI",
		Environment: "staging", State: tenant.KeyActive, CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt,
	}
	if diff := cmp.Diff(want, k); diff != "" {
		t.Errorf("key (-want +got):\n%s", diff)
	}
	access, err := f.find(t, secret)
	if err != nil || access.ProjectID != f.project.ID || access.Environment != "staging" || !access.ExpiresAt.Equal(k.ExpiresAt) {
		t.Errorf("it opens %+v, %v", access, err)
	}
	plain, _ := f.issue(t, f.project.ID, tenant.KeySpec{Label: strings.Repeat("é", 100)})
	if !plain.ExpiresAt.IsZero() || plain.Environment != "" {
		t.Errorf("a key without more than a label is %+v", plain)
	}
}

func TestIssueKey_RefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for name, spec := range map[string]tenant.KeySpec{
		"no label":             {},
		"a long label":         {Label: strings.Repeat("é", 101)},
		"a label with a break": {Label: "a\nb"},
		"a blank label":        {Label: " "},
		"a long environment":   {Label: "x", Environment: strings.Repeat("e", 65)},
		"a NUL":                {Label: "x", Environment: "a\x00"},
		"a negative lifetime":  {Label: "x", Lifetime: -time.Second},
		"a lifetime of ages":   {Label: "x", Lifetime: 4000 * 24 * time.Hour},
	} {
		if _, secret, err := tenant.IssueKey(t.Context(), f.admin, f.project.ID, spec); !fault.Is(err, fault.Invalid) || secret != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := tenant.IssueKey(t.Context(), f.admin, uuid.New(), tenant.KeySpec{Label: "x"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a key of no project: %v", err)
	}
	if _, _, err := tenant.IssueKey(t.Context(), f.app, uuid.New(), tenant.KeySpec{Label: "x"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a key of no project, as mesher_app: %v", err)
	}
}

func TestListKeys(t *testing.T) {
	t.Parallel()
	f := setup(t)
	rival := f.rival(t)
	theirs, _ := f.issue(t, rival.ID, tenant.KeySpec{Label: "theirs"})
	states := map[string]tenant.KeyState{
		"revoked_at = now()": tenant.KeyRevoked, "expires_at = now()": tenant.KeyExpired,
		"revoked_at = now() + interval '1 hour', expires_at = now() + interval '1 hour'": tenant.KeyActive,
		"revoked_at = now(), expires_at = now()":                                         tenant.KeyRevoked,
	}
	for set, want := range states {
		k, _ := f.issue(t, f.project.ID, tenant.KeySpec{Label: set})
		f.change(t, k.ID, set)
		got := f.keyOf(t, f.project.ID, k.ID)
		if got.State != want || strings.Contains(set, "revoked_at") == got.RevokedAt.IsZero() || strings.Contains(set, "expires_at") == got.ExpiresAt.IsZero() {
			t.Errorf("a key with %s is %+v, want %s", set, got, want)
		}
	}
	f.change(t, theirs.ID, "last_used_at = created_at")
	if got := f.keyOf(t, rival.ID, theirs.ID); !got.LastUsedAt.Equal(theirs.CreatedAt) {
		t.Errorf("last used at %s, want %s", got.LastUsedAt, theirs.CreatedAt)
	}

	mine, err := tenant.ListKeys(t.Context(), f.admin, f.project.ID)
	must(t, err)
	if len(mine) != 1+len(states) {
		t.Errorf("%d keys, want %d", len(mine), 1+len(states))
	}
	for i, k := range mine {
		if k.ProjectID != f.project.ID || i > 0 && k.CreatedAt.After(mine[i-1].CreatedAt) {
			t.Errorf("key %d is %+v", i, k)
		}
	}
	all, err := tenant.ListAllKeys(t.Context(), f.admin)
	must(t, err)
	if len(all) != len(mine)+1 || all[len(all)-1].Project != "rival/shop" {
		t.Errorf("all keys are %+v", all)
	}
	if none, err := tenant.ListKeys(t.Context(), f.admin, uuid.New()); err != nil || len(none) != 0 {
		t.Errorf("keys of no project are %v, %v", none, err)
	}
	closed := f.Pool(t, pgtest.Admin)
	closed.Close()
	if _, err := tenant.ListAllKeys(t.Context(), closed); err == nil {
		t.Error("with the database away there are no keys, without an error")
	}
}

func TestPickKey(t *testing.T) {
	t.Parallel()
	a := tenant.Key{ID: uuid.New(), Prefix: "mshr_AAAA", LastFour: "aaaa"}
	b := tenant.Key{ID: uuid.New(), Prefix: "mshr_AAAA", LastFour: "bbbb"}
	c := tenant.Key{ID: uuid.New(), Prefix: "mshr_CCCC", LastFour: "cccc"}
	d := tenant.Key{ID: uuid.New(), Prefix: "mshr_CCCC", LastFour: "cccc"}
	keys := []tenant.Key{a, b, c, d}
	for ref, want := range map[string]tenant.Key{
		a.ID.String(): a, strings.ToUpper(b.ID.String()): b, "mshr_AAAA…bbbb": b, "mshr_AAAA...aaaa": a, d.ID.String(): d,
	} {
		if got, err := tenant.PickKey(keys, ref); err != nil || got.ID != want.ID {
			t.Errorf("PickKey(%q) = %v, %v; want %v", ref, got, err, want)
		}
	}
	whole := tenant.NewKey()
	for ref, want := range map[string]fault.Kind{
		"": fault.Invalid, "mshr_AAAA": fault.Invalid, "aaaa": fault.Invalid, whole: fault.Invalid,
		"…": fault.NotFound, "mshr_AAAA…": fault.NotFound, "mshr_A…aaaa": fault.NotFound, "…aaaa": fault.NotFound,
		"mshr_CCCC…cccc": fault.Conflict, uuid.NewString(): fault.NotFound, uuid.Nil.String(): fault.NotFound,
	} {
		_, err := tenant.PickKey(keys, ref)
		if !fault.Is(err, want) {
			t.Errorf("PickKey(%q) = %v, want %s", ref, err, want)
		}
		if err != nil && strings.Contains(err.Error(), whole) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
}

func TestPickProject(t *testing.T) {
	t.Parallel()
	f := setup(t)
	if got, err := tenant.PickProject(t.Context(), f.admin, ""); err != nil || !cmp.Equal(got, f.project) {
		t.Errorf("the only project is %v, %v", got, err)
	}
	rival := f.rival(t)
	for ref, want := range map[string]tenant.Project{
		f.project.ID.String(): f.project, strings.ToUpper(rival.ID.String()): rival, "acme/shop": f.project, "rival/shop": rival,
	} {
		if got, err := tenant.PickProject(t.Context(), f.admin, ref); err != nil || !cmp.Equal(got, want) {
			t.Errorf("PickProject(%q) = %v, %v; want %v", ref, got, err, want)
		}
	}
	for ref, want := range map[string]fault.Kind{
		"": fault.Conflict, "shop": fault.Conflict, "acme": fault.NotFound, "acme/shop/x": fault.NotFound,
		"acme/other": fault.NotFound, uuid.NewString(): fault.NotFound, "' or true --": fault.NotFound,
	} {
		if got, err := tenant.PickProject(t.Context(), f.admin, ref); !fault.Is(err, want) {
			t.Errorf("PickProject(%q) = %v, %v; want %s", ref, got, err, want)
		}
	}
	empty := pgtest.New(t).Pool(t, pgtest.Admin)
	if _, err := tenant.PickProject(t.Context(), empty, ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("without any project: %v", err)
	}
}

func TestFind_StaysWithinTheOrganization(t *testing.T) {
	t.Parallel()
	f := setup(t)
	rival := f.rival(t)
	o, err := tenant.FindOrganization(t.Context(), f.admin, "rival")
	if err != nil || o.ID != rival.OrganizationID || o.Name != "Rival" {
		t.Errorf("FindOrganization = %v, %v", o, err)
	}
	if p, err := tenant.FindProject(t.Context(), f.admin, o.ID, "shop"); err != nil || !cmp.Equal(p, rival) {
		t.Errorf("FindProject = %v, %v; want %v", p, err, rival)
	}
	_, err = tenant.FindOrganization(t.Context(), f.admin, "nobody")
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("no organization: %v", err)
	}
	for i, organization := range []uuid.UUID{o.ID, uuid.New()} {
		if _, err := tenant.FindProject(t.Context(), f.admin, organization, fmt.Sprint("shop", i)); !fault.Is(err, fault.NotFound) {
			t.Errorf("no project: %v", err)
		}
	}
}
