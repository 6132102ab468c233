package api

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	tagAlerts = "alerts"
	pathAlert = "/alerts/{alert_id}"
)

func (f *Function) alertRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "list-organization-alerts", Method: http.MethodGet, Path: pathOrganization + "/alerts", Tag: tagAlerts, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List an organization's alerts",
		Doc: "Returns what the rules of the organization and its projects found, also what is resolved.",
	}, f.listOrganizationAlerts)
	rest.Handle(f.api, rest.Route{
		ID: "list-project-alerts", Method: http.MethodGet, Path: pathProject + "/alerts", Tag: tagAlerts, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List a project's alerts", Doc: "Returns what the rules of the project found, also what is resolved.",
	}, f.listProjectAlerts)
	rest.Handle(f.api, rest.Route{
		ID: "get-alert", Method: http.MethodGet, Path: pathAlert, Tag: tagAlerts, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show an alert", Doc: "Returns an alert, with what was known when it was raised.",
	}, f.getAlert)
	rest.Handle(f.api, rest.Route{
		ID: "list-alert-history", Method: http.MethodGet, Path: pathAlert + "/history", Tag: tagAlerts, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List the alerts of the same rule and subject",
		Doc: "Returns how often this was found before, and since; the alert itself is among them.",
	}, f.listAlertHistory)
	rest.Handle(f.api, rest.Route{
		ID: "acknowledge-alert", Method: http.MethodPost, Path: pathAlert + "/acknowledge", Tag: tagAlerts, Scope: account.ScopeWrite,
		Role: string(tenant.Member), Status: http.StatusOK, Summary: "Acknowledge an alert",
		Doc: "Says that somebody takes care of it. Nobody is told of it again until it is resolved and comes back. One that is acknowledged " +
			"stays so; one that is resolved is a conflict.",
	}, f.acknowledgeAlert)
	rest.Handle(f.api, rest.Route{
		ID: "resolve-alert", Method: http.MethodPost, Path: pathAlert + "/resolve", Tag: tagAlerts, Scope: account.ScopeWrite,
		Role: string(tenant.Member), Status: http.StatusOK, Summary: "Resolve an alert",
		Doc: "Ends an alert. Alerts end by themselves when their condition does; one that is resolved before, while the condition of its " +
			"rule over a window still holds, comes back within a minute: acknowledge it instead. One that is resolved stays as it is.",
	}, f.resolveAlert)
}

// AlertQuery narrows a list of alerts.
type AlertQuery struct {
	Status   string         `query:"status" enum:"open,active,acknowledged,resolved" doc:"only alerts with this status; open: active or acknowledged"`
	Rule     uuid.UUID      `query:"rule" format:"uuid" doc:"only alerts of this rule"`
	Kind     alert.Kind     `query:"kind" enum:"new_issue,regression,event_count,user_count,spike,release_error_rate,monitor" doc:"only alerts of rules of this kind"`
	Severity alert.Severity `query:"severity" enum:"critical,warning,info" doc:"only alerts of this severity"`
	Since    time.Time      `query:"since" doc:"only alerts that were raised at this time or later"`
	Until    time.Time      `query:"until" doc:"only alerts that were raised before this time"`
}

func (q AlertQuery) narrowing(project uuid.UUID) alert.Narrowing {
	n := alert.Narrowing{ProjectID: project, RuleID: q.Rule, Kind: q.Kind, Severity: q.Severity, Since: q.Since, Until: q.Until}
	switch q.Status {
	case "":
	case "open":
		n.Statuses = []string{string(alert.Active), string(alert.Acknowledged)}
	default:
		n.Statuses = []string{q.Status}
	}
	return n
}

type listOrganizationAlertsInput struct {
	OfOrganization
	rest.Paging
	AlertQuery
	Project uuid.UUID `query:"project" format:"uuid" doc:"only alerts of this project"`
}

