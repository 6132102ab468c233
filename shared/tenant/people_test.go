package tenant_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/tenant"
)

// user stores a user whose address begins with name.
func (f *fixture) user(t *testing.T, name string) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	_, err := f.admin.Exec(t.Context(), "insert into mesher.users (id, email, name) values ($1::uuid, $2::text, $3::text)",
		id, name+"@example.com", name)
	must(t, err)
	return id
}

// member stores a user with a role in an organization.
func (f *fixture) member(t *testing.T, organization uuid.UUID, name string, role tenant.Role) uuid.UUID {
	t.Helper()
	id := f.user(t, name)
	added, err := tenant.AddMember(t.Context(), f.app, organization, id, role)
	if err != nil || !added {
		t.Fatalf("add %s: %t, %v", name, added, err)
	}
	return id
}

// roles returns the roles that users have in an organization, by the start of their addresses.
func (f *fixture) roles(t *testing.T, organization uuid.UUID) map[string]tenant.Role {
	t.Helper()
	all, err := tenant.ListMembers(t.Context(), f.app, organization, tenant.MemberFilter{}, page.Request{Limit: 1000})
	must(t, err)
	out := map[string]tenant.Role{}
	for _, c := range all.Rows {
		name, _, _ := strings.Cut(c.Email, "@")
		out[name] = c.Role
	}
	return out
}

// text returns one value as the administrator sees it.
func (f *fixture) text(t *testing.T, sql string, args ...any) string {
	t.Helper()
	var s string
	must(t, f.admin.QueryRow(t.Context(), "select ("+sql+")::text", args...).Scan(&s))
	return s
}

// wants fails unless err is of a kind, and has a code if that is given.
func wants(t *testing.T, what string, err error, kind fault.Kind, code string) {
	t.Helper()
	if !fault.Is(err, kind) || code != "" && fault.CodeOf(err) != code {
		t.Errorf("%s: %v (%s, %s); want %s %s", what, err, fault.KindOf(err), fault.CodeOf(err), kind, code)
	}
}

// together calls f in as many goroutines and returns how many calls succeeded. Errors of other codes fail the test.
func together(t *testing.T, n int, f func(i int) error, codes ...string) int {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	succeeded := 0
	for _, err := range errs {
		switch {
		case err == nil:
			succeeded++
		case !slices.Contains(codes, fault.CodeOf(err)):
			t.Error(err)
		}
	}
	return succeeded
}

// pages reads a list two rows at a time, adding a row after each page, and fails unless the rows that were there at the
// start are read once each, in the order that whole has.
func pages[T any](t *testing.T, list func(page.Request) (page.Of[T], error), id func(T) uuid.UUID, add func(i int)) {
	t.Helper()
	whole, err := list(page.Request{Limit: 1000})
	must(t, err)
	if len(whole.Rows) < 5 || whole.Next != (page.Mark{}) {
		t.Fatalf("%d rows to begin with, the next at %v; want five at least, and no more", len(whole.Rows), whole.Next)
	}
	var got []T
	for r := (page.Request{Limit: 2}); ; {
		p, err := list(r)
		must(t, err)
		if len(p.Rows) > 2 {
			t.Fatalf("a page of %d rows", len(p.Rows))
		}
		got = append(got, p.Rows...)
		if p.Next == (page.Mark{}) {
			break
		}
		add(len(got))
		if r.After, err = page.Parse(p.Next.String()); err != nil {
			t.Fatal(err)
		}
	}
	ids := func(rows []T) []string {
		var out []string
		for _, row := range rows {
			out = append(out, id(row).String())
		}
		return out
	}
	if !slices.Equal(ids(whole.Rows), ids(got)) {
		t.Errorf("pages hold %v, want %v", ids(got), ids(whole.Rows))
	}
	if again, err := list(page.Request{}); err != nil || len(again.Rows) != 1 || slices.Contains(ids(whole.Rows), id(again.Rows[0]).String()) {
		t.Errorf("without a limit the list begins with %v, %v; want one row, the newest", again.Rows, err)
	}
}

func ptr[T any](v T) *T { return &v }

