package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
)

// digestAlertsMost is how many alerts of a digest are told one by one.
const digestAlertsMost = 5

// Story is what a notification tells, as it is known when it is delivered.
type Story struct {
	ID           uuid.UUID // of the notification; of a mail, of what it is a mail of
	Event        string    // fired, resolved, digest, digest_resolved, budget or test
	Combined     bool      // resolved, and it was not told before that it fired
	CreatedAt    time.Time
	Organization Named
	Project      *Named
	Rule         *Named
	Channel      Named
	Alert        *Told
	Digest       *Folded
	Budget       *outbox.BudgetData
}

// Named is something by its id and name.
type Named struct {
	ID   uuid.UUID `json:"id"`
	Name string    `json:"name"`
}

// Told is an alert as it is told.
type Told struct {
	ID             uuid.UUID       `json:"id"`
	Status         string          `json:"status"` // active, acknowledged or resolved
	Severity       string          `json:"severity"`
	Kind           string          `json:"kind"` // of its rule
	Title          string          `json:"title"`
	Subject        uuid.UUID       `json:"subject"`
	OrganizationID uuid.UUID       `json:"-"`
	ProjectID      uuid.UUID       `json:"-"`
	RuleID         uuid.UUID       `json:"-"`
	RuleName       string          `json:"-"`
	IssueID        uuid.UUID       `json:"issue_id,omitzero"`
	MonitorID      uuid.UUID       `json:"monitor_id,omitzero"`
	StartedAt      time.Time       `json:"started_at"`
	AcknowledgedAt time.Time       `json:"acknowledged_at,omitzero"`
	ResolvedAt     time.Time       `json:"resolved_at,omitzero"`
	ResolvedWhy    string          `json:"resolved_why,omitempty"`
	Snapshot       json.RawMessage `json:"snapshot"` // what was known when it fired
}

// Folded is what a digest holds.
type Folded struct {
	ID       uuid.UUID `json:"id"`
	Fired    int       `json:"fired"`    // alerts that fired and were not told one by one
	Resolved int       `json:"resolved"` // alerts of which it is told here that they are resolved
	Open     int       `json:"open"`     // of those that fired, how many are not resolved
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Severity string    `json:"severity"` // the highest of them
	Alerts   []Told    `json:"alerts"`   // the first of them
}

// Tell returns the story of a notification of a channel.
func Tell(ctx context.Context, db DB, d outbox.Delivery, c Channel) (Story, error) {
	s := Story{ID: d.ID, Event: d.Event, CreatedAt: d.CreatedAt.UTC(), Channel: Named{ID: c.ID, Name: c.Name}}
	if d.ParentID != uuid.Nil {
		s.ID = d.ParentID
	}
	var err error
	if s.Organization, err = named(ctx, db, `select name from mesher.organizations where id = $1::uuid`, c.OrganizationID); err != nil {
		return s, err
	}
	switch d.Template {
	case outbox.Alert:
		err = s.tellAlert(ctx, db, d.AlertID)
	case outbox.Digest:
		err = s.tellDigest(ctx, db, d)
	case outbox.Budget:
		s.Event, s.Budget = "budget", new(outbox.BudgetData)
		err = json.Unmarshal(d.Data, s.Budget)
	default:
		s.Event = "test"
	}
	if err != nil {
		return s, fmt.Errorf("tell the story of a notification: %w", err)
	}
	return s, nil
}

// named reads the name of something; one that is gone has none.
func named(ctx context.Context, db DB, sql string, id uuid.UUID) (Named, error) {
	n := Named{ID: id}
	err := db.QueryRow(ctx, sql, id).Scan(&n.Name)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return n, fmt.Errorf("look up a name: %w", err)
	}
	return n, nil
}

const toldColumns = `e.id, e.status, e.severity, e.kind, e.title, e.subject, e.organization_id, e.project_id, e.rule_id, e.rule_name,
	e.issue_id, e.monitor_id, e.started_at, e.acknowledged_at, e.resolved_at, coalesce(e.resolved_why, ''), e.snapshot::text`

