package tenant

import (
	"context"

	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// ListActivity returns what the viewer did, and what others did to the viewer as a user (a refused login, an operator's
// link), in all organizations and outside of them, the newest entry first. A viewer who sees one organization only is
// shown what was done in that. The filter's Actor says nothing here.
func ListActivity(ctx context.Context, db DB, v Viewer, f AuditFilter, r page.Request) (page.Of[AuditEntry], error) {
	return listing[AuditEntry]{
		name: "what a user did", at: "a.created_at", id: "a.id", scan: scanAudit,
		mark: func(e AuditEntry) page.Mark { return page.Mark{At: e.CreatedAt, ID: e.ID} },
		query: `
			select a.id, a.created_at, a.organization_id, a.actor_kind, a.actor_id, a.actor_name, coalesce(host(a.ip), ''),
			       a.user_agent, a.action, a.target_kind, a.target_id, a.target_name, nullif(a.details, '{}'::jsonb)::text
			from mesher.audit_log a
			where (a.actor_id = $4::uuid or a.target_kind = 'user' and a.target_id = $4::uuid) and ($5::uuid is null or a.organization_id = $5::uuid)
			  and ($6::text = '' or a.action = $6::text or starts_with(a.action, $6::text || '.'))
			  and ($7::uuid is null or a.target_id = $7::uuid)
			  and ($8::timestamptz is null or a.created_at >= $8::timestamptz)
			  and ($9::timestamptz is null or a.created_at < $9::timestamptz)`,
	}.read(ctx, db, r, v.UserID, postgres.OrNull(v.OrganizationID), storable(f.Action), postgres.OrNull(f.Target), postgres.TimeOrNull(f.Since), postgres.TimeOrNull(f.Until))
}
