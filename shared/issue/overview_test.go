package issue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/page"
)

func TestListTagShares(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.open(t, f.project.ID, "a", "b")
	for n := range 4 {
		f.send(t, f.project.ID, sent{
			print: string("ab"[n%2]), at: f.now.Add(-time.Duration(n) * time.Hour), environment: "production",
			user: fmt.Sprint(n % 3), tags: `{"environment": "production", "region": "eu"}`,
		})
	}
	got, err := issue.ListTagShares(t.Context(), f.app, f.project.ID, id)
	must(t, err)
	want := issue.TagShares{Events: 4, Tags: []issue.TagCounts{
		{Key: "environment", Events: 4, Values: 1, Top: []issue.ValueCount{{Value: "production", Events: 4, Share: 1}}},
		{Key: "level", Events: 4, Values: 1, Top: []issue.ValueCount{{Value: "error", Events: 4, Share: 1}}},
		{Key: "region", Events: 4, Values: 1, Top: []issue.ValueCount{{Value: "eu", Events: 4, Share: 1}}},
		{Key: "user", Events: 4, Values: 3, Top: []issue.ValueCount{
			{Value: "0", Events: 2, Share: 0.5}, {Value: "1", Events: 1, Share: 0.25}, {Value: "2", Events: 1, Share: 0.25},
		}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	t.Run("says that it is a sample", func(t *testing.T) {
		_, err := f.admin.Exec(t.Context(), floodSQL, f.project.ID, f.now, 2600, 2)
		must(t, err)
		hot := uuid.MustParse(f.text(t, "select id from mesher.issues where title = 'hot'"))
		got, err := issue.ListTagShares(t.Context(), f.app, f.project.ID, hot)
		must(t, err)
		if got.Events != 1000 || !got.Sample {
			t.Errorf("%d events, sample %v", got.Events, got.Sample)
		}
	})
}

func TestListTags(t *testing.T) {
	t.Parallel()
	f := setup(t)
	other := f.newProject(t, "other").ID
	for _, p := range []uuid.UUID{f.project.ID, other} {
		_, err := f.admin.Exec(t.Context(), `
			insert into mesher.issue_tags (project_id, fingerprint, key, value, seen_hour)
			select $1::uuid, gen_random_uuid(), k, left($1::text, 0) || k || n, now()
			from unnest(array['alpha', 'beta', 'gamma']) k cross join generate_series(1, 12) n cross join generate_series(1, 3)
			union all select $1::uuid, gen_random_uuid(), 'project', $1::text, now()`, p)
		must(t, err)
	}
	all, err := issue.ListTags(t.Context(), f.app, f.project.ID, issue.TagQuery{Limit: 50})
	must(t, err)
	if len(all.Items) != 4 || all.More || len(all.Items[0].Values) != 10 || !all.Items[0].More ||
		cmp.Diff(issue.KnownTag{Key: "project", Values: []string{f.project.ID.String()}}, all.Items[3]) != "" {
		t.Errorf("%+v", all)
	}
	for name, tt := range map[string]struct {
		q    issue.TagQuery
		want issue.KnownTags
	}{
		"a value":   {issue.TagQuery{Key: "beta", Search: "A12", Limit: 5}, issue.KnownTags{Items: []issue.KnownTag{{Key: "beta", Values: []string{"beta12"}}}}},
		"too many":  {issue.TagQuery{Key: "beta", Search: "BETA1", Limit: 2}, issue.KnownTags{More: true, Items: []issue.KnownTag{{Key: "beta", Values: []string{"beta1", "beta10"}, More: true}}}},
		"a key":     {issue.TagQuery{Search: "PROJ", Limit: 5}, issue.KnownTags{Items: []issue.KnownTag{{Key: "project", Values: []string{f.project.ID.String()}}}}},
		"no key":    {issue.TagQuery{Key: "delta", Limit: 5}, issue.KnownTags{Items: []issue.KnownTag{}}},
		"no values": {issue.TagQuery{Key: "beta", Search: "x", Limit: 5}, issue.KnownTags{Items: []issue.KnownTag{}}},
	} {
		got, err := issue.ListTags(t.Context(), f.app, f.project.ID, tt.q)
		must(t, err)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestListReleases(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, err := f.admin.Exec(t.Context(), `
		insert into mesher.releases (project_id, version, first_seen)
		select $1::uuid, 'Shop@' || n, $2::timestamptz - n / 4 * interval '1 hour' from generate_series(0, 19) n`, f.project.ID, f.now)
	must(t, err)
	seen := map[string]bool{}
	last := f.now
	for r := (page.Request{Limit: 3}); ; {
		p, err := issue.ListReleases(t.Context(), f.app, f.project.ID, "", r)
		must(t, err)
		for _, v := range p.Rows {
			if seen[v.Version] || v.FirstSeen.After(last) {
				t.Errorf("%s comes twice or too late", v.Version)
			}
			seen[v.Version], last = true, v.FirstSeen
		}
		if r.After = p.Next; p.Next == (page.Mark{}) {
			break
		}
	}
	if len(seen) != 20 {
		t.Errorf("%d releases", len(seen))
	}
	p, err := issue.ListReleases(t.Context(), f.app, f.project.ID, "shop@7", page.Request{Limit: 9})
	must(t, err)
	if len(p.Rows) != 1 || p.Rows[0].Version != "Shop@7" {
		t.Errorf("%+v", p.Rows)
	}
}

func TestReadUsage(t *testing.T) {
	t.Parallel()
	f := setup(t)
	now := f.now
	_, err := f.admin.Exec(t.Context(), `
		insert into mesher.usage (project_id, minute, accepted, stored, duplicates, rejected, dropped, rate_limited, over_quota, filtered, expired, dead_lettered)
		select $1::uuid, date_trunc('minute', $2::timestamptz) - n * interval '30 minutes', 10, 9, 8, 7, 6, 5, 4, 3, 2, 1 from generate_series(0, 5) n`, f.project.ID, now)
	must(t, err)
	_, err = f.admin.Exec(t.Context(), `
		insert into mesher.usage_items (project_id, hour, type, items) values ($1::uuid, date_trunc('hour', $2::timestamptz), 'session', 5),
			($1::uuid, date_trunc('hour', $2::timestamptz), 'transaction', 6)`, f.project.ID, now)
	must(t, err)
	got, err := issue.ReadUsage(t.Context(), f.app, f.project.ID, issue.UsageSpan{Step: issue.ByHour}, now)
	must(t, err)
	total := issue.Outcomes{Accepted: 60, Stored: 54, Duplicates: 48, Rejected: 42, Dropped: 36, RateLimited: 30, OverQuota: 24, Filtered: 18, Expired: 12, DeadLettered: 6}
	if diff := cmp.Diff(total, got.Total); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]issue.ItemCount{{Type: "transaction", Items: 6}, {Type: "session", Items: 5}}, got.Items); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(got.Steps) != 24 || got.Steps[22].Accepted != 20 || !got.Steps[23].At.Equal(now.Truncate(time.Hour)) {
		t.Errorf("%+v", got.Steps)
	}
	for _, s := range []issue.UsageSpan{
		{Step: "week"}, {Step: issue.ByDay, Since: now.AddDate(0, 0, -100)}, {Step: issue.ByMinute, Since: now.Add(time.Hour)},
	} {
		_, err := issue.ReadUsage(t.Context(), f.app, f.project.ID, s, now)
		wants(t, fmt.Sprint(s), err, fault.Invalid, "")
	}
}

func TestReadMonth(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, err := f.admin.Exec(t.Context(), `
		insert into mesher.usage_months (project_id, month, accepted)
		values ($1::uuid, date '2026-11-01', 7), ($1::uuid, date '2026-10-01', 100), ($2::uuid, date '2026-11-01', 50)`,
		f.project.ID, f.newProject(t, "other").ID)
	must(t, err)
	f.Exec(t, "update mesher.organizations set monthly_budget = 1000", "update mesher.projects set monthly_budget = 500")
	got, err := issue.ReadMonth(t.Context(), f.app, f.project.OrganizationID, time.Date(2026, 11, 30, 23, 59, 0, 0, time.UTC))
	must(t, err)
	want := issue.MonthUsage{
		OrganizationID: f.project.OrganizationID, Month: "2026-11-01", Accepted: 7, Budget: 1000,
		Projects: []issue.ProjectUsage{{ProjectID: f.project.ID, Name: f.project.Name, Accepted: 7, Budget: 500}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadOverview(t *testing.T) {
	t.Parallel()
	f := setup(t)
	hour := f.now.Truncate(time.Hour)
	busy := f.open(t, f.project.ID, "a", "b")
	calm := f.open(t, f.project.ID, "c")
	f.open(t, f.newProject(t, "other").ID, "a")
	f.send(t, f.project.ID, sent{print: "a", at: hour, environment: "production"}, sent{print: "c", at: hour.AddDate(0, 0, -3), environment: "old"})
	_, err := f.admin.Exec(t.Context(), `
		with prints as (
			insert into mesher.issue_hourly_counts (project_id, fingerprint, hour, events)
			values ($1::uuid, $3::uuid, $2, 5), ($1::uuid, $4::uuid, $2, 4), ($1::uuid, $5::uuid, $2, 3), ($1::uuid, $5::uuid, $2 - interval '3 days', 100)),
		news as (update mesher.issues set first_seen = $2, regressed_at = $2 where id = $6::uuid)
		insert into mesher.project_hourly_counts (project_id, hour, level, events)
		values ($1::uuid, $2, 'error', 9), ($1::uuid, $2 - interval '5 hours', 'fatal', 3), ($1::uuid, $2 - interval '3 days', 'error', 100)`,
		f.project.ID, hour, fingerprint("a"), fingerprint("b"), fingerprint("c"), calm)
	must(t, err)
	got, err := issue.ReadOverview(t.Context(), f.app, f.project.ID, issue.OneDay, f.now)
	must(t, err)
	if got.Events != 12 || len(got.Levels.Error) != 24 || got.Levels.Error[23] != 9 || got.Levels.Fatal[18] != 3 || len(got.Usage) != 24 {
		t.Errorf("%+v", got)
	}
	if got.NewIssues != 1 || got.Regressions != 1 || len(got.TopIssues) != 2 || got.TopIssues[0].ID != busy || got.TopIssues[0].Events != 9 || got.TopIssues[1].Events != 3 {
		t.Errorf("%+v", got)
	}
	if got.Tags.Events != 1 || len(got.Tags.Tags) != 1 || got.Tags.Tags[0].Top[0].Value != "production" {
		t.Errorf("%+v", got.Tags)
	}
	for p, events := range map[issue.Period]int64{issue.SevenDays: 112, issue.ThirtyDays: 112} {
		got, err := issue.ReadOverview(t.Context(), f.app, f.project.ID, p, f.now)
		must(t, err)
		if got.Events != events || len(got.Levels.Error) != len(got.Usage) {
			t.Errorf("%s: %+v", p, got)
		}
	}
	_, err = issue.ReadOverview(t.Context(), f.app, f.project.ID, "1h", f.now)
	wants(t, "of an hour", err, fault.Invalid, "")
}
