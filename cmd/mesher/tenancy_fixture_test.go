package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/tenant"
)

// someone is a user with what lets the user in.
type someone struct {
	id                    uuid.UUID
	session               string
	readToken, adminToken string
	sessionID, tokenID    uuid.UUID
}

// tenantFixture is an organization with people in every role and one of everything that it can own.
type tenantFixture struct {
	db                   *pgxpool.Pool
	url                  string
	owner, admin, member someone
	colleague            someone           // whom the members route is about: everybody may remove oneself
	ids                  map[string]string // by the names that paths give them
	key                  string
}

var sessionTimes = account.SessionConfig{Idle: time.Hour, Lifetime: time.Hour}

func newSomeone(t *testing.T, db *pgxpool.Pool, role string) someone {
	t.Helper()
	ctx := t.Context()
	u, _, err := account.CreateUser(ctx, db, account.NewUser{
		Email: role + "." + uuid.NewString() + "@example.com", Name: role, Verified: true,
	})
	fatal(t, err)
	s := someone{id: u.ID}
	client := account.Client{IP: netip.MustParseAddr("192.0.2.1"), UserAgent: "test"}
	_, s.session, err = account.StartSession(ctx, db, sessionTimes, u.ID, client)
	fatal(t, err)
	other, _, err := account.StartSession(ctx, db, sessionTimes, u.ID, client)
	fatal(t, err)
	s.sessionID = other.ID
	_, s.readToken, err = account.IssueToken(ctx, db, u.ID, account.TokenSpec{Label: "reads", Scope: account.ScopeRead})
	fatal(t, err)
	_, s.adminToken, err = account.IssueToken(ctx, db, u.ID, account.TokenSpec{Label: "manages", Scope: account.ScopeAdmin})
	fatal(t, err)
	token, _, err := account.IssueToken(ctx, db, u.ID, account.TokenSpec{Label: "spare", Scope: account.ScopeRead})
	fatal(t, err)
	s.tokenID = token.ID
	return s
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newTenant makes an organization as its owner would, over HTTP.
func newTenant(t *testing.T, p *platform, db *pgxpool.Pool) *tenantFixture {
	t.Helper()
	f := &tenantFixture{
		db: db, url: p.URL, ids: map[string]string{},
		owner: newSomeone(t, db, "owner"), admin: newSomeone(t, db, "admin"), member: newSomeone(t, db, "member"),
		colleague: newSomeone(t, db, "colleague"),
	}
	organization := f.create(t, "/api/v1/organizations", `{"name":"Acme"}`)
	f.ids["organization_id"] = organization["id"].(string)
	id := uuid.MustParse(f.ids["organization_id"])
	for user, role := range map[uuid.UUID]tenant.Role{
		f.admin.id: tenant.Admin, f.member.id: tenant.Member, f.colleague.id: tenant.Member,
	} {
		_, err := tenant.AddMember(t.Context(), db, id, user, role)
		fatal(t, err)
	}
	base := "/api/v1/organizations/" + f.ids["organization_id"]
	f.ids["project_id"] = f.create(t, base+"/projects", `{"name":"Shop"}`)["id"].(string)
	f.ids["invitation_id"] = f.create(t, base+"/invitations", fmt.Sprintf(`{"email":"invited.%s@example.com","role":"member"}`, uuid.NewString()))["id"].(string)
	key := f.create(t, "/api/v1/projects/"+f.ids["project_id"]+"/keys", `{"label":"production"}`)
	f.key = key["secret"].(string)
	f.ids["key_id"] = key["key"].(map[string]any)["id"].(string)
	f.ids["user_id"] = f.colleague.id.String()
	f.ids["session_id"] = f.owner.sessionID.String()
	f.ids["token_id"] = f.owner.tokenID.String()
	f.ids["issue_id"], f.ids["fingerprint"] = f.newIssue(t)
	f.ids["other_issue_id"], _ = f.newIssue(t)
	f.ids["event_id"] = f.newEvent(t)
	monitor := f.create(t, base+"/monitors", `{"name":"Job","kind":"heartbeat","config":{"heartbeat":{"cron":"0 3 * * *"}}}`)["monitor"].(map[string]any)
	f.ids["monitor_id"] = monitor["id"].(string)
	channel := f.create(t, base+"/channels", `{"name":"Hook","webhook":{"url":"https://hooks.example.com/in"}}`)
	f.ids["channel_id"] = channel["channel"].(map[string]any)["id"].(string)
	f.ids["delivery_id"] = f.newDelivery(t)
	f.ids["rule_id"] = f.create(t, "/api/v1/projects/"+f.ids["project_id"]+"/rules", `{"name":"Problems","kind":"new_issue"}`)["id"].(string)
	f.ids["alert_id"] = f.newAlert(t)
	return f
}

// fill puts ids in place of their names.
func (f *tenantFixture) fill(body string) string {
	for name, id := range f.ids {
		body = strings.ReplaceAll(body, "{"+name+"}", id)
	}
	return body
}

// newIssue stores an issue with two fingerprints, as Store does, and returns its id and one of them.
func (f *tenantFixture) newIssue(t *testing.T) (id, fingerprint string) {
	t.Helper()
	id, fingerprint = uuid.Must(uuid.NewV7()).String(), uuid.NewString()
	_, err := f.db.Exec(t.Context(), `
		with seen as (
			insert into mesher.issues (project_id, id, title, level, event_count, first_seen, last_seen, active_hour)
			values ($1::uuid, $2::uuid, 'Problem', 'error', 2, now(), now(), date_trunc('hour', now(), 'UTC')))
		insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
		select $1::uuid, f, $2::uuid, 1 from unnest(array[$3::uuid, gen_random_uuid()]) f`, f.ids["project_id"], id, fingerprint)
	fatal(t, err)
	return id, fingerprint
}

// newDelivery stores that the channel was told something, and returns the id.
func (f *tenantFixture) newDelivery(t *testing.T) string {
	t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	_, err := f.db.Exec(t.Context(), `
		insert into mesher.notifications (id, organization_id, channel, template, recipient, channel_id, status)
		values ($1::uuid, $2::uuid, 'webhook', 'test', 'Hook', $3::uuid, 'sent')`, id, f.ids["organization_id"], f.ids["channel_id"])
	fatal(t, err)
	return id
}

// newEvent stores an event of the fingerprint and the user u1, and returns its id.
func (f *tenantFixture) newEvent(t *testing.T) string {
	t.Helper()
	at := time.Now().UTC().Truncate(time.Millisecond)
	id := event.NewID(at).String()
	_, err := f.db.Exec(t.Context(), `
		insert into mesher.events (project_id, received_at, id, event_id, fingerprint, occurred_at, level, message, user_id, tags, extra)
		values ($1::uuid, $2::timestamptz, $3::uuid, $3::uuid, $4::uuid, $2::timestamptz, 'error', 'Problem', 'u1', '{}', '{}')`,
		f.ids["project_id"], at, id, f.ids["fingerprint"])
	fatal(t, err)
	return id
}

// newAlert raises an alert of the rule, about the issue, and returns its id.
func (f *tenantFixture) newAlert(t *testing.T) string {
	t.Helper()
	rule, subject := uuid.MustParse(f.ids["rule_id"]), uuid.MustParse(f.ids["issue_id"])
	_, err := alert.Create(t.Context(), f.db, alert.New{RuleID: rule, Subject: subject, Title: "Problem", IssueID: subject, At: time.Now()})
	fatal(t, err)
	a, err := alert.FindActive(t.Context(), f.db, uuid.MustParse(f.ids["organization_id"]), rule, subject)
	fatal(t, err)
	return a.ID.String()
}

// create makes something as the owner and returns the answer.
func (f *tenantFixture) create(t *testing.T, path, body string) map[string]any {
	t.Helper()
	status, _, text := call(t, http.MethodPost, f.url+path, f.owner.session, body)
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); status != http.StatusCreated || err != nil {
		t.Fatalf("POST %s: %d %s, %v", path, status, text, err)
	}
	return out
}

