package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/tenant"
)

// What operators do stands in the audit log beside what people do, once each.
func TestKeys_AreAudited(t *testing.T) {
	t.Parallel()
	k := newKeysDB(t)
	c := decoded[created](t, k.must(t, "create", "-json", "-project", "acme/shop", "-label", "web", "-environment", "live", "-expires", "1d"))
	r := decoded[created](t, k.must(t, "rotate", "-json", c.Name()))
	for range 2 {
		k.must(t, "revoke", c.Name())
	}
	if _, err := k.keys(t.Context(), "rotate", c.Name()); err == nil {
		t.Error("a revoked key is rotated")
	}
	k.must(t, "list")
	name := " key t " + c.Secret[:9] + "…" + c.Secret[37:]
	if diff := cmp.Diff([]string{"acme key.create" + name, "acme key.rotate" + name, "acme key.revoke" + name}, trail(t, k.pool)); diff != "" {
		t.Errorf("the audit log (-want +got):\n%s", diff)
	}
	details := texts(t, k.pool, "select details::text from mesher.audit_log order by id")
	for i, want := range [][]string{
		{`"project": "acme/shop"`, `"label": "web"`, `"environment": "live"`, `"expires_at": "20`},
		{`"project": "acme/shop"`, `"label": "web"`, `"expires_at": "20`, r.ID.String(), r.Name()},
		{`"project": "acme/shop"`, `"label": "web"`},
	} {
		contains(t, details[i], want...)
	}
	if all := strings.Join(details, ""); wholeKey.MatchString(all) || strings.Contains(all, c.Secret[9:37]) {
		t.Errorf("a key is in the audit log: %s", all)
	}
}

// Nothing is done to a key that cannot be recorded.
func TestKeys_DoNothingUnrecorded(t *testing.T) {
	t.Parallel()
	k := newKeysDB(t)
	c := decoded[created](t, k.must(t, "create", "-json", "-project", "acme/shop", "-label", "x"))
	k.Exec(t, "alter table mesher.audit_log add constraint closed check (created_at < '2000-01-01') not valid")
	for _, args := range [][]string{{"create", "-project", "acme/shop", "-label", "y"}, {"rotate", c.Name()}, {"revoke", c.Name()}} {
		out, err := k.keys(t.Context(), args[0], args[1:]...)
		if err == nil || wholeKey.MatchString(out) {
			t.Errorf("keys %v: %v\n%s", args, err, out)
		}
	}
	if all := decoded[[]tenant.Key](t, k.must(t, "list", "-json")); len(all) != 1 || all[0].State != tenant.KeyActive || !all[0].ExpiresAt.IsZero() {
		t.Errorf("keys are changed: %+v", all)
	}
}
