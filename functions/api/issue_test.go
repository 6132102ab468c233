package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// fingerprint returns the n-th fingerprint of the issue with a title.
func fingerprint(title string, n int) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, title, n))
}

// issue stores an issue with two fingerprints, of two events in this hour each, as Store does.
func (b *bundle) issue(t *testing.T, p tenant.Project, title string) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	_, err := b.admin.Exec(t.Context(), `
		with seen as (
			insert into mesher.issues (project_id, id, title, level, event_count, user_count, first_seen, last_seen, active_hour, message)
			values ($1::uuid, $2::uuid, $3::text, 'error', 4, 1, date_trunc('hour', now()), now(), date_trunc('hour', now(), 'UTC'), $3::text)),
		prints as (
			insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
			select $1::uuid, f, $2::uuid, 1 from unnest($4::text[]::uuid[]) f),
		users as (
			insert into mesher.issue_users (project_id, fingerprint, user_hash, seen_hour)
			select $1::uuid, f, $5::uuid, date_trunc('hour', now(), 'UTC') from unnest($4::text[]::uuid[]) f),
		tags as (
			insert into mesher.issue_tags (project_id, fingerprint, key, value, seen_hour)
			select $1::uuid, f, 'title', $3::text, date_trunc('hour', now(), 'UTC') from unnest($4::text[]::uuid[]) f)
		insert into mesher.issue_hourly_counts (project_id, fingerprint, hour, events)
		select $1::uuid, f, date_trunc('hour', now(), 'UTC'), 2 from unnest($4::text[]::uuid[]) f`,
		p.ID, id, title, []string{fingerprint(title, 1).String(), fingerprint(title, 2).String()}, issue.UserHash(p.ID, "u1"))
	must(t, err)
	return id
}

// settle waits until no transaction of another test runs that is older than what was written to issues: lists would take that
// for written while they are read.
func (b *bundle) settle(t *testing.T) {
	t.Helper()
	for b.count(t, `select count(*) from mesher.issues
		where xmin::text::bigint >= pg_snapshot_xmin(pg_current_snapshot())::text::bigint`) != 0 {
		time.Sleep(time.Millisecond)
	}
}

func titled(i issue.Issue) string { return i.Title }

func TestIssues_AreListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	shop := b.project(t, acme, "Shop")
	ben := b.member(t, acme, "ben", tenant.Member)
	path := "/projects/" + shop.ID.String() + "/issues"
	ids := map[string]uuid.UUID{}
	for _, title := range []string{"a", "b", "c", "d"} {
		ids[title] = b.issue(t, shop, title)
	}
	b.issue(t, b.project(t, acme, "Other"), "other")
	for change, title := range map[string]string{
		"status = 'resolved'": "a", "level = 'fatal', event_count = 9": "b", "user_count = 7": "c",
		"first_seen = now() - interval '3 days'": "d",
	} {
		_, err := b.admin.Exec(t.Context(), "update mesher.issues set "+change+" where id = $1::uuid", ids[title])
		must(t, err)
	}
	b.patch(t, ben, path+"/"+ids["c"].String(), `{"assignee":"me"}`).is(http.StatusOK)
	b.settle(t)
	at := func(d time.Duration) string { return url.QueryEscape(time.Now().Add(d).Format(time.RFC3339)) }
	for query, want := range map[string][]string{
		"":                                      {"d", "c", "b"},
		"status=unresolved":                     {"d", "c", "b"},
		"status=all":                            {"d", "c", "b", "a"},
		"status=resolved":                       {"a"},
		"level=fatal":                           {"b"},
		"assignee=me":                           {},
		"assignee=none":                         {"d", "b"},
		"assignee=" + ben.ID.String():           {"c"},
		"tag=title:b":                           {"b"},
		"tag=title:b&tag=title:c":               {},
		"user=u1":                               {"d", "c", "b"},
		"user=u2":                               {},
		"environment=x":                         {},
		"release=x":                             {},
		"search=" + url.QueryEscape(`b or "c"`): {"c", "b"},
		"sort=events&level=fatal":               {"b"},
		"since=" + at(time.Hour):                {},
		"until=" + at(-48*time.Hour):            {"d"},
		"first_seen_since=" + at(-48*time.Hour): {"c", "b"},
	} {
		got := names(items[issue.Issue](t, b, anna, path+"?"+query), titled)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	for by, first := range map[string]string{"last_seen": "d", "events": "b", "users": "c"} {
		if got := names(items[issue.Issue](t, b, anna, path+"?sort="+by), titled); len(got) != 3 || got[0] != first {
			t.Errorf("by %s: %v, want %s first", by, got, first)
		}
	}
	for window, steps := range map[string]int{"": 24, "&sparkline=24h": 24, "&sparkline=14d": 14} {
		l := read[rest.List[issue.Issue]](b.get(t, anna, path+"?tag=title:b"+window), http.StatusOK)
		if n := len(l.Items[0].Counts.Events); n != steps || l.Items[0].Counts.Events[n-1] != 4 {
			t.Errorf("%q: %+v", window, l.Items[0].Counts)
		}
	}

	t.Run("and nothing that cannot be is asked for", func(t *testing.T) {
		next := read[rest.List[issue.Issue]](b.get(t, anna, path+"?limit=1"), http.StatusOK).Next
		for query, says := range map[string]string{
			"status=open":                 "query.status",
			"level=loud":                  "query.level",
			"sort=title":                  "query.sort",
			"limit=101":                   "query.limit",
			"sparkline=1h":                "query.sparkline",
			"assignee=ben":                "query.assignee: expected a user's id",
			"tag=title":                   "query.tag: expected key:value",
			"tag=:b":                      "query.tag: expected key:value",
			strings.Repeat("tag=a:b&", 6): "query.tag",
			"since=yesterday":             "query.since",
			"since=" + at(0) + "&until=" + at(-1*time.Hour): "since has to be before until",
			"cursor=nonsense": "cursor is not one that this list returned",
		} {
			b.get(t, anna, path+"?"+query).refused(http.StatusBadRequest, "invalid", says)
		}
		b.get(t, anna, path+"?sort=events&limit=1&cursor="+next).refused(http.StatusBadRequest, "cursor_of_another_list", "another filter or sort")
	})
}

func TestIssues_AreShown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	shop := b.project(t, acme, "Shop")
	id := b.issue(t, shop, "a")
	at := "/projects/" + shop.ID.String() + "/issues/" + id.String()
	got := read[issue.Detail](b.get(t, anna, at), http.StatusOK)
	if got.ID != id || got.ProjectID != shop.ID || got.Title != "a" || got.Fingerprints != 2 || got.EventCount != 4 ||
		len(got.Counts.Events) != 24 || len(got.DailyCounts.Events) != 30 || got.DailyCounts.Events[29] != 4 {
		t.Errorf("%+v", got)
	}
	prints := items[issue.Fingerprint](t, b, anna, at+"/fingerprints")
	if len(prints) != 2 || prints[0].EventCount != 2 || prints[0].Fingerprint == prints[1].Fingerprint {
		t.Errorf("%+v", prints)
	}
	other := b.project(t, acme, "Other")
	for _, part := range []string{"", "/activity", "/fingerprints"} {
		b.get(t, anna, "/projects/"+other.ID.String()+"/issues/"+id.String()+part).refused(http.StatusNotFound, "not_found", "there is no issue")
	}
}
