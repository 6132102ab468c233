package alert

import (
	"net/url"
	"slices"
	"strings"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/label"
	"github.com/mesherhq/mesher/shared/outbound"
	"github.com/mesherhq/mesher/shared/secret"
)

// Limits of channels.
const (
	ChannelsMost         = 50 // of an organization
	ChannelAddressesMost = 20 // of an e-mail channel
	ChannelHeadersMost   = 20 // of a webhook
	channelNameMost      = 200
	channelURLMost       = 2000 // bytes
	channelBudgetUsual   = 60   // notifications an hour
	channelBudgetMost    = 10000
	routingKeyLength     = 32
	channelEnd           = 4 // characters by which a secret is recognised
)

// The hosts of the services, and PagerDuty's address unless a channel names the one for Europe.
const pagerDutyURL = "https://events.pagerduty.com/v2/enqueue"

var channelHosts = map[ChannelKind][]string{
	ChannelSlack:     {"hooks.slack.com", "hooks.slack-gov.com"},
	ChannelDiscord:   {"discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com"},
	ChannelPagerDuty: {"events.pagerduty.com", "events.eu.pagerduty.com"},
}

// ChannelConfig is what the operator decides about channels.
type ChannelConfig struct {
	Seal     secret.SealConfig
	Outbound outbound.Config
	Hosts    string `env:"CHANNEL_HOSTS" envDefault:"" doc:"hosts besides Slack's, Discord's and PagerDuty's own that channels of these kinds may lead to, such as a Mattermost's, separated by commas"`
}

// Channels makes and changes channels: it checks where they lead and seals what is secret of them.
type Channels struct {
	sealer       *secret.Sealer
	policy, open *outbound.Policy // open: that of an operator who allows nothing
	hosts        []string
}

// NewChannels returns Channels. Settings that mean nothing are a fault.NotConfigured.
func NewChannels(c ChannelConfig) (*Channels, error) {
	sealer, err := secret.NewSealer(c.Seal)
	if err != nil {
		return nil, err
	}
	policy, err := outbound.NewPolicy(c.Outbound)
	if err != nil {
		return nil, err
	}
	open, err := outbound.NewPolicy(outbound.Config{})
	if err != nil {
		return nil, err
	}
	out := &Channels{sealer: sealer, policy: policy, open: open}
	for host := range strings.SplitSeq(c.Hosts, ",") {
		if host = strings.ToLower(strings.TrimSpace(host)); host == "" {
			continue
		}
		if strings.ContainsAny(host, "/@ ") || strings.Contains(host, "://") {
			return nil, fault.New(fault.NotConfigured, "CHANNEL_HOSTS names %q, expected hosts such as chat.example.com, separated by commas", host)
		}
		out.hosts = append(out.hosts, host)
	}
	return out, nil
}

// ChannelChange is what is to be set of a channel; nil fields are not. Exactly one of the fields after HourlyBudget is that of
// the channel's kind. A wrong value is a fault.Invalid that says what is right.
type ChannelChange struct {
	Name         *string
	Enabled      *bool
	HourlyBudget *int
	Email        *EmailTarget
	Slack        *URLTarget
	Webhook      *WebhookTarget
	Discord      *URLTarget
	PagerDuty    *PagerDutyTarget
}

// EmailTarget is who is written to.
type EmailTarget struct {
	Addresses []string `json:"addresses" minItems:"1" maxItems:"20" nullable:"false" doc:"of members of the organization whose address is confirmed"`
}

// URLTarget is where an incoming webhook of Slack or Discord lies.
type URLTarget struct {
	URL string `json:"url" minLength:"1" maxLength:"2000" doc:"as the service shows it; kept secret"`
}

// WebhookTarget is where a generic webhook leads; in a change of a channel, what is missing stays.
type WebhookTarget struct {
	URL     *string          `json:"url,omitempty" minLength:"1" maxLength:"2000" doc:"begins with https://; kept secret"`
	Headers *[]ChannelHeader `json:"headers,omitempty" maxItems:"20" nullable:"false" doc:"sent with each request, such as Authorization"`
}

// ChannelHeader is a header of a webhook.
type ChannelHeader struct {
	Name  string `json:"name" minLength:"1" maxLength:"100"`
	Value string `json:"value" maxLength:"2000" doc:"kept secret"`
}

// PagerDutyTarget is a service of PagerDuty.
type PagerDutyTarget struct {
	RoutingKey string `json:"routing_key" minLength:"1" maxLength:"100" doc:"integration key of an Events API v2 integration; kept secret"`
	URL        string `json:"url,omitempty" maxLength:"2000" example:"https://events.eu.pagerduty.com/v2/enqueue" doc:"only for accounts in Europe"`
}

