package api_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/functions/api"
	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/outbound"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/secret"
	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	slackURL   = "https://hooks.slack.com/services/T000/B000/slackSecretXyZ1"
	discordURL = "https://discord.com/api/webhooks/123456/discordSecretXyZ2"
	hookURL    = "https://hooks.example.com/in?token=hookSecretXyZ3"
	routing    = "R0utingSecretR0utingSecretXyZ456"
)

func TestChannels(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	carl := b.member(t, acme, "carl", tenant.Member)
	path := "/organizations/" + acme.ID.String() + "/channels"
	secrets := []string{"slackSecret", "discordSecret", "hookSecret", "R0utingSecret", "headerSecret"}
	made := map[alert.ChannelKind]api.IssuedChannel{}

	t.Run("of every kind are made, and show nothing that is secret", func(t *testing.T) {
		for _, tt := range []struct {
			kind         alert.ChannelKind
			body, target string
		}{
			{alert.ChannelEmail, `"email":{"addresses":["CARL@example.com","anna@example.com"]}`, ""},
			{alert.ChannelSlack, `"slack":{"url":"` + slackURL + `"}`, "hooks.slack.com/…XyZ1"},
			{alert.ChannelDiscord, `"discord":{"url":"` + discordURL + `"}`, "discord.com/…XyZ2"},
			{alert.ChannelWebhook, `"webhook":{"url":"` + hookURL + `","headers":[{"name":"Authorization","value":"Bearer headerSecret"}]}`, "hooks.example.com/…XyZ3"},
			{alert.ChannelPagerDuty, `"pagerduty":{"routing_key":"` + routing + `"}`, "events.pagerduty.com/…Z456"},
		} {
			a := b.post(t, anna, path, `{"name":"`+string(tt.kind)+`",`+tt.body+`}`)
			c := read[api.IssuedChannel](a, http.StatusCreated)
			if c.Channel.Kind != tt.kind || c.Channel.Target != tt.target || c.Channel.HourlyBudget != 60 || !c.Channel.Enabled {
				t.Errorf("%+v", c.Channel)
			}
			if signed := strings.HasPrefix(c.SigningSecret, "mshw_"); signed != (tt.kind == alert.ChannelWebhook) {
				t.Errorf("%s: the signing secret is %q", tt.kind, c.SigningSecret)
			}
			made[tt.kind] = c
			for _, secret := range secrets {
				if strings.Contains(string(a.body), secret) {
					t.Errorf("%s shows %s: %s", tt.kind, secret, a.body)
				}
			}
		}
		if diff := cmp.Diff([]string{"anna@example.com", "carl@example.com"}, made[alert.ChannelEmail].Channel.Addresses); diff != "" {
			t.Errorf("addresses (-want +got):\n%s", diff)
		}
		for _, place := range []string{"alert_channels", "audit_log", "idempotency_keys"} {
			for _, secret := range append(secrets, made[alert.ChannelWebhook].SigningSecret) {
				if n := b.count(t, `select count(*) from mesher.`+place+` r where position($1 in r::text) > 0`, secret); n != 0 {
					t.Errorf("%s holds %s", place, secret)
				}
			}
		}
	})
	t.Run("are read by members", func(t *testing.T) {
		got := names(items[alert.Channel](t, b, carl, path), func(c alert.Channel) string { return c.Name })
		if diff := cmp.Diff([]string{"pagerduty", "webhook", "discord", "slack", "email"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		hook := made[alert.ChannelWebhook].Channel
		if diff := cmp.Diff(hook, read[alert.Channel](b.get(t, carl, "/channels/"+hook.ID.String()), http.StatusOK)); diff != "" {
			t.Errorf("(-created +got):\n%s", diff)
		}
		got = names(items[alert.Channel](t, b, carl, path+"?kind=slack&search=SLA"), func(c alert.Channel) string { return c.Name })
		if diff := cmp.Diff([]string{"slack"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		b.patch(t, carl, "/channels/"+hook.ID.String(), `{"name":"x"}`).refused(http.StatusForbidden, "role_too_low", "admin")
	})
	t.Run("do not exist for others", func(t *testing.T) {
		bert := b.user(t, "bert")
		b.organization(t, bert, "Other")
		at := "/channels/" + made[alert.ChannelSlack].Channel.ID.String()
		want := string(b.get(t, bert, "/channels/"+uuid.Nil.String()).is(http.StatusNotFound).body)
		got := string(b.get(t, bert, at).is(http.StatusNotFound).body)
		if normal := strings.ReplaceAll(got, made[alert.ChannelSlack].Channel.ID.String(), uuid.Nil.String()); normal != want {
			t.Errorf("%s, want it like one that does not exist: %s", got, want)
		}
	})
	t.Run("are changed", func(t *testing.T) {
		at := "/channels/" + made[alert.ChannelWebhook].Channel.ID.String()
		c := read[alert.Channel](b.patch(t, anna, at, `{"name":"Renamed","hourly_budget":5,"enabled":false}`), http.StatusOK)
		if c.Name != "Renamed" || c.HourlyBudget != 5 || c.Enabled || c.Target != "hooks.example.com/…XyZ3" || !slices.Equal(c.Headers, []string{"Authorization"}) {
			t.Errorf("%+v", c)
		}
		c = read[alert.Channel](b.patch(t, anna, at, `{"webhook":{"headers":[]}}`), http.StatusOK)
		if c.Target != "hooks.example.com/…XyZ3" || len(c.Headers) != 0 {
			t.Errorf("%+v", c)
		}
		b.patch(t, anna, at, `{"slack":{"url":"`+slackURL+`"}}`).refused(http.StatusBadRequest, "invalid", "of kind webhook, which cannot be changed")
		b.patch(t, anna, at, `{"hourly_budget":0}`).refused(http.StatusBadRequest, "invalid", "hourly_budget")
	})
	t.Run("get another signing secret", func(t *testing.T) {
		at := "/channels/" + made[alert.ChannelWebhook].Channel.ID.String() + "/rotate-secret"
		first := read[api.IssuedChannel](b.post(t, anna, at, nil, "Idempotency-Key", "k"), http.StatusCreated)
		again := read[api.IssuedChannel](b.post(t, anna, at, nil, "Idempotency-Key", "k"), http.StatusCreated)
		if first.SigningSecret == made[alert.ChannelWebhook].SigningSecret || first.SigningSecret != again.SigningSecret {
			t.Error("it is the same, or changes when the call is sent again")
		}
		b.post(t, anna, "/channels/"+made[alert.ChannelSlack].Channel.ID.String()+"/rotate-secret", nil).
			refused(http.StatusConflict, "no_signing_secret", "only webhooks")
	})
	t.Run("are tested, a few times a minute", func(t *testing.T) {
		id := made[alert.ChannelSlack].Channel.ID.String()
		var last alert.ChannelDelivery
		for range 5 {
			last = read[alert.ChannelDelivery](b.post(t, anna, "/channels/"+id+"/test", nil), http.StatusAccepted)
		}
		if !slices.Contains(b.queue.published(), last.ID) {
			t.Error("it is not published")
		}
		a := b.post(t, anna, "/channels/"+id+"/test", nil)
		a.refused(http.StatusTooManyRequests, "limited", "5 times a minute")
		if a.header.Get("Retry-After") == "" {
			t.Error("there is no Retry-After")
		}
		got := read[alert.ChannelDelivery](b.get(t, carl, "/channels/"+id+"/deliveries/"+last.ID.String()), http.StatusOK)
		if got.Template != "test" || got.Status != "pending" || got.Tries != 0 {
			t.Errorf("%+v", got)
		}
		if n := len(items[alert.ChannelDelivery](t, b, carl, "/channels/"+id+"/deliveries")); n != 5 {
			t.Errorf("%d deliveries, want 5", n)
		}
		if n := len(items[alert.ChannelDelivery](t, b, carl, "/channels/"+id+"/deliveries?status=sent")); n != 0 {
			t.Errorf("%d of them are sent", n)
		}
		other := made[alert.ChannelDiscord].Channel.ID.String()
		b.get(t, anna, "/channels/"+other+"/deliveries/"+last.ID.String()).refused(http.StatusNotFound, "not_found", "no delivery")
	})
	t.Run("are deleted", func(t *testing.T) {
		at := "/channels/" + made[alert.ChannelDiscord].Channel.ID.String()
		b.delete(t, anna, at).is(http.StatusNoContent)
		b.get(t, anna, at).refused(http.StatusNotFound, "not_found", "no channel")
	})
	t.Run("leave a trail", func(t *testing.T) {
		got := map[string]int{}
		for _, e := range items[tenant.AuditEntry](t, b, anna, "/organizations/"+acme.ID.String()+"/audit?action=channel") {
			got[e.Action]++
		}
		want := map[string]int{"channel.create": 5, "channel.update": 2, "channel.rotate_secret": 1, "channel.test": 5, "channel.delete": 1}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestChannels_AreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	b.user(t, "stranger")
	path := "/organizations/" + acme.ID.String() + "/channels"
	many := strings.TrimSuffix(strings.Repeat(`{"name":"X-A","value":"b"},`, 21), ",")
	for body, says := range map[string]string{
		`{"slack":{"url":"` + slackURL + `"}}`: "name is missing",
		`{"name":"x"}`:                         "say where the channel leads",
		`{"name":"x","slack":{"url":"` + slackURL + `"},"discord":{"url":"` + discordURL + `"}}`:                             "of one kind",
		`{"name":"x","hourly_budget":10001,"slack":{"url":"` + slackURL + `"}}`:                                              "hourly_budget",
		`{"name":" x","slack":{"url":"` + slackURL + `"}}`:                                                                   "begins or ends with a space",
		`{"name":"x","email":{"addresses":[]}}`:                                                                              "addresses",
		`{"name":"x","email":{"addresses":["anna"]}}`:                                                                        "e-mail address is not one",
		`{"name":"x","email":{"addresses":["stranger@example.com"]}}`:                                                        "not the confirmed address of a member",
		`{"name":"x","email":{"addresses":["anna@example.com","Anna@example.com"]}}`:                                         "twice",
		`{"name":"x","slack":{"url":"https://hooks.example.com/services/a"}}`:                                                "leads to hooks.slack.com",
		`{"name":"x","slack":{"url":"https://hooks.slack.com/"}}`:                                                            "its path begins with /services/",
		`{"name":"x","slack":{"url":"http://hooks.slack.com/services/a"}}`:                                                   "use https://",
		`{"name":"x","slack":{"url":"https://hooks.slack.com:8443/services/a"}}`:                                             "leads to hooks.slack.com",
		`{"name":"x","discord":{"url":"https://discord.com.evil.example/api/webhooks/1/a"}}`:                                 "leads to discord.com",
		`{"name":"x","webhook":{}}`:                                                                                          "URL is missing",
		`{"name":"x","webhook":{"url":"hooks.example.com/in"}}`:                                                              "expected https://host/path",
		`{"name":"x","webhook":{"url":"ftp://hooks.example.com/in"}}`:                                                        "expected http or https",
		`{"name":"x","webhook":{"url":"http://hooks.example.com/in"}}`:                                                       "use https://",
		`{"name":"x","webhook":{"url":"https://u:p@hooks.example.com/in"}}`:                                                  "user or a password",
		`{"name":"x","webhook":{"url":"https://hooks.example.com/in#a"}}`:                                                    "fragment",
		`{"name":"x","webhook":{"url":"https://169.254.169.254/latest"}}`:                                                    "169.254.169.254",
		`{"name":"x","webhook":{"url":"https://metadata.google.internal/"}}`:                                                 "metadata",
		`{"name":"x","webhook":{"url":"https://10.0.0.1/"}}`:                                                                 "10.0.0.1",
		`{"name":"x","webhook":{"url":"https://2130706433/"}}`:                                                               "is refused",
		`{"name":"x","webhook":{"url":"https://hooks.example.com:25/"}}`:                                                     "port 25",
		`{"name":"x","webhook":{"url":"` + hookURL + `","headers":[{"name":"Host","value":"a"}]}}`:                           "Host",
		`{"name":"x","webhook":{"url":"` + hookURL + `","headers":[{"name":"X A","value":"a"}]}}`:                            "header",
		`{"name":"x","webhook":{"url":"` + hookURL + `","headers":[{"name":"X-A","value":"a\nb"}]}}`:                         "control character",
		`{"name":"x","webhook":{"url":"` + hookURL + `","headers":[{"name":"mesher-signature","value":"a"}]}}`:               "Mesher sets itself",
		`{"name":"x","webhook":{"url":"` + hookURL + `","headers":[{"name":"X-A","value":"a"},{"name":"x-a","value":"b"}]}}`: "twice",
		`{"name":"x","webhook":{"url":"` + hookURL + `","headers":[` + many + `]}}`:                                          "headers",
		`{"name":"x","pagerduty":{"routing_key":"short"}}`:                                                                   "32 letters and digits",
		`{"name":"x","pagerduty":{"routing_key":"` + routing + `","url":"https://pagerduty.example.com/v2/enqueue"}}`:        "leads to events.pagerduty.com",
		`{"name":"x","pagerduty":{"routing_key":"` + routing + `","url":"https://events.pagerduty.com/v1/enqueue"}}`:         "/v2/enqueue",
		`{"name":"x","kind":"slack","slack":{"url":"` + slackURL + `"}}`:                                                     "unexpected property",
	} {
		a := b.post(t, anna, path, body)
		if p := read[rest.Problem](a, http.StatusBadRequest); !strings.Contains(p.Detail, says) {
			t.Errorf("%s: %s, want %q", body, p.Detail, says)
		}
		for _, secret := range []string{"XyZ", "u:p"} {
			if strings.Contains(string(a.body), secret) {
				t.Errorf("%s: the error repeats what is secret: %s", body, a.body)
			}
		}
	}
	t.Run("unless the operator allows where they lead", func(t *testing.T) {
		for _, body := range []string{
			`{"name":"x","slack":{"url":"https://chat.example.com/hooks/abcdefghijkl"}}`,
			`{"name":"x","webhook":{"url":"http://127.0.0.1:9000/in"}}`,
			`{"name":"x","webhook":{"url":"http://localhost:9000/in"}}`,
			`{"name":"x","pagerduty":{"routing_key":"` + routing + `","url":"https://events.eu.pagerduty.com/v2/enqueue"}}`,
		} {
			b.post(t, anna, path, body).is(http.StatusCreated)
		}
	})
	t.Run("when there are as many as may be", func(t *testing.T) {
		for i := b.count(t, `select count(*) from mesher.alert_channels`); i < alert.ChannelsMost; i++ {
			b.post(t, anna, path, fmt.Sprintf(`{"name":"c%d","slack":{"url":"%s"}}`, i, slackURL)).is(http.StatusCreated)
		}
		b.post(t, anna, path, `{"name":"x","slack":{"url":"`+slackURL+`"}}`).refused(http.StatusConflict, "too_many_channels", "50 channels")
	})
}

// hook makes a webhook channel that was tested, as the model does, and returns both ids.
func (b *bundle) hook(t *testing.T, o tenant.Organization) (channel, delivery uuid.UUID) {
	t.Helper()
	keeper, err := alert.NewChannels(channelConfig())
	must(t, err)
	must(t, postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) error {
		name, url := "hook", hookURL
		c, _, err := keeper.Create(t.Context(), tx, o.ID, alert.ChannelChange{Name: &name, Webhook: &alert.WebhookTarget{URL: &url}})
		if err != nil {
			return err
		}
		channel = c.ID
		d, err := alert.TestChannel(t.Context(), tx, o.ID, c.ID)
		delivery = d.ID
		return err
	}))
	return channel, delivery
}

func channelConfig() alert.ChannelConfig {
	return alert.ChannelConfig{
		Seal:     secret.SealConfig{Keys: base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))},
		Outbound: outbound.Config{Allow: "127.0.0.0/8"}, Hosts: "chat.example.com",
	}
}
