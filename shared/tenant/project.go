package tenant

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/grouping"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/scrub"
)

// ProjectStatus says whether a project takes events.
type ProjectStatus string

// The statuses of a project. Events, issues and keys of one that is marked for deletion are erased by Retention.
const (
	ProjectActive   ProjectStatus = "active"
	ProjectArchived ProjectStatus = "archived"
	ProjectDeleting ProjectStatus = "deleting"
)

// Project owns events, issues and API keys.
type Project struct {
	ID             uuid.UUID     `json:"id" format:"uuid"`
	OrganizationID uuid.UUID     `json:"organization_id" format:"uuid"`
	Number         int64         `json:"number" doc:"short and numeric, for DSNs; given once and for all"`
	Name           string        `json:"name"`
	Slug           string        `json:"slug" doc:"stands for it in addresses; unique within the organization"`
	Status         ProjectStatus `json:"status" enum:"active,archived,deleting"`
	RetentionDays  int           `json:"retention_days" doc:"how long events are kept"`
	SampleRate     float64       `json:"sample_rate" doc:"the share of events that is kept, above 0 to 1"`
	AllowedOrigins []string      `json:"allowed_origins" nullable:"false" doc:"from which pages browsers may send events; none: from all"`
	RateLimit      int           `json:"rate_limit" doc:"most events a minute; 0: no limit"`
	MonthlyBudget  int64         `json:"monthly_budget" doc:"most events a calendar month (UTC); 0: no budget"`

	OTLPSeverity  int             `json:"otlp_severity" doc:"the least severity number with which an OpenTelemetry log record is an event; 25: none is"`
	GroupingRules []grouping.Rule `json:"grouping_rules" nullable:"false" doc:"which events belong to one issue; the first that matches decides"`
	ScrubRules    scrub.Rules     `json:"scrub_rules" doc:"what is taken out of events before they are stored"`

	CreatedAt time.Time `json:"created_at"`
	DeletedAt time.Time `json:"deleted_at,omitzero" doc:"when it was marked for deletion"`
}

const projectColumns = `p.id, p.organization_id, p.number, p.name, p.slug, p.status, p.retention_days, p.sample_rate,
	p.allowed_origins, coalesce(p.rate_limit, 0), coalesce(p.monthly_budget, 0), p.otlp_severity, p.grouping_rules, p.scrub_rules,
	p.created_at, p.deleted_at`

// fields are where projectColumns are read to.
func (p *Project) fields() []any {
	return []any{
		&p.ID, &p.OrganizationID, &p.Number, &p.Name, &p.Slug, &p.Status, &p.RetentionDays, &p.SampleRate,
		&p.AllowedOrigins, &p.RateLimit, &p.MonthlyBudget, &p.OTLPSeverity, &p.GroupingRules, &p.ScrubRules,
		(*postgres.Time)(&p.CreatedAt), (*postgres.Time)(&p.DeletedAt),
	}
}

func scanProject(row pgx.CollectableRow) (Project, error) {
	var p Project
	err := row.Scan(p.fields()...)
	return p, err
}

// ProjectFilter narrows a list of projects; empty fields do not, but projects that are marked for deletion are listed only
// when Status asks for them.
type ProjectFilter struct {
	Status ProjectStatus
	Search string // part of name or slug, in any case
}

// ListProjects returns an organization's projects, the newest first.
func ListProjects(ctx context.Context, db DB, organization uuid.UUID, f ProjectFilter, r page.Request) (page.Of[Project], error) {
	return listing[Project]{
		name: "projects", at: "p.created_at", id: "p.id", scan: scanProject,
		mark: func(p Project) page.Mark { return page.Mark{At: p.CreatedAt, ID: p.ID} },
		query: `select ` + projectColumns + ` from mesher.projects p
			where p.organization_id = $4::uuid
			  and case $5::text when '' then p.status <> 'deleting' else p.status = $5::text end
			  and (position(lower($6::text) in lower(p.name)) > 0 or position(lower($6::text) in p.slug) > 0)`,
	}.read(ctx, db, r, organization, storable(string(f.Status)), storable(f.Search))
}
