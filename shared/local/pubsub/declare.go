package pubsub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	pubsub "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/mesherhq/mesher/shared/loopback"
)

// Topology is one way that messages go: a topic, the ordered push subscription that delivers it, and the
// dead-letter topic with a subscription that holds what could not be delivered. Endpoint is required; every other
// field has a default.
type Topology struct {
	// Topic is by default "events".
	Topic string
	// Subscription is by default "store".
	Subscription string
	// Endpoint is the URL that messages are pushed to.
	Endpoint string
	// DeadLetterTopic is by default the topic's name and "-dead-letter".
	DeadLetterTopic string
	// HoldSubscription keeps the dead-lettered messages, by default the dead-letter topic's name and "-hold".
	HoldSubscription string
	// AckDeadline is how long a push may take: 10 to 600 s, by default 60.
	AckDeadline time.Duration
	// MinBackoff and MaxBackoff bound the pause before a failed message is pushed again, which doubles each time.
	// At most 600 s; by default 1 s and 60 s.
	MinBackoff, MaxBackoff time.Duration
	// LateRetry is the pause after which a dead-lettered message is pushed to Endpoint again, for as long as it
	// takes: an outage may outlast MaxAttempts. At most 600 s; 0 leaves the hold subscription to be pulled.
	LateRetry time.Duration
	// MaxAttempts is how many deliveries may fail before a message is dead-lettered: 5 to 100, by default 100.
	MaxAttempts int
	// Token is what the server asks for; empty for one that asks for none.
	Token string
}

func (t Topology) withDefaults() Topology {
	t.Topic = cmp.Or(t.Topic, "events")
	t.Subscription = cmp.Or(t.Subscription, "store")
	t.DeadLetterTopic = cmp.Or(t.DeadLetterTopic, t.Topic+"-dead-letter")
	t.HoldSubscription = cmp.Or(t.HoldSubscription, t.DeadLetterTopic+"-hold")
	t.AckDeadline = cmp.Or(t.AckDeadline, time.Minute)
	t.MinBackoff = cmp.Or(t.MinBackoff, time.Second)
	t.MaxBackoff = cmp.Or(t.MaxBackoff, time.Minute)
	t.MaxAttempts = cmp.Or(t.MaxAttempts, 100)
	return t
}

// subscriptions returns the two subscriptions of t in a project.
func (t Topology) subscriptions(project string) (push, hold *pubsubpb.Subscription) {
	topics, subs := project+"/topics/", project+"/subscriptions/"
	push = &pubsubpb.Subscription{
		Name: subs + t.Subscription, Topic: topics + t.Topic, EnableMessageOrdering: true,
		AckDeadlineSeconds: int32(t.AckDeadline / time.Second),
		PushConfig:         &pubsubpb.PushConfig{PushEndpoint: t.Endpoint},
		RetryPolicy: &pubsubpb.RetryPolicy{
			MinimumBackoff: durationpb.New(t.MinBackoff), MaximumBackoff: durationpb.New(t.MaxBackoff),
		},
		DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{
			DeadLetterTopic: topics + t.DeadLetterTopic, MaxDeliveryAttempts: int32(t.MaxAttempts),
		},
	}
	hold = &pubsubpb.Subscription{
		Name: subs + t.HoldSubscription, Topic: topics + t.DeadLetterTopic, AckDeadlineSeconds: 60,
	}
	if t.LateRetry > 0 {
		hold.PushConfig = &pubsubpb.PushConfig{PushEndpoint: t.Endpoint}
		hold.RetryPolicy = &pubsubpb.RetryPolicy{
			MinimumBackoff: durationpb.New(t.LateRetry), MaximumBackoff: durationpb.New(t.LateRetry),
		}
	}
	return push, hold
}

// Declare makes the Pub/Sub server at addr (a Server, or Google's emulator) have t in the project. What is
// missing is created; a push subscription that exists gets t's endpoint, deadline, backoff and dead-letter policy
// and keeps its messages. Declaring the same twice is harmless.
func Declare(ctx context.Context, addr, project string, t Topology) error {
	t = t.withDefaults()
	conn, err := grpc.NewClient(addr, loopback.Dial(t.Token)...)
	if err != nil {
		return fmt.Errorf("connect to Pub/Sub at %s: %w", addr, err)
	}
	defer conn.Close()
	topics, err := pubsub.NewTopicAdminClient(ctx, option.WithGRPCConn(conn))
	if err != nil {
		return fmt.Errorf("set up the Pub/Sub topic client: %w", err)
	}
	subs, err := pubsub.NewSubscriptionAdminClient(ctx, option.WithGRPCConn(conn))
	if err != nil {
		return fmt.Errorf("set up the Pub/Sub subscription client: %w", err)
	}

	project = "projects/" + project
	for _, name := range []string{t.DeadLetterTopic, t.Topic} {
		_, err := topics.CreateTopic(ctx, &pubsubpb.Topic{Name: project + "/topics/" + name})
		if err != nil && status.Code(err) != codes.AlreadyExists {
			return fmt.Errorf("create the Pub/Sub topic %s: %w", name, err)
		}
	}
	push, hold := t.subscriptions(project)
	if err := declare(ctx, subs, hold, "push_config", "retry_policy"); err != nil {
		return err
	}
	return declare(ctx, subs, push,
		"push_config", "ack_deadline_seconds", "retry_policy", "dead_letter_policy")
}

// declare creates a subscription, or updates the named fields of the one that exists.
func declare(ctx context.Context, subs *pubsub.SubscriptionAdminClient, conf *pubsubpb.Subscription, fields ...string) error {
	_, err := subs.CreateSubscription(ctx, conf)
	if err == nil {
		return nil
	}
	if status.Code(err) != codes.AlreadyExists {
		return fmt.Errorf("create the Pub/Sub subscription %s: %w", conf.GetName(), err)
	}
	is, err := subs.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: conf.GetName()})
	switch {
	case err != nil:
		return fmt.Errorf("read the Pub/Sub subscription %s: %w", conf.GetName(), err)
	case is.GetTopic() != conf.GetTopic() || is.GetEnableMessageOrdering() != conf.GetEnableMessageOrdering():
		// Neither can be changed, and replacing the subscription would drop its messages.
		return errors.New("the Pub/Sub subscription " + conf.GetName() + " exists with another topic or without order")
	}
	_, err = subs.UpdateSubscription(ctx, &pubsubpb.UpdateSubscriptionRequest{
		Subscription: conf, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields},
	})
	if err != nil {
		return fmt.Errorf("update the Pub/Sub subscription %s: %w", conf.GetName(), err)
	}
	return nil
}
