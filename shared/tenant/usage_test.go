package tenant_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// report reports as Ingest does.
func (f *fixture) report(t *testing.T, r tenant.UsageReport) tenant.UsageState {
	t.Helper()
	state, err := tenant.ReportUsage(t.Context(), f.ingest, r)
	must(t, err)
	return state
}

func (f *fixture) usage(t *testing.T, project uuid.UUID) tenant.Usage {
	t.Helper()
	var u tenant.Usage
	must(t, f.admin.QueryRow(t.Context(), `
		select coalesce(sum(accepted), 0)::bigint, coalesce(sum(rejected), 0)::bigint, coalesce(sum(dropped), 0)::bigint,
		       coalesce(sum(rate_limited), 0)::bigint, coalesce(sum(over_quota), 0)::bigint, coalesce(sum(filtered), 0)::bigint
		from mesher.usage where project_id = $1`, project).
		Scan(&u.Accepted, &u.Rejected, &u.Dropped, &u.RateLimited, &u.OverQuota, &u.Filtered))
	return u
}

// list returns the rows of a query as text.
func (f *fixture) list(t *testing.T, sql string, args ...any) []string {
	t.Helper()
	var out []string
	must(t, f.admin.QueryRow(t.Context(), "select coalesce(array_agg(row order by row), '{}') from ("+sql+") as r (row)", args...).Scan(&out))
	return out
}

