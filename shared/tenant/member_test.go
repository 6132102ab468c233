package tenant_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestRole_Allows(t *testing.T) {
	t.Parallel()
	order := []tenant.Role{tenant.Member, tenant.Admin, tenant.Owner}
	for i, has := range order {
		for j, needed := range order {
			if got := has.Allows(needed); got != (i >= j) {
				t.Errorf("%s allows %s: %t", has, needed, got)
			}
		}
		for _, nonsense := range []tenant.Role{"", "root", "OWNER"} {
			if has.Allows(nonsense) || nonsense.Allows(has) || nonsense.Allows(nonsense) {
				t.Errorf("%q allows something", nonsense)
			}
		}
	}
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	rival := f.rival(t)
	admin := f.member(t, org, "admin", tenant.Admin)
	stranger := f.member(t, rival.OrganizationID, "stranger", tenant.Owner)
	gone, err := tenant.CreateOrganization(ctx, f.app, admin, "Gone")
	must(t, err)
	goneProject, err := tenant.CreateProject(ctx, f.app, gone.ID, tenant.ProjectChange{Name: ptr("Gone")})
	must(t, err)
	must(t, tenant.DeleteOrganization(ctx, f.app, gone.ID))

	for _, tt := range []struct {
		name                  string
		viewer                tenant.Viewer
		organization, project uuid.UUID
	}{
		{"one that does not exist", tenant.Viewer{UserID: admin}, uuid.New(), uuid.New()},
		{"another's", tenant.Viewer{UserID: stranger}, org, f.project.ID},
		{"a deleted one", tenant.Viewer{UserID: admin}, gone.ID, goneProject.ID},
		{"with a credential of another organization", tenant.Viewer{UserID: admin, OrganizationID: rival.OrganizationID}, org, f.project.ID},
		{"as nobody", tenant.Viewer{}, org, f.project.ID},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := tenant.Authorize(ctx, f.app, tt.viewer, tt.organization, tenant.Member)
			if want := fmt.Sprintf("there is no organization with the id %s", tt.organization); !fault.Is(err, fault.NotFound) || err.Error() != want {
				t.Errorf("%v; want %s", err, want)
			}
			p, _, err := tenant.AuthorizeProject(ctx, f.app, tt.viewer, tt.project, tenant.Member)
			if want := fmt.Sprintf("there is no project with the id %s", tt.project); !fault.Is(err, fault.NotFound) || err.Error() != want || p.ID != uuid.Nil {
				t.Errorf("%v, %v; want %s", p, err, want)
			}
		})
	}
	for _, viewer := range []tenant.Viewer{{UserID: admin}, {UserID: admin, OrganizationID: org}} {
		role, err := tenant.Authorize(ctx, f.app, viewer, org, tenant.Member)
		if err != nil || role != tenant.Admin {
			t.Errorf("an admin is %s, %v", role, err)
		}
		p, role, err := tenant.AuthorizeProject(ctx, f.app, viewer, f.project.ID, tenant.Admin)
		if err != nil || role != tenant.Admin || !cmp.Equal(p, f.project) {
			t.Errorf("an admin is %s of %v, %v", role, p, err)
		}
		_, err = tenant.Authorize(ctx, f.app, viewer, org, tenant.Owner)
		wants(t, "an owner's", err, fault.Forbidden, "role_too_low")
		if !strings.Contains(err.Error(), "owner") || !strings.Contains(err.Error(), "admin") {
			t.Errorf("%v names not both roles", err)
		}
		p, _, err = tenant.AuthorizeProject(ctx, f.app, viewer, f.project.ID, tenant.Owner)
		wants(t, "an owner's project", err, fault.Forbidden, "role_too_low")
		if p.ID != uuid.Nil {
			t.Errorf("the project is returned all the same: %v", p)
		}
	}
	if _, changed, err := tenant.DeleteProject(ctx, f.app, f.project.ID); err != nil || !changed {
		t.Fatal(changed, err)
	}
	p, _, err := tenant.AuthorizeProject(ctx, f.app, tenant.Viewer{UserID: admin}, f.project.ID, tenant.Member)
	if err != nil || p.Status != tenant.ProjectDeleting || p.DeletedAt.IsZero() {
		t.Errorf("a project that is marked for deletion: %v, %v", p, err)
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	ann := f.member(t, org, "Ann", tenant.Owner)
	bob := f.member(t, org, "Bob", tenant.Admin)
	cy := f.member(t, org, "Cy", tenant.Member)
	theirs := f.member(t, f.rival(t).OrganizationID, "Theirs", tenant.Owner)

	t.Run("are added once", func(t *testing.T) {
		if added, err := tenant.AddMember(ctx, f.app, org, cy, tenant.Owner); err != nil || added {
			t.Errorf("added again: %t, %v", added, err)
		}
		for what, ids := range map[string][2]uuid.UUID{"no organization": {uuid.New(), ann}, "no user": {org, uuid.New()}} {
			_, err := tenant.AddMember(ctx, f.app, ids[0], ids[1], tenant.Member)
			wants(t, what, err, fault.NotFound, "")
		}
		_, err := tenant.AddMember(ctx, f.app, org, theirs, "root")
		wants(t, "no role", err, fault.Invalid, "")
	})
	t.Run("are listed", func(t *testing.T) {
		found, err := tenant.ListMembers(ctx, f.app, org, tenant.MemberFilter{Role: tenant.Admin, Search: "bOb@EXAMPLE"}, page.Request{Limit: 5})
		must(t, err)
		if len(found.Rows) != 1 || found.Rows[0].UserID != bob || found.Rows[0].CreatedAt.IsZero() || found.Rows[0].Name != "Bob" {
			t.Errorf("found %+v", found.Rows)
		}
	})
	t.Run("keep what others may not change", func(t *testing.T) {
		before := f.roles(t, org)
		for _, tt := range []struct {
			name string
			user uuid.UUID
			role tenant.Role
			by   tenant.Role
			kind fault.Kind
			code string
		}{
			{"an admin makes an owner", cy, tenant.Owner, tenant.Admin, fault.Forbidden, "role_too_low"},
			{"an admin demotes an owner", ann, tenant.Member, tenant.Admin, fault.Forbidden, "role_too_low"},
			{"a member promotes", cy, tenant.Admin, tenant.Member, fault.Forbidden, "role_too_low"},
			{"the last owner", ann, tenant.Admin, tenant.Owner, fault.Conflict, "last_owner"},
			{"no role", cy, "root", tenant.Owner, fault.Invalid, ""},
			{"another's member", theirs, tenant.Member, tenant.Owner, fault.NotFound, ""},
			{"nobody", uuid.New(), tenant.Member, tenant.Owner, fault.NotFound, ""},
		} {
			_, _, err := tenant.ChangeRole(ctx, f.app, org, tt.user, tt.role, tt.by)
			wants(t, tt.name, err, tt.kind, tt.code)
		}
		_, err := tenant.RemoveMember(ctx, f.app, org, ann, tenant.Admin, false)
		wants(t, "an admin removes an owner", err, fault.Forbidden, "role_too_low")
		_, err = tenant.RemoveMember(ctx, f.app, org, bob, tenant.Member, false)
		wants(t, "a member removes", err, fault.Forbidden, "role_too_low")
		_, err = tenant.RemoveMember(ctx, f.app, org, ann, tenant.Owner, true)
		wants(t, "the last owner leaves", err, fault.Conflict, "last_owner")
		_, err = tenant.RemoveMember(ctx, f.app, org, theirs, tenant.Owner, false)
		wants(t, "another's member is removed", err, fault.NotFound, "")
		_, err = tenant.RemoveMember(ctx, f.app, uuid.New(), ann, tenant.Owner, false)
		wants(t, "a member of no organization is removed", err, fault.NotFound, "")
		if diff := cmp.Diff(before, f.roles(t, org)); diff != "" {
			t.Errorf("roles (-before +after):\n%s", diff)
		}
		if got := f.text(t, "select count(*) from mesher.memberships where user_id = $1", theirs); got != "1" {
			t.Errorf("another's member has %s memberships", got)
		}
	})
	t.Run("change and leave", func(t *testing.T) {
		was, c, err := tenant.ChangeRole(ctx, f.app, org, cy, tenant.Owner, tenant.Owner)
		if err != nil || was != tenant.Member || c.Role != tenant.Owner || c.UserID != cy {
			t.Errorf("promoted from %s: %+v, %v", was, c, err)
		}
		if was, c, err = tenant.ChangeRole(ctx, f.app, org, cy, tenant.Owner, tenant.Owner); err != nil || was != c.Role {
			t.Errorf("promoted again from %s: %+v, %v", was, c, err)
		}
		if c, err := tenant.RemoveMember(ctx, f.app, org, ann, "", true); err != nil || c.UserID != ann || c.Role != tenant.Owner {
			t.Errorf("left: %+v, %v", c, err)
		}
		if c, err := tenant.RemoveMember(ctx, f.app, org, bob, tenant.Admin, false); err != nil || c.UserID != bob {
			t.Errorf("removed: %+v, %v", c, err)
		}
		if diff := cmp.Diff(map[string]tenant.Role{"Cy": tenant.Owner}, f.roles(t, org)); diff != "" {
			t.Errorf("roles (-want +got):\n%s", diff)
		}
	})
}
