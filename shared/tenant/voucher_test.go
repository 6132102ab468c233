package tenant_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/tenant"
)

// Nobody comes back, or up again, by an invitation that was sent before.
func TestInvitations_AreAsGoodAsTheRoleOfTheirSender(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fall func(t *testing.T, f *fixture, org, sender uuid.UUID)
		open map[tenant.Role]bool
	}{
		"removed": {func(t *testing.T, f *fixture, org, sender uuid.UUID) {
			_, err := tenant.RemoveMember(t.Context(), f.app, org, sender, tenant.Owner, false)
			must(t, err)
		}, nil},
		"left": {func(t *testing.T, f *fixture, org, sender uuid.UUID) {
			_, err := tenant.RemoveMember(t.Context(), f.app, org, sender, tenant.Owner, true)
			must(t, err)
		}, nil},
		"an admin now": {func(t *testing.T, f *fixture, org, sender uuid.UUID) {
			_, _, err := tenant.ChangeRole(t.Context(), f.app, org, sender, tenant.Admin, tenant.Owner)
			must(t, err)
		}, map[tenant.Role]bool{tenant.Admin: true, tenant.Member: true}},
		"a member now": {func(t *testing.T, f *fixture, org, sender uuid.UUID) {
			_, _, err := tenant.ChangeRole(t.Context(), f.app, org, sender, tenant.Member, tenant.Owner)
			must(t, err)
		}, nil},
		"deleted": {func(t *testing.T, f *fixture, _, sender uuid.UUID) {
			must(t, account.DeleteUser(t.Context(), f.app, sender))
		}, nil},
		"removed by other means": {func(t *testing.T, f *fixture, org, sender uuid.UUID) {
			_, err := f.admin.Exec(t.Context(), "delete from mesher.memberships where organization_id = $1 and user_id = $2", org, sender)
			must(t, err)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			owner := f.user(t, "Ann")
			o, err := tenant.CreateOrganization(t.Context(), f.app, owner, "Acme")
			must(t, err)
			sender := f.member(t, o.ID, "Bob", tenant.Owner)
			sent := map[tenant.Role]uuid.UUID{}
			for _, role := range []tenant.Role{tenant.Owner, tenant.Admin, tenant.Member} {
				inv, err := tenant.Invite(t.Context(), f.app, o.ID, string(role)+"@example.org", role, sender, tenant.Owner)
				must(t, err)
				sent[role] = inv.ID
			}
			others, err := tenant.Invite(t.Context(), f.app, o.ID, "other@example.org", tenant.Owner, owner, tenant.Owner)
			must(t, err)
			operators, err := tenant.Invite(t.Context(), f.app, o.ID, "operator@example.org", tenant.Owner, uuid.Nil, tenant.Owner)
			must(t, err)

			tt.fall(t, f, o.ID, sender)
			for role, id := range sent {
				_, err := tenant.AcceptInvitation(t.Context(), f.app, id, f.user(t, "As"+string(role)))
				if tt.open[role] {
					must(t, err)
					continue
				}
				wants(t, string(role), err, fault.Conflict, "invitation_closed")
			}
			for _, id := range []uuid.UUID{others.ID, operators.ID} {
				_, err := tenant.AcceptInvitation(t.Context(), f.app, id, f.user(t, "For"+id.String()))
				must(t, err)
			}
		})
	}
}

func TestChangeRole_UpwardsKeepsInvitations(t *testing.T) {
	t.Parallel()
	f := setup(t)
	o, err := tenant.CreateOrganization(t.Context(), f.app, f.user(t, "Ann"), "Acme")
	must(t, err)
	bob := f.member(t, o.ID, "Bob", tenant.Admin)
	inv, err := tenant.Invite(t.Context(), f.app, o.ID, "c@example.org", tenant.Admin, bob, tenant.Admin)
	must(t, err)
	_, _, err = tenant.ChangeRole(t.Context(), f.app, o.ID, bob, tenant.Owner, tenant.Owner)
	must(t, err)
	_, err = tenant.AcceptInvitation(t.Context(), f.app, inv.ID, f.user(t, "Cy"))
	must(t, err)
}
