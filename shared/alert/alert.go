package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Status is where an alert stands.
type Status string

// The statuses. An alert that somebody acknowledged is not told of again until it is resolved and comes back.
const (
	Active       Status = "active"
	Acknowledged Status = "acknowledged"
	Resolved     Status = "resolved"
)

// Alert is that a rule found something.
type Alert struct {
	ID             uuid.UUID       `json:"id" format:"uuid"`
	OrganizationID uuid.UUID       `json:"organization_id" format:"uuid"`
	ProjectID      uuid.UUID       `json:"project_id,omitzero" format:"uuid"`
	RuleID         uuid.UUID       `json:"rule_id" format:"uuid" doc:"an alert outlives its rule"`
	RuleName       string          `json:"rule_name" doc:"what the rule was called"`
	Kind           Kind            `json:"kind" enum:"new_issue,regression,event_count,user_count,spike,release_error_rate,monitor"`
	Subject        uuid.UUID       `json:"subject" format:"uuid" doc:"what the rule found it of: an issue, a monitor, what stands for a release, or the rule itself; a rule has one open alert for each"`
	Status         Status          `json:"status" enum:"active,acknowledged,resolved"`
	Severity       Severity        `json:"severity" enum:"critical,warning,info"`
	Title          string          `json:"title"`
	Snapshot       json.RawMessage `json:"snapshot" doc:"what was known when it was raised"`
	IssueID        uuid.UUID       `json:"issue_id,omitzero" format:"uuid"`
	MonitorID      uuid.UUID       `json:"monitor_id,omitzero" format:"uuid"`
	StartedAt      time.Time       `json:"started_at"`
	AcknowledgedAt time.Time       `json:"acknowledged_at,omitzero" format:"date-time"`
	AcknowledgedBy uuid.UUID       `json:"acknowledged_by,omitzero" format:"uuid" doc:"the user"`
	ResolvedAt     time.Time       `json:"resolved_at,omitzero" format:"date-time"`
	ResolvedBy     uuid.UUID       `json:"resolved_by,omitzero" format:"uuid" doc:"the user; missing when it was resolved by itself"`
	ResolvedWhy    string          `json:"resolved_why,omitempty"`
	Told           bool            `json:"told" doc:"the rule's channels were told of it: it was not muted, nor within the cooldown"`
}

const alertColumns = `e.id, e.organization_id, e.project_id, e.rule_id, e.rule_name, e.kind, e.subject, e.status, e.severity, e.title,
	e.snapshot::text, e.issue_id, e.monitor_id, e.started_at, e.acknowledged_at, e.acknowledged_by, e.resolved_at, e.resolved_by,
	coalesce(e.resolved_why, ''), e.told`

func scanAlert(row pgx.CollectableRow) (Alert, error) {
	var a Alert
	var snapshot string
	err := row.Scan(&a.ID, &a.OrganizationID, &a.ProjectID, &a.RuleID, &a.RuleName, &a.Kind, &a.Subject, &a.Status, &a.Severity, &a.Title,
		&snapshot, &a.IssueID, &a.MonitorID, (*postgres.Time)(&a.StartedAt), (*postgres.Time)(&a.AcknowledgedAt), &a.AcknowledgedBy,
		(*postgres.Time)(&a.ResolvedAt), &a.ResolvedBy, &a.ResolvedWhy, &a.Told)
	a.Snapshot = json.RawMessage(snapshot)
	return a, err
}

// New is an alert that is to be raised.
type New struct {
	RuleID    uuid.UUID
	Subject   uuid.UUID
	Title     string         // 1 to 500 characters
	Snapshot  map[string]any // up to 16 KiB as JSON; nothing secret
	IssueID   uuid.UUID      // uuid.Nil: none
	MonitorID uuid.UUID      // uuid.Nil: none
	At        time.Time
}

const (
	titleMost    = 500      // characters
	snapshotMost = 16 << 10 // bytes
	reasonMost   = 500      // characters of why an alert was resolved
)

// Create raises an alert unless one of its rule and subject is open, or the rule is disabled or gone. A field that is wrong is a
// fault.Invalid, before the database sees it. It returns the notifications to hand to outbox.Publish once the transaction is
// committed.
func Create(ctx context.Context, tx DB, n New) ([]uuid.UUID, error) {
	snapshot, err := n.check()
	if err != nil {
		return nil, err
	}
	return ids(ctx, tx, "raise an alert", `select * from mesher.raise_alert($1::uuid, $2::uuid, $3::text, $4::text::jsonb, $5::uuid, $6::uuid, $7::timestamptz)`,
		n.RuleID, n.Subject, n.Title, snapshot, postgres.OrNull(n.IssueID), postgres.OrNull(n.MonitorID), n.At)
}

