package api_test

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
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
	b.get(t, anna, at+"/audit?actor=ben").refused(http.StatusBadRequest, "invalid", "query.actor: must be a UUID")
	b.get(t, anna, at+"/audit?until=2026-01-01").refused(http.StatusBadRequest, "invalid", "query.until: ")
	b.get(t, anna, at+"/audit?action=project.create.x").refused(http.StatusBadRequest, "invalid", "query.action: must be one of ")
	b.get(t, anna, at+"/audit?action=nonsense").refused(http.StatusBadRequest, "invalid", "project.create, ")
}

// Whoever filters by an action that is recorded must not be told that it is none, nor look for one that never is.
func TestAudit_KnowsAllActions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var known []string
	for _, o := range b.operations(t) {
		for _, p := range o.Parameters {
			if o.ID == "list-audit" && p.Name == "action" {
				for _, v := range p.Schema["enum"].([]any) {
					known = append(known, v.(string))
				}
			}
		}
	}
	nouns := map[string]bool{}
	for _, k := range known {
		noun, _, _ := strings.Cut(k, ".")
		nouns[noun] = true
	}
	action := regexp.MustCompile(`"(` + strings.Join(slices.Sorted(maps.Keys(nouns)), "|") + `)[.][a-z_]+"`)
	recorded := maps.Clone(nouns)
	for _, folder := range []string{".", "../auth", "../../cmd/mesher"} {
		files, err := filepath.Glob(folder + "/*.go")
		must(t, err)
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			text, err := os.ReadFile(f)
			must(t, err)
			for _, found := range action.FindAllString(string(text), -1) {
				recorded[strings.Trim(found, `"`)] = true
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(recorded)), slices.Sorted(slices.Values(known))); diff != "" {
		t.Errorf("actions of the filter (-recorded +known):\n%s", diff)
	}
}
