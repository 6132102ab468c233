package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/grouping"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/scrub"
	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	tagProjects  = "projects"
	pathProjects = pathOrganization + "/projects"
	pathProject  = "/projects/{project_id}"
)

func (f *Function) projectRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "list-projects", Method: http.MethodGet, Path: pathProjects, Tag: tagProjects, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List projects",
		Doc: "Returns the organization's projects. Those that are marked for deletion are listed only with status=deleting.",
	}, f.listProjects)
	rest.Handle(f.api, rest.Route{
		ID: "create-project", Method: http.MethodPost, Path: pathProjects, Tag: tagProjects, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusCreated, Summary: "Create a project",
		Doc: "Makes a project. It takes events as soon as it has an API key.",
	}, f.createProject)
	rest.Handle(f.api, rest.Route{
		ID: "get-project", Method: http.MethodGet, Path: pathProject, Tag: tagProjects, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show a project", Doc: "Returns a project, also one that is marked for deletion.",
	}, f.getProject)
	rest.Handle(f.api, rest.Route{
		ID: "update-project", Method: http.MethodPatch, Path: pathProject, Tag: tagProjects, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Summary: "Change a project",
		Doc: "Changes what the call names. An archived project takes no events and keeps those that it has. Setting the status of " +
			"a project that is marked for deletion takes that back; it gets its slug again if that is free.",
	}, f.updateProject)
	rest.Handle(f.api, rest.Route{
		ID: "delete-project", Method: http.MethodDelete, Path: pathProject, Tag: tagProjects, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusOK, Summary: "Delete a project",
		Doc: "Marks the project for deletion: its keys take no events from then on (instances remember a key for up to 60 s), " +
			"and its events are erased later. Until then it can be taken back by setting the status.",
	}, f.deleteProject)
}

type listProjectsInput struct {
	OfOrganization
	rest.Paging
	Status tenant.ProjectStatus `query:"status" enum:"active,archived,deleting" doc:"only projects with this status"`
	Search string               `query:"search" maxLength:"200" doc:"only projects with this part in name or slug, in any case"`
}

