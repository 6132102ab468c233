package issue_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// floodSQL stores events of a project: $3 of them on each of the $4 days up to $2. A fifth is of the three fingerprints of the
// issue Hot, one a day of the issue Rare up to the 30th day, the others of 1,000 fingerprints without an issue.
const floodSQL = `
with made as (
	select d, n, date_trunc('milliseconds', $2::timestamptz - d * interval '1 day' - n * interval '1 second') as at,
		case when n % 5 = 0 then md5('hot' || n / 5 % 3) when n = 1 and d >= 30 then md5('rare') else md5('cold' || (d + n) % 1000) end::uuid as fingerprint,
		md5(d || '-' || n) as noise
	from generate_series(0, $4::int - 1) d cross join generate_series(1, $3::int) n),
seen as (
	insert into mesher.issues (project_id, id, title, level, event_count, first_seen, last_seen, active_hour)
	select $1::uuid, md5(name || $1::text)::uuid, name, 'error', 1, $2::timestamptz - days * interval '1 day', $2::timestamptz, date_trunc('hour', $2::timestamptz, 'UTC')
	from (values ('hot', $4::int), ('rare', $4::int)) v (name, days)),
prints as (
	insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
	select $1::uuid, md5(print)::uuid, md5(name || $1::text)::uuid, 1
	from (values ('hot', 'hot0'), ('hot', 'hot1'), ('hot', 'hot2'), ('rare', 'rare')) v (name, print))
insert into mesher.events (project_id, received_at, id, event_id, fingerprint, occurred_at, level, message, environment, release, user_id, trace_id, tags, extra)
select $1::uuid, at, (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || left(noise, 3) || '8' || right(noise, 15))::uuid,
	md5('client' || noise)::uuid, fingerprint, at, (array['error', 'error', 'warning', 'info'])[1 + n % 4], 'it failed',
	case when n % 10 = 0 then 'staging' else 'production' end, 'r' || d / 7, 'u' || n % 5000, noise, '{"region": "eu", "shard": "7"}', '{}'
from made`

// flooded returns a fixture with many events on 60 days, and its issues.
func flooded(t *testing.T) (f *fixture, hot, rare uuid.UUID) {
	t.Helper()
	f = setup(t)
	_, err := postgres.EnsurePartitions(t.Context(), f.store, f.now.AddDate(0, 0, -62), f.now)
	must(t, err)
	other := f.newProject(t, "other")
	for project, daily := range map[uuid.UUID]int{f.project.ID: 4000, other.ID: 500} {
		_, err := f.admin.Exec(t.Context(), floodSQL, project, f.now, daily, 60)
		must(t, err)
	}
	f.Exec(t, "vacuum analyze mesher.events, mesher.issue_fingerprints, mesher.issues")
	must(t, f.admin.QueryRow(t.Context(), "select id from mesher.issues where project_id = $1 and title = 'hot'", f.project.ID).Scan(&hot))
	must(t, f.admin.QueryRow(t.Context(), "select id from mesher.issues where project_id = $1 and title = 'rare'", f.project.ID).Scan(&rare))
	return f, hot, rare
}

var partitionScan = regexp.MustCompile(`(?m)^.*Scan.* on (events_\d{8})\b.*$`)

// partitions returns how many partitions a plan names, and how many of those it read.
func partitions(plan string) (named, read int) {
	names, done := map[string]bool{}, map[string]bool{}
	for _, m := range partitionScan.FindAllStringSubmatch(plan, -1) {
		names[m[1]] = true
		if !strings.Contains(m[0], "never executed") {
			done[m[1]] = true
		}
	}
	return len(names), len(done)
}

// readWhole reports whether a plan reads a large partition as a whole.
func readWhole(plan string, large []string) bool {
	for _, m := range partitionScan.FindAllStringSubmatch(plan, -1) {
		if strings.Contains(m[0], "Seq Scan") && slices.Contains(large, m[1]) {
			return true
		}
	}
	return false
}

const wholesale = "events of a trace"

