package api

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	tagEvents  = "events"
	pathEvents = pathProject + "/events"
)

// short explains pages that are not full.
const short = " At most 5,000 events are looked at for a page: where a filter leaves most of them out, it may have fewer items than " +
	"its limit, or none, while next leads on."

func (f *Function) eventRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "list-events", Method: http.MethodGet, Path: pathEvents, Tag: tagEvents, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List a project's events",
		Doc: "Returns events by when they were received, those of the 7 days before until (or now) unless since says how far back. " +
			"No index serves its filters." + short,
	}, f.listEvents)
	rest.Handle(f.api, rest.Route{
		ID: "get-event", Method: http.MethodGet, Path: pathEvents + "/{event_id}", Tag: tagEvents, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show an event",
		Doc: "Returns everything that is stored of an event, found by the id that Mesher gave it or the one that the client did; " +
			"of several with the client's id, the newest.",
	}, f.getEvent)
	rest.Handle(f.api, rest.Route{
		ID: "list-issue-events", Method: http.MethodGet, Path: pathIssue + "/events", Tag: tagEvents, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List an issue's events",
		Doc: "Returns the issue's events by when they were received." + short,
	}, f.listIssueEvents)
	rest.Handle(f.api, rest.Route{
		ID: "get-latest-event", Method: http.MethodGet, Path: pathIssue + "/events/latest", Tag: tagEvents, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show an issue's latest event", Doc: "Returns the event that was received last.",
	}, f.getLatestEvent)
	rest.Handle(f.api, rest.Route{
		ID: "get-oldest-event", Method: http.MethodGet, Path: pathIssue + "/events/oldest", Tag: tagEvents, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show an issue's oldest event", Doc: "Returns the first event that is still stored.",
	}, f.getOldestEvent)
	rest.Handle(f.api, rest.Route{
		ID: "explain-grouping", Method: http.MethodGet, Path: pathIssue + "/grouping", Tag: tagIssues, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Explain why events belong to an issue",
		Doc: "Groups the issue's latest event once more, by the project's rules as they are now, and says what decided, and whether " +
			"it comes out as it did when the event was stored.",
	}, f.explainGrouping)
}

// EventSpan narrows a list of events.
type EventSpan struct {
	Since       time.Time `query:"since" doc:"only events received at this time or later"`
	Until       time.Time `query:"until" doc:"only events received before this time"`
	Environment string    `query:"environment" maxLength:"200" doc:"only events of this environment"`
	Release     string    `query:"release" maxLength:"200" doc:"only events of this release"`
}

func (s EventSpan) filter() issue.EventFilter {
	return issue.EventFilter{Since: s.Since, Until: s.Until, Environment: s.Environment, Release: s.Release}
}

type listEventsInput struct {
	OfProject
	rest.Paging
	EventSpan
	Level   string `query:"level" enum:"fatal,error,warning,info,debug" doc:"only events of this level"`
	User    string `query:"user" maxLength:"200" doc:"only events of the user with this id"`
	TraceID string `query:"trace_id" maxLength:"32" pattern:"^[0-9a-fA-F]{32}$" patternDescription:"32 hexadecimal digits" doc:"only events of this trace"`
}

func (f *Function) listEvents(ctx context.Context, in *listEventsInput) (*rest.Body[rest.List[issue.EventSummary]], error) {
	filter := in.filter()
	filter.Level, filter.UserID, filter.TraceID = in.Level, in.User, in.TraceID
	return listedOf(ctx, f, in.ProjectID, in.Paging, func(r page.Request) (page.Of[issue.EventSummary], error) {
		return issue.ListEvents(ctx, f.pool, in.ProjectID, filter, r)
	})
}

// listedOf answers a page of what belongs to a project, to its members.
func listedOf[T any](ctx context.Context, f *Function, project uuid.UUID, p rest.Paging, list func(page.Request) (page.Of[T], error)) (
	*rest.Body[rest.List[T]], error,
) {
	r, err := p.Request()
	if err != nil {
		return nil, err
	}
	if _, err := authorizeProject(ctx, f.pool, project, tenant.Member); err != nil {
		return nil, err
	}
	return listed(list(r))
}

type getEventInput struct {
	OfProject
	EventID uuid.UUID `path:"event_id" format:"uuid" doc:"id of the event, Mesher's or the client's"`
	At      time.Time `query:"at" doc:"when the event was received, within a day; it is found faster by the client's id then"`
}

func (f *Function) getEvent(ctx context.Context, in *getEventInput) (*rest.Body[issue.Event], error) {
	return shown(ctx, f, in.ProjectID, func(tenant.Project) (issue.Event, error) {
		return issue.FindEvent(ctx, f.pool, in.ProjectID, in.EventID, in.At)
	})
}

// shown answers something of a project to its members.
func shown[T any](ctx context.Context, f *Function, project uuid.UUID, show func(tenant.Project) (T, error)) (*rest.Body[T], error) {
	p, err := authorizeProject(ctx, f.pool, project, tenant.Member)
	if err != nil {
		return nil, err
	}
	out, err := show(p)
	return &rest.Body[T]{Body: out}, err
}

type listIssueEventsInput struct {
	OfIssue
	rest.Paging
	EventSpan
}

func (f *Function) listIssueEvents(ctx context.Context, in *listIssueEventsInput) (*rest.Body[rest.List[issue.EventSummary]], error) {
	return listedOf(ctx, f, in.ProjectID, in.Paging, func(r page.Request) (page.Of[issue.EventSummary], error) {
		return issue.ListIssueEvents(ctx, f.pool, in.ProjectID, in.IssueID, in.filter(), r)
	})
}

func (f *Function) getLatestEvent(ctx context.Context, in *OfIssue) (*rest.Body[issue.Event], error) {
	return shown(ctx, f, in.ProjectID, func(tenant.Project) (issue.Event, error) {
		return issue.LatestEvent(ctx, f.pool, in.ProjectID, in.IssueID)
	})
}

func (f *Function) getOldestEvent(ctx context.Context, in *OfIssue) (*rest.Body[issue.Event], error) {
	return shown(ctx, f, in.ProjectID, func(tenant.Project) (issue.Event, error) {
		return issue.OldestEvent(ctx, f.pool, in.ProjectID, in.IssueID)
	})
}

func (f *Function) explainGrouping(ctx context.Context, in *OfIssue) (*rest.Body[issue.Grouping], error) {
	return shown(ctx, f, in.ProjectID, func(p tenant.Project) (issue.Grouping, error) {
		return issue.ExplainGrouping(ctx, f.pool, in.ProjectID, in.IssueID, p.GroupingRules)
	})
}
