package tenant_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/grouping"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/scrub"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestCreateProject(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	p, err := tenant.CreateProject(ctx, f.app, org, tenant.ProjectChange{Name: ptr("Shop")})
	must(t, err)
	want := f.project // which was made by the database's defaults
	want.ID, want.Number, want.CreatedAt, want.Slug = p.ID, p.Number, p.CreatedAt, "shop-2"
	if diff := cmp.Diff(want, p); diff != "" || p.Number == f.project.Number || p.CreatedAt.IsZero() {
		t.Errorf("project (-want +got):\n%s", diff)
	}
	rules := []grouping.Rule{{Matchers: []grouping.Matcher{{Field: "level", Pattern: "é\\*"}}, Fingerprint: []string{"x"}, Title: "<&>"}}
	full, err := tenant.CreateProject(ctx, f.app, org, tenant.ProjectChange{
		Name: ptr("Full"), Slug: ptr("f"), Status: ptr(tenant.ProjectArchived), RetentionDays: ptr(3650), SampleRate: ptr(0.1),
		AllowedOrigins: ptr([]string{"https://a.example", "HTTPS://A.example:443"}), RateLimit: ptr(math.MaxInt32),
		MonthlyBudget: ptr(int64(1e15)), OTLPSeverity: ptr(25), GroupingRules: ptr(rules), ScrubRules: ptr(scrub.Rules{IPs: true, SafeKeys: []string{"a*"}}),
	})
	must(t, err)
	want = tenant.Project{
		ID: full.ID, OrganizationID: org, Number: full.Number, Name: "Full", Slug: "f", Status: tenant.ProjectArchived,
		RetentionDays: 3650, SampleRate: 0.1, AllowedOrigins: []string{"https://a.example"}, RateLimit: math.MaxInt32, CreatedAt: full.CreatedAt,
		MonthlyBudget: 1e15, OTLPSeverity: 25, GroupingRules: rules, ScrubRules: scrub.Rules{IPs: true, SafeKeys: []string{"a*"}},
	}
	if diff := cmp.Diff(want, full); diff != "" {
		t.Errorf("project (-want +got):\n%s", diff)
	}
	_, err = tenant.CreateProject(ctx, f.app, org, tenant.ProjectChange{Name: ptr("X"), Slug: ptr("shop")})
	wants(t, "a slug that is taken", err, fault.Conflict, "slug_taken")
	_, err = tenant.CreateProject(ctx, f.app, org, tenant.ProjectChange{})
	wants(t, "without a name", err, fault.Invalid, "")
	for _, slug := range []*string{nil, ptr("x")} {
		_, err = tenant.CreateProject(ctx, f.app, uuid.New(), tenant.ProjectChange{Name: ptr("X"), Slug: slug})
		wants(t, "of no organization", err, fault.NotFound, "")
	}
}

// TestProject_ValuesAreChecked sets every combination of good and bad values at random: what is refused is said
// here, never by the database.
func TestProject_ValuesAreChecked(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf("https://%d.example", i)
	}
	names := []string{"A", strings.Repeat("é", 200), strings.Repeat("é", 201), "", " a", "a\x00", "\xff", "a\nb"}
	slugs := []string{"a", strings.Repeat("9", 63), strings.Repeat("a", 64), "", "-a", "A", "a_b", "ä", "a\x00", "a\n", "x-deleted-00000000"}
	statuses := []tenant.ProjectStatus{"active", "archived", "deleting", "", "Active", "\x00"}
	days := []int{1, 3650, 0, -1, 3651, math.MaxInt}
	rates := []float64{1, 5e-324, 0.5, 0, math.Copysign(0, -1), -1, 1.0000001, math.NaN(), math.Inf(1), math.Inf(-1)}
	limits := []int{0, 1, math.MaxInt32, -1, math.MaxInt32 + 1, math.MinInt}
	origins := [][]string{{}, nil, {"https://a.example"}, many[:100], many, {"*"}, {"\x00"}, append(many[:100:100], many[0])}
	good := map[string]int{"names": 2, "slugs": 2, "statuses": 2, "days": 2, "rates": 3, "limits": 3}
	random := rand.New(rand.NewPCG(1, 2))
	succeeded := 0
	for range 1500 {
		i := map[string]int{
			"names": random.IntN(len(names)), "slugs": random.IntN(len(slugs)), "statuses": random.IntN(len(statuses)),
			"days": random.IntN(len(days)), "rates": random.IntN(len(rates)), "limits": random.IntN(len(limits)),
		}
		o := random.IntN(len(origins))
		wanted := o < 4 || o == 7
		for field, n := range good {
			if random.IntN(3) > 0 { // most are good, so that one bad value stands alone
				i[field] = random.IntN(n)
			}
			wanted = wanted && i[field] < n
		}
		c := tenant.ProjectChange{
			Name: &names[i["names"]], Slug: &slugs[i["slugs"]], Status: &statuses[i["statuses"]], RetentionDays: &days[i["days"]],
			SampleRate: &rates[i["rates"]], AllowedOrigins: &origins[o], RateLimit: &limits[i["limits"]],
		}
		_, is, err := tenant.ChangeProject(ctx, f.app, f.project.ID, c)
		_, created := tenant.CreateProject(ctx, f.app, org, c)
		switch {
		case wanted:
			succeeded++
			if err != nil || is.Name != *c.Name || is.RateLimit != *c.RateLimit || is.SampleRate != *c.SampleRate {
				t.Fatalf("%v becomes %+v, %v", i, is, err)
			}
			if created != nil && fault.CodeOf(created) != "slug_taken" {
				t.Fatalf("%v: %v", i, created)
			}
		default:
			wants(t, fmt.Sprint("change ", i, o), err, fault.Invalid, "")
			wants(t, fmt.Sprint("create ", i, o), created, fault.Invalid, "")
		}
		if t.Failed() {
			return
		}
	}
	if succeeded < 20 {
		t.Errorf("only %d combinations were good", succeeded)
	}
}

