package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mesherhq/mesher/shared/grouping"
	"github.com/mesherhq/mesher/shared/scrub"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestProjects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	path := "/organizations/" + acme.ID.String() + "/projects"

	shop := read[tenant.Project](b.post(t, anna, path, `{"name":"Web Shop"}`), http.StatusCreated)
	at := "/projects/" + shop.ID.String()
	ignored := cmpopts.IgnoreFields(tenant.Project{}, "ID", "Number", "CreatedAt")

	t.Run("begin with what is usual", func(t *testing.T) {
		want := tenant.Project{
			OrganizationID: acme.ID, Name: "Web Shop", Slug: "web-shop", Status: "active", RetentionDays: 90, SampleRate: 1,
			AllowedOrigins: []string{}, OTLPSeverity: 17, GroupingRules: []grouping.Rule{}, ScrubRules: scrub.DefaultRules(),
		}
		if diff := cmp.Diff(want, shop, ignored); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if raw := string(b.get(t, anna, at).is(http.StatusOK).body); !strings.Contains(raw, `"rate_limit":0`) {
			t.Errorf("that there is no limit is not said: %s", raw)
		}
		if diff := cmp.Diff(shop, read[tenant.Project](b.get(t, anna, at), http.StatusOK)); diff != "" {
			t.Errorf("(-created +got):\n%s", diff)
		}
	})

	t.Run("begin with what is asked for", func(t *testing.T) {
		got := read[tenant.Project](b.post(t, anna, path, `{"name":"Web Shop","slug":"other","retention_days":7,"sample_rate":0.5,
			"allowed_origins":["https://shop.example.com"],"rate_limit":100,"monthly_budget":1000000,"otlp_severity":13,
			"grouping_rules":[{"matchers":[{"field":"level","pattern":"info"}],"fingerprint":["x"]}],
			"scrub_rules":{"defaults":false,"emails":true}}`), http.StatusCreated)
		want := tenant.Project{
			OrganizationID: acme.ID, Name: "Web Shop", Slug: "other", Status: "active", RetentionDays: 7, SampleRate: 0.5,
			AllowedOrigins: []string{"https://shop.example.com"}, RateLimit: 100, MonthlyBudget: 1_000_000, OTLPSeverity: 13,
			GroupingRules: []grouping.Rule{{Matchers: []grouping.Matcher{{Field: "level", Pattern: "info"}}, Fingerprint: []string{"x"}}},
			ScrubRules:    scrub.Rules{Emails: true},
		}
		if diff := cmp.Diff(want, got, ignored); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		b.post(t, anna, path, `{"name":"x","slug":"other"}`).refused(http.StatusConflict, "slug_taken", "other")
	})

	t.Run("change in what is named", func(t *testing.T) {
		want := shop
		for _, step := range []struct {
			body   string
			change func(*tenant.Project)
		}{
			{`{"rate_limit":100,"allowed_origins":["https://a.example.com"]}`, func(p *tenant.Project) {
				p.RateLimit, p.AllowedOrigins = 100, []string{"https://a.example.com"}
			}},
			{`{"monthly_budget":5,"otlp_severity":25,"scrub_rules":{"defaults":true,"safe_keys":["a"]}}`, func(p *tenant.Project) {
				p.MonthlyBudget, p.OTLPSeverity, p.ScrubRules = 5, 25, scrub.Rules{Defaults: true, SafeKeys: []string{"a"}}
			}},
			{`{"grouping_rules":[{"matchers":[{"field":"level","pattern":"info"}],"fingerprint":["x"]}]}`, func(p *tenant.Project) {
				p.GroupingRules = []grouping.Rule{{Matchers: []grouping.Matcher{{Field: "level", Pattern: "info"}}, Fingerprint: []string{"x"}}}
			}},
			{`{"monthly_budget":0,"otlp_severity":17,"grouping_rules":[],"scrub_rules":{"defaults":true}}`, func(p *tenant.Project) {
				p.MonthlyBudget, p.OTLPSeverity, p.GroupingRules, p.ScrubRules = 0, 17, []grouping.Rule{}, scrub.DefaultRules()
			}},
			{`{"sample_rate":0.25}`, func(p *tenant.Project) { p.SampleRate = 0.25 }},
			{`{}`, func(*tenant.Project) {}},
			{`{"rate_limit":null,"allowed_origins":null,"name":null}`, func(*tenant.Project) {}},
			{`{"sample_rate":0.25,"rate_limit":100}`, func(*tenant.Project) {}},
			{`{"rate_limit":0,"allowed_origins":[]}`, func(p *tenant.Project) { p.RateLimit, p.AllowedOrigins = 0, []string{} }},
			{`{"name":"Shop","slug":"shop","retention_days":30}`, func(p *tenant.Project) { p.Name, p.Slug, p.RetentionDays = "Shop", "shop", 30 }},
			{`{"status":"archived"}`, func(p *tenant.Project) { p.Status = tenant.ProjectArchived }},
			{`{"status":"active"}`, func(p *tenant.Project) { p.Status = tenant.ProjectActive }},
		} {
			step.change(&want)
			if diff := cmp.Diff(want, read[tenant.Project](b.patch(t, anna, at, step.body), http.StatusOK)); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", step.body, diff)
			}
		}
		trail := []string{
			`project.create project Web Shop {"slug": "web-shop", "rate_limit": 0, "sample_rate": 1, "scrub_rules": {"defaults": true}, "otlp_severity": 17, "grouping_rules": [], "monthly_budget": 0, "retention_days": 90, "allowed_origins": []}`,
			`project.create project Web Shop {"slug": "other", "rate_limit": 100, "sample_rate": 0.5, "scrub_rules": {"emails": true, "defaults": false}, "otlp_severity": 13, "grouping_rules": [{"matchers": [{"field": "level", "pattern": "info"}], "fingerprint": ["x"]}], "monthly_budget": 1000000, "retention_days": 7, "allowed_origins": ["https://shop.example.com"]}`,
			`project.update project Web Shop {"rate_limit": {"to": 100, "from": 0}, "allowed_origins": {"to": ["https://a.example.com"], "from": []}}`,
			`project.update project Web Shop {"scrub_rules": {"to": {"defaults": true, "safe_keys": ["a"]}, "from": {"defaults": true}}, "otlp_severity": {"to": 25, "from": 17}, "monthly_budget": {"to": 5, "from": 0}}`,
			`project.update project Web Shop {"grouping_rules": {"to": [{"matchers": [{"field": "level", "pattern": "info"}], "fingerprint": ["x"]}], "from": []}}`,
			`project.update project Web Shop {"scrub_rules": {"to": {"defaults": true}, "from": {"defaults": true, "safe_keys": ["a"]}}, "otlp_severity": {"to": 17, "from": 25}, "grouping_rules": {"to": [], "from": [{"matchers": [{"field": "level", "pattern": "info"}], "fingerprint": ["x"]}]}, "monthly_budget": {"to": 0, "from": 5}}`,
			`project.update project Web Shop {"sample_rate": {"to": 0.25, "from": 1}}`,
			`project.update project Web Shop {"rate_limit": {"to": 0, "from": 100}, "allowed_origins": {"to": [], "from": ["https://a.example.com"]}}`,
			`project.update project Shop {"name": {"to": "Shop", "from": "Web Shop"}, "slug": {"to": "shop", "from": "web-shop"}, "retention_days": {"to": 30, "from": 90}}`,
			`project.update project Shop {"status": {"to": "archived", "from": "active"}}`,
			`project.update project Shop {"status": {"to": "active", "from": "archived"}}`,
		}
		if diff := cmp.Diff(trail, b.trail(t)); diff != "" {
			t.Errorf("audit log (-want +got):\n%s", diff)
		}
	})

	t.Run("keep to what their settings can be", func(t *testing.T) {
		for body, says := range map[string]string{
			`{"name":""}`:                                                         "body.name: must not be empty",
			`{"name":"x","slug":"Not One"}`:                                       "body.slug: must be lower-case letters, digits and hyphens, at most 63",
			`{"name":"x","retention_days":0}`:                                     "body.retention_days: must be 1 or more",
			`{"name":"x","retention_days":3651}`:                                  "body.retention_days: must be 3650 or less",
			`{"name":"x","retention_days":1.5}`:                                   "body.retention_days: must be a whole number",
			`{"name":"x","sample_rate":0}`:                                        "body.sample_rate: must be more than 0",
			`{"name":"x","sample_rate":1.01}`:                                     "body.sample_rate: must be 1 or less",
			`{"name":"x","sample_rate":"all"}`:                                    "body.sample_rate: must be a number",
			`{"name":"x","rate_limit":-1}`:                                        "body.rate_limit: must be 0 or more",
			`{"name":"x","rate_limit":2147483648}`:                                "body.rate_limit: must be 2",
			`{"name":"x","monthly_budget":-1}`:                                    "body.monthly_budget: ",
			`{"name":"x","monthly_budget":1e16}`:                                  "body.monthly_budget: ",
			`{"name":"x","otlp_severity":26}`:                                     "body.otlp_severity: ",
			`{"name":"x","scrub_rules":{}}`:                                       "defaults",
			`{"name":"x","scrub_rules":{"defaults":true,"extra_patterns":["("]}}`: "extra_patterns[0] is not a regular expression",
			`{"name":"x","grouping_rules":[{"matchers":[],"fingerprint":["x"]}]}`: "rule 1 needs a matcher",
			`{"name":"x","allowed_origins":"a"}`:                                  "body.allowed_origins: must be an array",
			`{"name":"x","allowed_origins":["ftp"]}`:                              "ftp",
			`{"name":"x","allowed_origins":[` + strings.Repeat(`"https://a.example.com",`, 100) + `"https://b.example.com"]}`: "body.allowed_origins: must have at most 100 items",
		} {
			b.post(t, anna, path, body).refused(http.StatusBadRequest, "invalid", says)
			b.patch(t, anna, at, body).refused(http.StatusBadRequest, "invalid", says)
		}
		b.post(t, anna, path, `{"slug":"x"}`).refused(http.StatusBadRequest, "invalid", "name is missing")
		b.patch(t, anna, at, `{"status":"deleting"}`).refused(http.StatusBadRequest, "invalid", "body.status: ")
		b.post(t, anna, path, `{"name":"x","status":"active"}`).refused(http.StatusBadRequest, "invalid", "body.status: unexpected property")
	})
}