// TestEventPlans holds queries of events to indexes, and to the partitions that they need.
func TestEventPlans(t *testing.T) {
	t.Parallel()
	f, hot, rare := flooded(t)
	ctx, id := t.Context(), f.project.ID
	// Of a partition with next to nothing in it, reading all is the best plan.
	large := strings.Split(f.text(t, "select string_agg(relname, ' ') from pg_class where relname ~ '^events_\\d{8}$' and reltuples > 1000"), " ")
	if len(large) < 58 {
		t.Fatalf("%d large partitions", len(large))
	}
	latest, err := issue.LatestEvent(ctx, f.app, id, hot)
	must(t, err)
	old, err := issue.OldestEvent(ctx, f.app, id, hot)
	must(t, err)
	list := func(db issue.DB, f issue.EventFilter) error {
		_, err := issue.ListIssueEvents(ctx, db, id, hot, f, page.Request{Limit: 50})
		return err
	}
	all := func(db issue.DB, f issue.EventFilter) error {
		_, err := issue.ListEvents(ctx, db, id, f, page.Request{Limit: 50})
		return err
	}
	for _, tt := range []struct {
		name        string
		do          func(db issue.DB) error
		named, read int // most partitions in any plan; more than 30 are only named where little is found
	}{
		{"events of an issue", func(db issue.DB) error { return list(db, issue.EventFilter{}) }, 4, 4},
		{"events of an issue, further down", func(db issue.DB) error {
			_, err := issue.ListIssueEvents(ctx, db, id, hot, issue.EventFilter{}, page.Request{Limit: 50, After: page.Mark{At: f.now.AddDate(0, 0, -20)}})
			return err
		}, 3, 3},
		{"events of an issue and environment", func(db issue.DB) error { return list(db, issue.EventFilter{Environment: "staging"}) }, 4, 4},
		{"events of an issue and a release that it has not", func(db issue.DB) error { return list(db, issue.EventFilter{Release: "none"}) }, 33, 33},
		{"events of an issue in a span", func(db issue.DB) error {
			return list(db, issue.EventFilter{Since: f.now.AddDate(0, 0, -11), Until: f.now.AddDate(0, 0, -10)})
		}, 3, 3},
		{"events of a rare issue", func(db issue.DB) error {
			_, err := issue.ListIssueEvents(ctx, db, id, rare, issue.EventFilter{}, page.Request{Limit: 50})
			return err
		}, 63, 63},
		{"an event by its id", func(db issue.DB) error {
			_, err := issue.FindEvent(ctx, db, id, old.ID, time.Time{})
			return err
		}, 4, 4},
		{"an event by the client's id", func(db issue.DB) error {
			_, err := issue.FindEvent(ctx, db, id, latest.EventID, time.Time{})
			return err
		}, 4, 4},
		{"an old event by the client's id", func(db issue.DB) error {
			_, err := issue.FindEvent(ctx, db, id, old.EventID, time.Time{})
			return err
		}, 33, 33},
		{"an old event by the client's id and a day", func(db issue.DB) error {
			_, err := issue.FindEvent(ctx, db, id, old.EventID, old.ReceivedAt)
			return err
		}, 4, 4},
		{"the latest event", func(db issue.DB) error { _, err := issue.LatestEvent(ctx, db, id, hot); return err }, 4, 4},
		{"the oldest event", func(db issue.DB) error { _, err := issue.OldestEvent(ctx, db, id, hot); return err }, 4, 4},
		{"the grouping", func(db issue.DB) error { _, err := issue.ExplainGrouping(ctx, db, id, hot, nil); return err }, 4, 4},
		{"events of the project", func(db issue.DB) error { return all(db, issue.EventFilter{}) }, 3, 3},
		{"events of a level", func(db issue.DB) error { return all(db, issue.EventFilter{Level: "warning"}) }, 3, 3},
		// Looks at 5,000 events, more than a partition has here, so that reading one as a whole may be best.
		{wholesale, func(db issue.DB) error { return all(db, issue.EventFilter{TraceID: strings.Repeat("0", 32)}) }, 8, 8},
		{"tags of an issue", func(db issue.DB) error { _, err := issue.ListTagShares(ctx, db, id, hot); return err }, 4, 4},
		{"an overview", func(db issue.DB) error {
			_, err := issue.ReadOverview(ctx, db, id, issue.ThirtyDays, f.now)
			return err
		}, 3, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &explainer{DB: f.app}
			must(t, tt.do(e))
			if len(e.plans) == 0 {
				t.Fatal("nothing was asked")
			}
			for _, plan := range e.plans {
				named, read := partitions(plan)
				if named > tt.named || read > tt.read || tt.name != wholesale && readWhole(plan, large) {
					t.Errorf("%d partitions are planned for and %d are read; want at most %d and %d, by indexes:\n%s", named, read, tt.named, tt.read, plan)
				}
			}
		})
	}
}

// TestOverviewPlans holds what is read beside events to indexes.
func TestOverviewPlans(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, p := range []uuid.UUID{f.project.ID, f.newProject(t, "other").ID} {
		_, err := f.admin.Exec(t.Context(), crowdSQL, p, f.now)
		must(t, err)
		_, err = f.admin.Exec(t.Context(), `
			with minutes as (
				insert into mesher.usage (project_id, minute, accepted)
				select $1::uuid, date_trunc('minute', $2::timestamptz) - n * interval '1 minute', 1 from generate_series(0, 20000) n),
			hours as (
				insert into mesher.project_hourly_counts (project_id, hour, level, events)
				select $1::uuid, date_trunc('hour', $2::timestamptz) - n * interval '1 hour', 'error', 1 from generate_series(0, 5000) n)
			insert into mesher.releases (project_id, version, first_seen)
			select $1::uuid, 'v' || n, $2::timestamptz - n * interval '1 minute' from generate_series(0, 5000) n`, p, f.now)
		must(t, err)
	}
	f.Exec(t, "vacuum analyze")
	ctx, id := t.Context(), f.project.ID
	for _, tt := range []struct {
		name string
		do   func(db issue.DB) error
		uses string // by the first query
	}{
		{"keys of tags", func(db issue.DB) error {
			_, err := issue.ListTags(ctx, db, id, issue.TagQuery{Limit: 50})
			return err
		}, "Index Only Scan using issue_tags_value_idx"},
		{"values of a tag", func(db issue.DB) error {
			_, err := issue.ListTags(ctx, db, id, issue.TagQuery{Key: "region", Search: "99", Limit: 50})
			return err
		}, "Index Only Scan using issue_tags_value_idx"},
		{"releases", func(db issue.DB) error {
			_, err := issue.ListReleases(ctx, db, id, "", page.Request{Limit: 50})
			return err
		}, "releases_first_seen_idx"},
		{"usage", func(db issue.DB) error {
			_, err := issue.ReadUsage(ctx, db, id, issue.UsageSpan{Step: issue.ByHour}, f.now)
			return err
		}, "usage_pkey"},
		{"an overview", func(db issue.DB) error { _, err := issue.ReadOverview(ctx, db, id, issue.OneDay, f.now); return err }, "usage_pkey"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &explainer{DB: f.app}
			must(t, tt.do(e))
			e.check(t, "it", tt.uses)
			for _, plan := range e.plans {
				for _, table := range []string{"releases", "usage ", "project_hourly_counts"} {
					if strings.Contains(plan, "Seq Scan on "+table) {
						t.Errorf("it reads the whole of %s:\n%s", table, plan)
					}
				}
			}
		})
	}
}
