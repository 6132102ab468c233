package tenant

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

const (
	auditTextMost    = 400      // characters of a name and of a user agent; the rest is cut off
	auditDetailsMost = 16 << 10 // bytes of JSON
)

// Actor is who does something, and from where.
type Actor struct {
	Kind      string    `json:"kind" enum:"user,token,operator,anonymous"`
	ID        uuid.UUID `json:"id,omitzero" format:"uuid" doc:"of the user, also when a token acts in the user's name"`
	Name      string    `json:"name" doc:"address of the user, and label of the token"`
	IP        string    `json:"ip,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
}

// Target is what something was done to.
type Target struct {
	Kind string    `json:"kind" doc:"organization, member, invitation, project, key, token, session, user, issue, rule, alert, channel, monitor or job"`
	ID   uuid.UUID `json:"id,omitzero" format:"uuid"`
	Name string    `json:"name"`
}

// AuditEntry is one line of the audit log.
type AuditEntry struct {
	ID             uuid.UUID       `json:"id" format:"uuid"`
	CreatedAt      time.Time       `json:"created_at"`
	OrganizationID uuid.UUID       `json:"organization_id,omitzero" format:"uuid"`
	Actor          Actor           `json:"actor"`
	Action         string          `json:"action" example:"project.create" doc:"what was done, as noun and verb"`
	Target         Target          `json:"target"`
	Details        json.RawMessage `json:"details,omitempty" doc:"what changed: {field: {from, to}}, or other particulars"`
}

// Change is the usual detail of an entry: a field's value before and after.
type Change struct {
	From any `json:"from"`
	To   any `json:"to"`
}

// Record adds an entry to the audit log; ID and CreatedAt are given to it. It belongs into the transaction that does what it
// tells. details is encoded as JSON, nil: none; it must hold no secret. What is too long is cut or left out, and an address
// that is none is left out, so that nothing a client sends keeps an entry from being written.
func Record(ctx context.Context, db DB, organization uuid.UUID, who Actor, action string, target Target, details any) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make an id of the audit log: %w", err)
	}
	particulars, err := auditDetails(details)
	if err != nil {
		return fmt.Errorf("encode what %s changed: %w", action, err)
	}
	if _, err := db.Exec(ctx, `
		insert into mesher.audit_log (id, created_at, organization_id, actor_kind, actor_id, actor_name, action,
			target_kind, target_id, target_name, ip, user_agent, details)
		values ($1::uuid, clock_timestamp(), $2::uuid, $3::text, $4::uuid, $5::text, $6::text,
			$7::text, $8::uuid, $9::text, $10::text::inet, $11::text, $12::text::jsonb)`,
		id, postgres.OrNull(organization), who.Kind, postgres.OrNull(who.ID), auditText(who.Name), action,
		target.Kind, postgres.OrNull(target.ID), auditText(target.Name), auditIP(who.IP), auditText(who.UserAgent), particulars); err != nil {
		return fmt.Errorf("record %s: %w", action, err)
	}
	return nil
}

func auditDetails(details any) (string, error) {
	if details == nil {
		return "{}", nil
	}
	b, err := json.Marshal(details)
	switch {
	case err != nil:
		return "", err
	case string(b) == "null":
		return "{}", nil
	case len(b) > auditDetailsMost:
		return `{"note": "the details were too long to be kept"}`, nil
	}
	// The one character that JSON has and jsonb does not.
	return string(bytes.ReplaceAll(b, []byte(`\u0000`), []byte(`\ufffd`))), nil
}

func auditText(s string) string {
	r := []rune(storable(s))
	return string(r[:min(len(r), auditTextMost)])
}

func auditIP(s string) any {
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return nil
	}
	return ip.Unmap().WithZone("").String()
}

// AuditFilter narrows the audit log; zero fields do not.
type AuditFilter struct {
	Actor        uuid.UUID
	Action       string // project.create, or project for all that is done to projects
	Target       uuid.UUID
	Since, Until time.Time // Until is not included
}

// ListAudit returns an organization's audit log, the newest entry first.
func ListAudit(ctx context.Context, db DB, organization uuid.UUID, f AuditFilter, r page.Request) (page.Of[AuditEntry], error) {
	return listing[AuditEntry]{
		name: "the audit log", at: "a.created_at", id: "a.id", scan: scanAudit,
		mark: func(e AuditEntry) page.Mark { return page.Mark{At: e.CreatedAt, ID: e.ID} },
		query: `
			select a.id, a.created_at, a.organization_id, a.actor_kind, a.actor_id, a.actor_name, coalesce(host(a.ip), ''),
			       a.user_agent, a.action, a.target_kind, a.target_id, a.target_name, nullif(a.details, '{}'::jsonb)::text
			from mesher.audit_log a
			where a.organization_id = $4::uuid and ($5::uuid is null or a.actor_id = $5::uuid)
			  and ($6::text = '' or a.action = $6::text or starts_with(a.action, $6::text || '.'))
			  and ($7::uuid is null or a.target_id = $7::uuid)
			  and ($8::timestamptz is null or a.created_at >= $8::timestamptz)
			  and ($9::timestamptz is null or a.created_at < $9::timestamptz)`,
	}.read(ctx, db, r, organization, postgres.OrNull(f.Actor), storable(f.Action), postgres.OrNull(f.Target), postgres.TimeOrNull(f.Since), postgres.TimeOrNull(f.Until))
}

func scanAudit(row pgx.CollectableRow) (AuditEntry, error) {
	var e AuditEntry
	var details *string
	err := row.Scan(&e.ID, (*postgres.Time)(&e.CreatedAt), &e.OrganizationID, &e.Actor.Kind, &e.Actor.ID, &e.Actor.Name, &e.Actor.IP,
		&e.Actor.UserAgent, &e.Action, &e.Target.Kind, &e.Target.ID, &e.Target.Name, &details)
	if details != nil {
		e.Details = json.RawMessage(*details)
	}
	return e, err
}
