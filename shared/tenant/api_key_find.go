package tenant

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/postgres"
)

// findAccesses looks up keys with all that holds for their projects. It reads nothing but what mesher_ingest may.
const findAccesses = `
	select w.place::int - 1, k.hash, k.id, k.project_id, p.number, p.organization_id, coalesce(k.environment, ''), k.expires_at,
	       k.revoked_at is not null and k.revoked_at <= now(), coalesce(k.expires_at <= now(), false), p.status,
	       p.allowed_origins, p.sample_rate, coalesce(k.rate_limit, 0)::bigint, coalesce(p.rate_limit, 0)::bigint,
	       coalesce(p.monthly_budget, 0), coalesce(o.monthly_budget, 0), p.otlp_severity, p.grouping_rules::text, p.scrub_rules::text,
	       p.updated_at, m.month, m.project, m.organization, d.fingerprints
	from unnest($1::text[]) with ordinality as w (hash, place)
	join mesher.api_keys k on k.hash = decode(w.hash, 'hex')
	join mesher.projects p on p.id = k.project_id
	join mesher.organizations o on o.id = p.organization_id
	left join lateral (
		select this.month::timestamp at time zone 'utc' as month,
		       coalesce((select u.accepted from mesher.usage_months u
		                 where u.project_id = p.id and u.month = this.month), 0) as project,
		       case when o.monthly_budget is null then 0 else coalesce((
		                 select sum(u.accepted)::bigint from mesher.projects s
		                 join mesher.usage_months u on u.project_id = s.id and u.month = this.month
		                 where s.organization_id = o.id), 0) end as organization
		from (select date_trunc('month', now() at time zone 'utc')::date as month) this
	) m on p.monthly_budget is not null or o.monthly_budget is not null
	left join lateral (
		select array_agg(newest.fingerprint) as fingerprints
		from (
			select f.fingerprint from mesher.issues i
			join mesher.issue_fingerprints f on f.project_id = i.project_id and f.issue_id = i.id
			where i.project_id = p.id and i.status = 'discarded'
			order by i.id desc
			limit $2::integer) newest
	) d on true`

// FindAccesses returns what each of the keys opens, in their order, in one round trip.
func FindAccesses(ctx context.Context, db DB, hashes []KeyHash) ([]Finding, error) {
	out := make([]Finding, len(hashes))
	wanted := make([]string, len(hashes))
	for i, h := range hashes {
		out[i].Err = errUnknownKey()
		wanted[i] = hex.EncodeToString(h[:])
	}
	rows, err := db.Query(ctx, findAccesses, wanted, discardedMost)
	if err != nil {
		return nil, fmt.Errorf("look up API keys: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanLookedUp)
	if err != nil {
		return nil, fmt.Errorf("look up API keys: %w", err)
	}
	for _, l := range found {
		if subtle.ConstantTimeCompare(l.hash, hashes[l.place][:]) == 1 {
			out[l.place] = judge(l.access(), l.revoked, l.expired, l.status)
		}
	}
	return out, nil
}

// lookedUp is a row of findAccesses.
type lookedUp struct {
	Access
	place                 int
	hash                  []byte
	expires, month        *time.Time
	revoked, expired      bool
	status                string
	grouping, scrub       string
	project, organization *int64
}

func scanLookedUp(row pgx.CollectableRow) (*lookedUp, error) {
	l := new(lookedUp)
	return l, row.Scan(
		&l.place, &l.hash, &l.KeyID, &l.ProjectID, &l.ProjectNumber, &l.OrganizationID, &l.Environment, &l.expires, &l.revoked,
		&l.expired, &l.status, &l.AllowedOrigins, &l.SampleRate, &l.KeyRateLimit, &l.RateLimit, &l.MonthlyBudget,
		&l.OrganizationBudget, &l.OTLPSeverity, &l.grouping, &l.scrub, (*postgres.Time)(&l.SettingsAt), &l.month, &l.project,
		&l.organization, &l.Discarded)
}

func (l *lookedUp) access() Access {
	a := l.Access
	a.GroupingRules, a.ScrubRules = []byte(l.grouping), []byte(l.scrub)
	slices.SortFunc(a.Discarded, func(x, y uuid.UUID) int { return bytes.Compare(x[:], y[:]) })
	if l.expires != nil {
		a.ExpiresAt = *l.expires
	}
	if l.month != nil && l.project != nil && l.organization != nil {
		a.Used = MonthUsage{l.month.UTC(), *l.project, *l.organization}
	}
	return a
}
