package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func (f *Function) channelWorkRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "rotate-channel-secret", Method: http.MethodPost, Path: pathChannel + "/rotate-secret", Tag: tagChannels, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusCreated, Summary: "Replace a webhook's signing secret",
		Doc: "Gives a webhook another signing secret, which is shown in the answer and never again. For 24 hours requests carry a " +
			"signature by the former one too. Channels of other kinds have none, which is a conflict.",
	}, f.rotateChannelSecret)
	rest.Handle(f.api, rest.Route{
		ID: "test-channel", Method: http.MethodPost, Path: pathChannel + "/test", Tag: tagChannels, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusAccepted, Summary: "Test a channel",
		Doc: "Sends a test the way alerts are sent, also to a channel that is switched off, at most 5 a minute. The answer is the delivery; " +
			"look it up to see what became of it.",
	}, f.testChannel)
	rest.Handle(f.api, rest.Route{
		ID: "list-deliveries", Method: http.MethodGet, Path: pathChannel + "/deliveries", Tag: tagChannels, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List what a channel was told",
		Doc: "Returns the deliveries of a channel with the last tries of each. They are kept for 30 days.",
	}, f.listDeliveries)
	rest.Handle(f.api, rest.Route{
		ID: "get-delivery", Method: http.MethodGet, Path: pathChannel + "/deliveries/{delivery_id}", Tag: tagChannels, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show a delivery", Doc: "Returns one delivery of a channel with its last tries.",
	}, f.getDelivery)
}

type rotateChannelSecretInput struct {
	OfChannel
	rest.Idempotent
}

func (f *Function) rotateChannelSecret(ctx context.Context, in *rotateChannelSecretInput) (*rest.Created[IssuedChannel], error) {
	return rest.Once(ctx, f.pool, in.IdempotencyKey, nothing{}, func(tx postgres.Tx) error {
		_, err := authorizeChannel(ctx, tx, in.ChannelID, tenant.Admin)
		return err
	}, func(tx postgres.Tx) (IssuedChannel, error) {
		found, err := authorizeChannel(ctx, tx, in.ChannelID, tenant.Admin)
		if err != nil {
			return IssuedChannel{}, err
		}
		c, fresh, err := f.channels.RotateSecret(ctx, tx, found.OrganizationID, found.ID)
		if err != nil {
			return IssuedChannel{}, err
		}
		return IssuedChannel{c, fresh}, record(ctx, tx, c.OrganizationID, "channel.rotate_secret", channelTarget(c), nil)
	})
}

func (f *Function) testChannel(ctx context.Context, in *OfChannel) (*rest.Body[alert.ChannelDelivery], error) {
	out, err := change(ctx, f, func(tx postgres.Tx) (alert.ChannelDelivery, error) {
		c, err := authorizeChannel(ctx, tx, in.ChannelID, tenant.Admin)
		if err != nil {
			return alert.ChannelDelivery{}, err
		}
		d, err := alert.TestChannel(ctx, tx, c.OrganizationID, c.ID)
		if err != nil {
			return d, err
		}
		return d, record(ctx, tx, c.OrganizationID, "channel.test", channelTarget(c), particulars{"delivery": d.ID})
	})
	if err != nil {
		return nil, err
	}
	f.outbox.Publish(ctx, out.Body.ID)
	return out, nil
}

type listDeliveriesInput struct {
	OfChannel
	rest.Paging
	Status outbox.Status `query:"status" enum:"pending,sent,skipped,failed,folded" doc:"only deliveries with this status"`
}

func (f *Function) listDeliveries(ctx context.Context, in *listDeliveriesInput) (*rest.Body[rest.List[alert.ChannelDelivery]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	c, err := authorizeChannel(ctx, f.pool, in.ChannelID, tenant.Member)
	if err != nil {
		return nil, err
	}
	return listed(alert.ListDeliveries(ctx, f.pool, c.ID, in.Status, r))
}

// OfDelivery are the parameters of calls about one delivery.
type OfDelivery struct {
	OfChannel
	DeliveryID uuid.UUID `path:"delivery_id" format:"uuid" doc:"id of the delivery"`
}

func (f *Function) getDelivery(ctx context.Context, in *OfDelivery) (*rest.Body[alert.ChannelDelivery], error) {
	c, err := authorizeChannel(ctx, f.pool, in.ChannelID, tenant.Member)
	if err != nil {
		return nil, err
	}
	d, err := alert.FindDelivery(ctx, f.pool, c.ID, in.DeliveryID)
	return &rest.Body[alert.ChannelDelivery]{Body: d}, err
}

// hidden returns what is answered instead of an error that would say that something of another organization exists.
func hidden(err error, format string, args ...any) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, format, args...)
	}
	return err
}
