package api

import (
	"context"
	"net/http"
	"reflect"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func (f *Function) monitorChangeRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "create-monitor", Method: http.MethodPost, Path: pathMonitors, Tag: tagMonitors, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusCreated, Summary: "Create a monitor",
		Doc: "Has something watched, from the next minute on. What could never be found healthy is refused with the reason. " +
			"The platform's own parts can only be watched by its operators. Of a heartbeat the answer holds the token, which is shown " +
			"now and never again.",
	}, f.createMonitor)
	rest.Handle(f.api, rest.Route{
		ID: "update-monitor", Method: http.MethodPatch, Path: pathMonitor, Tag: tagMonitors, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Summary: "Change a monitor",
		Doc: "Changes what the call names. config is replaced as a whole; of what is confidential, what is not given stays, unless " +
			"the URL is that of another server. A monitor that is disabled has no status and no alerts.",
	}, f.updateMonitor)
	rest.Handle(f.api, rest.Route{
		ID: "delete-monitor", Method: http.MethodDelete, Path: pathMonitor, Tag: tagMonitors, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusNoContent, Summary: "Delete a monitor",
		Doc: "Deletes a monitor with its health checks. Its alerts end.",
	}, f.deleteMonitor)
	rest.Handle(f.api, rest.Route{
		ID: "check-monitor", Method: http.MethodPost, Path: pathMonitor + "/check", Tag: tagMonitors, Scope: account.ScopeWrite,
		Role: string(tenant.Admin), Status: http.StatusOK, Summary: "Ask for a look",
		Doc: "Has the service looked at with the next run, which is within a minute.",
	}, f.checkMonitor)
	rest.Handle(f.api, rest.Route{
		ID: "rotate-heartbeat", Method: http.MethodPost, Path: pathMonitor + "/rotate", Tag: tagMonitors, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusCreated, Summary: "Replace the token of a heartbeat",
		Doc: "Gives a heartbeat another token, which is shown in the answer and never again. The old one is worthless from then on.",
	}, f.rotateHeartbeat)
}

// NewMonitor is what somebody asks for who wants a monitor.
type NewMonitor struct {
	Name       string               `json:"name" minLength:"1" maxLength:"200"`
	Kind       monitor.Kind         `json:"kind" enum:"http,tcp,dns,tls,postgres,heartbeat,platform"`
	Config     monitor.Config       `json:"config" doc:"what is looked at and expected: the field that is called as the kind"`
	Secrets    monitor.Confidential `json:"secrets,omitempty" doc:"what can be written and never read"`
	ProjectID  uuid.UUID            `json:"project_id,omitzero" format:"uuid" doc:"none: it is the organization's"`
	Slug       string               `json:"slug,omitempty" maxLength:"50" doc:"of a heartbeat of a project: what check-ins of SDKs call it"`
	IntervalS  int                  `json:"interval_s,omitempty" doc:"seconds from one look to the next, or from one run of a job to the next: from 60; 60, or 3600 for tls, when it is missing"`
	TimeoutMS  int                  `json:"timeout_ms,omitempty" doc:"milliseconds that a look may take: 100 to 30000; 10000 when it is missing"`
	Failures   int                  `json:"failures,omitempty" doc:"it is down after so many failures: 1 to 20; 2, or 1 for a heartbeat, when it is missing"`
	FailuresOf int                  `json:"failures_of,omitempty" doc:"among so many looks: 1 to 20; 3, or 1 for a heartbeat, when it is missing"`
	Recoveries int                  `json:"recoveries,omitempty" doc:"it is healthy again after so many good looks in a row: 1 to 20; 2, or 1 for a heartbeat, when it is missing"`
	Mute       []monitor.Mute       `json:"mute,omitempty" nullable:"false" maxItems:"20" doc:"when it raises no alerts"`
	Disabled   bool                 `json:"disabled,omitempty" doc:"it is not looked at yet"`
}

