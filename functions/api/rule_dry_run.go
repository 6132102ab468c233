package api

import (
	"context"
	"net/http"
	"time"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func (f *Function) dryRunRoutes() {
	const looks = "Says how often it would have fired in the last seven days, from what was counted then. answer says how far that can " +
		"be relied on, and notes say why. Cooldown and muting change who is told, not how often a rule fires, so they are left aside. " +
		"Issues that were deleted since are not among new issues and regressions."
	rest.Handle(f.api, rest.Route{
		ID: "dry-run-project-rule", Method: http.MethodPost, Path: pathProjectRules + "/dry-run", Tag: tagRules, Scope: account.ScopeRead,
		Role: string(tenant.Member), Status: http.StatusOK, Summary: "Try an alert rule that does not exist", Doc: looks + " Nothing is stored.",
	}, f.dryRunProjectRule)
	rest.Handle(f.api, rest.Route{
		ID: "dry-run-rule", Method: http.MethodPost, Path: pathRule + "/dry-run", Tag: tagRules, Scope: account.ScopeRead,
		Role: string(tenant.Member), Status: http.StatusOK, Summary: "Try an alert rule", Doc: looks,
	}, f.dryRunRule)
}

type dryRunProjectRuleInput struct {
	OfProject
	Body NewRule
}

func (f *Function) dryRunProjectRule(ctx context.Context, in *dryRunProjectRuleInput) (*rest.Body[alert.DryRun], error) {
	p, err := authorizeProject(ctx, f.pool, in.ProjectID, tenant.Member)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	place, bounds := alert.Place{OrganizationID: p.OrganizationID, ProjectID: p.ID}, alert.Bounds{RateLimit: p.RateLimit, MonthlyBudget: p.MonthlyBudget}
	r, err := alert.ProposeRule(place, in.Body.Kind, in.Body.change(&in.Body.Name), bounds, now)
	if err != nil {
		return nil, err
	}
	if err := r.CheckReferences(ctx, f.pool); err != nil {
		return nil, err
	}
	out, err := alert.Try(ctx, f.pool, r, now)
	return &rest.Body[alert.DryRun]{Body: out}, err
}

func (f *Function) dryRunRule(ctx context.Context, in *OfRule) (*rest.Body[alert.DryRun], error) {
	organization, err := authorizeRule(ctx, f.pool, in.RuleID, tenant.Member)
	if err != nil {
		return nil, err
	}
	r, err := alert.FindRule(ctx, f.pool, organization, in.RuleID)
	if err != nil {
		return nil, err
	}
	out, err := alert.Try(ctx, f.pool, r, time.Now())
	return &rest.Body[alert.DryRun]{Body: out}, err
}
