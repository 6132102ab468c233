package tenant_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestCreateOrganization(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx, ann := t.Context(), f.user(t, "Ann")
	o, err := tenant.CreateOrganization(ctx, f.app, ann, "Acme") // as the fixture's
	if err != nil || o.Slug != "acme-2" || o.Name != "Acme" || o.Role != tenant.Owner || o.CreatedAt.IsZero() {
		t.Fatalf("created %+v, %v", o, err)
	}
	if role, err := tenant.Authorize(ctx, f.app, tenant.Viewer{UserID: ann}, o.ID, tenant.Owner); err != nil || role != tenant.Owner {
		t.Errorf("who created it is %s, %v", role, err)
	}
	plain := o
	plain.Role = ""
	if got, err := tenant.OrganizationByID(ctx, f.app, o.ID); err != nil || got != plain {
		t.Errorf("by its id: %+v, %v; want %+v", got, err, plain)
	}
	if got, err := tenant.FindOrganization(ctx, f.app, "acme-2"); err != nil || got != plain {
		t.Errorf("by its slug: %+v, %v; want %+v", got, err, plain)
	}
	_, err = tenant.CreateOrganization(ctx, f.app, uuid.New(), "Of nobody")
	wants(t, "of nobody", err, fault.NotFound, "")
	_, err = tenant.CreateOrganization(ctx, f.app, ann, " ")
	wants(t, "without a name", err, fault.Invalid, "")
	if n := f.text(t, "select count(*) from mesher.organizations"); n != "2" {
		t.Errorf("%s organizations, want 2", n)
	}
	for name, slug := range map[string]string{
		"acme deleted 0a1b2c3d":  "acme-deleted-0a1b2c3d-2", // never like what is deleted
		strings.Repeat("x", 100): strings.Repeat("x", 63),
	} {
		if o, err := tenant.CreateOrganization(ctx, f.app, ann, name); err != nil || o.Slug != slug {
			t.Errorf("%s: %s, %v; want %s", name, o.Slug, err, slug)
		}
	}
	if o, err := tenant.CreateOrganization(ctx, f.app, ann, strings.Repeat("x", 100)); err != nil || o.Slug != strings.Repeat("x", 61)+"-2" {
		t.Errorf("a long one again: %s, %v", o.Slug, err)
	}
}

func TestCreate_WhenAllNumbersAreTaken(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx, ann := t.Context(), f.user(t, "Ann")
	_, err := f.admin.Exec(ctx, `insert into mesher.organizations (id, name, slug)
		select gen_random_uuid(), 'x', 'acme-' || n from generate_series(2, 100) n`)
	must(t, err)
	o, err := tenant.CreateOrganization(ctx, f.app, ann, "Acme")
	if err != nil || !regexp.MustCompile(`^acme-[0-9a-f]{8}$`).MatchString(o.Slug) {
		t.Errorf("the next one is %s, %v", o.Slug, err)
	}
}

// TestCreate_Together has organizations and projects of the same name created at the same moment.
func TestCreate_Together(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx, ann := t.Context(), f.user(t, "Ann")
	pools := []*pgxpool.Pool{f.app, f.Pool(t, pgtest.App), f.Pool(t, pgtest.App), f.Pool(t, pgtest.App), f.Pool(t, pgtest.App)}
	const each = 20
	if n := together(t, each, func(i int) error {
		_, err := tenant.CreateOrganization(ctx, pools[i%len(pools)], ann, "Same")
		return err
	}); n != each {
		t.Errorf("%d organizations, want %d", n, each)
	}
	if n := together(t, each, func(i int) error {
		_, err := tenant.CreateProject(ctx, pools[i%len(pools)], f.project.OrganizationID, tenant.ProjectChange{Name: ptr("Same")})
		return err
	}); n != each {
		t.Errorf("%d projects, want %d", n, each)
	}
	for _, table := range []string{"organizations", "projects"} {
		got := f.text(t, "select string_agg(slug, ' ' order by slug) from mesher."+table+" where name = 'Same'")
		for n := 2; n <= each; n++ {
			if !strings.Contains(got+" ", fmt.Sprint(" same-", n, " ")) {
				t.Errorf("%s have the slugs %s; want same to same-%d", table, got, each)
				break
			}
		}
	}
	if n := together(t, each, func(i int) error {
		_, err := tenant.CreateProject(ctx, pools[i%len(pools)], f.project.OrganizationID, tenant.ProjectChange{Name: ptr("X"), Slug: ptr("given")})
		return err
	}, "slug_taken"); n != 1 {
		t.Errorf("%d projects of the slug that was given, want 1", n)
	}
}

