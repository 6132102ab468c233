package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	ben := b.member(t, acme, "ben", tenant.Admin)
	token := b.token(t, ben, account.ScopeAdmin, acme.ID)
	at := "/organizations/" + acme.ID.String()
	shop := read[tenant.Project](b.post(t, anna, at+"/projects", `{"name":"Shop"}`), http.StatusCreated)
	b.post(t, ben, at+"/projects", `{"name":"Blog"}`).is(http.StatusCreated)
	b.patch(t, token, "/projects/"+shop.ID.String(), `{"name":"Store"}`).is(http.StatusOK)
	b.patch(t, anna, at, `{"name":"Acme AG"}`).is(http.StatusOK)
	elsewhere := b.organization(t, anna, "Elsewhere")
	b.patch(t, anna, "/organizations/"+elsewhere.ID.String(), `{"name":"Nowhere"}`).is(http.StatusOK)

	all := []string{"organization.update Acme AG", "project.update Store", "project.create Blog", "project.create Shop"}
	entries := items[tenant.AuditEntry](t, b, anna, at+"/audit")
	cut := entries[1].CreatedAt.Format(time.RFC3339Nano)
	for query, want := range map[string][]string{
		"":                               all,
		"actor=" + ben.ID.String():       all[1:3],
		"action=project":                 all[1:],
		"action=project.create":          all[2:],
		"target=" + shop.ID.String():     {all[1], all[3]},
		"since=" + cut:                   all[:2],
		"until=" + cut:                   all[2:],
		"since=" + cut + "&until=" + cut: {},
		"actor=" + uuid.NewString():      {},
		"actor=" + anna.ID.String() + "&action=project": all[3:],
	} {
		got := names(items[tenant.AuditEntry](t, b, anna, at+"/audit?"+query), func(e tenant.AuditEntry) string { return e.Action + " " + e.Target.Name })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	if a := entries[1].Actor; a.Kind != "token" || a.ID != ben.ID || a.IP != "198.51.100.9" || a.UserAgent != "browser" {
		t.Errorf("who used the token is %+v", a)
	}
	b.get(t, anna, at+"/audit?actor=ben").refused(http.StatusBadRequest, "invalid", "query.actor: ")
	b.get(t, anna, at+"/audit?until=2026-01-01").refused(http.StatusBadRequest, "invalid", "query.until: ")
	b.get(t, anna, at+"/audit?action=project.create.x").refused(http.StatusBadRequest, "invalid", "query.action: ")
}
