package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/functions/api"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/tenant"
)

func organizationName(o tenant.Organization) string { return o.Name }

func TestOrganizations(t *testing.T) {
	t.Parallel()
	b := setup(t, "open")
	anna := b.user(t, "anna")
	acme := read[tenant.Organization](b.post(t, anna, "/organizations", `{"name":"Acme GmbH"}`), http.StatusCreated)
	path := "/organizations/" + acme.ID.String()

	t.Run("belong to who creates them", func(t *testing.T) {
		if acme.Slug != "acme-gmbh" || acme.Role != tenant.Owner {
			t.Errorf("%+v", acme)
		}
		if diff := cmp.Diff(acme, read[tenant.Organization](b.get(t, anna, path), http.StatusOK)); diff != "" {
			t.Errorf("(-created +got):\n%s", diff)
		}
	})

	t.Run("are listed to their members, with their role", func(t *testing.T) {
		ben := b.user(t, "ben")
		for _, name := range []string{"One", "Two", "Three"} {
			b.organization(t, ben, name)
		}
		_, err := tenant.AddMember(t.Context(), b.app, acme.ID, ben.ID, tenant.Admin)
		must(t, err)
		got := items[tenant.Organization](t, b, ben, "/organizations")
		if diff := cmp.Diff([]string{"Three", "Two", "One", "Acme GmbH"}, names(got, organizationName)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got[3].Role != tenant.Admin {
			t.Errorf("the role is %s", got[3].Role)
		}
		got = items[tenant.Organization](t, b, ben, "/organizations?search=GMBH")
		if diff := cmp.Diff([]string{"Acme GmbH"}, names(got, organizationName)); diff != "" {
			t.Errorf("search (-want +got):\n%s", diff)
		}
	})

	t.Run("are changed in what is named", func(t *testing.T) {
		got := read[tenant.Organization](b.patch(t, anna, path, `{"name":"Acme AG"}`), http.StatusOK)
		if got.Name != "Acme AG" || got.Slug != "acme-gmbh" || got.Role != tenant.Owner {
			t.Errorf("%+v", got)
		}
		got = read[tenant.Organization](b.patch(t, anna, path, `{"name":"Acme AG","slug":"acme"}`), http.StatusOK)
		if got.Slug != "acme" {
			t.Errorf("%+v", got)
		}
		b.patch(t, anna, path, `{}`).is(http.StatusOK)
		b.patch(t, anna, path, `{"slug":"acme"}`).is(http.StatusOK)
		if got := read[tenant.Organization](b.patch(t, anna, path, `{"monthly_budget":7}`), http.StatusOK); got.MonthlyBudget != 7 {
			t.Errorf("%+v", got)
		}
		b.patch(t, anna, path, `{"monthly_budget":-1}`).refused(http.StatusBadRequest, "invalid", "body.monthly_budget: ")
		want := []string{
			`organization.create organization Acme GmbH {"slug": "acme-gmbh"}`,
			`organization.update organization Acme AG {"name": {"to": "Acme AG", "from": "Acme GmbH"}}`,
			`organization.update organization Acme AG {"slug": {"to": "acme", "from": "acme-gmbh"}}`,
			`organization.update organization Acme AG {"monthly_budget": {"to": 7, "from": 0}}`,
		}
		if diff := cmp.Diff(want, b.trail(t)); diff != "" {
			t.Errorf("audit log (-want +got):\n%s", diff)
		}
	})

	t.Run("keep to what a name and a slug can be", func(t *testing.T) {
		b.organization(t, anna, "Taken")
		b.patch(t, anna, path, `{"slug":"taken"}`).refused(http.StatusConflict, "slug_taken", "taken")
		b.patch(t, anna, path, `{"slug":"No Slug"}`).refused(http.StatusBadRequest, "invalid", "body.slug: ")
		b.patch(t, anna, path, `{"name":""}`).refused(http.StatusBadRequest, "invalid", "body.name: must not be empty")
		b.post(t, anna, "/organizations", `{"name":"`+strings.Repeat("x", 201)+`"}`).refused(http.StatusBadRequest, "invalid", "body.name: must have at most 200 characters")
		b.post(t, anna, "/organizations", `{}`).refused(http.StatusBadRequest, "invalid", "name is missing")
		b.post(t, anna, "/organizations", `{"name":"a `+"\t"+`"`).refused(http.StatusBadRequest, "invalid", "JSON")
		b.post(t, anna, "/organizations", `{"name":" a"}`).refused(http.StatusBadRequest, "invalid", "space")
	})

	t.Run("are gone once deleted", func(t *testing.T) {
		gone := b.organization(t, anna, "Gone")
		p := b.project(t, gone, "Shop")
		at := "/organizations/" + gone.ID.String()
		if a := b.delete(t, anna, at).is(http.StatusNoContent); len(a.body) != 0 {
			t.Errorf("the answer is %s", a.body)
		}
		for _, path := range []string{at, at + "/members", at + "/projects", at + "/audit", "/projects/" + p.ID.String()} {
			b.get(t, anna, path).refused(http.StatusNotFound, "not_found", "there is no")
		}
		b.delete(t, anna, at).refused(http.StatusNotFound, "not_found", "there is no organization")
		if n := b.count(t, `select count(*) from mesher.audit_log where action = 'organization.delete' and organization_id = $1
			and actor_id = $2 and target_name = 'Gone'`, gone.ID, anna.ID); n != 1 {
			t.Errorf("the deletion is recorded %d times", n)
		}
		if n := b.count(t, `select count(*) from mesher.projects where id = $1 and status = 'deleting'`, p.ID); n != 1 {
			t.Error("the project is not marked for deletion")
		}
	})
}

func TestOrganizations_AreCreatedBy(t *testing.T) {
	t.Parallel()
	for _, registration := range []string{"", "invite"} {
		t.Run("owners, where registration is "+registration, func(t *testing.T) {
			t.Parallel()
			b := setup(t, registration)
			anna, ben := b.user(t, "anna"), b.user(t, "ben")
			first := read[tenant.Organization](b.post(t, anna, "/organizations", `{"name":"First"}`), http.StatusCreated)
			b.post(t, anna, "/organizations", `{"name":"Second"}`).is(http.StatusCreated)
			b.post(t, ben, "/organizations", `{"name":"Third"}`).refused(http.StatusForbidden, "registration_closed", "only owners")
			_, err := tenant.AddMember(t.Context(), b.app, first.ID, ben.ID, tenant.Admin)
			must(t, err)
			b.post(t, ben, "/organizations", `{"name":"Third"}`).refused(http.StatusForbidden, "registration_closed", "only owners")
			b.patch(t, anna, "/organizations/"+first.ID.String()+"/members/"+ben.ID.String(), `{"role":"owner"}`).is(http.StatusOK)
			b.post(t, ben, "/organizations", `{"name":"Third"}`).is(http.StatusCreated)
		})
	}
	t.Run("everybody, where registration is open", func(t *testing.T) {
		t.Parallel()
		b := setup(t, "open")
		for _, name := range []string{"anna", "ben"} {
			b.post(t, b.user(t, name), "/organizations", `{"name":"Mine"}`).is(http.StatusCreated)
		}
	})
}

func TestNew_RefusesARegistrationThatIsNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := api.New(api.Config{Registration: "closed"}, b.app, outbox.New(b.app, b.queue, nil), nil)
	if !fault.Is(err, fault.NotConfigured) || !strings.Contains(err.Error(), "REGISTRATION") {
		t.Errorf("error is %v", err)
	}
}
