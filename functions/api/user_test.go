package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/functions/api"
	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestUser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")

	t.Run("shows who calls, and with what", func(t *testing.T) {
		got := read[api.Profile](b.get(t, anna, "/user"), http.StatusOK)
		if got.ID != anna.ID || got.Email != anna.Email || got.Name != "anna" || !got.Verified {
			t.Errorf("%+v is not anna", got.User)
		}
		if got.Credential.Kind != "session" || got.Credential.Scope != account.ScopeSession || got.Credential.OrganizationID != uuid.Nil {
			t.Errorf("%+v is not a session", got.Credential)
		}
		got = read[api.Profile](b.get(t, b.token(t, anna, account.ScopeRead, acme.ID), "/user"), http.StatusOK)
		if got.Credential.Kind != "token" || got.Credential.Scope != account.ScopeRead || got.Credential.OrganizationID != acme.ID {
			t.Errorf("%+v is not a token of Acme", got.Credential)
		}
	})

	t.Run("changes the name, and records it once", func(t *testing.T) {
		admin := b.token(t, anna, account.ScopeAdmin, uuid.Nil)
		for range 2 {
			if got := read[api.Profile](b.patch(t, admin, "/user", `{"name":"Anna A."}`), http.StatusOK); got.Name != "Anna A." {
				t.Errorf("the name is %q", got.Name)
			}
		}
		for _, nothing := range []string{`{}`, `{"name":null}`} {
			if got := read[api.Profile](b.patch(t, anna, "/user", nothing), http.StatusOK); got.Name != "Anna A." {
				t.Errorf("%s made the name %q", nothing, got.Name)
			}
		}
		if got := read[api.Profile](b.patch(t, anna, "/user", `{"name":""}`), http.StatusOK); got.Name != "" {
			t.Errorf("an empty name made it %q", got.Name)
		}
		want := []string{
			`user.update user anna@example.com {"name": {"to": "Anna A.", "from": "anna"}}`,
			`user.update user anna@example.com {"name": {"to": "", "from": "Anna A."}}`,
		}
		if diff := cmp.Diff(want, b.trail(t)); diff != "" {
			t.Errorf("audit log (-want +got):\n%s", diff)
		}
	})

	t.Run("refuses what is no name", func(t *testing.T) {
		b.patch(t, anna, "/user", `{"name":"`+strings.Repeat("x", 201)+`"}`).refused(http.StatusBadRequest, "invalid", "body.name: must have at most 200 characters")
		b.patch(t, anna, "/user", `{"name":7}`).refused(http.StatusBadRequest, "invalid", "body.name: must be a string")
		b.patch(t, anna, "/user", `{"name":"a\nb"}`).refused(http.StatusBadRequest, "invalid", "name")
		b.patch(t, anna, "/user", nil).refused(http.StatusBadRequest, "invalid", "body")
	})

	t.Run("is not changed by a token of one organization", func(t *testing.T) {
		b.patch(t, b.token(t, anna, account.ScopeAdmin, acme.ID), "/user", `{"name":"x"}`).
			refused(http.StatusForbidden, "token_bound", "one organization")
	})
}

func TestActivity(t *testing.T) {
	t.Parallel()
	b := setup(t, "open")
	anna, ben := b.user(t, "anna"), b.user(t, "ben")
	first := read[tenant.Organization](b.post(t, anna, "/organizations", `{"name":"First"}`), http.StatusCreated)
	second := read[tenant.Organization](b.post(t, anna, "/organizations", `{"name":"Second"}`), http.StatusCreated)
	b.post(t, anna, "/organizations/"+second.ID.String()+"/projects", `{"name":"Shop"}`).is(http.StatusCreated)
	b.post(t, ben, "/organizations", `{"name":"Ben's"}`).is(http.StatusCreated)
	b.patch(t, anna, "/user", `{"name":"Anna"}`).is(http.StatusOK)

	action := func(e tenant.AuditEntry) string { return e.Action + " " + e.Target.Name }
	all := []string{"user.update anna@example.com", "project.create Shop", "organization.create Second", "organization.create First"}
	entries := items[tenant.AuditEntry](t, b, anna, "/user/activity")
	cut := entries[1].CreatedAt.Format(time.RFC3339Nano)
	for _, tt := range []struct {
		name, query string
		who         person
		want        []string
	}{
		{"all that the caller did", "", anna, all},
		{"one action", "action=project.create", anna, all[1:2]},
		{"one noun", "action=organization", anna, all[2:]},
		{"from a time on", "since=" + cut, anna, all[:2]},
		{"before a time", "until=" + cut, anna, all[2:]},
		{"with a token of one organization", "", b.token(t, anna, account.ScopeRead, first.ID), all[3:]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := names(items[tenant.AuditEntry](t, b, tt.who, "/user/activity?"+tt.query), action)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("says who it was, with what and from where", func(t *testing.T) {
		want := tenant.Actor{Kind: "user", ID: anna.ID, Name: anna.Email, IP: "198.51.100.9", UserAgent: "browser"}
		if diff := cmp.Diff(want, entries[3].Actor); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("refuses filters that are none", func(t *testing.T) {
		b.get(t, anna, "/user/activity?since=yesterday").refused(http.StatusBadRequest, "invalid", "query.since: write a time as RFC 3339, e.g. ")
		b.get(t, anna, "/user/activity?action=Drop+table").refused(http.StatusBadRequest, "invalid", "query.action: must be one of ")
		b.get(t, anna, "/user/activity?action=organization.creat").refused(http.StatusBadRequest, "invalid", "organization.create, ")
		b.get(t, anna, "/user/activity?cursor=abc").refused(http.StatusBadRequest, "invalid", "cursor")
		b.get(t, anna, "/user/activity?limit=101").refused(http.StatusBadRequest, "invalid", "query.limit: must be 100 or less")
		b.get(t, anna, "/user/activity?limit=0").refused(http.StatusBadRequest, "invalid", "query.limit: must be 1 or more")
	})
}
