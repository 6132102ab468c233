package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/secret"
)

// SigningOverlap is how long the former signing secret of a webhook still signs after it was replaced, beside the new one.
const SigningOverlap = 24 * time.Hour

// ChannelSecrets is what of a channel must not be read; it is stored sealed.
type ChannelSecrets struct {
	URL         string          `json:"url,omitempty"`
	Headers     []ChannelHeader `json:"headers,omitempty"`
	RoutingKey  string          `json:"routing_key,omitempty"`
	Signing     string          `json:"signing,omitempty"` // of a webhook
	Former      string          `json:"former,omitempty"`  // the one before it
	FormerUntil time.Time       `json:"former_until,omitzero"`
}

// All returns everything that is secret, so that it can be taken out of texts.
func (s ChannelSecrets) All() []string {
	var out []string
	add := func(v string) {
		if v != "" {
			out = append(out, v)
		}
	}
	add(s.URL)
	if u, err := url.Parse(s.URL); err == nil && len(u.Path) > 1 {
		add(u.RequestURI())
		add(u.Path)
		add(u.RawQuery)
	}
	for _, h := range s.Headers {
		add(h.Value)
	}
	add(s.RoutingKey)
	add(s.Signing)
	add(s.Former)
	return out
}

// apply returns secrets and settings of a channel of the kind with the change.
func (k *Channels) apply(kind ChannelKind, c ChannelChange, settings channelSettings, secrets ChannelSecrets) (channelSettings, ChannelSecrets, error) {
	switch {
	case c.Slack != nil:
		return k.lead(kind, c.Slack.URL, settings, secrets)
	case c.Discord != nil:
		return k.lead(kind, c.Discord.URL, settings, secrets)
	case c.Webhook != nil:
		return k.applyWebhook(*c.Webhook, settings, secrets)
	case c.PagerDuty != nil:
		if err := checkRoutingKey(c.PagerDuty.RoutingKey); err != nil {
			return settings, secrets, err
		}
		to := pagerDutyURL
		if c.PagerDuty.URL != "" {
			to = c.PagerDuty.URL
		}
		settings, secrets, err := k.lead(kind, to, settings, secrets)
		secrets.RoutingKey, settings.End = c.PagerDuty.RoutingKey, ending(c.PagerDuty.RoutingKey)
		return settings, secrets, err
	}
	return settings, secrets, nil
}

func (k *Channels) applyWebhook(w WebhookTarget, settings channelSettings, secrets ChannelSecrets) (channelSettings, ChannelSecrets, error) {
	if w.Headers != nil {
		if err := checkHeaders(*w.Headers); err != nil {
			return settings, secrets, err
		}
		secrets.Headers, settings.Headers = *w.Headers, nil
		for _, h := range *w.Headers {
			settings.Headers = append(settings.Headers, h.Name)
		}
	}
	if w.URL != nil {
		return k.lead(ChannelWebhook, *w.URL, settings, secrets)
	}
	if secrets.URL == "" {
		return settings, secrets, fault.New(fault.Invalid, "the webhook's URL is missing")
	}
	return settings, secrets, nil
}

// lead has a channel lead to a URL.
func (k *Channels) lead(kind ChannelKind, text string, settings channelSettings, secrets ChannelSecrets) (channelSettings, ChannelSecrets, error) {
	u, err := k.checkURL(kind, text)
	if err != nil {
		return settings, secrets, err
	}
	secrets.URL, settings.Host, settings.End = text, u.Host, ""
	if len(text) > len(u.Scheme)+len("://")+len(u.Host)+2*channelEnd {
		settings.End = ending(text)
	}
	return settings, secrets, nil
}

// ending returns the characters at its end by which a secret is recognised.
func ending(s string) string {
	r := []rune(s)
	return string(r[max(0, len(r)-channelEnd):])
}

// seal returns the secrets as they are stored; nil: there are none.
func (k *Channels) seal(id uuid.UUID, s ChannelSecrets) ([]byte, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode the secrets of a channel: %w", err)
	}
	if string(plain) == "{}" {
		return nil, nil
	}
	return k.sealer.Seal(plain, id[:])
}

// open returns the secrets of a channel from what is stored.
func (k *Channels) unseal(id uuid.UUID, sealed []byte) (ChannelSecrets, error) {
	var s ChannelSecrets
	if len(sealed) == 0 {
		return s, nil
	}
	plain, err := k.sealer.Open(sealed, id[:])
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(plain, &s); err != nil {
		return s, fmt.Errorf("read the secrets of a channel: %w", err)
	}
	return s, nil
}

// Open returns a channel with its secrets, to deliver to it. One that is gone is a fault.NotFound.
func (k *Channels) Open(ctx context.Context, db DB, id uuid.UUID) (Channel, ChannelSecrets, error) {
	c, _, s, err := k.read(ctx, db, id, "")
	return c, s, err
}

// read returns everything that is kept of a channel; lock is a locking clause.
func (k *Channels) read(ctx context.Context, db DB, id uuid.UUID, lock string) (Channel, channelSettings, ChannelSecrets, error) {
	var c Channel
	var settings channelSettings
	var sealed []byte
	rows, err := db.Query(ctx, `select `+channelColumns+`, c.secret from mesher.alert_channels c where c.id = $1::uuid `+lock, id)
	if err == nil {
		_, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (_ struct{}, err error) {
			c, settings, err = readChannel(row, &sealed)
			return struct{}{}, err
		})
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return c, settings, ChannelSecrets{}, errNoChannel(id)
	case err != nil:
		return c, settings, ChannelSecrets{}, fmt.Errorf("read a channel: %w", err)
	}
	secrets, err := k.unseal(id, sealed)
	return c, settings, secrets, err
}

// RotateSecret gives a webhook another signing secret and returns it; it is shown once. The former one signs beside it for
// SigningOverlap. Other channels have none, which is a fault.Conflict.
func (k *Channels) RotateSecret(ctx context.Context, tx postgres.Tx, organization, id uuid.UUID) (Channel, string, error) {
	c, settings, secrets, err := k.read(ctx, tx, id, "for no key update")
	if err != nil {
		return c, "", err
	}
	if c.OrganizationID != organization {
		return Channel{}, "", errNoChannel(id)
	}
	if c.Kind != ChannelWebhook {
		return c, "", fault.New(fault.Conflict, "a channel of kind %s has no signing secret; only webhooks do", c.Kind).Named("no_signing_secret")
	}
	fresh := secret.Webhook.New()
	secrets.Former, secrets.FormerUntil, secrets.Signing = secrets.Signing, clock.Of(ctx)().Add(SigningOverlap), fresh
	c, err = k.save(ctx, tx, c, settings, secrets)
	return c, fresh, err
}
