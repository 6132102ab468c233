package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/tenant"
)

// channel makes a channel of an organization.
func (b *bundle) channel(t *testing.T, o tenant.Organization) string {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	_, err := b.admin.Exec(t.Context(), "insert into mesher.alert_channels (id, organization_id, name, kind) values ($1, $2, 'team', 'email')", id, o.ID)
	must(t, err)
	return id.String()
}

func TestRules(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme, other := b.organization(t, anna, "Acme"), b.organization(t, anna, "Other")
	shop := b.project(t, acme, "Shop")
	team, theirs := b.channel(t, acme), b.channel(t, other)
	path := "/projects/" + shop.ID.String() + "/rules"

	first := read[alert.Rule](b.post(t, anna, path, `{"name":"New issues","kind":"new_issue","filter":{"levels":["error","fatal"],"tags":[{"key":"region","value":"eu"}]},
		"severity":"critical","channel_ids":["`+team+`"],"mute_minutes":30}`), http.StatusCreated)
	if first.ProjectID != shop.ID || first.Severity != alert.Critical || len(first.ChannelIDs) != 1 || time.Until(first.MutedUntil) < 20*time.Minute || !first.Enabled {
		t.Errorf("made %+v", first)
	}
	count := read[alert.Rule](b.post(t, anna, path, `{"name":"Many","kind":"event_count","condition":{"window_minutes":5,"threshold":100}}`), http.StatusCreated)
	whole := read[alert.Rule](b.post(t, anna, "/organizations/"+acme.ID.String()+"/rules", `{"name":"Down","kind":"monitor"}`), http.StatusCreated)
	if diff := cmp.Diff(alert.Condition{Statuses: []string{"down"}}, whole.Condition); diff != "" || whole.ProjectID != uuid.Nil {
		t.Errorf("of the organization: %+v\n%s", whole, diff)
	}
	at := "/rules/" + count.ID.String()

	t.Run("are listed and shown", func(t *testing.T) {
		name := func(r alert.Rule) string { return r.Name }
		for query, want := range map[string][]string{
			path:                     {"Many", "New issues"},
			path + "?kind=new_issue": {"New issues"},
			path + "?enabled=false":  {},
			path + "?enabled=true":   {"Many", "New issues"},
			"/organizations/" + acme.ID.String() + "/rules":              {"Down", "Many", "New issues"},
			"/organizations/" + acme.ID.String() + "/rules?kind=monitor": {"Down"},
			"/organizations/" + other.ID.String() + "/rules":             {},
		} {
			if diff := cmp.Diff(want, names(items[alert.Rule](t, b, anna, query), name)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", query, diff)
			}
		}
		if diff := cmp.Diff(count, read[alert.Rule](b.get(t, anna, at), http.StatusOK)); diff != "" {
			t.Errorf("(-created +got):\n%s", diff)
		}
	})
	t.Run("change in what is named", func(t *testing.T) {
		want := count
		for _, step := range []struct {
			body   string
			change func(*alert.Rule)
		}{
			{`{"name":"Too many","for_minutes":3,"cooldown_minutes":60}`, func(r *alert.Rule) { r.Name, r.ForMinutes, r.CooldownMinutes = "Too many", 3, 60 }},
			{`{"condition":{"window_minutes":10,"threshold":20,"scope":"issue"}}`, func(r *alert.Rule) {
				r.Condition = alert.Condition{WindowMinutes: 10, Threshold: 20, Scope: alert.ByIssue}
			}},
			{`{"filter":{"environments":["production"]}}`, func(r *alert.Rule) { r.Filter = alert.Filter{Environments: []string{"production"}} }},
			{`{"channel_ids":["` + team + `"],"severity":"info"}`, func(r *alert.Rule) {
				r.ChannelIDs, r.Severity = []uuid.UUID{uuid.MustParse(team)}, alert.Info
			}},
			{`{"filter":{},"channel_ids":[],"enabled":false}`, func(r *alert.Rule) { r.Filter, r.ChannelIDs, r.Enabled = alert.Filter{}, []uuid.UUID{}, false }},
			{`{"name":null,"condition":null}`, func(*alert.Rule) {}},
		} {
			step.change(&want)
			got := read[alert.Rule](b.patch(t, anna, at, step.body), http.StatusOK)
			want.UpdatedAt, want.CountsFrom = got.UpdatedAt, got.CountsFrom
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step.body, diff)
			}
		}
	})
	t.Run("refuse what is wrong, and say why", func(t *testing.T) {
		for body, says := range map[string]string{
			`{"name":"x","kind":"errors"}`:                                                             "body.kind: must be one of",
			`{"name":"","kind":"new_issue"}`:                                                           "body.name",
			`{"name":"x","kind":"new_issue","for_minutes":5}`:                                          "happens at a moment",
			`{"name":"x","kind":"event_count"}`:                                                        "condition.window_minutes",
			`{"name":"x","kind":"event_count","condition":{"window_minutes":2000}}`:                    "body.condition.window_minutes",
			`{"name":"x","kind":"event_count","condition":{"window_minutes":5,"threshold":1,"max":3}}`: "body.condition.max",
			`{"name":"x","kind":"new_issue","filter":{"levels":["bad"]}}`:                              "filter.levels",
			`{"name":"x","kind":"new_issue","channel_ids":["` + theirs + `"]}`:                         "the organization has no channel",
			`{"name":"x","kind":"monitor","condition":{"monitors":["` + uuid.NewString() + `"]}}`:      "the project has no monitor",
			`{"name":"x","kind":"new_issue","mute_minutes":-1}`:                                        "body.mute_minutes",
			`{"name":"x","kind":"spike","condition":{"window_minutes":5,"factor":2}}`:                  "condition.minimum",
		} {
			b.post(t, anna, path, body).refused(http.StatusBadRequest, "invalid", says)
		}
		b.post(t, anna, "/organizations/"+acme.ID.String()+"/rules", `{"name":"x","kind":"new_issue"}`).refused(http.StatusBadRequest, "invalid", "for a project")
		b.patch(t, anna, at, `{"kind":"spike"}`).refused(http.StatusBadRequest, "invalid", "body.kind")
	})
	t.Run("are made once with an Idempotency-Key", func(t *testing.T) {
		body := `{"name":"Once","kind":"regression"}`
		one := read[alert.Rule](b.post(t, anna, path, body, "Idempotency-Key", "k"), http.StatusCreated)
		two := read[alert.Rule](b.post(t, anna, path, body, "Idempotency-Key", "k"), http.StatusCreated)
		if one.ID != two.ID {
			t.Error("two rules are made")
		}
		b.delete(t, anna, "/rules/"+one.ID.String()).is(http.StatusNoContent)
		b.get(t, anna, "/rules/"+one.ID.String()).refused(http.StatusNotFound, "not_found", "there is no alert rule")
	})
	t.Run("are in the audit log", func(t *testing.T) {
		var got []string
		for _, line := range b.trail(t) {
			if strings.HasPrefix(line, "rule.") {
				got = append(got, strings.Join(strings.SplitN(line, " ", 3)[:2], " "))
			}
		}
		want := []string{"rule.create rule", "rule.create rule", "rule.create rule", "rule.update rule", "rule.update rule", "rule.update rule", "rule.update rule", "rule.update rule", "rule.create rule", "rule.delete rule"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		i := slices.IndexFunc(b.trail(t), func(s string) bool { return strings.Contains(s, `"for_minutes": {"to": 3, "from": 0}`) })
		if i < 0 {
			t.Errorf("what changed is not said: %v", b.trail(t))
		}
	})
	t.Run("are not made in a project that is to be deleted", func(t *testing.T) {
		p := b.project(t, acme, "Gone")
		b.delete(t, anna, "/projects/"+p.ID.String()).is(http.StatusOK)
		b.post(t, anna, "/projects/"+p.ID.String()+"/rules", `{"name":"x","kind":"new_issue"}`).refused(http.StatusConflict, "project_deleting", "marked for deletion")
	})
}

