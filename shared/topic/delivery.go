package topic

import (
	"context"
	"errors"
	"path"
	"time"

	pubsub "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mesherhq/mesher/shared/fault"
)

// Delivery is how the messages of a topic are delivered, as it is deployed.
type Delivery struct {
	Topic        bool // it exists
	Subscription bool // it exists and is of the topic

	Ordered     bool
	Pushed      bool // to an endpoint
	Signed      bool // each push with a token of a service account
	Detached    bool // nothing is delivered any more
	Filtered    bool // some messages are not delivered
	AckDeadline time.Duration
	Expires     time.Duration // without traffic for so long, it is deleted; 0: never
	MinBackoff  time.Duration // 0: no policy
	MaxBackoff  time.Duration

	DeadLetter string // name of the topic; empty: none
	Attempts   int
	Held       bool // that topic exists and has a subscription, without which its messages are lost
}

// lookMost bounds a look: the client would try for a minute.
const lookMost = 8 * time.Second

// Look returns how a subscription delivers the messages of a topic. What does not exist is told by the result. Errors
// are fault.Forbidden when the credentials may not look, fault.Unavailable, and fault.NotConfigured.
func Look(ctx context.Context, c Config, topic, subscription string) (Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, lookMost)
	defer cancel()
	opts, err := dialing(c)
	if err != nil {
		return Delivery{}, err
	}
	topics, err := pubsub.NewTopicAdminClient(ctx, opts...)
	if err != nil {
		return Delivery{}, fault.Wrap(err, fault.NotConfigured, "the Pub/Sub client cannot be set up; are there credentials of Google?")
	}
	defer topics.Close()
	subs, err := pubsub.NewSubscriptionAdminClient(ctx, opts...)
	if err != nil {
		return Delivery{}, fault.Wrap(err, fault.NotConfigured, "the Pub/Sub client cannot be set up; are there credentials of Google?")
	}
	defer subs.Close()

	project := "projects/" + c.Project
	var d Delivery
	name := project + "/topics/" + topic
	if d.Topic, err = there(topics.GetTopic(ctx, &pubsubpb.GetTopicRequest{Topic: name})); err != nil || !d.Topic {
		return d, err
	}
	s, err := subs.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: project + "/subscriptions/" + subscription})
	exists, err := there(s, err)
	if err != nil || !exists || s.GetTopic() != name {
		return d, err
	}
	d.read(s)
	if d.DeadLetter == "" {
		return d, nil
	}
	all := subs.ListSubscriptions(ctx, &pubsubpb.ListSubscriptionsRequest{Project: project})
	for {
		one, err := all.Next()
		if errors.Is(err, iterator.Done) {
			return d, nil
		}
		if err != nil {
			return d, lookError(err)
		}
		if one.GetTopic() == s.GetDeadLetterPolicy().GetDeadLetterTopic() {
			d.Held = true // a topic that is deleted has another name in its subscriptions
			return d, nil
		}
	}
}

func (d *Delivery) read(s *pubsubpb.Subscription) {
	d.Subscription = true
	d.Ordered = s.GetEnableMessageOrdering()
	d.Pushed = s.GetPushConfig().GetPushEndpoint() != ""
	d.Signed = s.GetPushConfig().GetOidcToken().GetServiceAccountEmail() != ""
	d.Detached = s.GetDetached()
	d.Filtered = s.GetFilter() != ""
	d.AckDeadline = time.Duration(s.GetAckDeadlineSeconds()) * time.Second
	d.Expires = s.GetExpirationPolicy().GetTtl().AsDuration()
	d.MinBackoff, d.MaxBackoff = s.GetRetryPolicy().GetMinimumBackoff().AsDuration(), s.GetRetryPolicy().GetMaximumBackoff().AsDuration()
	if policy := s.GetDeadLetterPolicy(); policy.GetDeadLetterTopic() != "" {
		d.DeadLetter, d.Attempts = path.Base(policy.GetDeadLetterTopic()), int(policy.GetMaxDeliveryAttempts())
	}
}

// there tells what does not exist from what cannot be looked at.
func there(_ any, err error) (bool, error) {
	if status.Code(err) == codes.NotFound {
		return false, nil
	}
	return err == nil, lookError(err)
}

func lookError(err error) error {
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.PermissionDenied, codes.Unauthenticated:
		return fault.Wrap(err, fault.Forbidden, "the credentials may not look at Pub/Sub: that takes roles/pubsub.viewer")
	case codes.InvalidArgument:
		return fault.Wrap(err, fault.NotConfigured, "Pub/Sub refuses the name of the project, a topic or a subscription")
	}
	return fault.Wrap(err, fault.Unavailable, "Pub/Sub does not answer (%s)", status.Code(err))
}