// kind returns the kind whose field is set; empty: none. Two are a fault.Invalid.
func (c ChannelChange) kind() (ChannelKind, error) {
	var out ChannelKind
	for _, k := range []struct {
		kind ChannelKind
		set  bool
	}{
		{ChannelEmail, c.Email != nil},
		{ChannelSlack, c.Slack != nil},
		{ChannelWebhook, c.Webhook != nil},
		{ChannelDiscord, c.Discord != nil},
		{ChannelPagerDuty, c.PagerDuty != nil},
	} {
		if !k.set {
			continue
		}
		if out != "" {
			return "", fault.New(fault.Invalid, "a channel is of one kind; there are %s and %s", out, k.kind)
		}
		out = k.kind
	}
	return out, nil
}

// check refuses what is wrong with name and budget.
func (c ChannelChange) check() error {
	if c.Name != nil {
		if err := label.Check("channel's name", *c.Name, 1, channelNameMost); err != nil {
			return err
		}
	}
	if b := c.HourlyBudget; b != nil && (*b < 1 || *b > channelBudgetMost) {
		return fault.New(fault.Invalid, "the hourly budget is 1 to %d notifications, not %d", channelBudgetMost, *b)
	}
	return nil
}

// checkURL returns the URL that a channel of the kind may lead to. No error repeats it: most of it is secret.
func (k *Channels) checkURL(kind ChannelKind, text string) (*url.URL, error) {
	if len(text) > channelURLMost {
		return nil, fault.New(fault.Invalid, "the URL has %d bytes; at most %d are allowed", len(text), channelURLMost)
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return nil, fault.New(fault.Invalid, "the URL is not one: expected https://host/path")
	}
	if u.Fragment != "" || strings.Contains(text, "#") {
		return nil, fault.New(fault.Invalid, "the URL has a fragment (#…), which is never sent; leave it out")
	}
	if err := k.policy.CheckURL(u); err != nil {
		return nil, err
	}
	if u.Scheme != "https" && !k.inner(u.Hostname()) {
		return nil, fault.New(fault.Invalid, "the URL begins with http://: what is told would go over the internet in plain text; use https://")
	}
	return u, k.checkService(kind, u)
}

// inner reports whether a host is reached only because the operator allows its network.
func (k *Channels) inner(host string) bool {
	return k.open.CheckHost(host) != nil && k.policy.CheckHost(host) == nil
}

// checkService refuses a URL that is not of the service whose kind the channel is.
func (k *Channels) checkService(kind ChannelKind, u *url.URL) error {
	host := strings.ToLower(u.Hostname())
	own, bound := channelHosts[kind]
	if !bound || slices.Contains(k.hosts, host) || slices.Contains(k.hosts, strings.ToLower(u.Host)) {
		return nil
	}
	if !slices.Contains(own, host) || u.Port() != "" && u.Port() != "443" {
		return fault.New(fault.Invalid, "a %s channel leads to %s; for another host, the operator has to name it in CHANNEL_HOSTS, or use a webhook channel",
			kind, own[0])
	}
	paths := map[ChannelKind][]string{
		ChannelSlack:     {"/services/", "/workflows/", "/triggers/"},
		ChannelDiscord:   {"/api/"},
		ChannelPagerDuty: {"/v2/enqueue"},
	}[kind]
	if !slices.ContainsFunc(paths, func(p string) bool {
		return strings.HasPrefix(u.Path, p) && (p == "/v2/enqueue" || len(u.Path) > len(p))
	}) {
		return fault.New(fault.Invalid, "the URL is not that of an incoming webhook: its path begins with %s", paths[0])
	}
	return nil
}

// checkHeaders refuses headers that cannot be sent, or that say what Mesher says itself.
func checkHeaders(headers []ChannelHeader) error {
	if len(headers) > ChannelHeadersMost {
		return fault.New(fault.Invalid, "there are %d headers; at most %d are allowed", len(headers), ChannelHeadersMost)
	}
	seen := map[string]bool{}
	for _, h := range headers {
		if err := outbound.CheckHeader(h.Name, h.Value); err != nil {
			return err
		}
		name := strings.ToLower(h.Name)
		if strings.HasPrefix(name, "mesher-") || name == "content-type" || name == "user-agent" || name == "content-encoding" {
			return fault.New(fault.Invalid, "the header %s is one that Mesher sets itself", h.Name)
		}
		if seen[name] {
			return fault.New(fault.Invalid, "the header %s is there twice", h.Name)
		}
		seen[name] = true
	}
	return nil
}

// checkRoutingKey refuses what cannot be a key. The error does not repeat it.
func checkRoutingKey(key string) error {
	alnum := func(r rune) bool { return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
	if len(key) != routingKeyLength || strings.ContainsFunc(key, func(r rune) bool { return !alnum(r) }) {
		return fault.New(fault.Invalid, "the routing key is not one: expected the %d letters and digits of the integration key of an Events API v2 integration",
			routingKeyLength)
	}
	return nil
}
