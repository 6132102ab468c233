package issue_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/issue"
)

// explainer notes the plan of every query before it is made.
type explainer struct {
	issue.DB
	plans []string
}

func (e *explainer) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := e.DB.Query(ctx, "explain (analyze, costs off, timing off, summary off) "+sql, args...)
	if err != nil {
		return nil, err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	e.plans = append(e.plans, strings.Join(lines, "\n"))
	return e.DB.Query(ctx, sql, args...) //nolint:rowserrcheck // the caller's business
}

// crowdSQL makes 20,000 issues of a project, with three fingerprints each. Every tenth is of staging, else of production;
// there are 50 releases and 2,000 regions.
const crowdSQL = `
with made as (
	insert into mesher.issues (project_id, id, title, culprit, level, status, event_count, user_count, first_seen, last_seen, active_hour,
		exception_type, exception_value, message)
	select $1::uuid, gen_random_uuid(), 'Problem number ' || n, 'handle in module' || n % 100, 'error',
		(array['unresolved', 'unresolved', 'resolved', 'ignored'])[1 + n % 4], n % 977, n % 89, $2::timestamptz - n * interval '3 minutes',
		$2::timestamptz - n * interval '1 minute', date_trunc('hour', $2::timestamptz - n * interval '1 minute', 'UTC'),
		'Type' || n % 300, 'value' || n, 'it failed'
	from generate_series(1, 20000) n returning id),
prints as (
	insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
	select $1::uuid, gen_random_uuid(), id, 1 from made cross join generate_series(1, 3) returning fingerprint),
numbered as (select fingerprint, row_number() over () as n from prints),
hours as (
	insert into mesher.issue_hourly_counts (project_id, fingerprint, hour, events)
	select $1::uuid, fingerprint, date_trunc('hour', $2::timestamptz, 'UTC') - h * interval '5 hours', 1 from numbered cross join generate_series(0, 4) h),
users as (
	insert into mesher.issue_users (project_id, fingerprint, user_hash, seen_hour)
	select $1::uuid, fingerprint, substring(encode(sha256(uuid_send($1::uuid) || (n % 5000)::text::bytea), 'hex') for 32)::uuid, $2::timestamptz from numbered)
insert into mesher.issue_tags (project_id, fingerprint, key, value, seen_hour)
select $1::uuid, fingerprint, key, value, $2::timestamptz from numbered cross join lateral (values
	('environment', case when n % 10 = 0 then 'staging' else 'production' end), ('release', 'r' || n % 50), ('region', 'x' || n % 2000)) t (key, value)`

// TestPlans holds queries to indexes.
func TestPlans(t *testing.T) {
	t.Parallel()
	f := setup(t)
	other := f.newProject(t, "other")
	for _, p := range []uuid.UUID{f.project.ID, other.ID} {
		_, err := f.admin.Exec(t.Context(), crowdSQL, p, f.now)
		must(t, err)
	}
	f.Exec(t, "vacuum analyze mesher.issues, mesher.issue_fingerprints, mesher.issue_tags, mesher.issue_hourly_counts, mesher.issue_users")
	tag := func(key, value string) []issue.TagValue { return []issue.TagValue{{Key: key, Value: value}} }
	all := issue.AnyStatus
	for _, tt := range []struct {
		name   string
		filter issue.Filter
		sort   issue.Sort
		uses   string
	}{
		{"the usual list", issue.Filter{}, "", "issues_active_hour_idx"},
		{"every status", issue.Filter{Status: all}, "", "issues_active_hour_idx"},
		{"by first seen", issue.Filter{Status: all}, issue.ByFirstSeen, "issues_first_seen_idx"},
		{"by first seen, unresolved", issue.Filter{}, issue.ByFirstSeen, "issues_first_seen_idx"},
		{"a tag that few have", issue.Filter{Tags: tag("region", "x8")}, "", "issue_tags_value_idx"},
		{"a tag that few have, every status", issue.Filter{Status: all, Tags: tag("region", "x8")}, "", "issue_tags_value_idx"},
		{"a tag that most have", issue.Filter{Environment: "production"}, "", "issue_tags"},
		{"a tag that some have", issue.Filter{Release: "r7"}, "", "issue_tags"},
		{"tags of both kinds", issue.Filter{Environment: "production", Release: "r8", Tags: tag("region", "x8")}, "", "issue_tags"},
		{"a tag that none has", issue.Filter{Tags: tag("region", "none")}, "", "issue_tags_value_idx"},
		{"a user", issue.Filter{User: "8"}, "", "issue_users_user_hash_idx"},
		{"a rare word", issue.Filter{Search: "value777"}, "", "issues_search_idx"},
		{"a frequent word", issue.Filter{Search: "failed"}, "", "issues"},
		{"a span", issue.Filter{Since: f.now.Add(-6 * time.Hour), Until: f.now.Add(-4 * time.Hour)}, "", "issue_hourly_counts_pkey"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := issue.Request{Sort: tt.sort, Limit: 50}
			for page := range 2 {
				e := &explainer{DB: f.app}
				p, err := issue.List(t.Context(), e, f.project.ID, tt.filter, r)
				must(t, err)
				if nobody := tt.name == "a tag that none has"; nobody != (len(p.Issues) == 0) {
					t.Errorf("%d issues", len(p.Issues))
				}
				e.check(t, fmt.Sprint("page ", page), tt.uses)
				if r.Cursor = p.Next; p.Next == "" {
					break
				}
			}
		})
	}
	t.Run("one issue", func(t *testing.T) {
		p, err := issue.List(t.Context(), f.app, f.project.ID, issue.Filter{}, issue.Request{Limit: 1})
		must(t, err)
		e := &explainer{DB: f.app}
		_, err = issue.Find(t.Context(), e, f.project.ID, p.Issues[0].ID)
		must(t, err)
		e.check(t, "it", "issues_pkey")
	})
}

// check fails when a plan reads a whole table, or the first does not use something.
func (e *explainer) check(t *testing.T, what, uses string) {
	t.Helper()
	for _, plan := range e.plans {
		if strings.Contains(plan, "Seq Scan on issue") {
			t.Errorf("%s reads a whole table:\n%s", what, plan)
		}
	}
	if !strings.Contains(e.plans[0], uses) {
		t.Errorf("%s does not use %s:\n%s", what, uses, e.plans[0])
	}
	if testing.Verbose() {
		t.Logf("%s:\n%s", what, e.plans[0])
	}
}
