package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/tenant"
)

// bodies are what the operations that need a body are called with.
var bodies = map[string]string{
	"update-user":         `{"name":"x"}`,
	"create-token":        `{"label":"x","scope":"read","password":"` + password + `"}`,
	"create-organization": `{"name":"x"}`,
	"update-organization": `{"name":"x"}`,
	"update-member":       `{"role":"admin"}`,
	"create-invitation":   `{"email":"x@example.com","role":"member"}`,
	"create-project":      `{"name":"x"}`,
	"update-project":      `{"name":"x"}`,
	"create-key":          `{"label":"x"}`,
	"update-key":          `{"label":"x"}`,
	"rotate-key":          `{"overlap":"1h"}`,
	"update-issue":        `{"status":"discarded"}`,
	"update-issues":       `{"ids":["{issue_id}"],"status":"discarded"}`,
	"delete-issues":       `{"ids":["{issue_id}"]}`,
	"merge-issues":        `{"ids":["{issue_id}","{other_issue_id}"]}`,
	"unmerge-issue":       `{"fingerprints":["{fingerprint}"]}`,
	"erase-user":          `{"user_id":"u1"}`,
	"create-monitor":      `{"name":"x","kind":"tcp","config":{"tcp":{"host":"example.com","port":443}}}`,
	"update-monitor":      `{"name":"x"}`,
	"create-channel":      `{"name":"x","slack":{"url":"https://hooks.slack.com/services/a"}}`,
	"update-channel":      `{"name":"x"}`,

	"create-project-rule":      `{"name":"x","kind":"new_issue"}`,
	"create-organization-rule": `{"name":"x","kind":"monitor"}`,
	"dry-run-project-rule":     `{"name":"x","kind":"new_issue"}`,
	"update-rule":              `{"name":"x"}`,
	"resolve-alert":            `{"why":"x"}`,
}

// estate is an organization with one of everything.
type estate struct {
	organization tenant.Organization
	owner        person
	admin        person
	member       person
	other        person
	ids          *strings.Replacer
}

func (b *bundle) estate(t *testing.T, name string) estate {
	t.Helper()
	var e estate
	e.owner = b.user(t, name+"-owner")
	e.organization = b.organization(t, e.owner, name)
	e.admin = b.member(t, e.organization, name+"-admin", tenant.Admin)
	e.member = b.member(t, e.organization, name+"-member", tenant.Member)
	e.other = b.member(t, e.organization, name+"-other", tenant.Member)
	p := b.project(t, e.organization, "Shop")
	k := b.key(t, p, "key")
	i, err := tenant.Invite(t.Context(), b.app, e.organization.ID, "guest@example.com", tenant.Member, e.owner.ID, tenant.Owner)
	must(t, err)
	hook, test := b.hook(t, e.organization)
	rule := b.rule(t, p, "problems")
	e.ids = strings.NewReplacer("{rule_id}", rule.ID.String(), "{alert_id}", b.raise(t, rule, "problem", time.Now()),
		"{organization_id}", e.organization.ID.String(), "{user_id}", e.other.ID.String(),
		"{invitation_id}", i.ID.String(), "{project_id}", p.ID.String(), "{key_id}", k.ID.String(), "{token_id}", uuid.NewString(),
		"{issue_id}", b.issue(t, p, "first").String(), "{other_issue_id}", b.issue(t, p, "second").String(),
		"{fingerprint}", fingerprint("first", 1).String(), "{event_id}", b.event(t, p, "first", "u2").String(),
		"{job}", "retention", "{monitor_id}", b.heartbeat(t, e.organization).String(),
		"{channel_id}", hook.String(), "{delivery_id}", test.String())
	return e
}

func (b *bundle) do(t *testing.T, p person, o operation, ids *strings.Replacer) answer {
	t.Helper()
	var body any
	if content, ok := bodies[o.ID]; ok {
		body = ids.Replace(content)
	}
	return b.call(t, p, o.method, ids.Replace(o.path), body)
}

