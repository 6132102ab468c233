package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// ChannelKind is how a channel reaches people.
type ChannelKind string

// The kinds.
const (
	ChannelEmail     ChannelKind = "email"
	ChannelSlack     ChannelKind = "slack" // or what takes the same, such as Mattermost
	ChannelWebhook   ChannelKind = "webhook"
	ChannelDiscord   ChannelKind = "discord"
	ChannelPagerDuty ChannelKind = "pagerduty"
)

// Channel is where an organization is told of alerts.
type Channel struct {
	ID             uuid.UUID   `json:"id" format:"uuid"`
	OrganizationID uuid.UUID   `json:"organization_id" format:"uuid"`
	Name           string      `json:"name"`
	Kind           ChannelKind `json:"kind" enum:"email,slack,webhook,discord,pagerduty"`
	Target         string      `json:"target,omitempty" example:"hooks.slack.com/…x7Qd" doc:"where it leads, to be recognised by: the host and the last four characters of the URL, or of the routing key"`
	Addresses      []string    `json:"addresses,omitempty" doc:"of members whom an e-mail channel writes to; who is no member any more is left out"`
	Headers        []string    `json:"headers,omitempty" doc:"names of the headers that a webhook is sent with"`
	HourlyBudget   int         `json:"hourly_budget" doc:"most notifications an hour; what is more is folded into a digest at the hour's end"`
	Enabled        bool        `json:"enabled" doc:"whether it is told of alerts"`
	CreatedAt      time.Time   `json:"created_at"`
	UpdatedAt      time.Time   `json:"updated_at"`
}

// channelSettings is what is kept of a channel and not secret.
type channelSettings struct {
	Users   []uuid.UUID `json:"users,omitempty"` // of an e-mail channel; their addresses may change
	Host    string      `json:"host,omitempty"`
	End     string      `json:"end,omitempty"` // last characters of the secret
	Headers []string    `json:"headers,omitempty"`
}

// target returns how the channel is recognised.
func (s channelSettings) target() string {
	switch {
	case s.Host != "" && s.End != "":
		return s.Host + "/…" + s.End
	case s.End != "":
		return "…" + s.End
	}
	return s.Host
}

// channelColumns are read by scanChannel. An address is shown, and written to, only while its owner is a member.
const channelColumns = `c.id, c.organization_id, c.name, c.kind, c.settings::text, c.hourly_budget, c.enabled, c.created_at, c.updated_at,
	array(
		select u.email from mesher.users u
		join mesher.memberships m on m.user_id = u.id and m.organization_id = c.organization_id
		where u.email_verified_at is not null
		  and c.kind = 'email' and jsonb_typeof(c.settings -> 'users') = 'array' and c.settings -> 'users' ? u.id::text
		order by lower(u.email))`

func scanChannel(row pgx.CollectableRow) (Channel, error) {
	c, _, err := readChannel(row)
	return c, err
}

// readChannel reads channelColumns, and what follows them.
func readChannel(row pgx.CollectableRow, more ...any) (Channel, channelSettings, error) {
	var c Channel
	var s channelSettings
	var text string
	into := []any{
		&c.ID, &c.OrganizationID, &c.Name, &c.Kind, &text, &c.HourlyBudget, &c.Enabled,
		(*postgres.Time)(&c.CreatedAt), (*postgres.Time)(&c.UpdatedAt), &c.Addresses,
	}
	if err := row.Scan(append(into, more...)...); err != nil {
		return c, s, err
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return c, s, fmt.Errorf("read the settings of a channel: %w", err)
	}
	c.Target, c.Headers = s.target(), s.Headers
	return c, s, nil
}

// FindChannel returns a channel. The caller sees to it that whoever asks belongs to its organization.
func FindChannel(ctx context.Context, db DB, id uuid.UUID) (Channel, error) {
	rows, err := db.Query(ctx, `select `+channelColumns+` from mesher.alert_channels c where c.id = $1::uuid`, id)
	if err != nil {
		return Channel{}, fmt.Errorf("find a channel: %w", err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanChannel)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Channel{}, errNoChannel(id)
	case err != nil:
		return Channel{}, fmt.Errorf("find a channel: %w", err)
	}
	return c, nil
}

// ChannelFilter narrows a list of channels; empty fields do not.
type ChannelFilter struct {
	Kind   ChannelKind
	Search string // part of the name, in any case
}

// ListChannels returns an organization's channels, the newest first.
func ListChannels(ctx context.Context, db DB, organization uuid.UUID, f ChannelFilter, r page.Request) (page.Of[Channel], error) {
	at, id := r.After.Args()
	rows, err := db.Query(ctx, `
		select `+channelColumns+` from mesher.alert_channels c
		where c.organization_id = $4::uuid and ($5::text = '' or c.kind = $5::text)
		  and position(lower($6::text) in lower(c.name)) > 0
		  and ($1::timestamptz is null or (c.created_at, c.id) < ($1::timestamptz, $2::uuid))
		order by c.created_at desc, c.id desc limit $3::bigint`,
		at, id, r.Limit+1, organization, string(f.Kind), channelText(f.Search))
	if err != nil {
		return page.Of[Channel]{}, fmt.Errorf("list channels: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanChannel)
	if err != nil {
		return page.Of[Channel]{}, fmt.Errorf("list channels: %w", err)
	}
	return page.Cut(r, found, func(c Channel) page.Mark { return page.Mark{At: c.CreatedAt, ID: c.ID} }), nil
}

// DeleteChannel removes a channel of an organization, also from the rules that use it. What waits to be told by it is not.
func DeleteChannel(ctx context.Context, db DB, organization, id uuid.UUID) (Channel, error) {
	rows, err := db.Query(ctx, `
		with gone as (delete from mesher.alert_channels where id = $1::uuid and organization_id = $2::uuid returning *),
		windows as (delete from mesher.alert_windows w using gone where w.channel_id = gone.id),
		budgets as (delete from mesher.alert_budgets b using gone where b.channel_id = gone.id)
		select `+channelColumns+` from gone c`, id, organization)
	if err != nil {
		return Channel{}, fmt.Errorf("delete a channel: %w", err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanChannel)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Channel{}, errNoChannel(id)
	case err != nil:
		return Channel{}, fmt.Errorf("delete a channel: %w", err)
	}
	return c, nil
}

// CheckChannels refuses, as a fault.Invalid that names them, channels that are none of the organization's: for a rule that is
// to use them. No channel may be named twice.
func CheckChannels(ctx context.Context, db DB, organization uuid.UUID, ids []uuid.UUID) error {
	asked := make([]string, len(ids))
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			return fault.New(fault.Invalid, "the channel %s is named twice", id)
		}
		asked[i] = id.String()
	}
	rows, err := db.Query(ctx, `
		select a.id from unnest($2::uuid[]) with ordinality a (id, place)
		where not exists (select from mesher.alert_channels c where c.id = a.id and c.organization_id = $1::uuid)
		order by a.place`, organization, asked)
	if err != nil {
		return fmt.Errorf("look for channels: %w", err)
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	switch {
	case err != nil:
		return fmt.Errorf("look for channels: %w", err)
	case len(missing) > 0:
		return fault.New(fault.Invalid, "the organization has no channel with the id %s", missing[0])
	}
	return nil
}

func errNoChannel(id uuid.UUID) error {
	return fault.New(fault.NotFound, "there is no channel with the id %s", id)
}

// channelText replaces what Postgres takes in no text.
func channelText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