func (f *Function) listProjects(ctx context.Context, in *listProjectsInput) (*rest.Body[rest.List[tenant.Project]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	if _, err := authorize(ctx, f.pool, in.OrganizationID, tenant.Member); err != nil {
		return nil, err
	}
	filter := tenant.ProjectFilter{Status: in.Status, Search: in.Search}
	return listed(tenant.ListProjects(ctx, f.pool, in.OrganizationID, filter, r))
}

// ProjectSettings is what can be set of a project at any time.
type ProjectSettings struct {
	Slug           *string   `json:"slug,omitempty" pattern:"^[a-z0-9][a-z0-9-]{0,62}$" patternDescription:"lower-case letters, digits and hyphens, at most 63, a letter or digit first" doc:"stands for the project in addresses; unique within the organization; derived from the name of a new project that gives none"`
	RetentionDays  *int      `json:"retention_days,omitempty" minimum:"1" maximum:"3650" doc:"how long events are kept; 90 for a new project"`
	SampleRate     *float64  `json:"sample_rate,omitempty" exclusiveMinimum:"0" maximum:"1" doc:"the share of events that is kept; 1, all, for a new project"`
	AllowedOrigins *[]string `json:"allowed_origins,omitempty" maxItems:"100" nullable:"false" example:"[\"https://app.example.com\",\"https://*.example.com\"]" doc:"from which pages browsers may send events; none: from all"`
	RateLimit      *int      `json:"rate_limit,omitempty" minimum:"0" maximum:"2147483647" doc:"most events a minute; 0: no limit"`
	MonthlyBudget  *int64    `json:"monthly_budget,omitempty" minimum:"0" maximum:"1000000000000000" doc:"most events a calendar month (UTC); 0: no budget"`

	OTLPSeverity  *int             `json:"otlp_severity,omitempty" minimum:"1" maximum:"25" doc:"the least severity number with which an OpenTelemetry log record is an event, such as 13 (warn) or 17 (error); 25: none is; 17 for a new project"`
	GroupingRules *[]grouping.Rule `json:"grouping_rules,omitempty" maxItems:"200" nullable:"false" doc:"which events belong to one issue; the first that matches decides"`
	ScrubRules    *scrub.Rules     `json:"scrub_rules,omitempty" doc:"what is taken out of events before they are stored; as a whole: what is not named is not scrubbed"`
}

func (s ProjectSettings) change(name *string, status *tenant.ProjectStatus) tenant.ProjectChange {
	return tenant.ProjectChange{
		Name: name, Slug: s.Slug, Status: status, RetentionDays: s.RetentionDays, SampleRate: s.SampleRate,
		AllowedOrigins: s.AllowedOrigins, RateLimit: s.RateLimit, MonthlyBudget: s.MonthlyBudget, OTLPSeverity: s.OTLPSeverity,
		GroupingRules: s.GroupingRules, ScrubRules: s.ScrubRules,
	}
}

// NewProject is what a project is made of.
type NewProject struct {
	Name string `json:"name" minLength:"1" maxLength:"200"`
	ProjectSettings
}

type createProjectInput struct {
	OfOrganization
	rest.Idempotent
	Body NewProject
}

func (f *Function) createProject(ctx context.Context, in *createProjectInput) (*rest.Created[tenant.Project], error) {
	return rest.Once(ctx, f.pool, in.IdempotencyKey, in.Body, func(tx postgres.Tx) error {
		_, err := authorize(ctx, tx, in.OrganizationID, tenant.Admin)
		return err
	}, func(tx postgres.Tx) (tenant.Project, error) {
		if _, err := authorize(ctx, tx, in.OrganizationID, tenant.Admin); err != nil {
			return tenant.Project{}, err
		}
		p, err := tenant.CreateProject(ctx, tx, in.OrganizationID, in.Body.change(&in.Body.Name, nil))
		if err != nil {
			return tenant.Project{}, err
		}
		return p, record(ctx, tx, p.OrganizationID, "project.create", projectTarget(p), particulars{
			"slug": p.Slug, "retention_days": p.RetentionDays, "sample_rate": p.SampleRate,
			"allowed_origins": p.AllowedOrigins, "rate_limit": p.RateLimit, "monthly_budget": p.MonthlyBudget,
			"otlp_severity": p.OTLPSeverity, "grouping_rules": p.GroupingRules, "scrub_rules": p.ScrubRules,
		})
	})
}

func (f *Function) getProject(ctx context.Context, in *OfProject) (*rest.Body[tenant.Project], error) {
	p, err := authorizeProject(ctx, f.pool, in.ProjectID, tenant.Member)
	return &rest.Body[tenant.Project]{Body: p}, err
}

// ProjectPatch is what is to be changed of a project.
type ProjectPatch struct {
	Name   *string               `json:"name,omitempty" minLength:"1" maxLength:"200"`
	Status *tenant.ProjectStatus `json:"status,omitempty" enum:"active,archived" doc:"an archived project takes no events"`
	ProjectSettings
}

type updateProjectInput struct {
	OfProject
	Body ProjectPatch
}

func (f *Function) updateProject(ctx context.Context, in *updateProjectInput) (*rest.Body[tenant.Project], error) {
	return change(ctx, f, func(tx postgres.Tx) (tenant.Project, error) {
		if _, err := authorizeProject(ctx, tx, in.ProjectID, tenant.Admin); err != nil {
			return tenant.Project{}, err
		}
		was, is, err := tenant.ChangeProject(ctx, tx, in.ProjectID, in.Body.change(in.Body.Name, in.Body.Status))
		if err != nil {
			return tenant.Project{}, err
		}
		return is, projectChanges(was, is).record(ctx, tx, is.OrganizationID, "project.update", projectTarget(is))
	})
}

func projectChanges(was, is tenant.Project) changes {
	c := changes{}
	note(c, "name", was.Name, is.Name)
	note(c, "slug", was.Slug, is.Slug)
	note(c, "status", was.Status, is.Status)
	note(c, "retention_days", was.RetentionDays, is.RetentionDays)
	note(c, "sample_rate", was.SampleRate, is.SampleRate)
	note(c, "rate_limit", was.RateLimit, is.RateLimit)
	note(c, "monthly_budget", was.MonthlyBudget, is.MonthlyBudget)
	note(c, "otlp_severity", was.OTLPSeverity, is.OTLPSeverity)
	if !reflect.DeepEqual(was.GroupingRules, is.GroupingRules) {
		c["grouping_rules"] = tenant.Change{From: was.GroupingRules, To: is.GroupingRules}
	}
	if !reflect.DeepEqual(was.ScrubRules, is.ScrubRules) {
		c["scrub_rules"] = tenant.Change{From: was.ScrubRules, To: is.ScrubRules}
	}
	if !slices.Equal(was.AllowedOrigins, is.AllowedOrigins) {
		c["allowed_origins"] = tenant.Change{From: was.AllowedOrigins, To: is.AllowedOrigins}
	}
	return c
}

func (f *Function) deleteProject(ctx context.Context, in *OfProject) (*rest.Body[tenant.Project], error) {
	return change(ctx, f, func(tx postgres.Tx) (tenant.Project, error) {
		was, err := authorizeProject(ctx, tx, in.ProjectID, tenant.Admin)
		if err != nil {
			return tenant.Project{}, err
		}
		p, changed, err := tenant.DeleteProject(ctx, tx, in.ProjectID)
		if err != nil || !changed {
			return p, err
		}
		return p, record(ctx, tx, p.OrganizationID, "project.delete", projectTarget(p),
			changes{"status": {From: was.Status, To: p.Status}})
	})
}

func projectTarget(p tenant.Project) tenant.Target {
	return tenant.Target{Kind: "project", ID: p.ID, Name: p.Name}
}
