package tenant_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestPageKeys(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx, rival := t.Context(), f.rival(t)
	f.issue(t, rival.ID, tenant.KeySpec{Label: "theirs"})
	revoked, _ := f.issue(t, f.project.ID, tenant.KeySpec{Label: "Web", Environment: "live"})
	f.change(t, revoked.ID, "revoked_at = now()")
	expired, _ := f.issue(t, f.project.ID, tenant.KeySpec{Label: "web 2", Environment: "test"})
	f.change(t, expired.ID, "expires_at = now()")
	for name, tt := range map[string]struct {
		filter tenant.KeyFilter
		want   []string
	}{
		"all":               {tenant.KeyFilter{}, []string{"web 2", "Web", "first"}},
		"active":            {tenant.KeyFilter{State: tenant.KeyActive}, []string{"first"}},
		"revoked":           {tenant.KeyFilter{State: tenant.KeyRevoked}, []string{"Web"}},
		"expired":           {tenant.KeyFilter{State: tenant.KeyExpired}, []string{"web 2"}},
		"by environment":    {tenant.KeyFilter{Environment: "live"}, []string{"Web"}},
		"by label":          {tenant.KeyFilter{Label: "WEB"}, []string{"web 2", "Web"}},
		"by label and more": {tenant.KeyFilter{Label: "web", Environment: "test", State: tenant.KeyExpired}, []string{"web 2"}},
		"of no environment": {tenant.KeyFilter{Environment: "li\x00"}, nil},
		"of no state":       {tenant.KeyFilter{State: "lost"}, nil},
		"another project's": {tenant.KeyFilter{Label: "theirs"}, nil},
	} {
		found, err := tenant.PageKeys(ctx, f.app, f.project.ID, tt.filter, page.Request{Limit: 9})
		must(t, err)
		var got []string
		for _, k := range found.Rows {
			got = append(got, k.Label)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestChangeKey(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx, rival := t.Context(), f.rival(t)
	k, _ := f.issue(t, f.project.ID, tenant.KeySpec{Label: "web"})
	_, err := tenant.ChangeKey(ctx, f.app, rival.ID, k.ID, tenant.KeyChange{Label: ptr("stolen"), RateLimit: ptr(1)})
	wants(t, "another project's key", err, fault.NotFound, "")
	_, err = tenant.FindKey(ctx, f.app, rival.ID, k.ID)
	wants(t, "find another project's key", err, fault.NotFound, "")
	for _, label := range []string{"", " ", "a\x00", strings.Repeat("é", 101)} {
		_, err := tenant.ChangeKey(ctx, f.app, f.project.ID, k.ID, tenant.KeyChange{Label: &label})
		wants(t, label, err, fault.Invalid, "")
	}
	for _, limit := range []int{-1, math.MaxInt32 + 1} {
		_, err := tenant.ChangeKey(ctx, f.app, f.project.ID, k.ID, tenant.KeyChange{RateLimit: &limit})
		wants(t, fmt.Sprint(limit), err, fault.Invalid, "")
		_, _, err = tenant.IssueKey(ctx, f.app, f.project.ID, tenant.KeySpec{Label: "x", RateLimit: limit})
		wants(t, fmt.Sprint("a new key with ", limit), err, fault.Invalid, "")
	}
	if got, err := tenant.FindKey(ctx, f.app, f.project.ID, k.ID); err != nil || !cmp.Equal(got, k) {
		t.Errorf("the key became %+v, %v", got, err)
	}
	want := k
	for i, step := range []struct {
		change tenant.KeyChange
		label  string
		limit  int
	}{
		{tenant.KeyChange{Label: ptr("shop")}, "shop", 0},
		{tenant.KeyChange{RateLimit: ptr(math.MaxInt32)}, "shop", math.MaxInt32},
		{tenant.KeyChange{}, "shop", math.MaxInt32},
		{tenant.KeyChange{Label: ptr("web"), RateLimit: ptr(0)}, "web", 0},
	} {
		want.Label, want.RateLimit = step.label, step.limit
		if got, err := tenant.ChangeKey(ctx, f.app, f.project.ID, k.ID, step.change); err != nil || !cmp.Equal(got, want) {
			t.Errorf("step %d: %+v, %v", i, got, err)
		}
	}
}

// TestKeys_AsTheApplication makes, replaces and revokes a key with the role that functions have.
func TestKeys_AsTheApplication(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	k, _, err := tenant.IssueKey(ctx, f.app, f.project.ID, tenant.KeySpec{Label: "web"})
	must(t, err)
	r, err := tenant.RotateKey(ctx, f.app, f.project.ID, k.ID, 0)
	must(t, err)
	if got, changed, err := tenant.RevokeKey(ctx, f.app, f.project.ID, r.New.ID); err != nil || !changed || got.State != tenant.KeyRevoked {
		t.Errorf("revoked: %+v, %t, %v", got, changed, err)
	}
	if _, err := f.find(t, r.Secret); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a revoked key opens: %v", err)
	}
}