// TestAccess holds every route of the document to the scope and the role that stand there.
func TestAccess(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme, other := b.estate(t, "acme"), b.estate(t, "other")
	read := b.token(t, acme.owner, account.ScopeRead, uuid.Nil)
	write := b.token(t, acme.owner, account.ScopeWrite, uuid.Nil)
	admin := b.token(t, acme.owner, account.ScopeAdmin, uuid.Nil)
	// The stranger is a member of both, but the token is of one.
	_, err := tenant.AddMember(t.Context(), b.app, acme.organization.ID, other.owner.ID, tenant.Owner)
	must(t, err)
	bound := b.token(t, other.owner, account.ScopeAdmin, other.organization.ID)

	for _, o := range b.operations(t) {
		t.Run(o.ID, func(t *testing.T) {
			b.do(t, person{}, o, acme.ids).refused(http.StatusUnauthorized, "unauthenticated", "log in")
			b.do(t, person{Secret: "mshp_no"}, o, acme.ids).refused(http.StatusUnauthorized, "unauthenticated", "characters")
			switch o.Scope {
			case "admin":
				b.do(t, read, o, acme.ids).refused(http.StatusForbidden, "scope_too_low", "this needs admin")
				b.do(t, write, o, acme.ids).refused(http.StatusForbidden, "scope_too_low", "this needs admin")
			case "write":
				b.do(t, read, o, acme.ids).refused(http.StatusForbidden, "scope_too_low", "this needs write")
			case "session":
				b.do(t, admin, o, acme.ids).refused(http.StatusForbidden, "scope_too_low", "log in")
			case "read":
				if o.Role != "" {
					b.do(t, read, o, acme.ids).is(http.StatusOK)
				}
			default:
				t.Errorf("the scope %q is not one that a route of this interface needs", o.Scope)
			}
			if o.Role == "operator" {
				for _, p := range []person{acme.owner, acme.admin, acme.member, admin, bound} {
					b.do(t, p, o, acme.ids).refused(http.StatusForbidden, "not_operator", "OPERATORS")
				}
				return
			}
			if o.Role == "" {
				if strings.Contains(o.path, "{organization_id}") || strings.Contains(o.path, "{project_id}") {
					t.Error("the document does not say which role is needed")
				}
				return
			}
			b.do(t, other.admin, o, acme.ids).refused(http.StatusNotFound, "not_found", "there is no")
			b.do(t, bound, o, acme.ids).refused(http.StatusNotFound, "not_found", "there is no")
			for _, lower := range []struct {
				person
				role tenant.Role
			}{{acme.member, tenant.Member}, {acme.admin, tenant.Admin}} {
				if !lower.role.Allows(tenant.Role(o.Role)) {
					b.do(t, lower.person, o, acme.ids).refused(http.StatusForbidden, "role_too_low", "this needs the role "+o.Role)
				}
			}
		})
	}
	if n := b.count(t, `select count(*) from mesher.audit_log`); n != 0 {
		t.Errorf("%d things were done by callers who may not", n)
	}
}

// TestParameters calls every route with ids that are none, and with what it does not know.
func TestParameters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme := b.estate(t, "acme")
	for _, o := range b.operations(t) {
		t.Run(o.ID, func(t *testing.T) {
			path := acme.ids.Replace(o.path)
			b.call(t, acme.owner, o.method, path+"?nonsense=1", acme.ids.Replace(bodies[o.ID])).refused(http.StatusBadRequest, "invalid", "query.nonsense: unknown query parameter")
			if _, ok := bodies[o.ID]; ok {
				b.call(t, acme.owner, o.method, path, `{"nonsense":1}`).refused(http.StatusBadRequest, "invalid", "body.nonsense: unexpected property")
			}
			for _, p := range o.Parameters {
				if p.In != "path" {
					continue
				}
				wrong := acme.ids.Replace(strings.Replace(o.path, "{"+p.Name+"}", "42", 1))
				b.call(t, acme.owner, o.method, wrong, acme.ids.Replace(bodies[o.ID])).refused(http.StatusBadRequest, "invalid", "path."+p.Name+": ")
				if o.Role == "operator" {
					continue // see TestPlatformJobs
				}
				unknown := acme.ids.Replace(strings.Replace(o.path, "{"+p.Name+"}", uuid.NewString(), 1))
				var body any
				if content, ok := bodies[o.ID]; ok {
					body = acme.ids.Replace(content)
				}
				b.call(t, acme.owner, o.method, unknown, body).is(http.StatusNotFound)
			}
		})
	}
}