func TestRules_DryRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	shop := b.project(t, acme, "Shop")
	ben := b.member(t, acme, "ben", tenant.Member)
	path := "/projects/" + shop.ID.String() + "/rules"
	_, err := b.admin.Exec(t.Context(), `insert into mesher.issues (project_id, id, title, level, event_count, first_seen, last_seen, active_hour)
		values ($1, gen_random_uuid(), 'Problem', 'error', 1, now() - interval '1 hour', now(), now())`, shop.ID)
	must(t, err)
	const count = `{"name":"x","kind":"event_count","condition":{"window_minutes":5,"threshold":1}`
	for _, tt := range [][2]string{
		{`{"name":"x","kind":"new_issue"}`, "exact 1 Problem"},
		{count + `}`, "exact 0 "},
		{count + `,"filter":{"tags":[{"key":"region","value":"eu"}]}}`, "unknown ? "},
	} {
		body, want := tt[0], tt[1]
		d := read[alert.DryRun](b.post(t, ben, path+"/dry-run", body), http.StatusOK)
		got := string(d.Answer) + " ? "
		if d.Fired != nil {
			got = string(d.Answer) + " " + string(rune('0'+*d.Fired)) + " "
		}
		for _, f := range d.Firings {
			got += f.What
		}
		if got != want || time.Since(d.Until) > time.Hour || d.Until.Sub(d.From) < 7*24*time.Hour {
			t.Errorf("%s: %s, want %s; %+v", body, got, want, d)
		}
	}
	b.post(t, ben, path+"/dry-run", `{"name":"x","kind":"new_issue","for_minutes":5}`).refused(http.StatusBadRequest, "invalid", "happens at a moment")
	b.post(t, ben, path+"/dry-run", `{"name":"x","kind":"monitor","condition":{"monitors":["`+uuid.NewString()+`"]}}`).refused(http.StatusBadRequest, "invalid", "no monitor")
	if n := b.count(t, "select count(*) from mesher.alert_rules"); n != 0 {
		t.Errorf("%d rules are made", n)
	}
	r := read[alert.Rule](b.post(t, anna, path, `{"name":"x","kind":"new_issue"}`), http.StatusCreated)
	if d := read[alert.DryRun](b.post(t, ben, "/rules/"+r.ID.String()+"/dry-run", nil), http.StatusOK); d.Fired == nil || *d.Fired != 1 {
		t.Errorf("%+v", d)
	}
}
