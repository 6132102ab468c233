package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/scheduler"
)

// TestWrites_AreOneTransaction lets no entry be added to the audit log: then nothing else may be changed either.
func TestWrites_AreOneTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t, "open")
	acme := b.estate(t, "acme")
	root := b.user(t, "root")
	schedule, _ := b.deploy(t)
	token, _, err := account.IssueToken(t.Context(), b.app, acme.owner.ID, account.TokenSpec{Label: "x", Scope: account.ScopeRead})
	must(t, err)
	b.Exec(t, `revoke insert on mesher.audit_log from mesher_app`)
	before := b.dump(t)
	for _, o := range b.operations(t) {
		if o.method == http.MethodGet || o.Scope == string(account.ScopeRead) {
			continue
		}
		o.path = strings.Replace(o.path, "{token_id}", token.ID.String(), 1)
		headers := []string{}
		if o.method == http.MethodPost {
			headers = []string{idempotency, o.ID}
		}
		var body any
		if content, ok := bodies[o.ID]; ok {
			body = acme.ids.Replace(content)
		}
		who := acme.owner
		if o.Role == "operator" {
			who = root
		}
		b.call(t, who, o.method, acme.ids.Replace(o.path), body, headers...).
			refused(http.StatusInternalServerError, "internal", "on our side")
	}
	// An attempt to prove a password stays counted, whatever comes of it.
	b.Exec(t, `delete from mesher.throttles where kind like 'login%' or kind like 'any_from%'`)
	if diff := cmp.Diff(before, b.dump(t)); diff != "" {
		t.Errorf("something was changed (-before +after):\n%s", diff)
	}
	jobs, err := schedule.List(t.Context())
	must(t, err)
	for _, j := range jobs {
		if j.State != scheduler.Enabled || !j.LastAttempt.IsZero() {
			t.Errorf("something was done to a job: %+v", j)
		}
	}
	if n := len(b.queue.published()); n != 0 {
		t.Errorf("%d mails were published", n)
	}
}

// dump returns all rows of the tables that the interface writes.
func (b *bundle) dump(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, table := range []string{
		"users", "personal_access_tokens", "organizations", "memberships", "invitations", "projects", "api_keys",
		"notifications", "throttles", "idempotency_keys", "audit_log", "issues", "issue_fingerprints", "issue_activity", "alert_channels",
		"alert_rules", "alert_rule_channels", "alert_events",
	} {
		var rows string
		must(t, b.admin.QueryRow(t.Context(), `select coalesce(string_agg(t::text, E'\n' order by t::text), '') from mesher.`+table+` t`).Scan(&rows))
		out[table] = rows
	}
	return out
}
