package api

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	tagIssues  = "issues"
	pathIssues = pathProject + "/issues"
	pathIssue  = pathIssues + "/{issue_id}"
)

// OfIssue are the parameters of calls about one issue.
type OfIssue struct {
	OfProject
	IssueID uuid.UUID `path:"issue_id" format:"uuid" doc:"id of the issue"`
}

func (f *Function) issueRoutes() {
	f.issueReadRoutes()
	f.issueChangeRoutes()
	f.issueMergeRoutes()
}

func (f *Function) issueReadRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "list-issues", Method: http.MethodGet, Path: pathIssues, Tag: tagIssues, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List issues",
		Doc: "Returns the project's issues, those that are unresolved unless another status is asked for; issues that were merged " +
			"into others are left out. Issues move while a list is read, because events arrive. Who reads it to the end sees every " +
			"issue that met the filter all the while at least once: when the pages are through, those follow that have changed since " +
			"the first page, or just before, sorted by id. So an issue that comes twice has changed, and the later is what is true.",
	}, f.listIssues)
	rest.Handle(f.api, rest.Route{
		ID: "get-issue", Method: http.MethodGet, Path: pathIssue, Tag: tagIssues, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show an issue",
		Doc: "Returns an issue with its events over the last day and month. For one that was merged that is the issue it was merged " +
			"into, which has another id.",
	}, f.getIssue)
	rest.Handle(f.api, rest.Route{
		ID: "list-issue-activity", Method: http.MethodGet, Path: pathIssue + "/activity", Tag: tagIssues, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List what happened to an issue",
		Doc: "Returns who changed the issue, and what changed by itself, such as that it regressed. Events are not among it.",
	}, f.listIssueActivity)
	rest.Handle(f.api, rest.Route{
		ID: "list-issue-fingerprints", Method: http.MethodGet, Path: pathIssue + "/fingerprints", Tag: tagIssues, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List an issue's fingerprints",
		Doc: "Returns the fingerprints that belong to the issue, with their events. Some of them can be made an issue of their own.",
	}, f.listIssueFingerprints)
}

// IssueQuery narrows a list of issues.
type IssueQuery struct {
	Status         issue.Status `query:"status" enum:"unresolved,resolved,ignored,discarded,all" default:"unresolved" doc:"only issues with this status"`
	Level          string       `query:"level" enum:"fatal,error,warning,info,debug" doc:"only issues whose latest event has this level"`
	Environment    string       `query:"environment" maxLength:"200" doc:"only issues with events of this environment"`
	Release        string       `query:"release" maxLength:"200" doc:"only issues with events of this release"`
	Tag            []string     `query:"tag,explode" maxItems:"5" example:"[\"region:eu\"]" doc:"only issues with events that have this value of a tag, as key:value; given up to 5 times, all of them have to be met, but not by one event"`
	Assignee       string       `query:"assignee" maxLength:"36" example:"me" doc:"only issues that this user, by id, takes care of; me: the caller; none: nobody"`
	User           string       `query:"user" maxLength:"200" doc:"only issues that affected this user, by the id in events"`
	Since          time.Time    `query:"since" doc:"only issues that were seen at this time or later"`
	Until          time.Time    `query:"until" doc:"only issues that were seen before this time; together with since: within the hours between"`
	FirstSeenSince time.Time    `query:"first_seen_since" doc:"only issues that were first seen at this time or later"`
	Search         string       `query:"search" maxLength:"500" doc:"only issues with these words in title, culprit, type, value or message; \"a phrase\", or and -not are understood"`
}

func (q IssueQuery) filter(caller uuid.UUID) (issue.Filter, error) {
	out := issue.Filter{
		Status: q.Status, Level: q.Level, Environment: q.Environment, Release: q.Release, User: q.User, Since: q.Since, Until: q.Until,
		FirstSeenSince: q.FirstSeenSince, Search: q.Search,
	}
	for _, text := range q.Tag {
		tag, err := readTag(text)
		if err != nil {
			return issue.Filter{}, err
		}
		out.Tags = append(out.Tags, tag)
	}
	var err error
	if q.Assignee == "none" {
		out.Unassigned = true
	} else if q.Assignee != "" {
		out.Assignee, err = readMember("query.assignee", q.Assignee, caller)
	}
	return out, err
}

type listIssuesInput struct {
	OfProject
	IssueQuery
	Sort      issue.Sort   `query:"sort" enum:"last_seen,first_seen,events,users" default:"last_seen" doc:"what to sort by, the latest or the most first"`
	Sparkline issue.Window `query:"sparkline" enum:"24h,14d" default:"24h" doc:"which counts to return: by the hour of a day, or by the day of 14 days"`
	Limit     int          `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"most items of the answer"`
	Cursor    string       `query:"cursor" maxLength:"4000" doc:"next of the answer before, with the same filters and sort; leave it out to begin at the start"`
}

func (f *Function) listIssues(ctx context.Context, in *listIssuesInput) (*rest.Body[rest.List[issue.Issue]], error) {
	if _, err := authorizeProject(ctx, f.pool, in.ProjectID, tenant.Member); err != nil {
		return nil, err
	}
	filter, err := in.filter(rest.Who(ctx).User.ID)
	if err != nil {
		return nil, err
	}
	p, err := issue.List(ctx, f.pool, in.ProjectID, filter,
		issue.Request{Sort: in.Sort, Limit: in.Limit, Cursor: in.Cursor, Window: in.Sparkline})
	if err != nil {
		return nil, err
	}
	return &rest.Body[rest.List[issue.Issue]]{Body: rest.List[issue.Issue]{Items: p.Issues, Next: p.Next}}, nil
}

func (f *Function) getIssue(ctx context.Context, in *OfIssue) (*rest.Body[issue.Detail], error) {
	if _, err := authorizeProject(ctx, f.pool, in.ProjectID, tenant.Member); err != nil {
		return nil, err
	}
	d, err := issue.Find(ctx, f.pool, in.ProjectID, in.IssueID)
	return &rest.Body[issue.Detail]{Body: d}, err
}

type pageOfIssueInput struct {
	OfIssue
	rest.Paging
}

func (f *Function) listIssueActivity(ctx context.Context, in *pageOfIssueInput) (*rest.Body[rest.List[issue.Activity]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	if _, err := authorizeProject(ctx, f.pool, in.ProjectID, tenant.Member); err != nil {
		return nil, err
	}
	return listed(issue.ListActivity(ctx, f.pool, in.ProjectID, in.IssueID, r))
}

func (f *Function) listIssueFingerprints(ctx context.Context, in *pageOfIssueInput) (*rest.Body[rest.List[issue.Fingerprint]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	if _, err := authorizeProject(ctx, f.pool, in.ProjectID, tenant.Member); err != nil {
		return nil, err
	}
	return listed(issue.ListFingerprints(ctx, f.pool, in.ProjectID, in.IssueID, r))
}
