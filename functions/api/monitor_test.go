package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/functions/api"
	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/secret"
	"github.com/mesherhq/mesher/shared/tenant"
)

// website is a monitor of an organization's website that sends a secret.
const website = `{"name":"shop","kind":"http","config":{"http":{"url":"https://shop.example.com/health"}},"secrets":{"headers":{"Authorization":"Bearer very-secret"}}}`

// heartbeat makes a monitor without a trace in the audit log.
func (b *bundle) heartbeat(t *testing.T, o tenant.Organization) uuid.UUID {
	t.Helper()
	var m monitor.Monitor
	must(t, postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) (err error) {
		m, _, err = monitor.Keeper{}.Create(t.Context(), tx, o.ID, monitor.Spec{
			Name: "job", Kind: monitor.Heartbeat, Config: monitor.Config{Heartbeat: &monitor.HeartbeatConfig{Cron: "0 3 * * *"}},
		}, time.Now())
		return err
	}))
	return m.ID
}

func TestMonitors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owner := b.user(t, "ada")
	o := b.organization(t, owner, "Acme")
	member := b.member(t, o, "bob", tenant.Member)
	path := "/organizations/" + o.ID.String() + "/monitors"

	a := b.post(t, owner, path, website, "Idempotency-Key", "once")
	made := read[api.CreatedMonitor](a, http.StatusCreated)
	again := b.post(t, owner, path, website, "Idempotency-Key", "once").is(http.StatusCreated)
	if again.header.Get("Idempotency-Replayed") != "true" || string(again.body) != string(a.body) {
		t.Errorf("the same call again: %s", again.body)
	}
	one := path + "/" + made.Monitor.ID.String()
	for _, got := range []answer{a, b.get(t, member, one).is(http.StatusOK), b.get(t, member, path).is(http.StatusOK)} {
		if text := string(got.body); strings.Contains(text, "very-secret") || !strings.Contains(text, `"headers":["Authorization"]`) {
			t.Errorf("%s: %s", got.call, text)
		}
	}
	if made.Token != "" || made.Monitor.IntervalS != 60 || made.Monitor.Config.HTTP.Method != "GET" || made.Monitor.Status != monitor.Unknown {
		t.Errorf("%+v", made)
	}

	// A member reads and changes nothing.
	b.post(t, member, path, website).refused(http.StatusForbidden, "role_too_low", "")
	b.patch(t, member, one, `{"name":"x"}`).refused(http.StatusForbidden, "role_too_low", "")
	b.delete(t, member, one).refused(http.StatusForbidden, "role_too_low", "")
	b.post(t, member, one+"/check", nil).refused(http.StatusForbidden, "role_too_low", "")

	// What is wrong is said.
	b.post(t, owner, path, strings.Replace(website, "https://shop.example.com/health", "http://169.254.169.254/", 1)).
		refused(http.StatusBadRequest, "invalid", "config.http.url")
	b.post(t, owner, path, `{"name":"x","kind":"http","config":{"http":{"url":"http://example.com","certificate_days":3}}}`).
		refused(http.StatusBadRequest, "invalid", "could never be met")
	b.post(t, owner, path, `{"name":"x","kind":"icmp","config":{}}`).refused(http.StatusBadRequest, "invalid", "kind")
	b.post(t, owner, path, `{"name":"x","kind":"tcp","config":{"tcp":{"host":"a.example.com","port":1,"ports":2}}}`).refused(http.StatusBadRequest, "invalid", "ports")
	b.patch(t, owner, one, `{"interval_s":5}`).refused(http.StatusBadRequest, "invalid", "interval_s: 5")
	b.patch(t, owner, one, `{"config":{"http":{"url":"https://evil.example.org/"}}}`).refused(http.StatusBadRequest, "invalid", "secrets.headers")

	is := read[monitor.Monitor](b.patch(t, owner, one, `{"name":"Shop","interval_s":300,"mute":[{"days":["sun"],"from":"01:00","to":"03:00","timezone":"Europe/Berlin"}],
		"config":{"http":{"url":"https://shop.example.com/health?deep=1"}}}`), http.StatusOK)
	if is.Name != "Shop" || is.IntervalS != 300 || len(is.Mute) != 1 || fmt.Sprint(is.Config.HTTP.Headers) != "[Authorization]" {
		t.Errorf("changed to %+v", is)
	}
	read[monitor.Monitor](b.patch(t, owner, one, `{"mute":[],"secrets":{"headers":{}}}`), http.StatusOK)
	if n := b.count(t, `select count(*) from mesher.monitors where secret is not null or mute <> '[]'`); n != 0 {
		t.Error("the secret or the window is still there")
	}

	b.Exec(t, `update mesher.monitors set due_at = now() + interval '1 hour'`)
	if m := read[monitor.Monitor](b.post(t, owner, one+"/check", nil), http.StatusOK); time.Until(m.DueAt) > time.Minute {
		t.Errorf("due at %s", m.DueAt)
	}
	b.post(t, owner, one+"/rotate", nil).refused(http.StatusConflict, "no_token", "")
	b.patch(t, owner, one, `{"enabled":false}`).is(http.StatusOK)
	b.post(t, owner, one+"/check", nil).refused(http.StatusConflict, "monitor_disabled", "")
	b.delete(t, owner, one).is(http.StatusNoContent)
	b.get(t, owner, one).refused(http.StatusNotFound, "not_found", "")

	var actions []string
	for _, line := range b.trail(t) {
		if strings.Contains(line, "very-secret") {
			t.Errorf("the audit log holds the secret: %s", line)
		}
		if strings.HasPrefix(line, "monitor.") {
			actions = append(actions, strings.Fields(line)[0])
		}
	}
	if got := strings.Join(actions, " "); got != "monitor.create monitor.update monitor.update monitor.check monitor.update monitor.delete" {
		t.Errorf("audit log: %s", got)
	}
}

