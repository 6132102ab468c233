package api

import (
	"context"
	"net/http"
	"time"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

const tagOverview = "overview"

func (f *Function) overviewRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "get-overview", Method: http.MethodGet, Path: pathProject + "/overview", Tag: tagOverview, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show what happened in a project lately",
		Doc: "Returns events by level, the issues with the most events, what became of what was sent, and more, over a period that " +
			"ends now. The top issues are those of the 200 active ones that had the most events ever.",
	}, f.getOverview)
	rest.Handle(f.api, rest.Route{
		ID: "list-issue-tags", Method: http.MethodGet, Path: pathIssue + "/tags", Tag: tagIssues, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show the tags of an issue's events",
		Doc: "Returns which tags the issue's latest 1,000 events have, and how often. Environment, release, level, server_name, " +
			"transaction, platform, logger and user (its id) count as tags, too. With more events than that it is a sample.",
	}, f.listIssueTags)
	rest.Handle(f.api, rest.Route{
		ID: "list-project-tags", Method: http.MethodGet, Path: pathProject + "/tags", Tag: tagOverview, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List a project's tags",
		Doc: "Returns which tags the project's events have had: with key the values of that tag, else all tags with a few values. Of " +
			"each issue at most 500 values of a tag are known, and at most 2,000 different ones are looked at.",
	}, f.listProjectTags)
	rest.Handle(f.api, rest.Route{
		ID: "list-releases", Method: http.MethodGet, Path: pathProject + "/releases", Tag: tagOverview, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List a project's releases",
		Doc: "Returns releases by when their first event was received.",
	}, f.listReleases)
	rest.Handle(f.api, rest.Route{
		ID: "get-usage", Method: http.MethodGet, Path: pathProject + "/usage", Tag: tagOverview, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show what became of a project's events",
		Doc: "Returns outcomes over time. Without since it is the last hour by minute, the last day by hour or the last 30 days by " +
			"day; at most a day by minute, 31 days by hour or 92 days by day.",
	}, f.getUsage)
	rest.Handle(f.api, rest.Route{
		ID: "get-organization-usage", Method: http.MethodGet, Path: pathOrganization + "/usage", Tag: tagOverview, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show how much of its budgets an organization has used",
		Doc: "Returns how many events were accepted since the month began (UTC), by project, and the budgets that they count against.",
	}, f.getOrganizationUsage)
}

type getOverviewInput struct {
	OfProject
	Period issue.Period `query:"period" enum:"24h,7d,30d" default:"24h" doc:"how long; steps are an hour, 6 hours or a day (UTC)"`
}

func (f *Function) getOverview(ctx context.Context, in *getOverviewInput) (*rest.Body[issue.Overview], error) {
	return shown(ctx, f, in.ProjectID, func(tenant.Project) (issue.Overview, error) {
		return issue.ReadOverview(ctx, f.pool, in.ProjectID, in.Period, time.Now())
	})
}

func (f *Function) listIssueTags(ctx context.Context, in *OfIssue) (*rest.Body[issue.TagShares], error) {
	return shown(ctx, f, in.ProjectID, func(tenant.Project) (issue.TagShares, error) {
		return issue.ListTagShares(ctx, f.pool, in.ProjectID, in.IssueID)
	})
}

type listProjectTagsInput struct {
	OfProject
	Key    string `query:"key" maxLength:"200" doc:"only this tag, with its values"`
	Search string `query:"search" maxLength:"200" doc:"only values with this part, or without key only tags with it, in any case"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"most values, or without key most tags"`
}

func (f *Function) listProjectTags(ctx context.Context, in *listProjectTagsInput) (*rest.Body[issue.KnownTags], error) {
	return shown(ctx, f, in.ProjectID, func(tenant.Project) (issue.KnownTags, error) {
		return issue.ListTags(ctx, f.pool, in.ProjectID, issue.TagQuery{Key: in.Key, Search: in.Search, Limit: in.Limit})
	})
}

type listReleasesInput struct {
	OfProject
	rest.Paging
	Search string `query:"search" maxLength:"200" doc:"only releases with this part, in any case"`
}

func (f *Function) listReleases(ctx context.Context, in *listReleasesInput) (*rest.Body[rest.List[issue.Release]], error) {
	return listedOf(ctx, f, in.ProjectID, in.Paging, func(r page.Request) (page.Of[issue.Release], error) {
		return issue.ListReleases(ctx, f.pool, in.ProjectID, in.Search, r)
	})
}

type getUsageInput struct {
	OfProject
	Since time.Time  `query:"since" doc:"from this time on, down to a full step"`
	Until time.Time  `query:"until" doc:"before this time, up to a full step; now when it is left out"`
	Step  issue.Step `query:"step" enum:"minute,hour,day" default:"hour" doc:"what to count by (UTC)"`
}

func (f *Function) getUsage(ctx context.Context, in *getUsageInput) (*rest.Body[issue.Usage], error) {
	return shown(ctx, f, in.ProjectID, func(tenant.Project) (issue.Usage, error) {
		return issue.ReadUsage(ctx, f.pool, in.ProjectID, issue.UsageSpan{Since: in.Since, Until: in.Until, Step: in.Step}, time.Now())
	})
}

func (f *Function) getOrganizationUsage(ctx context.Context, in *OfOrganization) (*rest.Body[issue.MonthUsage], error) {
	if _, err := authorize(ctx, f.pool, in.OrganizationID, tenant.Member); err != nil {
		return nil, err
	}
	out, err := issue.ReadMonth(ctx, f.pool, in.OrganizationID, time.Now())
	return &rest.Body[issue.MonthUsage]{Body: out}, err
}
