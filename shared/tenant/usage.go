package tenant

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Usage counts what happened to a project's events before they reached Store. Store itself counts what it
// stored, found twice, found too old or could not store.
type Usage struct {
	Accepted int64 `json:"accepted"` // published; the client was told so
	Rejected int64 `json:"rejected"` // invalid; the client was told why
	Dropped  int64 `json:"dropped"`  // valid, but answered 503: the buffer was full or the queue was away
}

// Add adds n to u.
func (u *Usage) Add(n Usage) {
	u.Accepted += n.Accepted
	u.Rejected += n.Rejected
	u.Dropped += n.Dropped
}

// UsageReport is what an instance of Ingest reports: counts since the last report, and when keys were used.
type UsageReport struct {
	Projects map[uuid.UUID]Usage     `json:"projects"`
	Keys     map[uuid.UUID]time.Time `json:"keys"`
}

// ReportUsage adds a UsageReport, given as JSON, to the current minute and notes the use of its keys, in one
// statement. Rows are touched in the order of their ids, so that instances that report at the same time
// cannot block each other for good.
func ReportUsage(ctx context.Context, db DB, report []byte) error {
	_, err := db.Exec(ctx, `
		with report as (
			select coalesce(nullif(r -> 'projects', 'null'), '{}') as projects, coalesce(nullif(r -> 'keys', 'null'), '{}') as keys
			from (select $1::text::jsonb as r) as sent),
		used as (
			select a.id, (k.value #>> '{}')::timestamptz as at
			from report cross join jsonb_each(report.keys) k join mesher.api_keys a on a.id = k.key::uuid
			order by a.id
			for no key update of a),
		touched as (
			update mesher.api_keys a set last_used_at = used.at from used
			where a.id = used.id and (a.last_used_at is null or a.last_used_at < used.at)
			returning 1)
		insert into mesher.usage as u (project_id, minute, accepted, rejected, dropped)
		select p.key::uuid, date_trunc('minute', now()),
		       (p.value ->> 'accepted')::bigint, (p.value ->> 'rejected')::bigint, (p.value ->> 'dropped')::bigint
		from report, jsonb_each(report.projects) p
		order by 1
		on conflict (project_id, minute) do update set
			accepted = u.accepted + excluded.accepted,
			rejected = u.rejected + excluded.rejected,
			dropped = u.dropped + excluded.dropped`, string(report))
	if err != nil {
		return fmt.Errorf("report usage: %w", err)
	}
	return nil
}
