package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	tagChannels  = "channels"
	pathChannels = pathOrganization + "/channels"
	pathChannel  = "/channels/{channel_id}"
)

func (f *Function) channelRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "list-channels", Method: http.MethodGet, Path: pathChannels, Tag: tagChannels, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List channels",
		Doc: "Returns where the organization is told of alerts. What is secret of a channel is never shown.",
	}, f.listChannels)
	rest.Handle(f.api, rest.Route{
		ID: "create-channel", Method: http.MethodPost, Path: pathChannels, Tag: tagChannels, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusCreated, Summary: "Create a channel",
		Doc: "Makes a channel of the kind whose field is there: email, slack, webhook, discord or pagerduty. A webhook's signing secret " +
			"is shown in the answer and never again.",
	}, f.createChannel)
	rest.Handle(f.api, rest.Route{
		ID: "get-channel", Method: http.MethodGet, Path: pathChannel, Tag: tagChannels, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show a channel", Doc: "Returns a channel, without what is secret of it.",
	}, f.getChannel)
	rest.Handle(f.api, rest.Route{
		ID: "update-channel", Method: http.MethodPatch, Path: pathChannel, Tag: tagChannels, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Summary: "Change a channel",
		Doc: "Changes what the call names. The kind of a channel stays; its field replaces where it leads.",
	}, f.updateChannel)
	rest.Handle(f.api, rest.Route{
		ID: "delete-channel", Method: http.MethodDelete, Path: pathChannel, Tag: tagChannels, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusNoContent, Summary: "Delete a channel",
		Doc: "Removes a channel, also from the rules that use it. What waits to be told by it is not told.",
	}, f.deleteChannel)
	f.channelWorkRoutes()
}

// OfChannel is the parameter of calls about one channel.
type OfChannel struct {
	ChannelID uuid.UUID `path:"channel_id" format:"uuid" doc:"id of the channel"`
}

// authorizeChannel returns a channel in whose organization the caller has the role needed. One that the caller may not see
// is answered as one that does not exist.
func authorizeChannel(ctx context.Context, db tenant.DB, id uuid.UUID, needed tenant.Role) (alert.Channel, error) {
	c, err := alert.FindChannel(ctx, db, id)
	if err != nil {
		return alert.Channel{}, err
	}
	if _, err := authorize(ctx, db, c.OrganizationID, tenant.Member); err != nil {
		return alert.Channel{}, hidden(err, "there is no channel with the id %s", id)
	}
	_, err = authorize(ctx, db, c.OrganizationID, needed)
	return c, err
}

type listChannelsInput struct {
	OfOrganization
	rest.Paging
	Kind   alert.ChannelKind `query:"kind" enum:"email,slack,webhook,discord,pagerduty" doc:"only channels of this kind"`
	Search string            `query:"search" maxLength:"200" doc:"only channels with this part in their name, in any case"`
}

