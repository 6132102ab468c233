package tenant_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/tenant"
)

// invite makes an invitation of the first organization.
func (f *fixture) invite(t *testing.T, email string, role tenant.Role, inviter uuid.UUID) tenant.Invitation {
	t.Helper()
	inv, err := tenant.Invite(t.Context(), f.app, f.project.OrganizationID, email, role, inviter, tenant.Owner)
	must(t, err)
	return inv
}

// expire lets invitations be expired.
func (f *fixture) expire(t *testing.T, where string) {
	t.Helper()
	f.Exec(t, "update mesher.invitations set expires_at = now() where "+where)
}

func TestInvite(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	ann := f.member(t, org, "Ann", tenant.Owner)
	inv := f.invite(t, "new@example.com", tenant.Admin, ann)
	if got := inv.ExpiresAt.Sub(inv.CreatedAt); got != tenant.InvitationLifetime {
		t.Errorf("it is open for %s", got)
	}
	want := tenant.Invitation{
		ID: inv.ID, OrganizationID: org, Organization: "Acme", Email: "new@example.com", Role: tenant.Admin,
		State: tenant.InvitationOpen, InvitedBy: "Ann", CreatedAt: inv.CreatedAt, ExpiresAt: inv.ExpiresAt,
	}
	if diff := cmp.Diff(want, inv); diff != "" {
		t.Errorf("invitation (-want +got):\n%s", diff)
	}
	for _, tt := range []struct {
		name, email  string
		role, by     tenant.Role
		organization uuid.UUID
		inviter      uuid.UUID
		kind         fault.Kind
		code         string
	}{
		{"a member", "aNN@example.com", tenant.Member, tenant.Owner, org, ann, fault.Conflict, "already_member"},
		{"who is invited", "NEW@example.com", tenant.Member, tenant.Owner, org, ann, fault.Conflict, "already_invited"},
		{"an owner, as an admin", "x@example.com", tenant.Owner, tenant.Admin, org, ann, fault.Forbidden, "role_too_low"},
		{"as a member", "x@example.com", tenant.Member, tenant.Member, org, ann, fault.Forbidden, "role_too_low"},
		{"to no role", "x@example.com", "root", tenant.Owner, org, ann, fault.Invalid, ""},
		{"no address", "x", tenant.Member, tenant.Owner, org, ann, fault.Invalid, ""},
		{"a long address", strings.Repeat("x", 255), tenant.Member, tenant.Owner, org, ann, fault.Invalid, ""},
		{"a NUL", "x\x00@example.com", tenant.Member, tenant.Owner, org, ann, fault.Invalid, ""},
		{"to no organization", "x@example.com", tenant.Member, tenant.Owner, uuid.New(), ann, fault.NotFound, ""},
		{"as nobody", "x@example.com", tenant.Member, tenant.Owner, org, uuid.New(), fault.NotFound, ""},
	} {
		_, err := tenant.Invite(ctx, f.app, tt.organization, tt.email, tt.role, tt.inviter, tt.by)
		wants(t, tt.name, err, tt.kind, tt.code)
	}
	f.expire(t, "true")
	second := f.invite(t, "New@example.com", tenant.Member, ann)
	first, err := tenant.FindInvitation(ctx, f.app, org, inv.ID)
	if err != nil || first.State != tenant.InvitationRevoked || second.ID == inv.ID {
		t.Errorf("an expired invitation that was replaced is %+v, %v", first, err)
	}
	if n := f.text(t, "select count(*) from mesher.invitations"); n != "2" {
		t.Errorf("%s invitations, want 2", n)
	}
	if byOperator := f.invite(t, "op@example.com", tenant.Owner, uuid.Nil); byOperator.InvitedBy != "" {
		t.Errorf("an operator's invitation is by %q", byOperator.InvitedBy)
	}
	other := f.rival(t).OrganizationID
	if _, err := tenant.Invite(ctx, f.app, other, "new@example.com", tenant.Owner, ann, tenant.Owner); err != nil {
		t.Errorf("the same address, by another organization: %v", err)
	}
}

func TestInvite_IsLimited(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	ann := f.member(t, org, "Ann", tenant.Owner)
	late := f.invite(t, "late@example.com", tenant.Member, ann)
	f.expire(t, "true")
	f.Exec(t, "update mesher.invitations set created_at = now() - interval '8 days'")
	_, err := f.admin.Exec(ctx, `
		insert into mesher.invitations (id, organization_id, email, role, expires_at)
		select gen_random_uuid(), $1::uuid, n || '@example.com', 'member', now() + interval '1 day' from generate_series(1, 199) n`, org)
	must(t, err)
	last := f.invite(t, "last@example.com", tenant.Member, ann)
	_, err = tenant.Invite(ctx, f.app, org, "more@example.com", tenant.Member, ann, tenant.Owner)
	wants(t, "one more", err, fault.Conflict, "too_many_invitations")
	_, err = tenant.ExtendInvitation(ctx, f.app, org, late.ID, tenant.Owner)
	wants(t, "one that expired", err, fault.Conflict, "too_many_invitations")
	if _, err := tenant.ExtendInvitation(ctx, f.app, org, last.ID, tenant.Owner); err != nil {
		t.Errorf("an open one is not extended: %v", err)
	}
	f.expire(t, "email = '7@example.com'")
	f.Exec(t, "update mesher.invitations set created_at = now() - interval '8 days'")
	f.invite(t, "more@example.com", tenant.Member, ann)
}