func (n New) check() (snapshot string, err error) {
	switch length := utf8.RuneCountInString(n.Title); {
	case n.RuleID == uuid.Nil:
		return "", fault.New(fault.Invalid, "an alert has a rule")
	case n.Subject == uuid.Nil:
		return "", fault.New(fault.Invalid, "an alert has a subject")
	case n.At.IsZero():
		return "", fault.New(fault.Invalid, "an alert has a time")
	case length < 1 || length > titleMost || !utf8.ValidString(n.Title) || strings.ContainsRune(n.Title, 0):
		return "", fault.New(fault.Invalid, "an alert's title has 1 to %d characters that can be stored, not %d", titleMost, length)
	}
	if n.Snapshot == nil {
		n.Snapshot = map[string]any{}
	}
	text, err := json.Marshal(n.Snapshot)
	switch {
	case err != nil:
		return "", fault.Wrap(err, fault.Invalid, "an alert's snapshot is no JSON")
	case len(text) > snapshotMost:
		return "", fault.New(fault.Invalid, "an alert's snapshot has %d bytes; at most %d are kept", len(text), snapshotMost)
	case strings.Contains(string(text), `\u0000`):
		return "", fault.New(fault.Invalid, "an alert's snapshot holds the character U+0000, which is not stored")
	}
	return string(text), nil
}

// ids returns the ids that a query gives.
func ids(ctx context.Context, db DB, what, sql string, args ...any) ([]uuid.UUID, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return found, nil
}

// FindActive returns the open alert of a rule and subject, active or acknowledged. There is none: a fault.NotFound.
func FindActive(ctx context.Context, db DB, organization, rule, subject uuid.UUID) (Alert, error) {
	a, err := findAlert(ctx, db, `e.organization_id = $1::uuid and e.rule_id = $2::uuid and e.subject = $3::uuid and e.status <> 'resolved'`,
		organization, rule, subject)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, fault.New(fault.NotFound, "no alert of the rule %s is open for %s", rule, subject)
	}
	return a, err
}

// Find returns an alert of an organization.
func Find(ctx context.Context, db DB, organization, id uuid.UUID) (Alert, error) {
	return find(ctx, db, organization, id, "")
}

func find(ctx context.Context, db DB, organization, id uuid.UUID, lock string) (Alert, error) {
	a, err := findAlert(ctx, db, `e.organization_id = $1::uuid and e.id = $2::uuid `+lock, organization, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, errNoAlert(id)
	}
	return a, err
}

func errNoAlert(id uuid.UUID) error {
	return fault.New(fault.NotFound, "there is no alert with the id %s", id)
}