func (n NewMonitor) spec() monitor.Spec {
	return monitor.Spec{
		ProjectID: n.ProjectID, Name: n.Name, Kind: n.Kind, Config: n.Config, Secrets: n.Secrets, Slug: n.Slug, IntervalS: n.IntervalS,
		TimeoutMS: n.TimeoutMS, Failures: n.Failures, FailuresOf: n.FailuresOf, Recoveries: n.Recoveries, Mute: n.Mute, Disabled: n.Disabled,
	}
}

// CreatedMonitor is a new monitor, or one with a new token.
type CreatedMonitor struct {
	Monitor monitor.Monitor `json:"monitor"`
	Token   string          `json:"token,omitempty" doc:"of a heartbeat: its token, mshb_…; it is shown now and never again"`
	Path    string          `json:"path,omitempty" doc:"of a heartbeat: where its job calls Ingest, by GET, HEAD or POST; /start and /fail may follow" example:"/heartbeat/mshb_…"`
}

func created(m monitor.Monitor, token string) CreatedMonitor {
	c := CreatedMonitor{Monitor: m, Token: token}
	if token != "" {
		c.Path = "/heartbeat/" + token
	}
	return c
}

type createMonitorInput struct {
	OfOrganization
	rest.Idempotent
	Body NewMonitor
}

// mayWatch refuses who may not have something of the kind watched.
func (f *Function) mayWatch(ctx context.Context, db tenant.DB, organization uuid.UUID, kind monitor.Kind) error {
	if _, err := authorize(ctx, db, organization, tenant.Admin); err != nil {
		return err
	}
	if kind == monitor.Platform {
		return f.operator(ctx)
	}
	return nil
}

func (f *Function) createMonitor(ctx context.Context, in *createMonitorInput) (*rest.Created[CreatedMonitor], error) {
	return rest.Once(ctx, f.pool, in.IdempotencyKey, in.Body, func(tx postgres.Tx) error {
		return f.mayWatch(ctx, tx, in.OrganizationID, in.Body.Kind)
	}, func(tx postgres.Tx) (CreatedMonitor, error) {
		if err := f.mayWatch(ctx, tx, in.OrganizationID, in.Body.Kind); err != nil {
			return CreatedMonitor{}, err
		}
		m, token, err := f.monitors.Create(ctx, tx, in.OrganizationID, in.Body.spec(), clock.Of(ctx)())
		if err != nil {
			return CreatedMonitor{}, err
		}
		return created(m, token), record(ctx, tx, in.OrganizationID, "monitor.create", monitorTarget(m), particulars{
			"kind": m.Kind, "project_id": m.ProjectID, "config": m.Config,
		})
	})
}

// MonitorPatch is what is to be changed of a monitor.
type MonitorPatch struct {
	Name       *string              `json:"name,omitempty" minLength:"1" maxLength:"200"`
	Config     *monitor.Config      `json:"config,omitempty" doc:"replaces all of it; headers that it does not name stay, where secrets.headers is missing"`
	Secrets    monitor.Confidential `json:"secrets,omitempty" doc:"what can be written and never read; headers replace all headers"`
	Slug       *string              `json:"slug,omitempty" maxLength:"50"`
	IntervalS  *int                 `json:"interval_s,omitempty"`
	TimeoutMS  *int                 `json:"timeout_ms,omitempty"`
	Failures   *int                 `json:"failures,omitempty"`
	FailuresOf *int                 `json:"failures_of,omitempty"`
	Recoveries *int                 `json:"recoveries,omitempty"`
	Mute       *[]monitor.Mute      `json:"mute,omitempty" nullable:"false" maxItems:"20" doc:"replaces all windows; none: it is not muted"`
	Enabled    *bool                `json:"enabled,omitempty"`
}

type updateMonitorInput struct {
	OfMonitor
	Body MonitorPatch
}

func (f *Function) updateMonitor(ctx context.Context, in *updateMonitorInput) (*rest.Body[monitor.Monitor], error) {
	var told []uuid.UUID
	out, err := change(ctx, f, func(tx postgres.Tx) (monitor.Monitor, error) {
		if _, err := authorize(ctx, tx, in.OrganizationID, tenant.Admin); err != nil {
			return monitor.Monitor{}, err
		}
		was, is, ids, err := f.monitors.Change(ctx, tx, in.OrganizationID, in.MonitorID, monitor.Change(in.Body), clock.Of(ctx)())
		if err != nil {
			return is, err
		}
		told = ids
		return is, monitorChanges(was, is, in.Body).record(ctx, tx, in.OrganizationID, "monitor.update", monitorTarget(is))
	})
	if err == nil && len(told) > 0 {
		f.outbox.Publish(ctx, told...)
	}
	return out, err
}

