package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestAlerts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	shop, blog := b.project(t, acme, "Shop"), b.project(t, acme, "Blog")
	ben := b.member(t, acme, "ben", tenant.Member)
	team := b.channel(t, acme)
	rule := func(p tenant.Project, body string) alert.Rule {
		return read[alert.Rule](b.post(t, anna, "/projects/"+p.ID.String()+"/rules", body), http.StatusCreated)
	}
	opened := rule(shop, `{"name":"New","kind":"new_issue","severity":"critical","channel_ids":["`+team+`"]}`)
	back := rule(blog, `{"name":"Back","kind":"regression"}`)
	began := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	one, two, three := b.raise(t, opened, "one", began), b.raise(t, back, "two", began.Add(time.Minute)), b.raise(t, opened, "three", began.Add(2*time.Minute))

	a := read[alert.Alert](b.post(t, ben, "/alerts/"+two+"/acknowledge", nil), http.StatusOK)
	if a.Status != alert.Acknowledged || a.AcknowledgedBy != ben.ID || time.Since(a.AcknowledgedAt) > time.Hour {
		t.Errorf("acknowledged: %+v", a)
	}
	again := read[alert.Alert](b.post(t, anna, "/alerts/"+two+"/acknowledge", nil), http.StatusOK)
	if diff := cmp.Diff(a, again); diff != "" {
		t.Errorf("acknowledged twice (-want +got):\n%s", diff)
	}
	a = read[alert.Alert](b.post(t, ben, "/alerts/"+one+"/resolve", `{"why":"rolled back"}`), http.StatusOK)
	if a.Status != alert.Resolved || a.ResolvedBy != ben.ID || a.ResolvedWhy != "rolled back" {
		t.Errorf("resolved: %+v", a)
	}
	b.post(t, ben, "/alerts/"+one+"/resolve", nil).is(http.StatusOK)
	b.post(t, ben, "/alerts/"+one+"/acknowledge", nil).refused(http.StatusConflict, "alert_resolved", "nothing to acknowledge")
	b.post(t, ben, "/alerts/"+three+"/resolve", `{"why":"`+strings.Repeat("x", 501)+`"}`).refused(http.StatusBadRequest, "invalid", "body.why")
	if n := len(b.queue.published()); n == 0 {
		t.Error("nobody is told that the alert is resolved")
	}
	if diff := cmp.Diff(a, read[alert.Alert](b.get(t, ben, "/alerts/"+one), http.StatusOK)); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}

	org, title := "/organizations/"+acme.ID.String()+"/alerts", func(a alert.Alert) string { return a.Title }
	for query, want := range map[string][]string{
		org:                                  {"three", "two", "one"},
		org + "?status=open":                 {"three", "two"},
		org + "?status=active":               {"three"},
		org + "?status=resolved":             {"one"},
		org + "?severity=critical":           {"three", "one"},
		org + "?kind=regression":             {"two"},
		org + "?rule=" + opened.ID.String():  {"three", "one"},
		org + "?project=" + blog.ID.String(): {"two"},
		org + "?since=" + began.Add(time.Minute).Format(time.RFC3339): {"three", "two"},
		org + "?until=" + began.Add(time.Minute).Format(time.RFC3339): {"one"},
		"/projects/" + shop.ID.String() + "/alerts":                   {"three", "one"},
		"/alerts/" + one + "/history":                                 {"one"},
	} {
		if diff := cmp.Diff(want, names(items[alert.Alert](t, b, ben, query), title)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	b.get(t, ben, org+"?status=bad").refused(http.StatusBadRequest, "invalid", "query.status")

	var got []string
	for _, line := range b.trail(t) {
		if strings.HasPrefix(line, "alert.") {
			got = append(got, strings.Join(strings.SplitN(line, " ", 4)[:3], " "))
		}
	}
	if diff := cmp.Diff([]string{"alert.acknowledge alert two", "alert.resolve alert one"}, got); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
}