func (f *Function) listOrganizationAlerts(ctx context.Context, in *listOrganizationAlertsInput) (*rest.Body[rest.List[alert.Alert]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	if _, err := authorize(ctx, f.pool, in.OrganizationID, tenant.Member); err != nil {
		return nil, err
	}
	return listed(alert.List(ctx, f.pool, in.OrganizationID, in.narrowing(in.Project), r))
}

type listProjectAlertsInput struct {
	OfProject
	rest.Paging
	AlertQuery
}

func (f *Function) listProjectAlerts(ctx context.Context, in *listProjectAlertsInput) (*rest.Body[rest.List[alert.Alert]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	p, err := authorizeProject(ctx, f.pool, in.ProjectID, tenant.Member)
	if err != nil {
		return nil, err
	}
	return listed(alert.List(ctx, f.pool, p.OrganizationID, in.narrowing(p.ID), r))
}

// OfAlert is the parameter of calls about one alert.
type OfAlert struct {
	AlertID uuid.UUID `path:"alert_id" format:"uuid" doc:"id of the alert"`
}

// authorizeAlert returns the organization of an alert, in which the caller is a member. An alert of others is not found.
func authorizeAlert(ctx context.Context, db tenant.DB, id uuid.UUID) (uuid.UUID, error) {
	owner, err := alert.OwnerOfAlert(ctx, db, id)
	if err != nil {
		return uuid.Nil, err
	}
	return owner.OrganizationID, authorizeUnnamed(ctx, db, owner.OrganizationID, tenant.Member, "there is no alert with the id %s", id)
}

func (f *Function) getAlert(ctx context.Context, in *OfAlert) (*rest.Body[alert.Alert], error) {
	organization, err := authorizeAlert(ctx, f.pool, in.AlertID)
	if err != nil {
		return nil, err
	}
	a, err := alert.Find(ctx, f.pool, organization, in.AlertID)
	return &rest.Body[alert.Alert]{Body: a}, err
}

type listAlertHistoryInput struct {
	OfAlert
	rest.Paging
}

func (f *Function) listAlertHistory(ctx context.Context, in *listAlertHistoryInput) (*rest.Body[rest.List[alert.Alert]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	organization, err := authorizeAlert(ctx, f.pool, in.AlertID)
	if err != nil {
		return nil, err
	}
	a, err := alert.Find(ctx, f.pool, organization, in.AlertID)
	if err != nil {
		return nil, err
	}
	return listed(alert.History(ctx, f.pool, organization, a.RuleID, a.Subject, r))
}

func (f *Function) acknowledgeAlert(ctx context.Context, in *OfAlert) (*rest.Body[alert.Alert], error) {
	return change(ctx, f, func(tx postgres.Tx) (alert.Alert, error) {
		organization, err := authorizeAlert(ctx, tx, in.AlertID)
		if err != nil {
			return alert.Alert{}, err
		}
		a, changed, err := alert.Acknowledge(ctx, tx, organization, in.AlertID, rest.Who(ctx).User.ID, time.Now())
		if err != nil || !changed {
			return a, err
		}
		return a, record(ctx, tx, organization, "alert.acknowledge", alertTarget(a), particulars{"rule_id": a.RuleID})
	})
}

// AlertEnd is why an alert is resolved.
type AlertEnd struct {
	Why string `json:"why,omitempty" maxLength:"500" doc:"for those who read it later"`
}

type resolveAlertInput struct {
	OfAlert
	Body *AlertEnd
}

func (f *Function) resolveAlert(ctx context.Context, in *resolveAlertInput) (*rest.Body[alert.Alert], error) {
	var told []uuid.UUID
	why := ""
	if in.Body != nil {
		why = in.Body.Why
	}
	out, err := change(ctx, f, func(tx postgres.Tx) (alert.Alert, error) {
		organization, err := authorizeAlert(ctx, tx, in.AlertID)
		if err != nil {
			return alert.Alert{}, err
		}
		a, changed, ids, err := alert.Resolve(ctx, tx, organization, in.AlertID, rest.Who(ctx).User.ID, why, time.Now())
		if err != nil || !changed {
			return a, err
		}
		told = ids
		return a, record(ctx, tx, organization, "alert.resolve", alertTarget(a), particulars{"rule_id": a.RuleID})
	})
	if err == nil && len(told) > 0 {
		f.outbox.Publish(ctx, told...)
	}
	return out, err
}

func alertTarget(a alert.Alert) tenant.Target {
	return tenant.Target{Kind: "alert", ID: a.ID, Name: a.Title}
}
