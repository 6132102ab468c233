package tenant_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// TestOwners_OneStays has two owners end their own and each other's ownership at the same moment.
func TestOwners_OneStays(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	a, b := f.user(t, "a"), f.user(t, "b")
	both := []uuid.UUID{a, b}
	ways := map[string]func(organization uuid.UUID, i int) error{
		"demote each other": func(o uuid.UUID, i int) error {
			_, _, err := tenant.ChangeRole(ctx, f.app, o, both[1-i], tenant.Admin, tenant.Owner)
			return err
		},
		"demote themselves": func(o uuid.UUID, i int) error {
			_, _, err := tenant.ChangeRole(ctx, f.app, o, both[i], tenant.Member, tenant.Owner)
			return err
		},
		"remove each other": func(o uuid.UUID, i int) error {
			_, err := tenant.RemoveMember(ctx, f.app, o, both[1-i], tenant.Owner, false)
			return err
		},
		"leave": func(o uuid.UUID, i int) error {
			_, err := tenant.RemoveMember(ctx, f.app, o, both[i], tenant.Owner, true)
			return err
		},
		"one leaves, the other steps down": func(o uuid.UUID, i int) error {
			if i == 0 {
				_, err := tenant.RemoveMember(ctx, f.app, o, a, tenant.Owner, true)
				return err
			}
			_, _, err := tenant.ChangeRole(ctx, f.app, o, b, tenant.Admin, tenant.Owner)
			return err
		},
	}
	for name, way := range ways {
		for range 20 {
			o, err := tenant.CreateOrganization(ctx, f.app, a, "Two")
			must(t, err)
			_, err = tenant.AddMember(ctx, f.app, o.ID, b, tenant.Owner)
			must(t, err)
			if n := together(t, 2, func(i int) error { return way(o.ID, i) }, "last_owner"); n != 1 {
				t.Errorf("%s: %d succeeded, want 1", name, n)
			}
			if n := f.text(t, "select count(*) from mesher.memberships where organization_id = $1 and role = 'owner'", o.ID); n != "1" {
				t.Errorf("%s: %s owners are left, want 1", name, n)
			}
			must(t, tenant.DeleteOrganization(ctx, f.app, o.ID)) // nobody owns more than fifty
		}
	}
}

func TestSoleOwnerships(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	user, friend := f.user(t, "user"), f.user(t, "friend")
	alone, err := tenant.CreateOrganization(ctx, f.app, user, "Alone")
	must(t, err)
	shared, err := tenant.CreateOrganization(ctx, f.app, user, "Shared")
	must(t, err)
	_, err = tenant.AddMember(ctx, f.app, shared.ID, friend, tenant.Owner)
	must(t, err)
	_, err = tenant.AddMember(ctx, f.app, alone.ID, friend, tenant.Admin)
	must(t, err)
	gone, err := tenant.CreateOrganization(ctx, f.app, user, "Gone")
	must(t, err)
	must(t, tenant.DeleteOrganization(ctx, f.app, gone.ID))

	tx, err := f.Conn(t, pgtest.App).Begin(ctx)
	must(t, err)
	got, err := tenant.SoleOwnerships(ctx, tx, user)
	if diff := cmp.Diff([]string{"alone"}, got); err != nil || diff != "" {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
	leaving := f.Session(t, pgtest.App)
	result := make(chan error, 1)
	go func() {
		_, err := tenant.RemoveMember(ctx, leaving, shared.ID, friend, tenant.Owner, true)
		result <- err
	}()
	f.waits(t, leaving)
	_, err = tx.Exec(ctx, "delete from mesher.memberships where user_id = $1", user)
	must(t, err)
	must(t, tx.Commit(ctx))
	wants(t, "the other owner leaves meanwhile", <-result, fault.Conflict, "last_owner")
	if got, err := tenant.SoleOwnerships(ctx, f.app, friend); err != nil || !cmp.Equal(got, []string{"shared"}) {
		t.Errorf("afterwards: %v, %v", got, err)
	}
	if got, err := tenant.SoleOwnerships(ctx, f.app, uuid.New()); err != nil || len(got) != 0 {
		t.Errorf("of nobody: %v, %v", got, err)
	}
}

// TestSoleOwnerships_Together has users be deleted while others leave and accept: nobody waits for good, and each
// organization that has members has an owner.
func TestSoleOwnerships_Together(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	for range 10 {
		a, b := f.user(t, uuid.NewString()), f.user(t, uuid.NewString())
		o, err := tenant.CreateOrganization(ctx, f.app, a, "Two")
		must(t, err)
		_, err = tenant.AddMember(ctx, f.app, o.ID, b, tenant.Owner)
		must(t, err)
		inv, err := tenant.Invite(ctx, f.app, o.ID, uuid.NewString()+"@example.com", tenant.Owner, a, tenant.Owner)
		must(t, err)
		erase := func(user uuid.UUID) error {
			return pgx.BeginFunc(ctx, f.app, func(tx pgx.Tx) error {
				sole, err := tenant.SoleOwnerships(ctx, tx, user)
				if err != nil || len(sole) > 0 {
					return err
				}
				_, err = tx.Exec(ctx, "delete from mesher.users where id = $1", user)
				return err
			})
		}
		together(t, 4, func(i int) error {
			switch i {
			case 0:
				return erase(a)
			case 1:
				return erase(b)
			case 2:
				_, err := tenant.AcceptInvitation(ctx, f.app, inv.ID, b)
				return err
			}
			_, err := tenant.RemoveMember(ctx, f.app, o.ID, b, tenant.Owner, true)
			return err
		}, "not_found", "last_owner")
		if n := f.text(t, "select count(*) from mesher.memberships where organization_id = $1 and role = 'owner'", o.ID); n == "0" {
			t.Error("no owner is left")
		}
	}
}