func TestListOrganizations_ShowsOnlyTheViewers(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx, rival := t.Context(), f.rival(t)
	ann := f.member(t, f.project.OrganizationID, "Ann", tenant.Member)
	f.member(t, rival.OrganizationID, "Bob", tenant.Owner)
	own, err := tenant.CreateOrganization(ctx, f.app, ann, "Own")
	must(t, err)
	for name, tt := range map[string]struct {
		viewer tenant.Viewer
		want   string
	}{
		"all":                   {tenant.Viewer{UserID: ann}, "own:owner acme:member "},
		"with a bound token":    {tenant.Viewer{UserID: ann, OrganizationID: own.ID}, "own:owner "},
		"bound to another's":    {tenant.Viewer{UserID: ann, OrganizationID: rival.OrganizationID}, ""},
		"of who is in none":     {tenant.Viewer{UserID: uuid.New()}, ""},
		"of nobody in particul": {tenant.Viewer{}, ""},
	} {
		found, err := tenant.ListOrganizations(ctx, f.app, tt.viewer, "", page.Request{Limit: 9})
		must(t, err)
		got := ""
		for _, o := range found.Rows {
			got += fmt.Sprintf("%s:%s ", o.Slug, o.Role)
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestChangeOrganization(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	f.rival(t)
	first, err := tenant.OrganizationByID(ctx, f.app, org)
	must(t, err)
	was, is, err := tenant.ChangeOrganization(ctx, f.app, org, tenant.OrganizationChange{Name: ptr("Acme 2"), Slug: ptr("acme2")})
	want := first
	want.Name, want.Slug = "Acme 2", "acme2"
	if err != nil || was != first || is != want {
		t.Errorf("changed from %+v to %+v, %v", was, is, err)
	}
	if was, is, err := tenant.ChangeOrganization(ctx, f.app, org, tenant.OrganizationChange{}); err != nil || was != want || is != want {
		t.Errorf("nothing changed from %+v to %+v, %v", was, is, err)
	}
	before := f.text(t, "select json_agg(o order by id) from mesher.organizations o")
	for name, tt := range map[string]struct {
		id     uuid.UUID
		change tenant.OrganizationChange
		kind   fault.Kind
		code   string
	}{
		"a slug that is taken":  {org, tenant.OrganizationChange{Slug: ptr("rival")}, fault.Conflict, "slug_taken"},
		"no slug":               {org, tenant.OrganizationChange{Slug: ptr("")}, fault.Invalid, ""},
		"a slug with a break":   {org, tenant.OrganizationChange{Slug: ptr("a\n")}, fault.Invalid, ""},
		"a slug as of deleted":  {org, tenant.OrganizationChange{Slug: ptr("a-deleted-0123abcd")}, fault.Invalid, ""},
		"an empty name":         {org, tenant.OrganizationChange{Name: ptr("")}, fault.Invalid, ""},
		"none":                  {uuid.New(), tenant.OrganizationChange{Name: ptr("X")}, fault.NotFound, ""},
		"a slug that is a name": {org, tenant.OrganizationChange{Slug: ptr("Acme")}, fault.Invalid, ""},
	} {
		_, _, err := tenant.ChangeOrganization(ctx, f.app, tt.id, tt.change)
		wants(t, name, err, tt.kind, tt.code)
	}
	if after := f.text(t, "select json_agg(o order by id) from mesher.organizations o"); before != after {
		t.Errorf("organizations changed from %s to %s", before, after)
	}
}

func TestDeleteOrganization(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	rival := f.rival(t)
	ann := f.member(t, org, "Ann", tenant.Owner)
	inv := f.invite(t, "x@example.com", tenant.Member, ann)
	must(t, tenant.DeleteOrganization(ctx, f.app, org))

	if _, err := f.find(t, f.key); !fault.Is(err, fault.Forbidden) {
		t.Errorf("its key: %v, want it refused", err)
	}
	if got, err := tenant.InvitationByID(ctx, f.app, inv.ID); err != nil || got.State != tenant.InvitationRevoked {
		t.Errorf("its invitation is %s, %v", got.State, err)
	}
	list, err := tenant.ListOrganizations(ctx, f.app, tenant.Viewer{UserID: ann}, "", page.Request{Limit: 9})
	if err != nil || len(list.Rows) != 0 {
		t.Errorf("its owner sees %v, %v", list.Rows, err)
	}
	_, _, change := tenant.ChangeOrganization(ctx, f.app, org, tenant.OrganizationChange{Name: ptr("X")})
	_, byID := tenant.OrganizationByID(ctx, f.app, org)
	_, bySlug := tenant.FindOrganization(ctx, f.app, "acme")
	_, pick := tenant.PickProject(ctx, f.app, f.project.ID.String())
	_, find := tenant.FindProject(ctx, f.app, org, "shop")
	_, ensure := tenant.EnsureProject(ctx, f.app, org, "More", "more")
	_, create := tenant.CreateProject(ctx, f.app, org, tenant.ProjectChange{Name: ptr("More")})
	_, given := tenant.CreateProject(ctx, f.app, org, tenant.ProjectChange{Name: ptr("More"), Slug: ptr("more")})
	_, _, restore := tenant.ChangeProject(ctx, f.app, f.project.ID, tenant.ProjectChange{Status: ptr(tenant.ProjectActive)})
	_, _, drop := tenant.DeleteProject(ctx, f.app, f.project.ID)
	_, add := tenant.AddMember(ctx, f.app, org, f.user(t, "Bob"), tenant.Owner)
	_, _, role := tenant.ChangeRole(ctx, f.app, org, ann, tenant.Owner, tenant.Owner)
	_, leave := tenant.RemoveMember(ctx, f.app, org, ann, tenant.Owner, true)
	_, invite := tenant.Invite(ctx, f.app, org, "y@example.com", tenant.Member, ann, tenant.Owner)
	for what, err := range map[string]error{
		"change": change, "by id": byID, "by slug": bySlug, "pick": pick, "find": find, "ensure": ensure, "create": create,
		"create with a slug": given, "restore": restore, "delete a project": drop, "add": add, "role": role, "leave": leave,
		"invite": invite, "again": tenant.DeleteOrganization(ctx, f.app, org), "none": tenant.DeleteOrganization(ctx, f.app, uuid.New()),
	} {
		wants(t, what, err, fault.NotFound, "")
	}
	if n := f.text(t, "select count(*) from mesher.projects where organization_id = $1 and status = 'deleting' and deleted_at is not null", org); n != "1" {
		t.Errorf("%s projects are marked for deletion, want 1", n)
	}
	if p, err := tenant.PickProject(ctx, f.app, ""); err != nil || !cmp.Equal(p, rival) {
		t.Errorf("the other organization's project: %v, %v", p, err)
	}
	again, err := tenant.EnsureOrganization(ctx, f.admin, "Acme", "acme")
	if err != nil || again.ID == org {
		t.Errorf("a new one of the same slug: %v, %v", again, err)
	}
	must(t, tenant.DeleteOrganization(ctx, f.app, again.ID))
}

// TestDeleteOrganization_Together has projects created, and one restored, while their organization is deleted: none of
// them takes events afterwards.
func TestDeleteOrganization_Together(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx, ann := t.Context(), f.user(t, "Ann")
	more := f.Pool(t, pgtest.App)
	for range 20 {
		o, err := tenant.CreateOrganization(ctx, f.app, ann, "Short")
		must(t, err)
		p, err := tenant.CreateProject(ctx, f.app, o.ID, tenant.ProjectChange{Name: ptr("P")})
		must(t, err)
		_, _, err = tenant.DeleteProject(ctx, f.app, p.ID)
		must(t, err)
		together(t, 5, func(i int) error {
			switch i {
			case 0:
				return tenant.DeleteOrganization(ctx, more, o.ID)
			case 1:
				_, _, err := tenant.ChangeProject(ctx, more, p.ID, tenant.ProjectChange{Status: ptr(tenant.ProjectActive)})
				return err
			case 2:
				_, err := tenant.EnsureProject(ctx, more, o.ID, "E", "e")
				return err
			}
			_, err := tenant.CreateProject(ctx, f.app, o.ID, tenant.ProjectChange{Name: ptr("N")})
			return err
		}, "not_found")
		if n := f.text(t, "select count(*) from mesher.projects where organization_id = $1 and status <> 'deleting'", o.ID); n != "0" {
			t.Fatalf("%s projects of a deleted organization take events", n)
		}
	}
}