func TestProject_AllowedOrigins(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	in := []string{
		"https://App.Example.com", "http://localhost:3000", "https://*.example.com", "https://app.example.com:443",
		"http://a.example:80", "https://a.example:80", "http://127.0.0.1:8080", "http://[::1]:5173", "https://[2001:DB8:0:0::1]",
		"https://xn--bcher-kva.example", "https://a.example:00080",
	}
	want := []string{
		"https://app.example.com", "http://localhost:3000", "https://*.example.com", "http://a.example", "https://a.example:80",
		"http://127.0.0.1:8080", "http://[::1]:5173", "https://[2001:db8::1]", "https://xn--bcher-kva.example",
	}
	_, is, err := tenant.ChangeProject(ctx, f.app, f.project.ID, tenant.ProjectChange{AllowedOrigins: &in})
	if diff := cmp.Diff(want, is.AllowedOrigins); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, origin := range []string{
		"", "*", "null", "example.com", "//example.com", "ftp://example.com", "https://", "https://example.com/", "https://example.com/x",
		"https://example.com?", "https://example.com#", "https://me@example.com", "https://me:x@example.com", "https://*", "https://*.",
		"https://a.*.com", "https://**.com", "https://*a.com", "https://a..com", "https://.com", "https://-a.com", "https://a-.com",
		"https://a.com:", "https://a.com:0", "https://a.com:65536", "https://a.com:x", "https://[::g]", "https://[:::1]", "https://*.[::1]",
		"https://bücher.example", " https://a.com", "https://a.com ", "https://a.com\n", "https://" + strings.Repeat("a.", 130) + "com",
		"https://" + strings.Repeat("a", 64) + ".com", strings.Repeat("é", 500), "https://[fe80::1%25eth0]",
	} {
		_, _, err := tenant.ChangeProject(ctx, f.app, f.project.ID, tenant.ProjectChange{AllowedOrigins: &[]string{origin}})
		wants(t, fmt.Sprintf("%.40q", origin), err, fault.Invalid, "")
		if err != nil && len(err.Error()) > 900 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
	}
}

func TestChangeProject(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx, rival := t.Context(), f.rival(t)
	was, is, err := tenant.ChangeProject(ctx, f.app, f.project.ID, tenant.ProjectChange{})
	if err != nil || !cmp.Equal(was, f.project) || !cmp.Equal(is, f.project) {
		t.Errorf("nothing changed from %+v to %+v, %v", was, is, err)
	}
	want := f.project
	want.Status, want.RateLimit = tenant.ProjectArchived, 5
	was, is, err = tenant.ChangeProject(ctx, f.app, f.project.ID, tenant.ProjectChange{Status: ptr(tenant.ProjectArchived), RateLimit: ptr(5)})
	if err != nil || !cmp.Equal(was, f.project) || !cmp.Equal(is, want) {
		t.Errorf("changed from %+v to %+v, %v", was, is, err)
	}
	if _, is, err = tenant.ChangeProject(ctx, f.app, f.project.ID, tenant.ProjectChange{RateLimit: ptr(0)}); err != nil || is.RateLimit != 0 {
		t.Errorf("without a limit: %+v, %v", is, err)
	}
	other, err := tenant.CreateProject(ctx, f.app, f.project.OrganizationID, tenant.ProjectChange{Name: ptr("Other")})
	must(t, err)
	_, _, err = tenant.ChangeProject(ctx, f.app, other.ID, tenant.ProjectChange{Slug: ptr("shop"), Name: ptr("X")})
	wants(t, "a slug that is taken", err, fault.Conflict, "slug_taken")
	_, _, err = tenant.ChangeProject(ctx, f.app, uuid.New(), tenant.ProjectChange{Name: ptr("X")})
	wants(t, "none", err, fault.NotFound, "")
	if got, err := tenant.FindProject(ctx, f.app, rival.OrganizationID, "shop"); err != nil || !cmp.Equal(got, rival) {
		t.Errorf("another organization's project became %+v, %v", got, err)
	}
	if got, err := tenant.FindProject(ctx, f.app, other.OrganizationID, "other"); err != nil || !cmp.Equal(got, other) {
		t.Errorf("the other project became %+v, %v", got, err)
	}
}