func TestProjects_AreDeletedAndTakenBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	shop := b.project(t, acme, "Shop")
	k := b.key(t, shop, "key")
	at := "/projects/" + shop.ID.String()

	for range 2 {
		got := read[tenant.Project](b.delete(t, anna, at), http.StatusOK)
		if got.ID != shop.ID || got.Status != tenant.ProjectDeleting || got.DeletedAt.IsZero() {
			t.Errorf("%+v", got)
		}
	}
	b.patch(t, anna, at, `{"name":"x"}`).refused(http.StatusConflict, "project_deleting", "marked for deletion")
	b.post(t, anna, at+"/keys", `{"label":"x"}`).refused(http.StatusConflict, "project_deleting", "marked for deletion")
	b.post(t, anna, at+"/keys/"+k.ID.String()+"/rotate", nil).refused(http.StatusConflict, "project_deleting", "marked for deletion")
	b.post(t, anna, at+"/keys/"+k.ID.String()+"/revoke", nil).is(http.StatusOK)
	got := read[tenant.Project](b.patch(t, anna, at, `{"status":"active"}`), http.StatusOK)
	if diff := cmp.Diff(shop, got); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	actions := names(items[tenant.AuditEntry](t, b, anna, "/organizations/"+acme.ID.String()+"/audit?action=project"),
		func(e tenant.AuditEntry) string { return e.Action })
	if diff := cmp.Diff([]string{"project.update", "project.delete"}, actions); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
	if n := b.count(t, `select count(*) from mesher.audit_log where action = 'project.delete'
		and details = '{"status": {"from": "active", "to": "deleting"}}'`); n != 1 {
		t.Error("the audit log does not tell what the deletion changed")
	}
}

func TestProjects_AreListedByFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	for _, name := range []string{"One", "Two", "Three", "Four", "Gone"} {
		b.project(t, acme, name)
	}
	b.project(t, b.organization(t, anna, "Other"), "Not here")
	b.Exec(t, `update mesher.projects set status = 'archived' where name = 'Two'`,
		`update mesher.projects set status = 'deleting', deleted_at = now() where name = 'Gone'`)
	for query, want := range map[string][]string{
		"":                         {"Four", "Three", "Two", "One"},
		"status=active":            {"Four", "Three", "One"},
		"status=archived":          {"Two"},
		"status=deleting":          {"Gone"},
		"search=O":                 {"Four", "Two", "One"},
		"search=o&status=active":   {"Four", "One"},
		"search=_&status=deleting": {},
	} {
		got := names(items[tenant.Project](t, b, anna, "/organizations/"+acme.ID.String()+"/projects?"+query),
			func(p tenant.Project) string { return p.Name })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}
