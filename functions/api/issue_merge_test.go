package api_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/issue"
)

func TestIssues_AreMergedAndSplit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	shop := b.project(t, acme, "Shop")
	a, c := b.issue(t, shop, "a"), b.issue(t, shop, "c")
	path := "/projects/" + shop.ID.String() + "/issues"

	got := read[issue.Detail](b.post(t, anna, path+"/merge", fmt.Sprintf(`{"ids":["%s","%s"],"into":"%s"}`, a, c, c)), http.StatusOK)
	if got.ID != c || got.EventCount != 8 || got.UserCount != 1 || got.Fingerprints != 4 || got.Counts.Events[23] != 8 {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff(got, read[issue.Detail](b.get(t, anna, path+"/"+a.String()), http.StatusOK)); diff != "" {
		t.Errorf("its old address (-it +there):\n%s", diff)
	}
	split := fmt.Sprintf(`{"fingerprints":["%s","%s"]}`, fingerprint("a", 1), fingerprint("a", 2))
	first := b.post(t, anna, path+"/"+c.String()+"/unmerge", split, idempotency, "split").is(http.StatusCreated)
	again := b.post(t, anna, path+"/"+c.String()+"/unmerge", split, idempotency, "split").is(http.StatusCreated)
	if diff := cmp.Diff(string(first.body), string(again.body)); diff != "" {
		t.Errorf("the answers differ (-first +again):\n%s", diff)
	}
	fresh := read[issue.Detail](first, http.StatusCreated)
	if fresh.ID == a || fresh.ID == c || fresh.EventCount != 4 || fresh.Fingerprints != 2 || fresh.Status != issue.Unresolved {
		t.Errorf("%+v", fresh)
	}
	if got := read[issue.Detail](b.get(t, anna, path+"/"+c.String()), http.StatusOK); got.EventCount != 4 || got.Fingerprints != 2 {
		t.Errorf("%+v", got)
	}
	b.post(t, anna, path+"/"+c.String()+"/unmerge", split).refused(http.StatusNotFound, "not_found", "no fingerprint")
	b.post(t, anna, path+"/"+fresh.ID.String()+"/unmerge", split).refused(http.StatusConflict, "all_fingerprints", "at least one")
	b.post(t, anna, path+"/merge", fmt.Sprintf(`{"ids":["%s"]}`, a)).refused(http.StatusBadRequest, "invalid", "body.ids")
	b.post(t, anna, path+"/merge", fmt.Sprintf(`{"ids":["%s","%s"]}`, a, uuid.New())).refused(http.StatusNotFound, "not_found", "there is no issue")
	trail := []string{
		fmt.Sprintf(`issue.merge issue c {"issues": ["%s"], "project_id": "%s"}`, a, shop.ID),
		fmt.Sprintf(`issue.unmerge issue c {"from": "%s", "project_id": "%s", "fingerprints": 2}`, c, shop.ID),
	}
	if diff := cmp.Diff(trail, b.trail(t)); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
}