func scanTold(row pgx.CollectableRow) (Told, error) {
	var t Told
	var project, issue, monitor *uuid.UUID
	var snapshot string
	err := row.Scan(&t.ID, &t.Status, &t.Severity, &t.Kind, &t.Title, &t.Subject, &t.OrganizationID, &project, &t.RuleID, &t.RuleName,
		&issue, &monitor, (*postgres.Time)(&t.StartedAt), (*postgres.Time)(&t.AcknowledgedAt), (*postgres.Time)(&t.ResolvedAt),
		&t.ResolvedWhy, &snapshot)
	for into, from := range map[*uuid.UUID]*uuid.UUID{&t.ProjectID: project, &t.IssueID: issue, &t.MonitorID: monitor} {
		if from != nil {
			*into = *from
		}
	}
	t.Snapshot = json.RawMessage(snapshot)
	return t, err
}

func (s *Story) tellAlert(ctx context.Context, db DB, id uuid.UUID) error {
	rows, err := db.Query(ctx, `select `+toldColumns+` from mesher.alert_events e where e.id = $1::uuid`, id)
	if err != nil {
		return err
	}
	t, err := pgx.CollectExactlyOneRow(rows, scanTold)
	if err != nil {
		return err
	}
	s.Alert, s.Rule = &t, &Named{ID: t.RuleID, Name: t.RuleName}
	return s.tellProject(ctx, db, t.ProjectID)
}

func (s *Story) tellProject(ctx context.Context, db DB, id uuid.UUID) error {
	if id == uuid.Nil {
		return nil
	}
	p, err := named(ctx, db, `select name from mesher.projects where id = $1::uuid`, id)
	s.Project = &p
	return err
}

// tellDigest counts what was folded into a digest. Nothing is added to one whose delivery has begun.
func (s *Story) tellDigest(ctx context.Context, db DB, d outbox.Delivery) error {
	f := Folded{ID: s.ID, Alerts: []Told{}}
	s.Event = "digest"
	if d.Event == "resolved" {
		f.ID, s.Event = d.DigestID, "digest_resolved"
	}
	err := db.QueryRow(ctx, `
		select count(*) filter (where n.event = 'fired'), count(*) filter (where n.event = 'resolved'),
			count(*) filter (where n.event = 'fired' and e.status <> 'resolved'),
			coalesce(min(n.created_at), $2::timestamptz), coalesce(max(n.created_at), $2::timestamptz),
			coalesce((array['info', 'warning', 'critical'])[max(array_position(array['info', 'warning', 'critical'], e.severity))], 'info')
		from mesher.notifications n left join mesher.alert_events e on e.id = n.alert_id
		where n.digest_id = $1::uuid and n.template = 'alert'`, f.ID, d.CreatedAt).
		Scan(&f.Fired, &f.Resolved, &f.Open, (*postgres.Time)(&f.Since), (*postgres.Time)(&f.Until), &f.Severity)
	if err != nil {
		return err
	}
	rows, err := db.Query(ctx, `
		select `+toldColumns+` from mesher.notifications n join mesher.alert_events e on e.id = n.alert_id
		where n.digest_id = $1::uuid and n.template = 'alert' and (n.event = 'fired' or $2::boolean)
		order by n.id limit $3::integer`, f.ID, f.Fired == 0, digestAlertsMost)
	if err != nil {
		return err
	}
	if f.Alerts, err = pgx.CollectRows(rows, scanTold); err != nil {
		return err
	}
	s.Digest = &f
	if d.RuleID == uuid.Nil || len(f.Alerts) == 0 {
		return nil
	}
	s.Rule = &Named{ID: d.RuleID, Name: f.Alerts[0].RuleName}
	return s.tellProject(ctx, db, f.Alerts[0].ProjectID)
}
