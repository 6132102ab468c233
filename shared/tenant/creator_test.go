package tenant_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestMayCreateOrganization(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).Pool(t, pgtest.App)
	user := func(name string) uuid.UUID {
		u, _, err := account.CreateUser(t.Context(), db, account.NewUser{Email: name + "@example.com"})
		must(t, err)
		return u.ID
	}
	anna, ben := user("anna"), user("ben")
	expect := func(when string, annaMay, benMay bool) {
		t.Helper()
		for _, who := range []struct {
			name string
			id   uuid.UUID
			may  bool
		}{{"anna", anna, annaMay}, {"ben", ben, benMay}} {
			got, err := tenant.MayCreateOrganization(t.Context(), db, who.id)
			must(t, err)
			if got != who.may {
				t.Errorf("%s: %s may: %t, want %t", when, who.name, got, who.may)
			}
		}
	}

	expect("without organizations", true, true)
	_, err := tenant.EnsureOrganization(t.Context(), db, "Nobody's", "nobodys")
	must(t, err)
	expect("with an organization of nobody", true, true)
	acme, err := tenant.CreateOrganization(t.Context(), db, anna, "Acme")
	must(t, err)
	expect("with an organization of anna", true, false)
	_, err = tenant.AddMember(t.Context(), db, acme.ID, ben, tenant.Admin)
	must(t, err)
	expect("with ben as an admin", true, false)
	_, _, err = tenant.ChangeRole(t.Context(), db, acme.ID, ben, tenant.Owner, tenant.Owner)
	must(t, err)
	expect("with ben as an owner", true, true)
	bens, err := tenant.CreateOrganization(t.Context(), db, ben, "Ben's")
	must(t, err)
	must(t, tenant.DeleteOrganization(t.Context(), db, acme.ID))
	expect("after anna's only organization was deleted", false, true)
	must(t, tenant.DeleteOrganization(t.Context(), db, bens.ID))
	expect("after the last organization was deleted", true, true)
}
