package tenant_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/grouping"
	"github.com/mesherhq/mesher/shared/scrub"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestChangeProject_LimitsAndRules(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	rules := []grouping.Rule{{Matchers: []grouping.Matcher{{Field: "level", Pattern: "info"}}, Fingerprint: []string{"x"}}}
	many := make([]grouping.Rule, grouping.MostRules)
	for i := range many {
		many[i] = grouping.Rule{Matchers: rules[0].Matchers}
		for range grouping.MostParts {
			many[i].Fingerprint = append(many[i].Fingerprint, strings.Repeat("x", grouping.LongestText))
		}
	}
	want := f.project
	for i, step := range []struct {
		change tenant.ProjectChange
		then   func(*tenant.Project) // nil: it is refused
	}{
		{tenant.ProjectChange{MonthlyBudget: ptr(int64(5))}, func(p *tenant.Project) { p.MonthlyBudget = 5 }},
		{tenant.ProjectChange{MonthlyBudget: ptr(int64(-1))}, nil},
		{tenant.ProjectChange{MonthlyBudget: ptr(int64(1e15) + 1)}, nil},
		{tenant.ProjectChange{OTLPSeverity: ptr(1)}, func(p *tenant.Project) { p.OTLPSeverity = 1 }},
		{tenant.ProjectChange{OTLPSeverity: ptr(0)}, nil},
		{tenant.ProjectChange{OTLPSeverity: ptr(26)}, nil},
		{tenant.ProjectChange{GroupingRules: &rules}, func(p *tenant.Project) { p.GroupingRules = rules }},
		{tenant.ProjectChange{GroupingRules: &[]grouping.Rule{{}}}, nil},
		{tenant.ProjectChange{GroupingRules: &many}, nil},
		{tenant.ProjectChange{ScrubRules: &scrub.Rules{ExtraPatterns: []string{"a+"}}}, func(p *tenant.Project) {
			p.ScrubRules = scrub.Rules{ExtraPatterns: []string{"a+"}}
		}},
		{tenant.ProjectChange{ScrubRules: &scrub.Rules{ExtraPatterns: []string{"("}}}, nil},
		{tenant.ProjectChange{ScrubRules: &scrub.Rules{SafeKeys: []string{"a\x00"}}}, nil},
		{tenant.ProjectChange{Name: ptr("Other")}, func(p *tenant.Project) { p.Name = "Other" }},
		{tenant.ProjectChange{MonthlyBudget: ptr(int64(0)), GroupingRules: new([]grouping.Rule), ScrubRules: new(scrub.Rules)}, func(p *tenant.Project) {
			p.MonthlyBudget, p.GroupingRules, p.ScrubRules = 0, []grouping.Rule{}, scrub.Rules{}
		}},
	} {
		_, is, err := tenant.ChangeProject(ctx, f.app, f.project.ID, step.change)
		if step.then == nil {
			wants(t, fmt.Sprint("step ", i), err, fault.Invalid, "")
			continue
		}
		must(t, err)
		step.then(&want)
		if diff := cmp.Diff(want, is); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
	if got, err := tenant.FindProject(ctx, f.app, f.project.OrganizationID, "shop"); err != nil || !cmp.Equal(got, want) {
		t.Errorf("it is %+v, %v", got, err)
	}
}

func TestChangeOrganization_Budget(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx, id := t.Context(), f.project.OrganizationID
	for _, budget := range []int64{7, 1e15, 0} {
		_, is, err := tenant.ChangeOrganization(ctx, f.app, id, tenant.OrganizationChange{MonthlyBudget: &budget})
		stored, found := tenant.OrganizationByID(ctx, f.app, id)
		if err != nil || found != nil || is.MonthlyBudget != budget || stored.MonthlyBudget != budget {
			t.Errorf("budget %d is %d, stored %d, %v, %v", budget, is.MonthlyBudget, stored.MonthlyBudget, err, found)
		}
	}
	_, _, err := tenant.ChangeOrganization(ctx, f.app, id, tenant.OrganizationChange{MonthlyBudget: ptr(int64(-1))})
	wants(t, "a negative budget", err, fault.Invalid, "")
}

// TestRotateKey_KeepsTheRateLimit checks that a limit is not lost with the key that it was given to.
func TestRotateKey_KeepsTheRateLimit(t *testing.T) {
	t.Parallel()
	f := setup(t)
	k, _, err := tenant.IssueKey(t.Context(), f.app, f.project.ID, tenant.KeySpec{Label: "web", RateLimit: 7})
	must(t, err)
	r, err := tenant.RotateKey(t.Context(), f.app, f.project.ID, k.ID, 0)
	must(t, err)
	access, err := f.find(t, r.Secret)
	must(t, err)
	if k.RateLimit != 7 || r.New.RateLimit != 7 || access.KeyRateLimit != 7 {
		t.Errorf("limits %d, %d, %d", k.RateLimit, r.New.RateLimit, access.KeyRateLimit)
	}
}