func TestMonitors_Heartbeat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owner := b.user(t, "ada")
	o := b.organization(t, owner, "Acme")
	p := b.project(t, o, "Shop")
	path := "/organizations/" + o.ID.String() + "/monitors"
	body := fmt.Sprintf(`{"name":"backup","kind":"heartbeat","project_id":"%s","slug":"backup","config":{"heartbeat":{"cron":"0 3 * * *","timezone":"Europe/Berlin"}}}`, p.ID)
	made := read[api.CreatedMonitor](b.post(t, owner, path, body), http.StatusCreated)
	if _, err := secret.Heartbeat.Hash(made.Token); err != nil || made.Path != "/heartbeat/"+made.Token || made.Monitor.ExpectedAt.IsZero() || made.Monitor.IntervalS != 0 {
		t.Errorf("%+v, %v", made, err)
	}
	one := path + "/" + made.Monitor.ID.String()
	if text := string(b.get(t, owner, one).is(http.StatusOK).body); strings.Contains(text, made.Token) || strings.Contains(text, "token") {
		t.Errorf("shown again: %s", text)
	}
	b.post(t, owner, path, body).refused(http.StatusConflict, "slug_taken", "backup")
	b.post(t, owner, one+"/check", nil).is(http.StatusOK)
	turned := read[api.CreatedMonitor](b.post(t, owner, one+"/rotate", nil, "Idempotency-Key", "k"), http.StatusCreated)
	if turned.Token == made.Token || turned.Token == "" {
		t.Errorf("turned to %q", turned.Token)
	}
	if same := read[api.CreatedMonitor](b.post(t, owner, one+"/rotate", nil, "Idempotency-Key", "k"), http.StatusCreated); same.Token != turned.Token {
		t.Error("the same call again turned it again")
	}
}

func TestMonitors_Platform(t *testing.T) {
	t.Parallel()
	b := setup(t)
	operator, owner := b.user(t, "operator"), b.user(t, "ada")
	body := `{"name":"queue","kind":"platform","config":{"platform":{"part":"queue"}}}`
	for who, want := range map[*person]int{&operator: http.StatusCreated, &owner: http.StatusForbidden} {
		o := b.organization(t, *who, "Acme")
		path := "/organizations/" + o.ID.String() + "/monitors"
		a := b.post(t, *who, path, body)
		if a.status != want {
			t.Errorf("%s: %d %s", who.Email, a.status, a.body)
		}
		if want == http.StatusCreated {
			b.post(t, *who, path, body).refused(http.StatusConflict, "part_taken", "")
			reading := b.token(t, *who, account.ScopeRead, uuid.Nil)
			b.post(t, reading, path, body).refused(http.StatusForbidden, "scope_too_low", "")
		}
	}
}

func TestMonitors_History(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owner := b.user(t, "ada")
	o := b.organization(t, owner, "Acme")
	path := "/organizations/" + o.ID.String() + "/monitors"
	made := read[api.CreatedMonitor](b.post(t, owner, path, website), http.StatusCreated)
	one := path + "/" + made.Monitor.ID.String()
	now := time.Now().UTC()
	for i := range 10 {
		l := monitor.Look{Status: monitor.Healthy, Latency: time.Duration(i+1) * 10 * time.Millisecond, Details: monitor.Details{Code: monitor.CodeOK, HTTPStatus: 200}}
		if i == 3 {
			l.Status, l.Details = monitor.Down, monitor.Details{Code: monitor.CodeTimeout, Error: "no answer"}
		}
		_, err := monitor.CreateCheck(t.Context(), b.app, o.ID, made.Monitor.ID, l, now.Add(-time.Duration(i)*time.Hour))
		must(t, err)
	}
	if all := items[monitor.HealthCheck](t, b, owner, one+"/checks"); len(all) != 10 || all[0].LatencyMS != 10 {
		t.Errorf("%d, first %+v", len(all), all)
	}
	down := read[rest.List[monitor.HealthCheck]](b.get(t, owner, one+"/checks?status=down"), http.StatusOK)
	if len(down.Items) != 1 || down.Items[0].Details.Error != "no answer" {
		t.Errorf("down: %+v", down)
	}
	since := read[rest.List[monitor.HealthCheck]](b.get(t, owner, one+"/checks?since="+now.Add(-150*time.Minute).Format(time.RFC3339)), http.StatusOK)
	if len(since.Items) != 3 {
		t.Errorf("since: %d", len(since.Items))
	}
	s := read[monitor.Summary](b.get(t, owner, one+"/summary"), http.StatusOK)
	if s.Checks != 10 || s.Down != 1 || s.Uptime == nil || *s.Uptime != 0.9 || s.P50MS == nil {
		t.Errorf("summary: %+v", s)
	}
	b.get(t, owner, one+"/summary?since=2020-01-01T00:00:00Z").refused(http.StatusBadRequest, "invalid", "31 days")
	var shown map[string]any
	b.get(t, owner, one+"/summary?since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z").is(http.StatusOK).into(&shown)
	if text, _ := json.Marshal(shown); strings.Contains(string(text), "uptime") {
		t.Errorf("of no looks: %s", text)
	}
}
