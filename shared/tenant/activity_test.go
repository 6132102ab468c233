package tenant_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestListActivity(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).Pool(t, pgtest.App)
	anna, ben := uuid.New(), uuid.New()
	acme, other := uuid.New(), uuid.New()
	target := uuid.New()
	for _, e := range []struct {
		who, organization, target uuid.UUID
		action                    string
	}{
		{anna, uuid.Nil, uuid.Nil, "user.update"},
		{anna, acme, target, "project.create"},
		{ben, acme, target, "project.update"},
		{anna, other, target, "project.delete"},
		{anna, other, uuid.Nil, "projects.sort"},
		{uuid.Nil, acme, target, "key.create"},
	} {
		must(t, tenant.Record(t.Context(), db, e.organization, tenant.Actor{Kind: "user", ID: e.who, Name: "name"},
			e.action, tenant.Target{Kind: "project", ID: e.target, Name: "target"}, nil))
	}
	must(t, tenant.Record(t.Context(), db, acme, tenant.Actor{Kind: "operator", Name: "root"}, "password.link",
		tenant.Target{Kind: "user", ID: ben, Name: "ben"}, nil))
	must(t, tenant.Record(t.Context(), db, acme, tenant.Actor{Kind: "operator", Name: "root"}, "project.move",
		tenant.Target{Kind: "project", ID: ben, Name: "not ben"}, nil))
	list := func(v tenant.Viewer, f tenant.AuditFilter, limit int) []tenant.AuditEntry {
		t.Helper()
		var out []tenant.AuditEntry
		for r := (page.Request{Limit: limit}); ; {
			p, err := tenant.ListActivity(t.Context(), db, v, f, r)
			must(t, err)
			if len(p.Rows) > limit {
				t.Fatalf("a page of %d rows, want %d at most", len(p.Rows), limit)
			}
			out = append(out, p.Rows...)
			if r.After = p.Next; r.After == (page.Mark{}) {
				return out
			}
		}
	}
	all := []string{"projects.sort", "project.delete", "project.create", "user.update"}
	cut := list(tenant.Viewer{UserID: anna}, tenant.AuditFilter{}, 100)[1].CreatedAt

	for _, tt := range []struct {
		name   string
		viewer tenant.Viewer
		filter tenant.AuditFilter
		want   []string
	}{
		{"all of one user", tenant.Viewer{UserID: anna}, tenant.AuditFilter{}, all},
		{"of another user", tenant.Viewer{UserID: ben}, tenant.AuditFilter{}, []string{"password.link", "project.update"}},
		{"of another user elsewhere", tenant.Viewer{UserID: ben, OrganizationID: other}, tenant.AuditFilter{}, nil},
		{"of a user who did nothing", tenant.Viewer{UserID: uuid.New()}, tenant.AuditFilter{}, nil},
		{"not of another actor", tenant.Viewer{UserID: anna}, tenant.AuditFilter{Actor: ben}, all},
		{"in one organization", tenant.Viewer{UserID: anna, OrganizationID: other}, tenant.AuditFilter{}, all[:2]},
		{"one action", tenant.Viewer{UserID: anna}, tenant.AuditFilter{Action: "project.delete"}, all[1:2]},
		{"one noun", tenant.Viewer{UserID: anna}, tenant.AuditFilter{Action: "project"}, all[1:3]},
		{"an action with a character that cannot be", tenant.Viewer{UserID: anna}, tenant.AuditFilter{Action: "a\x00"}, nil},
		{"one target", tenant.Viewer{UserID: anna}, tenant.AuditFilter{Target: target}, all[1:3]},
		{"from a time on", tenant.Viewer{UserID: anna}, tenant.AuditFilter{Since: cut}, all[:2]},
		{"before a time", tenant.Viewer{UserID: anna}, tenant.AuditFilter{Until: cut}, all[2:]},
		{"between two times", tenant.Viewer{UserID: anna}, tenant.AuditFilter{Since: cut, Until: cut.Add(time.Microsecond)}, all[1:2]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, limit := range []int{1, 2, 100} {
				var got []string
				for _, e := range list(tt.viewer, tt.filter, limit) {
					got = append(got, e.Action)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%d at a time (-want +got):\n%s", limit, diff)
				}
			}
		})
	}
}