func (f *Function) listChannels(ctx context.Context, in *listChannelsInput) (*rest.Body[rest.List[alert.Channel]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	if _, err := authorize(ctx, f.pool, in.OrganizationID, tenant.Member); err != nil {
		return nil, err
	}
	return listed(alert.ListChannels(ctx, f.pool, in.OrganizationID, alert.ChannelFilter{Kind: in.Kind, Search: in.Search}, r))
}

// ChannelTarget is where a channel leads: the field of its kind.
type ChannelTarget struct {
	Email     *alert.EmailTarget     `json:"email,omitempty" doc:"members of the organization are written to"`
	Slack     *alert.URLTarget       `json:"slack,omitempty" doc:"an incoming webhook of Slack"`
	Webhook   *alert.WebhookTarget   `json:"webhook,omitempty" doc:"a signed request with JSON to any address"`
	Discord   *alert.URLTarget       `json:"discord,omitempty" doc:"a webhook of Discord"`
	PagerDuty *alert.PagerDutyTarget `json:"pagerduty,omitempty" doc:"an Events API v2 integration of PagerDuty"`
}

func (t ChannelTarget) change(name *string, enabled *bool, budget *int) alert.ChannelChange {
	return alert.ChannelChange{
		Name: name, Enabled: enabled, HourlyBudget: budget,
		Email: t.Email, Slack: t.Slack, Webhook: t.Webhook, Discord: t.Discord, PagerDuty: t.PagerDuty,
	}
}

// NewChannel is what a channel is made of.
type NewChannel struct {
	Name         string `json:"name" minLength:"1" maxLength:"200"`
	HourlyBudget *int   `json:"hourly_budget,omitempty" minimum:"1" maximum:"10000" doc:"most notifications an hour; 60 for a new channel"`
	Enabled      *bool  `json:"enabled,omitempty" doc:"whether it is told of alerts; true for a new channel"`
	ChannelTarget
}

// IssuedChannel is a new channel, or one with a new signing secret.
type IssuedChannel struct {
	Channel       alert.Channel `json:"channel"`
	SigningSecret string        `json:"signing_secret,omitempty" doc:"of a webhook, mshw_…; it is shown now and never again"`
}

type createChannelInput struct {
	OfOrganization
	rest.Idempotent
	Body NewChannel
}

func (f *Function) createChannel(ctx context.Context, in *createChannelInput) (*rest.Created[IssuedChannel], error) {
	return rest.Once(ctx, f.pool, in.IdempotencyKey, in.Body, func(tx postgres.Tx) error {
		_, err := authorize(ctx, tx, in.OrganizationID, tenant.Admin)
		return err
	}, func(tx postgres.Tx) (IssuedChannel, error) {
		if _, err := authorize(ctx, tx, in.OrganizationID, tenant.Admin); err != nil {
			return IssuedChannel{}, err
		}
		c, signing, err := f.channels.Create(ctx, tx, in.OrganizationID, in.Body.change(&in.Body.Name, in.Body.Enabled, in.Body.HourlyBudget))
		if err != nil {
			return IssuedChannel{}, err
		}
		return IssuedChannel{c, signing}, record(ctx, tx, c.OrganizationID, "channel.create", channelTarget(c), channelParticulars(c))
	})
}

func (f *Function) getChannel(ctx context.Context, in *OfChannel) (*rest.Body[alert.Channel], error) {
	c, err := authorizeChannel(ctx, f.pool, in.ChannelID, tenant.Member)
	return &rest.Body[alert.Channel]{Body: c}, err
}

// ChannelPatch is what is to be changed of a channel.
type ChannelPatch struct {
	Name         *string `json:"name,omitempty" minLength:"1" maxLength:"200"`
	HourlyBudget *int    `json:"hourly_budget,omitempty" minimum:"1" maximum:"10000" doc:"most notifications an hour"`
	Enabled      *bool   `json:"enabled,omitempty" doc:"whether it is told of alerts"`
	ChannelTarget
}

type updateChannelInput struct {
	OfChannel
	Body ChannelPatch
}

func (f *Function) updateChannel(ctx context.Context, in *updateChannelInput) (*rest.Body[alert.Channel], error) {
	return change(ctx, f, func(tx postgres.Tx) (alert.Channel, error) {
		found, err := authorizeChannel(ctx, tx, in.ChannelID, tenant.Admin)
		if err != nil {
			return alert.Channel{}, err
		}
		patch := in.Body.change(in.Body.Name, in.Body.Enabled, in.Body.HourlyBudget)
		was, is, err := f.channels.Change(ctx, tx, found.OrganizationID, found.ID, patch)
		if err != nil {
			return alert.Channel{}, err
		}
		return is, channelChanges(was, is, patch).record(ctx, tx, is.OrganizationID, "channel.update", channelTarget(is))
	})
}

func (f *Function) deleteChannel(ctx context.Context, in *OfChannel) (*rest.None, error) {
	return erase(ctx, f, func(tx postgres.Tx) error {
		found, err := authorizeChannel(ctx, tx, in.ChannelID, tenant.Admin)
		if err != nil {
			return err
		}
		c, err := alert.DeleteChannel(ctx, tx, found.OrganizationID, found.ID)
		if err != nil {
			return err
		}
		return record(ctx, tx, c.OrganizationID, "channel.delete", channelTarget(c), channelParticulars(c))
	})
}

func channelTarget(c alert.Channel) tenant.Target {
	return tenant.Target{Kind: "channel", ID: c.ID, Name: c.Name}
}

// channelParticulars are what the audit log shows of a channel: nothing that is secret of it.
func channelParticulars(c alert.Channel) particulars {
	return particulars{
		"kind": c.Kind, "target": c.Target, "addresses": c.Addresses, "headers": c.Headers, "hourly_budget": c.HourlyBudget, "enabled": c.Enabled,
	}
}

func channelChanges(was, is alert.Channel, patch alert.ChannelChange) changes {
	c := changes{}
	note(c, "name", was.Name, is.Name)
	note(c, "hourly_budget", was.HourlyBudget, is.HourlyBudget)
	note(c, "enabled", was.Enabled, is.Enabled)
	// Also when what is shown of it is the same: the rest of it, which is secret, may not be.
	switch {
	case patch.Email != nil:
		c["addresses"] = tenant.Change{From: was.Addresses, To: is.Addresses}
	case patch.Slack != nil || patch.Webhook != nil || patch.Discord != nil || patch.PagerDuty != nil:
		c["target"] = tenant.Change{From: was.Target, To: is.Target}
	}
	if patch.Webhook != nil && patch.Webhook.Headers != nil {
		c["headers"] = tenant.Change{From: was.Headers, To: is.Headers}
	}
	return c
}