func TestInvitations_AreListed(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	ann := f.member(t, org, "Ann", tenant.Owner)
	byState := map[tenant.InvitationState]uuid.UUID{}
	for _, state := range []tenant.InvitationState{"open", "accepted", "revoked", "expired"} {
		byState[state] = f.invite(t, string(state)+"@example.com", tenant.Admin, ann).ID
	}
	_, err := tenant.AcceptInvitation(ctx, f.app, byState["accepted"], f.user(t, "someone"))
	must(t, err)
	_, _, err = tenant.RevokeInvitation(ctx, f.app, org, byState["revoked"], tenant.Admin)
	must(t, err)
	f.expire(t, "email = 'expired@example.com'")
	for state, id := range byState {
		found, err := tenant.ListInvitations(ctx, f.app, org, tenant.InvitationFilter{State: state, Role: tenant.Admin, Search: string(state)}, page.Request{Limit: 9})
		if err != nil || len(found.Rows) != 1 || found.Rows[0].ID != id || found.Rows[0].State != state ||
			found.Rows[0].AcceptedAt.IsZero() == (state == "accepted") || found.Rows[0].RevokedAt.IsZero() == (state == "revoked") {
			t.Errorf("%s: %+v, %v", state, found.Rows, err)
		}
	}
	none, err := tenant.ListInvitations(ctx, f.app, org, tenant.InvitationFilter{Role: tenant.Owner}, page.Request{Limit: 9})
	if err != nil || len(none.Rows) != 0 {
		t.Errorf("of owners: %+v, %v", none.Rows, err)
	}
	f.Exec(t, "update mesher.users set name = '' where name = 'Ann'")
	if inv, err := tenant.InvitationByID(ctx, f.app, byState["open"]); err != nil || inv.InvitedBy != "Ann@example.com" {
		t.Errorf("invited by %q, %v", inv.InvitedBy, err)
	}
	f.Exec(t, "delete from mesher.users where name = ''")
	if inv, err := tenant.InvitationByID(ctx, f.app, byState["open"]); err != nil || inv.InvitedBy != "" {
		t.Errorf("invited by %q, who is gone, %v", inv.InvitedBy, err)
	}
	_, err = tenant.InvitationByID(ctx, f.app, uuid.New())
	wants(t, "no invitation", err, fault.NotFound, "")
}

func TestInvitations_AreRevokedAndExtended(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	ann := f.member(t, org, "Ann", tenant.Owner)
	owner, member := f.invite(t, "owner@example.com", tenant.Owner, ann), f.invite(t, "member@example.com", tenant.Member, ann)
	before := f.text(t, "select json_agg(i order by i.id) from mesher.invitations i")
	for _, tt := range []struct {
		name             string
		organization, id uuid.UUID
		by               tenant.Role
		kind             fault.Kind
	}{
		{"an owner's, as an admin", org, owner.ID, tenant.Admin, fault.Forbidden},
		{"as a member", org, member.ID, tenant.Member, fault.Forbidden},
		{"another organization's", f.rival(t).OrganizationID, member.ID, tenant.Owner, fault.NotFound},
		{"none", org, uuid.New(), tenant.Owner, fault.NotFound},
	} {
		_, changed, err := tenant.RevokeInvitation(ctx, f.app, tt.organization, tt.id, tt.by)
		wants(t, "revoke "+tt.name, err, tt.kind, "")
		_, err = tenant.ExtendInvitation(ctx, f.app, tt.organization, tt.id, tt.by)
		wants(t, "extend "+tt.name, err, tt.kind, "")
		if changed {
			t.Errorf("%s: it says that it was revoked", tt.name)
		}
	}
	_, err := tenant.FindInvitation(ctx, f.app, f.rival(t).OrganizationID, member.ID)
	wants(t, "find another organization's", err, fault.NotFound, "")
	if after := f.text(t, "select json_agg(i order by i.id) from mesher.invitations i"); before != after {
		t.Errorf("invitations changed from\n%s to\n%s", before, after)
	}

	f.expire(t, "role = 'member'")
	extended, err := tenant.ExtendInvitation(ctx, f.app, org, member.ID, tenant.Admin)
	if left := time.Until(extended.ExpiresAt); err != nil || extended.State != tenant.InvitationOpen ||
		left > tenant.InvitationLifetime+time.Minute || left < tenant.InvitationLifetime-time.Minute {
		t.Errorf("extended: %+v, %v", extended, err)
	}
	f.expire(t, "role = 'member'")
	inv, changed, err := tenant.RevokeInvitation(ctx, f.app, org, member.ID, tenant.Admin)
	if err != nil || !changed || inv.State != tenant.InvitationRevoked {
		t.Errorf("revoked: %+v, %t, %v", inv, changed, err)
	}
	again, changed, err := tenant.RevokeInvitation(ctx, f.app, org, member.ID, tenant.Admin)
	if err != nil || changed || !cmp.Equal(again, inv) {
		t.Errorf("revoked again: %+v, %t, %v", again, changed, err)
	}
	_, err = tenant.ExtendInvitation(ctx, f.app, org, member.ID, tenant.Admin)
	wants(t, "extend a revoked one", err, fault.Conflict, "invitation_closed")
	_, err = tenant.AcceptInvitation(ctx, f.app, owner.ID, f.user(t, "someone"))
	must(t, err)
	_, _, err = tenant.RevokeInvitation(ctx, f.app, org, owner.ID, tenant.Owner)
	wants(t, "revoke an accepted one", err, fault.Conflict, "invitation_closed")
	_, err = tenant.ExtendInvitation(ctx, f.app, org, owner.ID, tenant.Owner)
	wants(t, "extend an accepted one", err, fault.Conflict, "invitation_closed")
}
