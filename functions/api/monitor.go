package api

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	tagMonitors  = "monitors"
	pathMonitors = pathOrganization + "/monitors"
	pathMonitor  = pathMonitors + "/{monitor_id}"
)

// OfMonitor are the parameters of calls about one monitor.
type OfMonitor struct {
	OfOrganization
	MonitorID uuid.UUID `path:"monitor_id" format:"uuid" doc:"id of the monitor"`
}

func (f *Function) monitorRoutes() {
	f.monitorReadRoutes()
	f.monitorChangeRoutes()
}

func (f *Function) monitorReadRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "list-monitors", Method: http.MethodGet, Path: pathMonitors, Tag: tagMonitors, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List monitors", Doc: "Returns what the organization watches, and how it was found.",
	}, f.listMonitors)
	rest.Handle(f.api, rest.Route{
		ID: "get-monitor", Method: http.MethodGet, Path: pathMonitor, Tag: tagMonitors, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show a monitor", Doc: "Returns a monitor, but nothing that is confidential: of headers only the names, of a database only where it is.",
	}, f.getMonitor)
	rest.Handle(f.api, rest.Route{
		ID: "list-health-checks", Method: http.MethodGet, Path: pathMonitor + "/checks", Tag: tagMonitors, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List the looks at a service", Doc: "Returns the health checks of a monitor, the newest first.",
	}, f.listHealthChecks)
	rest.Handle(f.api, rest.Route{
		ID: "get-monitor-summary", Method: http.MethodGet, Path: pathMonitor + "/summary", Tag: tagMonitors, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show how a service was", Doc: "Returns the share of looks that did not find it down, and how long looks took, over at most 31 days.",
	}, f.getMonitorSummary)
}

type listMonitorsInput struct {
	OfOrganization
	rest.Paging
	ProjectID uuid.UUID      `query:"project_id" format:"uuid" doc:"only monitors of this project"`
	Kind      monitor.Kind   `query:"kind" enum:"http,tcp,dns,tls,postgres,heartbeat,platform" doc:"only monitors of this kind"`
	Status    monitor.Status `query:"status" enum:"unknown,healthy,degraded,down" doc:"only monitors with this status"`
	Search    string         `query:"search" maxLength:"200" doc:"only monitors with this part in their name, in any case"`
}

func (f *Function) listMonitors(ctx context.Context, in *listMonitorsInput) (*rest.Body[rest.List[monitor.Monitor]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	if _, err := authorize(ctx, f.pool, in.OrganizationID, tenant.Member); err != nil {
		return nil, err
	}
	filter := monitor.Filter{ProjectID: in.ProjectID, Kind: in.Kind, Status: in.Status, Search: in.Search}
	return listed(monitor.List(ctx, f.pool, in.OrganizationID, filter, r))
}

func (f *Function) getMonitor(ctx context.Context, in *OfMonitor) (*rest.Body[monitor.Monitor], error) {
	if _, err := authorize(ctx, f.pool, in.OrganizationID, tenant.Member); err != nil {
		return nil, err
	}
	m, err := monitor.Find(ctx, f.pool, in.OrganizationID, in.MonitorID)
	return &rest.Body[monitor.Monitor]{Body: m}, err
}

type listHealthChecksInput struct {
	OfMonitor
	rest.Paging
	Status monitor.Status `query:"status" enum:"healthy,degraded,down" doc:"only looks that found this"`
	Since  time.Time      `query:"since" doc:"only looks from this time on"`
	Until  time.Time      `query:"until" doc:"only looks before this time"`
}

func (f *Function) listHealthChecks(ctx context.Context, in *listHealthChecksInput) (*rest.Body[rest.List[monitor.HealthCheck]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	if _, err := authorize(ctx, f.pool, in.OrganizationID, tenant.Member); err != nil {
		return nil, err
	}
	filter := monitor.CheckFilter{Status: in.Status, Since: in.Since, Until: in.Until}
	return listed(monitor.History(ctx, f.pool, in.OrganizationID, in.MonitorID, filter, r))
}

type getMonitorSummaryInput struct {
	OfMonitor
	Since time.Time `query:"since" doc:"from then on; 24 hours before until"`
	Until time.Time `query:"until" doc:"before; now"`
}

func (f *Function) getMonitorSummary(ctx context.Context, in *getMonitorSummaryInput) (*rest.Body[monitor.Summary], error) {
	if _, err := authorize(ctx, f.pool, in.OrganizationID, tenant.Member); err != nil {
		return nil, err
	}
	if in.Until.IsZero() {
		in.Until = clock.Of(ctx)()
	}
	if in.Since.IsZero() {
		in.Since = in.Until.Add(-day)
	}
	s, err := monitor.Summarize(ctx, f.pool, in.OrganizationID, in.MonitorID, in.Since, in.Until)
	return &rest.Body[monitor.Summary]{Body: s}, err
}
