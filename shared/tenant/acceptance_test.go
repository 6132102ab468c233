package tenant_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestAcceptInvitation(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	ann := f.member(t, org, "Ann", tenant.Owner)
	bob := f.user(t, "Bob")
	inv, err := tenant.AcceptInvitation(ctx, f.app, f.invite(t, "b@example.org", tenant.Admin, ann).ID, bob)
	if err != nil || inv.State != tenant.InvitationAccepted || inv.AcceptedAt.IsZero() || inv.AcceptedBy != "Bob" || inv.Was != "" || inv.Is != tenant.Admin || f.roles(t, org)["Bob"] != tenant.Admin {
		t.Errorf("accepted: %+v, %v", inv, err)
	}
	kept, err := tenant.AcceptInvitation(ctx, f.app, f.invite(t, "b@example.org", tenant.Member, ann).ID, bob)
	if err != nil || kept.Was != tenant.Admin || kept.Is != tenant.Admin || f.roles(t, org)["Bob"] != tenant.Admin {
		t.Errorf("an admin who accepts to be a member: %v, %v", f.roles(t, org), err)
	}
	raised, err := tenant.AcceptInvitation(ctx, f.app, f.invite(t, "b@example.org", tenant.Owner, ann).ID, bob)
	if err != nil || raised.Was != tenant.Admin || raised.Is != tenant.Owner || f.roles(t, org)["Bob"] != tenant.Owner {
		t.Errorf("an admin who accepts to be an owner: %v, %v", f.roles(t, org), err)
	}

	cy := f.user(t, "Cy")
	_, err = tenant.AcceptInvitation(ctx, f.app, inv.ID, cy)
	wants(t, "an accepted one", err, fault.Conflict, "invitation_closed")
	expired := f.invite(t, "c@example.org", tenant.Owner, ann)
	f.expire(t, "email = 'c@example.org'")
	_, err = tenant.AcceptInvitation(ctx, f.app, expired.ID, cy)
	wants(t, "an expired one", err, fault.Conflict, "invitation_closed")
	revoked := f.invite(t, "d@example.org", tenant.Owner, ann)
	_, _, err = tenant.RevokeInvitation(ctx, f.app, org, revoked.ID, tenant.Owner)
	must(t, err)
	_, err = tenant.AcceptInvitation(ctx, f.app, revoked.ID, cy)
	wants(t, "a revoked one", err, fault.Conflict, "invitation_closed")
	open := f.invite(t, "e@example.org", tenant.Owner, ann)
	_, err = tenant.AcceptInvitation(ctx, f.app, open.ID, uuid.New())
	wants(t, "as nobody", err, fault.NotFound, "")
	_, err = tenant.AcceptInvitation(ctx, f.app, uuid.New(), cy)
	wants(t, "none", err, fault.NotFound, "")
	must(t, tenant.DeleteOrganization(ctx, f.app, org))
	_, err = tenant.AcceptInvitation(ctx, f.app, open.ID, cy)
	wants(t, "of an organization that was deleted", err, fault.Conflict, "invitation_closed")
	if n := f.text(t, "select count(*) from mesher.memberships where user_id = $1", cy); n != "0" {
		t.Errorf("who accepted what was closed has %s memberships", n)
	}
}

func TestInvitations_Together(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	ann := f.member(t, org, "Ann", tenant.Owner)
	pools := []*pgxpool.Pool{f.app, f.Pool(t, pgtest.App), f.Pool(t, pgtest.App)}
	var users []uuid.UUID
	for i := range 20 {
		users = append(users, f.user(t, fmt.Sprint("user", i)))
	}
	t.Run("one of twenty accepts", func(t *testing.T) {
		inv := f.invite(t, "once@example.com", tenant.Member, ann)
		n := together(t, 20, func(i int) error {
			_, err := tenant.AcceptInvitation(ctx, pools[i%3], inv.ID, users[i])
			return err
		}, "invitation_closed")
		if members := len(f.roles(t, org)); n != 1 || members != 2 {
			t.Errorf("%d accepted, %d are members; want 1 and 2", n, members)
		}
	})
	t.Run("it is accepted or revoked", func(t *testing.T) {
		for i := range 20 {
			inv := f.invite(t, fmt.Sprint("either", i, "@example.com"), tenant.Member, ann)
			user := f.user(t, uuid.NewString())
			if n := together(t, 2, func(way int) (err error) {
				if way == 0 {
					_, err = tenant.AcceptInvitation(ctx, pools[0], inv.ID, user)
				} else {
					_, _, err = tenant.RevokeInvitation(ctx, pools[1], org, inv.ID, tenant.Owner)
				}
				return err
			}, "invitation_closed"); n != 1 {
				t.Errorf("%d of accepting and revoking succeeded, want 1", n)
			}
			got, err := tenant.InvitationByID(ctx, f.app, inv.ID)
			must(t, err)
			_, err = tenant.Authorize(ctx, f.app, tenant.Viewer{UserID: user}, org, tenant.Member)
			if (got.State == tenant.InvitationAccepted) != (err == nil) || got.AcceptedAt.IsZero() == got.RevokedAt.IsZero() {
				t.Errorf("%+v, and as a member: %v", got, err)
			}
		}
	})
	t.Run("one of twenty invites", func(t *testing.T) {
		n := together(t, 20, func(i int) error {
			_, err := tenant.Invite(ctx, pools[i%3], org, []string{"same@example.com", "SAME@example.com"}[i%2], tenant.Member, ann, tenant.Owner)
			return err
		}, "already_invited")
		if open := f.text(t, "select count(*) from mesher.invitations where lower(email) = 'same@example.com'"); n != 1 || open != "1" {
			t.Errorf("%d invited, %s invitations; want one", n, open)
		}
	})
	t.Run("twenty replace an expired one once", func(t *testing.T) {
		f.expire(t, "lower(email) = 'same@example.com'")
		n := together(t, 20, func(i int) error {
			_, err := tenant.Invite(ctx, pools[i%3], org, "same@example.com", tenant.Member, ann, tenant.Owner)
			return err
		}, "already_invited")
		if all := f.text(t, "select count(*) from mesher.invitations where lower(email) = 'same@example.com'"); n != 1 || all != "2" {
			t.Errorf("%d invited, %s invitations; want 1 and 2", n, all)
		}
	})
}

// Who accepts while the invitation is being revoked waits, and learns it.
func TestAcceptInvitation_SeesARevocationThatWasFirst(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	inv := f.invite(t, "x@example.com", tenant.Member, f.member(t, org, "Ann", tenant.Owner))
	bob := f.user(t, "Bob")
	tx, err := f.Conn(t, pgtest.App).Begin(ctx)
	must(t, err)
	_, changed, err := tenant.RevokeInvitation(ctx, tx, org, inv.ID, tenant.Owner)
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	accepting := f.Session(t, pgtest.App)
	result := make(chan error, 1)
	go func() {
		_, err := tenant.AcceptInvitation(ctx, accepting, inv.ID, bob)
		result <- err
	}()
	f.waits(t, accepting)
	must(t, tx.Commit(ctx))
	wants(t, "accepted meanwhile", <-result, fault.Conflict, "invitation_closed")
	if members := f.roles(t, org); len(members) != 1 {
		t.Errorf("members are %v", members)
	}
}
