package tenant_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestRecord(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := uuid.New(), t.Context()
	who := tenant.Actor{Kind: "token", ID: uuid.New(), Name: "ann@example.com CI", IP: "2001:db8::1", UserAgent: "curl/8"}
	target := tenant.Target{Kind: "project", ID: f.project.ID, Name: "Shop"}
	must(t, tenant.Record(ctx, f.app, org, who, "project.change", target, map[string]tenant.Change{"name": {From: "Shop", To: "Store"}}))
	got, err := tenant.ListAudit(ctx, f.app, org, tenant.AuditFilter{}, page.Request{Limit: 5})
	must(t, err)
	if len(got.Rows) != 1 {
		t.Fatalf("%d entries", len(got.Rows))
	}
	e := got.Rows[0]
	if e.ID.Version() != 7 || time.Since(e.CreatedAt) > time.Minute {
		t.Errorf("entry %s of %s", e.ID, e.CreatedAt)
	}
	want := tenant.AuditEntry{
		ID: e.ID, CreatedAt: e.CreatedAt, OrganizationID: org, Actor: who, Action: "project.change", Target: target,
		Details: json.RawMessage(`{"name": {"to": "Store", "from": "Shop"}}`),
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
}

// TestRecord_TakesWhatClientsSend records what would be refused as it is.
func TestRecord_TakesWhatClientsSend(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, tt := range []struct {
		name          string
		who           tenant.Actor
		details       any
		ip, says, has string
	}{
		{"nothing", tenant.Actor{}, nil, "", "", ""},
		{"a null", tenant.Actor{}, map[string]string(nil), "", "", ""},
		{"a long user agent", tenant.Actor{UserAgent: strings.Repeat("é", 500)}, nil, "", strings.Repeat("é", 400), ""},
		{"what is no text", tenant.Actor{UserAgent: "a\x00\xff", Name: "\x00"}, nil, "", "a\uFFFD\uFFFD", ""},
		{"no address", tenant.Actor{IP: "' or true"}, nil, "", "", ""},
		{"an address with a zone", tenant.Actor{IP: "fe80::1%eth0"}, nil, "fe80::1", "", ""},
		{"a mapped address", tenant.Actor{IP: "::ffff:192.0.2.1"}, nil, "192.0.2.1", "", ""},
		{"long details", tenant.Actor{}, map[string]string{"x": strings.Repeat("x", 17<<10)}, "", "", `{"note": "the details were too long to be kept"}`},
		{"a NUL in the details", tenant.Actor{}, map[string]string{"x": "a\x00b\xff"}, "", "", "{\"x\": \"a\uFFFDb\uFFFD\"}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			org := uuid.New()
			tt.who.Kind = "user"
			must(t, tenant.Record(t.Context(), f.app, org, tt.who, "user.log_in", tenant.Target{Kind: "user"}, tt.details))
			got, err := tenant.ListAudit(t.Context(), f.app, org, tenant.AuditFilter{}, page.Request{Limit: 5})
			must(t, err)
			if e := got.Rows[0]; e.Actor.IP != tt.ip || e.Actor.UserAgent != tt.says || string(e.Details) != tt.has || e.Actor.ID != uuid.Nil {
				t.Errorf("recorded %+v with %s", e, e.Details)
			}
		})
	}
	t.Run("of no organization", func(t *testing.T) {
		t.Parallel()
		must(t, tenant.Record(t.Context(), f.app, uuid.Nil, tenant.Actor{Kind: "anonymous"}, "user.register", tenant.Target{}, nil))
		if n := f.text(t, "select count(*) from mesher.audit_log where organization_id is null"); n != "1" {
			t.Errorf("%s entries of no organization", n)
		}
	})
	t.Run("but no mistake of ours", func(t *testing.T) {
		t.Parallel()
		if err := tenant.Record(t.Context(), f.app, uuid.Nil, tenant.Actor{Kind: "user"}, "nonsense", tenant.Target{}, nil); err == nil {
			t.Error("an action without a verb is recorded")
		}
		if err := tenant.Record(t.Context(), f.app, uuid.Nil, tenant.Actor{Kind: "user"}, "a.b", tenant.Target{}, func() {}); err == nil {
			t.Error("what is no JSON is recorded")
		}
	})
}

