package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/secret"
)

// Create makes a channel; c.Name is required, and the field of its kind. It returns the signing secret of a webhook, which
// is shown once. One more than ChannelsMost is a fault.Conflict (code "too_many_channels").
func (k *Channels) Create(ctx context.Context, tx postgres.Tx, organization uuid.UUID, c ChannelChange) (Channel, string, error) {
	kind, err := c.kind()
	switch {
	case err != nil:
		return Channel{}, "", err
	case kind == "":
		return Channel{}, "", fault.New(fault.Invalid, "say where the channel leads: email, slack, webhook, discord or pagerduty")
	case c.Name == nil:
		return Channel{}, "", fault.New(fault.Invalid, "the channel's name is missing")
	}
	if err := c.check(); err != nil {
		return Channel{}, "", err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Channel{}, "", fmt.Errorf("make the id of a channel: %w", err)
	}
	made := Channel{ID: id, OrganizationID: organization, Kind: kind, HourlyBudget: channelBudgetUsual, Enabled: true}
	var secrets ChannelSecrets
	if kind == ChannelWebhook {
		secrets.Signing = secret.Webhook.New()
	}
	settings, secrets, err := k.applyTo(ctx, tx, &made, c, channelSettings{}, secrets)
	if err != nil {
		return Channel{}, "", err
	}
	if err := roomForChannel(ctx, tx, organization); err != nil {
		return Channel{}, "", err
	}
	if _, err := tx.Exec(ctx, `
		insert into mesher.alert_channels (id, organization_id, name, kind, created_at)
		values ($1::uuid, $2::uuid, $3::text, $4::text, clock_timestamp())`, id, organization, made.Name, string(kind)); err != nil {
		return Channel{}, "", fmt.Errorf("create a channel: %w", err)
	}
	made, err = k.save(ctx, tx, made, settings, secrets)
	return made, secrets.Signing, err
}

// Change changes a channel of an organization and returns it as it was and as it is. Its kind stays.
func (k *Channels) Change(ctx context.Context, tx postgres.Tx, organization, id uuid.UUID, c ChannelChange) (was, is Channel, err error) {
	kind, err := c.kind()
	if err != nil {
		return was, is, err
	}
	if err := c.check(); err != nil {
		return was, is, err
	}
	was, settings, secrets, err := k.read(ctx, tx, id, "for no key update")
	switch {
	case fault.Is(err, fault.NotConfigured) && replaces(c):
		secrets = ChannelSecrets{} // what cannot be read any more is replaced
	case err != nil:
		return was, is, err
	}
	switch {
	case was.OrganizationID != organization:
		return Channel{}, is, errNoChannel(id)
	case kind != "" && kind != was.Kind:
		return was, is, fault.New(fault.Invalid, "the channel is of kind %s, which cannot be changed to %s; make another one", was.Kind, kind)
	}
	is = was
	settings, secrets, err = k.applyTo(ctx, tx, &is, c, settings, secrets)
	if err != nil {
		return was, is, err
	}
	is, err = k.save(ctx, tx, is, settings, secrets)
	return was, is, err
}

// replaces reports whether a change sets everything that is secret of a channel.
func replaces(c ChannelChange) bool { return c.Slack != nil || c.Discord != nil || c.PagerDuty != nil }

// applyTo sets what the change names, of a channel and of what is kept besides.
func (k *Channels) applyTo(ctx context.Context, tx postgres.Tx, to *Channel, c ChannelChange, settings channelSettings, secrets ChannelSecrets) (channelSettings, ChannelSecrets, error) {
	if c.Name != nil {
		to.Name = *c.Name
	}
	if c.Enabled != nil {
		to.Enabled = *c.Enabled
	}
	if c.HourlyBudget != nil {
		to.HourlyBudget = *c.HourlyBudget
	}
	if c.Email != nil {
		users, err := membersAt(ctx, tx, to.OrganizationID, c.Email.Addresses)
		settings.Users = users
		return settings, secrets, err
	}
	return k.apply(to.Kind, c, settings, secrets)
}

// save stores a channel and returns it.
func (k *Channels) save(ctx context.Context, tx postgres.Tx, c Channel, settings channelSettings, secrets ChannelSecrets) (Channel, error) {
	text, err := json.Marshal(settings)
	if err != nil {
		return Channel{}, fmt.Errorf("encode the settings of a channel: %w", err)
	}
	sealed, err := k.seal(c.ID, secrets)
	if err != nil {
		return Channel{}, err
	}
	if _, err := tx.Exec(ctx, `
		update mesher.alert_channels set name = $2::text, settings = $3::text::jsonb, secret = $4::bytea, hourly_budget = $5::integer,
			enabled = $6::boolean, updated_at = clock_timestamp()
		where id = $1::uuid`, c.ID, c.Name, string(text), sealed, c.HourlyBudget, c.Enabled); err != nil {
		return Channel{}, fmt.Errorf("save a channel: %w", err)
	}
	return FindChannel(ctx, tx, c.ID)
}

// roomForChannel refuses one more channel when there are as many as may be. Of many who create one at once the last are
// refused.
func roomForChannel(ctx context.Context, tx postgres.Tx, organization uuid.UUID) error {
	if _, err := tx.Exec(ctx, `select from mesher.organizations where id = $1::uuid for no key update`, organization); err != nil {
		return fmt.Errorf("lock an organization: %w", err)
	}
	var n int
	err := tx.QueryRow(ctx, `select count(*) from mesher.alert_channels where organization_id = $1::uuid`, organization).Scan(&n)
	switch {
	case err != nil:
		return fmt.Errorf("count channels: %w", err)
	case n >= ChannelsMost:
		return fault.New(fault.Conflict, "the organization has %d channels, which is the most; delete one that is not used", ChannelsMost).
			Named("too_many_channels")
	}
	return nil
}

// membersAt returns the members of an organization who have the addresses. Only they are written to: a channel must not be a
// way to send mails to strangers.
func membersAt(ctx context.Context, tx postgres.Tx, organization uuid.UUID, addresses []string) ([]uuid.UUID, error) {
	if n := len(addresses); n < 1 || n > ChannelAddressesMost {
		return nil, fault.New(fault.Invalid, "an e-mail channel has 1 to %d addresses, not %d", ChannelAddressesMost, n)
	}
	var asked []string
	for _, a := range addresses {
		email, err := account.NormalEmail(a)
		if err != nil {
			return nil, err
		}
		if email = strings.ToLower(email); slices.Contains(asked, email) {
			return nil, fault.New(fault.Invalid, "the address %s is there twice", email)
		}
		asked = append(asked, email)
	}
	rows, err := tx.Query(ctx, `
		select u.id, lower(u.email) from mesher.users u
		join mesher.memberships m on m.user_id = u.id and m.organization_id = $1::uuid
		where lower(u.email) = any ($2::text[]) and u.email_verified_at is not null`, organization, asked)
	if err != nil {
		return nil, fmt.Errorf("look for members: %w", err)
	}
	type member struct {
		ID    uuid.UUID
		Email string
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[member])
	if err != nil {
		return nil, fmt.Errorf("look for members: %w", err)
	}
	var users []uuid.UUID
	for _, email := range asked {
		i := slices.IndexFunc(found, func(m member) bool { return m.Email == email })
		if i < 0 {
			return nil, fault.New(fault.Invalid, "%s is not the confirmed address of a member; alerts are mailed to members only, so invite them first", email)
		}
		users = append(users, found[i].ID)
	}
	return users, nil
}
