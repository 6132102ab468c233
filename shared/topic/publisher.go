package topic

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	pubsub "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/loopback"
)

const (
	// publishBudget bounds a publish whose context has no deadline of its own.
	publishBudget = 10 * time.Second
	// The pause between attempts doubles from firstRetry to lastRetry.
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Second
	// unansweredLimit is how long bytes on the wire may stay unacknowledged before the connection is given up:
	// a function's instance may have slept for minutes and wake to a connection that no longer exists.
	unansweredLimit = 4 * time.Second
)

// Publisher publishes to one topic over one connection. It is safe for concurrent use.
type Publisher struct {
	client *pubsub.TopicAdminClient
	topic  string
}

// Open returns a publisher to the topic with the name. It does not connect: the first publish does, and a server
// that is down at this moment costs nothing. ctx ends with the call. It fails with fault.NotConfigured where no
// credentials are found.
func Open(ctx context.Context, c Config, name string) (*Publisher, error) {
	opts, err := dialing(c)
	if err != nil {
		return nil, err
	}
	// Credentials are refreshed with this context for as long as the publisher lives.
	client, err := pubsub.NewTopicAdminClient(context.WithoutCancel(ctx), opts...)
	if err != nil {
		return nil, fault.Wrap(err, fault.NotConfigured, "the Pub/Sub client cannot be set up")
	}
	// The client's retries back off for up to a minute; Publish has its own.
	client.CallOptions.Publish = nil
	return &Publisher{client: client, topic: "projects/" + c.Project + "/topics/" + name}, nil
}

func dialing(c Config) ([]option.ClientOption, error) {
	dial := []grpc.DialOption{
		// Without these, gRPC waits up to two minutes before it tries a server again.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstRetry, Multiplier: 2, Jitter: 0.2, MaxDelay: lastRetry},
			MinConnectTimeout: 3 * time.Second,
		}),
		// Timeout also becomes TCP_USER_TIMEOUT. Servers refuse pings more frequent than five minutes.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5 * time.Minute, Timeout: unansweredLimit}),
	}
	if c.EmulatorHost != "" {
		conn, err := grpc.NewClient(c.EmulatorHost, append(dial, loopback.Dial(c.EmulatorToken)...)...)
		if err != nil {
			return nil, fault.Wrap(err, fault.NotConfigured, "PUBSUB_EMULATOR_HOST is not a host and port")
		}
		return []option.ClientOption{option.WithGRPCConn(conn)}, nil
	}
	opts := []option.ClientOption{option.WithGRPCConnectionPool(1)}
	for _, d := range dial {
		opts = append(opts, option.WithGRPCDialOption(d))
	}
	if c.Endpoint != "" {
		opts = append(opts, option.WithEndpoint(c.Endpoint))
	}
	return opts, nil
}

// Publish sends one message and returns the id the server gave it, once the server has stored it. It tries
// again while the failure may pass, until ctx is over (10 s when ctx has no deadline).
//
// Errors are fault.Unavailable when the same publish may work later (it may also have worked: an answer can get
// lost), fault.TooLarge for data over MaxData, and fault.Internal when the server refuses it for good.
func (p *Publisher) Publish(ctx context.Context, m Message) (string, error) {
	if len(m.Data) > MaxData {
		return "", fault.New(fault.TooLarge, "a message holds at most %d bytes, this one has %d", MaxData, len(m.Data))
	}
	if _, ok := ctx.Deadline(); !ok {
		bounded, cancel := context.WithTimeout(ctx, publishBudget)
		defer cancel()
		ctx = bounded
	}
	req := &pubsubpb.PublishRequest{Topic: p.topic, Messages: []*pubsubpb.PubsubMessage{{
		Data: m.Data, Attributes: m.Attributes, OrderingKey: m.OrderingKey,
	}}}
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		resp, err := p.client.Publish(ctx, req)
		switch {
		case err == nil && len(resp.GetMessageIds()) == 1:
			return resp.GetMessageIds()[0], nil
		case err == nil:
			return "", fault.New(fault.Internal, "the server stored one message but returned %d ids",
				len(resp.GetMessageIds()))
		case !transient(err):
			return "", fault.Wrap(err, fault.Internal, "publishing to %s is refused", p.topic)
		}
		if !sleep(ctx, pause/2+rand.N(pause/2)) {
			return "", fault.Wrap(err, fault.Unavailable, "the event queue does not answer")
		}
	}
}

// transient reports whether the same publish may succeed later. Whatever the caller's own context did counts as
// transient: it says nothing about the message.
func transient(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.Internal, codes.ResourceExhausted,
		codes.Unknown, codes.Canceled:
		return true
	default:
		return false
	}
}

// sleep waits for d and reports whether ctx is still running then. It does not begin a pause that ctx ends.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Close ends the connection. Publishes still in flight fail.
func (p *Publisher) Close() error {
	if err := p.client.Close(); err != nil {
		return fmt.Errorf("close the Pub/Sub client: %w", err)
	}
	return nil
}