func TestListAudit_Filters(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := uuid.New(), t.Context()
	ann, bob, shop := uuid.New(), uuid.New(), uuid.New()
	record := func(organization, actor uuid.UUID, action string, target uuid.UUID) {
		must(t, tenant.Record(ctx, f.app, organization, tenant.Actor{Kind: "user", ID: actor}, action, tenant.Target{ID: target}, nil))
	}
	record(org, ann, "project.create", shop)
	record(org, bob, "project.delete", uuid.New())
	record(org, bob, "projects.create", shop)
	record(uuid.New(), ann, "project.create", shop)
	all, err := tenant.ListAudit(ctx, f.app, org, tenant.AuditFilter{}, page.Request{Limit: 9})
	must(t, err)
	if len(all.Rows) != 3 || all.Rows[0].Action != "projects.create" || all.Rows[2].Action != "project.create" {
		t.Fatalf("entries %+v", all.Rows)
	}
	middle := all.Rows[1].CreatedAt
	for name, tt := range map[string]struct {
		filter tenant.AuditFilter
		want   string
	}{
		"by an actor":             {tenant.AuditFilter{Actor: bob}, "projects.create project.delete"},
		"by an action":            {tenant.AuditFilter{Action: "project.create"}, "project.create"},
		"by what it is about":     {tenant.AuditFilter{Action: "project"}, "project.delete project.create"},
		"not by half a word":      {tenant.AuditFilter{Action: "proj"}, ""},
		"not by a pattern":        {tenant.AuditFilter{Action: "%"}, ""},
		"by a NUL":                {tenant.AuditFilter{Action: "project\x00"}, ""},
		"by a target":             {tenant.AuditFilter{Target: shop}, "projects.create project.create"},
		"from a time on":          {tenant.AuditFilter{Since: middle}, "projects.create project.delete"},
		"before a time":           {tenant.AuditFilter{Until: middle}, "project.create"},
		"by everything":           {tenant.AuditFilter{Actor: ann, Action: "project", Target: shop, Until: middle}, "project.create"},
		"of nobody":               {tenant.AuditFilter{Actor: uuid.New()}, ""},
		"within no time":          {tenant.AuditFilter{Since: middle, Until: middle}, ""},
		"within a time as a span": {tenant.AuditFilter{Since: middle, Until: middle.Add(time.Microsecond)}, "project.delete"},
	} {
		found, err := tenant.ListAudit(ctx, f.app, org, tt.filter, page.Request{Limit: 9})
		must(t, err)
		var got []string
		for _, e := range found.Rows {
			got = append(got, e.Action)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v, want %s", name, got, tt.want)
		}
	}
}

// TestAuditLog_OnlyGrows tries to change and to empty it, as everybody.
func TestAuditLog_OnlyGrows(t *testing.T) {
	t.Parallel()
	f := setup(t)
	must(t, tenant.Record(t.Context(), f.app, f.project.OrganizationID, tenant.Actor{Kind: "operator"}, "project.create", tenant.Target{}, nil))
	before := f.text(t, "select json_agg(a) from mesher.audit_log a")
	for role, says := range map[pgtest.Role]string{
		pgtest.App: "permission denied", pgtest.Store: "only added to", pgtest.Admin: "only added to",
	} {
		conn := f.Conn(t, role)
		for _, sql := range []string{
			"update mesher.audit_log set actor_name = 'nobody'",
			"delete from mesher.audit_log",
			"truncate mesher.audit_log",
		} {
			if _, err := conn.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s as %s: %v, want %s", sql, role, err, says)
			}
		}
	}
	if after := f.text(t, "select json_agg(a) from mesher.audit_log a"); before != after {
		t.Errorf("the audit log changed from %s to %s", before, after)
	}
}