func TestLists_ArePaged(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	owner := f.member(t, org, "owner", tenant.Owner)
	adds := map[string]func(i int){
		"members": func(i int) { f.member(t, org, fmt.Sprint("m", uuid.NewString()[:8], i), tenant.Member) },
		"organizations": func(int) {
			_, err := tenant.CreateOrganization(ctx, f.app, owner, "New")
			must(t, err)
		},
		"projects": func(int) {
			_, err := tenant.CreateProject(ctx, f.app, org, tenant.ProjectChange{Name: ptr("New")})
			must(t, err)
		},
		"invitations": func(int) {
			_, err := tenant.Invite(ctx, f.app, org, uuid.NewString()+"@example.com", tenant.Member, owner, tenant.Owner)
			must(t, err)
		},
		"keys": func(int) {
			_, _, err := tenant.IssueKey(ctx, f.app, f.project.ID, tenant.KeySpec{Label: "new"})
			must(t, err)
		},
		"audit": func(int) {
			must(t, tenant.Record(ctx, f.app, org, tenant.Actor{Kind: "operator"}, "project.create", tenant.Target{}, nil))
		},
	}
	for name, add := range adds {
		for i := range 7 {
			add(i)
		}
		// Rows of one moment stand by their ids.
		table := map[string]string{"members": "memberships", "keys": "api_keys", "audit": ""}
		which, known := table[name]
		if !known {
			which = name
		}
		if which != "" {
			f.Exec(t, "update mesher."+which+" set created_at = date_trunc('minute', created_at)")
		}
	}
	t.Run("members", func(t *testing.T) {
		pages(t, func(r page.Request) (page.Of[tenant.Colleague], error) {
			return tenant.ListMembers(ctx, f.app, org, tenant.MemberFilter{}, r)
		}, func(c tenant.Colleague) uuid.UUID { return c.UserID }, adds["members"])
	})
	t.Run("organizations", func(t *testing.T) {
		pages(t, func(r page.Request) (page.Of[tenant.Organization], error) {
			return tenant.ListOrganizations(ctx, f.app, tenant.Viewer{UserID: owner}, "", r)
		}, func(o tenant.Organization) uuid.UUID { return o.ID }, adds["organizations"])
	})
	t.Run("projects", func(t *testing.T) {
		pages(t, func(r page.Request) (page.Of[tenant.Project], error) {
			return tenant.ListProjects(ctx, f.app, org, tenant.ProjectFilter{}, r)
		}, func(p tenant.Project) uuid.UUID { return p.ID }, adds["projects"])
	})
	t.Run("invitations", func(t *testing.T) {
		pages(t, func(r page.Request) (page.Of[tenant.Invitation], error) {
			return tenant.ListInvitations(ctx, f.app, org, tenant.InvitationFilter{}, r)
		}, func(i tenant.Invitation) uuid.UUID { return i.ID }, adds["invitations"])
	})
	t.Run("keys", func(t *testing.T) {
		pages(t, func(r page.Request) (page.Of[tenant.Key], error) {
			return tenant.PageKeys(ctx, f.app, f.project.ID, tenant.KeyFilter{}, r)
		}, func(k tenant.Key) uuid.UUID { return k.ID }, adds["keys"])
	})
	t.Run("the audit log", func(t *testing.T) {
		pages(t, func(r page.Request) (page.Of[tenant.AuditEntry], error) {
			return tenant.ListAudit(ctx, f.app, org, tenant.AuditFilter{}, r)
		}, func(e tenant.AuditEntry) uuid.UUID { return e.ID }, adds["audit"])
	})
}

// TestSearch_TakesEverythingAsText has search for what SQL would read as something else.
func TestSearch_TakesEverythingAsText(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org, ctx := f.project.OrganizationID, t.Context()
	owner := f.member(t, org, `a_b%c\d`, tenant.Owner)
	f.member(t, org, "plain", tenant.Member)
	_, err := tenant.Invite(ctx, f.app, org, `Guest_1@example.com`, tenant.Member, owner, tenant.Owner)
	must(t, err)
	_, err = tenant.CreateProject(ctx, f.app, org, tenant.ProjectChange{Name: ptr(`50% Off_Ünit`)})
	must(t, err)
	_, _, err = tenant.IssueKey(ctx, f.app, f.project.ID, tenant.KeySpec{Label: `50% Off_Ünit`})
	must(t, err)
	r := page.Request{Limit: 10}
	for _, tt := range []struct {
		search                                         string
		members, organizations, projects, invites, key int
	}{
		{"", 2, 1, 2, 1, 2},
		{"%", 1, 0, 1, 0, 1},
		{"_", 1, 0, 1, 1, 1},
		{`\`, 1, 0, 0, 0, 0},
		{"B%C", 1, 0, 0, 0, 0},
		{"off_üNIT", 0, 0, 1, 0, 1},
		{"gUEST_1@", 0, 0, 0, 1, 0},
		{"ACM", 0, 1, 0, 0, 0},
		{"sho", 0, 0, 1, 0, 0},
		{"a\x00", 0, 0, 0, 0, 0},
		{"\xff", 0, 0, 0, 0, 0},
		{"' or true --", 0, 0, 0, 0, 0},
	} {
		members, err := tenant.ListMembers(ctx, f.app, org, tenant.MemberFilter{Search: tt.search}, r)
		must(t, err)
		organizations, err := tenant.ListOrganizations(ctx, f.app, tenant.Viewer{UserID: owner}, tt.search, r)
		must(t, err)
		projects, err := tenant.ListProjects(ctx, f.app, org, tenant.ProjectFilter{Search: tt.search}, r)
		must(t, err)
		invites, err := tenant.ListInvitations(ctx, f.app, org, tenant.InvitationFilter{Search: tt.search}, r)
		must(t, err)
		keys, err := tenant.PageKeys(ctx, f.app, f.project.ID, tenant.KeyFilter{Label: tt.search}, r)
		must(t, err)
		got := []int{len(members.Rows), len(organizations.Rows), len(projects.Rows), len(invites.Rows), len(keys.Rows)}
		if want := []int{tt.members, tt.organizations, tt.projects, tt.invites, tt.key}; !slices.Equal(got, want) {
			t.Errorf("%q is found %v times in members, organizations, projects, invitations and keys; want %v", tt.search, got, want)
		}
	}
}