func TestReportUsage(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, id := f.newKey(t, f.project.ID, "")
	at := time.Date(2026, 3, 31, 23, 59, 58, 0, time.UTC)
	one := tenant.UsageReport{
		At: at,
		Minutes: []tenant.MinuteUsage{
			{Project: f.project.ID, At: at, Usage: tenant.Usage{Accepted: 3, Rejected: 2, Dropped: 1, RateLimited: 4, OverQuota: 5, Filtered: 6}},
			{Project: f.project.ID, At: at.Add(-time.Minute), Usage: tenant.Usage{Accepted: 1}},
			{Project: f.project.ID, At: at.Add(2 * time.Second), Usage: tenant.Usage{Accepted: 10}},
		},
		Items: []tenant.ItemUsage{
			{Project: f.project.ID, At: at, Type: "session", Items: 7},
			{Project: f.project.ID, At: at.Add(2 * time.Second), Type: "session", Items: 1},
			{Project: f.project.ID, At: at, Type: "span", Items: 2},
		},
		Keys: map[uuid.UUID]time.Time{id: at, uuid.New(): at}, // one was deleted
	}
	f.report(t, one)
	one.Keys[id] = at.Add(-time.Minute) // a slower instance reports later
	f.report(t, one)
	if diff := cmp.Diff(tenant.Usage{Accepted: 28, Rejected: 4, Dropped: 2, RateLimited: 8, OverQuota: 10, Filtered: 12}, f.usage(t, f.project.ID)); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
	for what, tt := range map[string]struct {
		sql  string
		want []string
	}{
		"minutes": {
			"select to_char(minute at time zone 'utc', 'HH24:MI ') || accepted from mesher.usage",
			[]string{"00:00 20", "23:58 2", "23:59 6"},
		},
		"months": {"select month::text || ' ' || accepted from mesher.usage_months", []string{"2026-03-01 8", "2026-04-01 20"}},
		"items": {
			"select to_char(hour at time zone 'utc', 'HH24 ') || type || ' ' || items from mesher.usage_items",
			[]string{"00 session 2", "23 session 14", "23 span 4"},
		},
		"keys": {"select (last_used_at at time zone 'utc')::text from mesher.api_keys where last_used_at is not null", []string{"2026-03-31 23:59:58"}},
	} {
		if diff := cmp.Diff(tt.want, f.list(t, tt.sql)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	f.report(t, tenant.UsageReport{At: at})
}

func TestReportUsage_TellsTheMonth(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	sister, err := tenant.EnsureProject(ctx, f.admin, f.project.OrganizationID, "Sister", "sister")
	must(t, err)
	rival := f.rival(t)
	at := time.Date(2026, 3, 31, 23, 59, 58, 0, time.UTC)
	report := tenant.UsageReport{At: at, Budgets: []uuid.UUID{f.project.ID, sister.ID, rival.ID, uuid.New()}}
	for i, p := range []tenant.Project{f.project, sister, rival} {
		for _, m := range []time.Time{at, at.AddDate(0, -1, -5)} {
			report.Minutes = append(report.Minutes, tenant.MinuteUsage{Project: p.ID, At: m, Usage: tenant.Usage{Accepted: int64(i + 1), Filtered: 9}})
		}
	}
	march := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	check := func(report tenant.UsageReport, want map[uuid.UUID]tenant.MonthUsage) {
		t.Helper()
		got := f.report(t, report).Months
		for id, m := range got {
			m.Month = m.Month.UTC()
			got[id] = m
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("months (-want +got):\n%s", diff)
		}
	}
	check(report, map[uuid.UUID]tenant.MonthUsage{f.project.ID: {march, 1, 0}, sister.ID: {march, 2, 0}, rival.ID: {march, 3, 0}})
	_, err = f.admin.Exec(ctx, "update mesher.organizations set monthly_budget = 1000 where id = $1", f.project.OrganizationID)
	must(t, err)
	check(report, map[uuid.UUID]tenant.MonthUsage{f.project.ID: {march, 2, 6}, sister.ID: {march, 4, 6}, rival.ID: {march, 6, 0}})
	report.Budgets = report.Budgets[:1] // the organization's other projects count although nobody asks for them
	check(report, map[uuid.UUID]tenant.MonthUsage{f.project.ID: {march, 3, 9}})
	check(tenant.UsageReport{At: at.Add(2 * time.Second), Budgets: report.Budgets},
		map[uuid.UUID]tenant.MonthUsage{f.project.ID: {march.AddDate(0, 1, 0), 0, 0}})
}

func TestReportUsage_SharesLimits(t *testing.T) {
	t.Parallel()
	f := setup(t)
	subject := uuid.New()
	start := time.Date(2026, 3, 31, 23, 59, 0, 0, time.UTC)
	instances := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	claim := func(instance int, after time.Duration, accepted int64, demand float64) tenant.Share {
		t.Helper()
		state := f.report(t, tenant.UsageReport{Instance: instances[instance], At: start.Add(after), Claims: []tenant.Claim{
			{Subject: subject, Limit: 1000, Accepted: accepted, Demand: demand},
			{Subject: uuid.New(), Limit: 10, Accepted: 0, Demand: 1},
		}})
		if len(state.Shares) != 2 {
			t.Fatalf("%d shares", len(state.Shares))
		}
		return state.Shares[subject]
	}
	for i, step := range []struct {
		instance int
		after    time.Duration
		accepted int64
		demand   float64
		want     tenant.Share
	}{
		{0, 0, 100, 10, tenant.Share{Most: 1000, Part: 1, Room: 900}},                             // alone
		{1, 0, 0, 0, tenant.Share{Most: 0, Part: 0.1, Room: 0}},                                   // the first has everything
		{0, 5 * time.Second, 200, 10, tenant.Share{Most: 920, Part: 0.9, Room: 800}},              // is sent all, but is not alone
		{1, 5 * time.Second, 0, 10, tenant.Share{Most: 40, Part: 0.5, Room: 80}},                  // gets half of what is not claimed
		{0, 10 * time.Second, 300, 10, tenant.Share{Most: 630, Part: 0.5, Room: 660}},             // and the first lets go of more
		{0, 30 * time.Second, 400, 10, tenant.Share{Most: 1000, Part: 1, Room: 600}},              // the other says nothing for 25 s; it accepted nothing
		{1, 31 * time.Second, 40, 10, tenant.Share{Most: 40, Part: 0.5, Room: 0}},                 // and comes back
		{0, 60 * time.Second, 0, 10, tenant.Share{Most: 1000, Part: 1, Room: 1000}},               // a minute later, the other silent
		{1, 61 * time.Second, 0, 10, tenant.Share{Most: 0, Part: 0.5, Room: 0}},                   // everything is claimed
		{0, 66 * time.Second, 10, 10, tenant.Share{Most: 505, Part: 0.5, Room: 990}},              //
		{1, 116 * time.Second, 5, 10, tenant.Share{Most: 990, Part: 1, Room: 985}},                // the first is silent: what it accepted counts
		{0, 117 * time.Second, 10, 10, tenant.Share{Most: 10, Part: 0.5, Room: 0}},                //
		{0, 121 * time.Second, 0, 10, tenant.Share{Most: 0, Part: 0.5, Room: 0}},                  // the other had all for itself, and may use it until it reports
		{1, 122 * time.Second, 50, 10, tenant.Share{Most: 525, Part: 0.5, Room: 950}},             //
		{2, 123 * time.Second, 0, 0, tenant.Share{Most: 32, Part: 0.2 / 3, Room: 1000 - 525 - 0}}, // a newcomer gets something
	} {
		got := claim(step.instance, step.after, step.accepted, step.demand)
		got.Part, step.want.Part = round(got.Part), round(step.want.Part)
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
	claim(0, 10*time.Minute, 0, 1)
	if n := f.list(t, "select count(*)::text from mesher.limit_shares, jsonb_object_keys(instances) where subject = $1", subject); n[0] != "1" {
		t.Errorf("%s instances are remembered", n)
	}
}

func round(x float64) float64 { return float64(int(x*1000+0.5)) / 1000 }

// TestReportUsage_Together has many instances report on the same projects, keys and limits at the same time.
func TestReportUsage_Together(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var (
		keys     []uuid.UUID
		projects []uuid.UUID
	)
	for range 100 {
		projects = append(projects, uuid.New())
		_, id := f.newKey(t, f.project.ID, "")
		keys = append(keys, id)
	}
	const instances, times = 8, 15
	start := time.Date(2026, 1, 31, 23, 59, 0, 0, time.UTC)
	var wg sync.WaitGroup
	for i := range instances {
		pool := f.Pool(t, pgtest.Ingest)
		wg.Go(func() {
			for n := range times {
				// Each knows some of the keys only, so that no two statements look the same to the planner.
				report := tenant.UsageReport{Instance: uuid.New(), At: start.Add(time.Duration(n) * 5 * time.Second), Keys: map[uuid.UUID]time.Time{}}
				for _, k := range keys[:len(keys)/(1+i%4)] {
					report.Keys[k] = report.At
				}
				for p := range projects {
					id := projects[(p*[]int{1, 3, 7, 9, 11, 13, 17, 19}[i]+n)%len(projects)] // in another order each
					report.Minutes = append(report.Minutes, tenant.MinuteUsage{Project: id, At: report.At, Usage: tenant.Usage{Accepted: 1, Dropped: 2}})
					report.Items = append(report.Items, tenant.ItemUsage{Project: id, At: report.At, Type: "session", Items: 3})
					report.Claims = append(report.Claims, tenant.Claim{Subject: id, Limit: 1000, Demand: 1})
				}
				if _, err := tenant.ReportUsage(t.Context(), pool, report); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, p := range projects {
		want := tenant.Usage{Accepted: instances * times, Dropped: 2 * instances * times}
		if diff := cmp.Diff(want, f.usage(t, p)); diff != "" {
			t.Fatalf("usage (-want +got):\n%s", diff)
		}
	}
	for sql, want := range map[string]string{
		"select sum(accepted)::text from mesher.usage_months": fmt.Sprint(100 * instances * times),
		"select sum(items)::text from mesher.usage_items":     fmt.Sprint(300 * instances * times),
	} {
		if got := f.list(t, sql); got[0] != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

func TestFindAccess_BringsSettings(t *testing.T) {
	t.Parallel()
	f := setup(t)
	key, _ := f.newKey(t, f.project.ID, "rate_limit = 7")
	f.Exec(t, `update mesher.projects set allowed_origins = '{https://a.example}', sample_rate = 0.25, rate_limit = 8, monthly_budget = 9,
		otlp_severity = 13, grouping_rules = '[{"fingerprint": ["x"]}]', scrub_rules = '{"emails": true}'`,
		`insert into mesher.usage_months select id, date_trunc('month', now() at time zone 'utc')::date, 5 from mesher.projects`,
		`insert into mesher.usage_months select id, date_trunc('month', now() at time zone 'utc')::date - 1, 100 from mesher.projects`)
	month := time.Now().UTC()
	month = time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, time.UTC)
	got, err := f.find(t, key)
	must(t, err)
	want := tenant.Access{
		KeyID: got.KeyID, ProjectID: f.project.ID, ProjectNumber: f.project.Number, OrganizationID: f.project.OrganizationID,
		AllowedOrigins: []string{"https://a.example"}, SampleRate: 0.25, KeyRateLimit: 7, RateLimit: 8, MonthlyBudget: 9, OTLPSeverity: 13,
		GroupingRules: []byte(`[{"fingerprint": ["x"]}]`), ScrubRules: []byte(`{"emails": true}`), SettingsAt: got.SettingsAt,
		Used: tenant.MonthUsage{Month: month, Project: 5},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("access (-want +got):\n%s", diff)
	}
	f.Exec(t, "update mesher.organizations set monthly_budget = 11")
	got, err = f.find(t, key)
	if want := (tenant.MonthUsage{Month: month, Project: 5, Organization: 5}); err != nil || got.OrganizationBudget != 11 || got.Used != want {
		t.Errorf("budget %d, used %+v, %v", got.OrganizationBudget, got.Used, err)
	}
}

func TestFindAccess_BringsDiscardedFingerprints(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, `insert into mesher.issues (project_id, id, title, level, status, first_seen, last_seen, active_hour)
			select p.id, gen_random_uuid(), 'x', 'error', s, now(), now(), now() from mesher.projects p, unnest('{discarded,ignored}'::text[]) s`,
		`insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
			select i.project_id, md5(status || n)::uuid, id, 1 from mesher.issues i, generate_series(1, 3) n`)
	got, err := f.find(t, f.key)
	must(t, err)
	var found []string
	for _, id := range got.Discarded {
		found = append(found, id.String())
	}
	if diff := cmp.Diff(f.list(t, "select md5('discarded' || n)::uuid::text from generate_series(1, 3) n"), found); diff != "" {
		t.Errorf("discarded (-want +got):\n%s", diff)
	}
	f.Exec(t, `insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
		select i.project_id, gen_random_uuid(), id, 1 from mesher.issues i, generate_series(1, 2000) n`)
	if got, err := f.find(t, f.key); err != nil || len(got.Discarded) != 1000 {
		t.Errorf("%d fingerprints, %v", len(got.Discarded), err)
	}
}