func monitorChanges(was, is monitor.Monitor, p MonitorPatch) changes {
	c := changes{}
	note(c, "name", was.Name, is.Name)
	note(c, "slug", was.Slug, is.Slug)
	note(c, "interval_s", was.IntervalS, is.IntervalS)
	note(c, "timeout_ms", was.TimeoutMS, is.TimeoutMS)
	note(c, "failures", was.Failures, is.Failures)
	note(c, "failures_of", was.FailuresOf, is.FailuresOf)
	note(c, "recoveries", was.Recoveries, is.Recoveries)
	note(c, "enabled", was.Enabled, is.Enabled)
	if !reflect.DeepEqual(was.Mute, is.Mute) {
		c["mute"] = tenant.Change{From: was.Mute, To: is.Mute}
	}
	if !reflect.DeepEqual(was.Config, is.Config) {
		c["config"] = tenant.Change{From: was.Config, To: is.Config}
	}
	if p.Secrets.Headers != nil || p.Secrets.URL != "" {
		c["secrets"] = tenant.Change{From: "hidden", To: "replaced"}
	}
	return c
}

func (f *Function) deleteMonitor(ctx context.Context, in *OfMonitor) (*rest.None, error) {
	var told []uuid.UUID
	out, err := erase(ctx, f, func(tx postgres.Tx) error {
		if _, err := authorize(ctx, tx, in.OrganizationID, tenant.Admin); err != nil {
			return err
		}
		m, ids, err := monitor.Delete(ctx, tx, in.OrganizationID, in.MonitorID, clock.Of(ctx)())
		if err != nil {
			return err
		}
		told = ids
		return record(ctx, tx, in.OrganizationID, "monitor.delete", monitorTarget(m), particulars{"kind": m.Kind, "config": m.Config})
	})
	if err == nil && len(told) > 0 {
		f.outbox.Publish(ctx, told...)
	}
	return out, err
}

func (f *Function) checkMonitor(ctx context.Context, in *OfMonitor) (*rest.Body[monitor.Monitor], error) {
	return change(ctx, f, func(tx postgres.Tx) (monitor.Monitor, error) {
		if _, err := authorize(ctx, tx, in.OrganizationID, tenant.Admin); err != nil {
			return monitor.Monitor{}, err
		}
		m, err := monitor.Ask(ctx, tx, in.OrganizationID, in.MonitorID, clock.Of(ctx)())
		if err != nil {
			return m, err
		}
		return m, record(ctx, tx, in.OrganizationID, "monitor.check", monitorTarget(m), nil)
	})
}

type rotateHeartbeatInput struct {
	OfMonitor
	rest.Idempotent
}

func (f *Function) rotateHeartbeat(ctx context.Context, in *rotateHeartbeatInput) (*rest.Created[CreatedMonitor], error) {
	return rest.Once(ctx, f.pool, in.IdempotencyKey, nil, func(tx postgres.Tx) error {
		_, err := authorize(ctx, tx, in.OrganizationID, tenant.Admin)
		return err
	}, func(tx postgres.Tx) (CreatedMonitor, error) {
		if _, err := authorize(ctx, tx, in.OrganizationID, tenant.Admin); err != nil {
			return CreatedMonitor{}, err
		}
		m, token, err := monitor.Rotate(ctx, tx, in.OrganizationID, in.MonitorID)
		if err != nil {
			return CreatedMonitor{}, err
		}
		return created(m, token), record(ctx, tx, in.OrganizationID, "monitor.rotate", monitorTarget(m), nil)
	})
}

func monitorTarget(m monitor.Monitor) tenant.Target {
	return tenant.Target{Kind: "monitor", ID: m.ID, Name: m.Name}
}