func TestDeleteProject(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	deleted, changed, err := tenant.DeleteProject(ctx, f.app, f.project.ID)
	end := "-deleted-" + strings.ReplaceAll(f.project.ID.String(), "-", "")[24:]
	if err != nil || !changed || deleted.Status != tenant.ProjectDeleting || deleted.DeletedAt.IsZero() || deleted.Slug != "shop"+end {
		t.Fatalf("deleted: %+v, %t, %v", deleted, changed, err)
	}
	if _, err := f.find(t, f.key); !fault.Is(err, fault.Forbidden) {
		t.Errorf("its key: %v", err)
	}
	if again, changed, err := tenant.DeleteProject(ctx, f.app, f.project.ID); err != nil || changed || !cmp.Equal(again, deleted) {
		t.Errorf("deleted again: %+v, %t, %v", again, changed, err)
	}
	_, _, err = tenant.DeleteProject(ctx, f.app, uuid.New())
	wants(t, "none", err, fault.NotFound, "")
	_, _, err = tenant.ChangeProject(ctx, f.app, f.project.ID, tenant.ProjectChange{Name: ptr("X")})
	wants(t, "changed although deleted", err, fault.Conflict, "project_deleting")
	for status, n := range map[tenant.ProjectStatus]int{"": 0, tenant.ProjectActive: 0, tenant.ProjectDeleting: 1} {
		if found, err := tenant.ListProjects(ctx, f.app, org, tenant.ProjectFilter{Status: status}, page.Request{Limit: 9}); err != nil || len(found.Rows) != n {
			t.Errorf("%d projects are listed as %q, %v; want %d", len(found.Rows), status, err, n)
		}
	}

	was, is, err := tenant.ChangeProject(ctx, f.app, f.project.ID, tenant.ProjectChange{Status: ptr(tenant.ProjectActive)})
	if err != nil || !cmp.Equal(was, deleted) || !cmp.Equal(is, f.project) {
		t.Errorf("restored from %+v to %+v, %v; want it as it was", was, is, err)
	}
	if _, err := f.find(t, f.key); err != nil {
		t.Errorf("its key: %v", err)
	}

	_, _, err = tenant.DeleteProject(ctx, f.app, f.project.ID)
	must(t, err)
	next, err := tenant.CreateProject(ctx, f.app, org, tenant.ProjectChange{Name: ptr("Shop"), Slug: ptr("shop")})
	must(t, err)
	_, _, err = tenant.ChangeProject(ctx, f.app, f.project.ID, tenant.ProjectChange{Status: ptr(tenant.ProjectActive), Slug: ptr("shop")})
	wants(t, "restored with a slug that is taken", err, fault.Conflict, "slug_taken")
	_, is, err = tenant.ChangeProject(ctx, f.app, f.project.ID, tenant.ProjectChange{Status: ptr(tenant.ProjectArchived), Name: ptr("Old")})
	if err != nil || is.Slug != deleted.Slug || is.Name != "Old" || is.Status != tenant.ProjectArchived || !is.DeletedAt.IsZero() {
		t.Errorf("restored beside another of its slug: %+v, %v", is, err)
	}
	if again, _, err := tenant.DeleteProject(ctx, f.app, f.project.ID); err != nil || again.Slug != deleted.Slug {
		t.Errorf("deleted once more: %+v, %v", again, err)
	}
	if both, _, err := tenant.DeleteProject(ctx, f.app, next.ID); err != nil || both.Slug == deleted.Slug {
		t.Errorf("another of the same slug: %+v, %v", both, err)
	}
	long, err := tenant.CreateProject(ctx, f.app, org, tenant.ProjectChange{Name: ptr(strings.Repeat("a", 45) + " b" + strings.Repeat("c", 40))})
	must(t, err)
	if cut, _, err := tenant.DeleteProject(ctx, f.app, long.ID); err != nil || len(cut.Slug) != 62 || strings.Contains(cut.Slug, "--") {
		t.Errorf("one of a long slug: %+v, %v", cut, err)
	}
}