func findAlert(ctx context.Context, db DB, where string, args ...any) (Alert, error) {
	rows, err := db.Query(ctx, "select "+alertColumns+" from mesher.alert_events e where "+where, args...)
	if err != nil {
		return Alert{}, fmt.Errorf("look up an alert: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanAlert)
	if err != nil {
		return a, fmt.Errorf("look up an alert: %w", err)
	}
	return a, nil
}

// OwnerOfAlert returns whose an alert is, so that it can be found out whether somebody may see it.
func OwnerOfAlert(ctx context.Context, db DB, id uuid.UUID) (Place, error) {
	var p Place
	err := db.QueryRow(ctx, "select organization_id, project_id from mesher.alert_events where id = $1::uuid", id).Scan(&p.OrganizationID, &p.ProjectID)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return p, errNoAlert(id)
	case err != nil:
		return p, fmt.Errorf("look up whose an alert is: %w", err)
	}
	return p, nil
}

// Acknowledge notes that somebody takes care of an alert, and reports whether that is new. One that is acknowledged stays so;
// one that is resolved is a fault.Conflict.
func Acknowledge(ctx context.Context, tx postgres.Tx, organization, id, by uuid.UUID, at time.Time) (Alert, bool, error) {
	a, err := find(ctx, tx, organization, id, "for update")
	switch {
	case err != nil, a.Status == Acknowledged:
		return a, false, err
	case a.Status == Resolved:
		return a, false, fault.New(fault.Conflict, "the alert is resolved; there is nothing to acknowledge").Named("alert_resolved")
	}
	if _, err := tx.Exec(ctx, `
		update mesher.alert_events set status = 'acknowledged', acknowledged_at = $3::timestamptz, acknowledged_by = $4::uuid
		where organization_id = $1::uuid and id = $2::uuid`, organization, id, at, postgres.OrNull(by)); err != nil {
		return a, false, fmt.Errorf("acknowledge an alert: %w", err)
	}
	a, err = Find(ctx, tx, organization, id)
	return a, err == nil, err
}

// Resolve ends an alert in somebody's name, uuid.Nil for nobody's, and reports whether that is new. It comes back when its rule
// finds it again. It returns the notifications to hand to outbox.Publish once the transaction is committed.
func Resolve(ctx context.Context, tx postgres.Tx, organization, id, by uuid.UUID, why string, at time.Time) (Alert, bool, []uuid.UUID, error) {
	if n := utf8.RuneCountInString(why); n > reasonMost || !utf8.ValidString(why) || strings.ContainsRune(why, 0) {
		return Alert{}, false, nil, fault.New(fault.Invalid, "why: a reason has at most %d characters, all of which can be stored", reasonMost)
	}
	a, err := find(ctx, tx, organization, id, "for update")
	if err != nil || a.Status == Resolved {
		return a, false, nil, err
	}
	told, err := ids(ctx, tx, "resolve an alert", "select * from mesher.end_alert($1::uuid, $2::uuid, $3::text, $4::timestamptz)",
		id, postgres.OrNull(by), why, at)
	if err != nil {
		return a, false, nil, err
	}
	a, err = Find(ctx, tx, organization, id)
	return a, err == nil, told, err
}

// Narrowing narrows a list of alerts; zero fields do not.
type Narrowing struct {
	ProjectID uuid.UUID
	RuleID    uuid.UUID
	Subject   uuid.UUID
	Kind      Kind
	Severity  Severity
	Statuses  []string // one of these
	Since     time.Time
	Until     time.Time // not included
}

// List returns an organization's alerts, the newest first.
func List(ctx context.Context, db DB, organization uuid.UUID, f Narrowing, r page.Request) (page.Of[Alert], error) {
	r.Limit = min(max(r.Limit, 1), pageMost)
	at, after := r.After.Args()
	rows, err := db.Query(ctx, `
		select `+alertColumns+` from mesher.alert_events e
		where e.organization_id = $1::uuid and ($2::uuid is null or e.project_id = $2::uuid)
		  and ($3::uuid is null or e.rule_id = $3::uuid) and ($4::uuid is null or e.subject = $4::uuid)
		  and ($5::text = '' or e.kind = $5::text) and ($6::text = '' or e.severity = $6::text)
		  and (cardinality($7::text[]) = 0 or e.status = any ($7::text[]))
		  and ($8::timestamptz is null or e.started_at >= $8::timestamptz)
		  and ($9::timestamptz is null or e.started_at < $9::timestamptz)
		  and ($10::timestamptz is null or (e.started_at, e.id) < ($10::timestamptz, $11::uuid))
		order by e.started_at desc, e.id desc limit $12::bigint`,
		organization, postgres.OrNull(f.ProjectID), postgres.OrNull(f.RuleID), postgres.OrNull(f.Subject), string(f.Kind),
		string(f.Severity), append([]string{}, f.Statuses...), postgres.TimeOrNull(f.Since), postgres.TimeOrNull(f.Until), at, after, r.Limit+1)
	if err != nil {
		return page.Of[Alert]{}, fmt.Errorf("list alerts: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanAlert)
	if err != nil {
		return page.Of[Alert]{}, fmt.Errorf("list alerts: %w", err)
	}
	return page.Cut(r, found, func(a Alert) page.Mark { return page.Mark{At: a.StartedAt, ID: a.ID} }), nil
}

// History returns the alerts that a rule raised of one subject, the newest first.
func History(ctx context.Context, db DB, organization, rule, subject uuid.UUID, r page.Request) (page.Of[Alert], error) {
	return List(ctx, db, organization, Narrowing{RuleID: rule, Subject: subject}, r)
}

// each returns what reads the rows of a query one after another: it puts each into to and then calls do.
func each(rows pgx.Rows, err error) func(to []any, do func()) error {
	return func(to []any, do func()) error {
		if err != nil {
			return err
		}
		_, err := pgx.ForEachRow(rows, to, func() error {
			do()
			return nil
		})
		return err
	}
}
