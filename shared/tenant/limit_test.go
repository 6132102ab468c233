package tenant_test

import (
	"testing"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	run := func(sql string, args ...any) {
		t.Helper()
		_, err := f.admin.Exec(ctx, sql, args...)
		must(t, err)
	}
	ann := f.user(t, "Ann")
	o, err := tenant.CreateOrganization(ctx, f.app, ann, "Acme")
	must(t, err)
	name := "Shop"
	p, err := tenant.CreateProject(ctx, f.app, o.ID, tenant.ProjectChange{Name: &name})
	must(t, err)

	t.Run("organizations of an owner", func(t *testing.T) {
		run(`with o as (insert into mesher.organizations (id, name, slug)
				select gen_random_uuid(), 'o', 'o' || n from generate_series(1, 48) n returning id)
			insert into mesher.memberships (organization_id, user_id, role) select id, $1, 'owner' from o`, ann)
		succeeded := together(t, 4, func(int) error {
			tx, err := f.app.Begin(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback(ctx) }()
			if _, err := tenant.CreateOrganization(ctx, tx, ann, "More"); err != nil {
				return err
			}
			return tx.Commit(ctx)
		}, "too_many_organizations")
		if succeeded != 1 {
			t.Errorf("%d of 4 are made where there is room for one", succeeded)
		}
		_, err := tenant.CreateOrganization(ctx, f.app, f.user(t, "Bob"), "Bob's")
		must(t, err)
		must(t, tenant.DeleteOrganization(ctx, f.app, o.ID))
		o, err = tenant.CreateOrganization(ctx, f.app, ann, "In its place")
		must(t, err)
	})
	t.Run("projects of an organization", func(t *testing.T) {
		run(`insert into mesher.projects (id, organization_id, name, slug)
			select gen_random_uuid(), $1, 'p', 'p' || n from generate_series(1, 500) n`, o.ID)
		_, err := tenant.CreateProject(ctx, f.app, o.ID, tenant.ProjectChange{Name: &name})
		wants(t, "one more", err, fault.Conflict, "too_many_projects")
	})
	t.Run("keys of a project", func(t *testing.T) {
		run(`insert into mesher.api_keys (id, project_id, hash, prefix, last_four, label, revoked_at)
			select gen_random_uuid(), $1, sha256(n::text::bytea), 'mshr_AbCd', 'WxYz', 'x', case when n > 99 then now() end
			from generate_series(1, 200) n`, p.ID)
		last, _, err := tenant.IssueKey(ctx, f.app, p.ID, tenant.KeySpec{Label: "x"})
		must(t, err)
		_, _, err = tenant.IssueKey(ctx, f.app, p.ID, tenant.KeySpec{Label: "x"})
		wants(t, "one more", err, fault.Conflict, "too_many_keys")
		_, err = tenant.RotateKey(ctx, f.app, p.ID, last.ID, 0)
		wants(t, "a successor", err, fault.Conflict, "too_many_keys")
		_, _, err = tenant.RevokeKey(ctx, f.app, p.ID, last.ID)
		must(t, err)
		_, _, err = tenant.IssueKey(ctx, f.app, p.ID, tenant.KeySpec{Label: "x"})
		must(t, err)
	})
}

// To revoke an invitation does not unsend its mail.
func TestInvite_CountsWhatWasRevoked(t *testing.T) {
	t.Parallel()
	f := setup(t)
	o, err := tenant.CreateOrganization(t.Context(), f.app, f.user(t, "Ann"), "Acme")
	must(t, err)
	insert := `insert into mesher.invitations (id, organization_id, email, role, created_at, expires_at, revoked_at)
		select gen_random_uuid(), $1, 'u' || n || '@example.org', 'member', now() - $2::interval, now() + interval '1 day', now()
		from generate_series(1, 200) n`
	invite := func() error {
		_, err := tenant.Invite(t.Context(), f.app, o.ID, "new@example.org", tenant.Member, f.user(t, "X"), tenant.Owner)
		return err
	}
	_, err = f.admin.Exec(t.Context(), insert, o.ID, "25 hours")
	must(t, err)
	_, err = f.admin.Exec(t.Context(), insert, o.ID, "1 hour")
	must(t, err)
	wants(t, "one more", invite(), fault.Conflict, "too_many_invitations")
	_, err = f.admin.Exec(t.Context(), `update mesher.invitations set created_at = created_at - interval '1 day'`)
	must(t, err)
	_, err = tenant.Invite(t.Context(), f.app, o.ID, "new@example.org", tenant.Member, f.user(t, "Y"), tenant.Owner)
	must(t, err)
}

func TestCheckName_OfWhatNobodySees(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"\u3164", "\u115f", "a\u034f", "A\ufe0f", "\u2800", "\u0301"} {
		wants(t, name, tenant.CheckName("name", name), fault.Invalid, "")
	}
	for _, name := range []string{"안나", "é", "A."} {
		must(t, tenant.CheckName("name", name))
	}
}