// boundElsewhere returns a token of the owner for another organization of the owner.
func (f *tenantFixture) boundElsewhere(t *testing.T) string {
	t.Helper()
	other := f.create(t, "/api/v1/organizations", `{"name":"Elsewhere"}`)
	_, token, err := account.IssueToken(t.Context(), f.db, f.owner.id, account.TokenSpec{
		Label: "bound", Scope: account.ScopeAdmin, OrganizationID: uuid.MustParse(other["id"].(string)),
	})
	fatal(t, err)
	return token
}

// revoked returns a session and a token of the owner that are no longer good.
func (f *tenantFixture) revoked(t *testing.T) (session, token string) {
	t.Helper()
	s, session, err := account.StartSession(t.Context(), f.db, sessionTimes, f.owner.id, account.Client{})
	fatal(t, err)
	fatal(t, account.RevokeSession(t.Context(), f.db, sessionTimes, f.owner.id, s.ID))
	pt, token, err := account.IssueToken(t.Context(), f.db, f.owner.id, account.TokenSpec{Label: "old", Scope: account.ScopeAdmin})
	fatal(t, err)
	_, _, err = account.RevokeToken(t.Context(), f.db, f.owner.id, pt.ID)
	fatal(t, err)
	return session, token
}

// state returns everything that the organization has, as text, but not when it was used.
func (f *tenantFixture) state(t *testing.T) string {
	t.Helper()
	var parts []string
	for _, sql := range []string{
		"select to_jsonb(o) from mesher.organizations o where id = $1",
		"select to_jsonb(p) from mesher.projects p where organization_id = $1",
		"select to_jsonb(k) - 'last_used_at' from mesher.api_keys k join mesher.projects p on p.id = k.project_id where p.organization_id = $1",
		"select to_jsonb(i) from mesher.issues i join mesher.projects p on p.id = i.project_id where p.organization_id = $1",
		"select to_jsonb(f) from mesher.issue_fingerprints f join mesher.projects p on p.id = f.project_id where p.organization_id = $1",
		"select to_jsonb(e) from mesher.events e join mesher.projects p on p.id = e.project_id where p.organization_id = $1",
		"select to_jsonb(a) from mesher.issue_activity a join mesher.projects p on p.id = a.project_id where p.organization_id = $1",
		"select to_jsonb(c) from mesher.alert_channels c where organization_id = $1",
		"select to_jsonb(n) from mesher.notifications n where organization_id = $1 and channel_id is not null",
		"select to_jsonb(m) from mesher.memberships m where organization_id = $1",
		"select to_jsonb(m) from mesher.monitors m where organization_id = $1",
		"select to_jsonb(c) from mesher.service_health_checks c join mesher.monitors m on m.id = c.monitor_id where m.organization_id = $1",
		"select to_jsonb(r) from mesher.alert_rules r where organization_id = $1",
		"select to_jsonb(c) from mesher.alert_rule_channels c join mesher.alert_rules r on r.id = c.rule_id where r.organization_id = $1",
		"select to_jsonb(a) from mesher.alert_events a where organization_id = $1",
		"select to_jsonb(i) from mesher.invitations i where organization_id = $1",
		"select to_jsonb(s) - 'last_seen_at' from mesher.sessions s join mesher.memberships m using (user_id) where m.organization_id = $1 and s.id::text = '" + f.ids["session_id"] + "'",
		"select to_jsonb(k) - 'last_used_at' from mesher.personal_access_tokens k join mesher.memberships m using (user_id) where m.organization_id = $1 and k.id::text = '" + f.ids["token_id"] + "'",
		"select to_jsonb(u) from mesher.users u join mesher.memberships m on m.user_id = u.id where m.organization_id = $1",
	} {
		var rows string
		err := f.db.QueryRow(t.Context(), "select coalesce(string_agg(r::text, E'\\n' order by r::text), '') from ("+sql+") as q (r)",
			f.ids["organization_id"]).Scan(&rows)
		fatal(t, err)
		parts = append(parts, rows)
	}
	return strings.Join(parts, "\n")
}
