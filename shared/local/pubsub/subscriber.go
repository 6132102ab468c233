package pubsub

import (
	"context"
	"maps"
	"slices"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// subscriber is google.pubsub.v1.Subscriber.
type subscriber struct {
	pubsubpb.UnimplementedSubscriberServer
	*Server
}

// find returns a subscription, or a NotFound status.
func (s *Server) find(name string) (*subscription, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if sub := s.subs[name]; sub != nil {
		return sub, nil
	}
	return nil, status.Errorf(codes.NotFound, "subscription %s does not exist", name)
}

// CreateSubscription creates a subscription, which gets what is published from then on.
func (s *subscriber) CreateSubscription(_ context.Context, conf *pubsubpb.Subscription) (*pubsubpb.Subscription, error) {
	if err := checkName(conf.GetName(), "subscriptions"); err != nil {
		return nil, err
	}
	if conf.GetAckDeadlineSeconds() == 0 {
		conf.AckDeadlineSeconds = 10
	}
	if err := checkSubscription(conf); err != nil {
		return nil, err
	}
	if _, found := s.subscribed(conf.GetTopic()); !found {
		return nil, status.Errorf(codes.NotFound, "topic %s does not exist", conf.GetTopic())
	}
	exists := false
	return conf, s.change(func(tx *bolt.Tx) error {
		if exists = tx.Bucket(subscriptionsBucket).Get([]byte(conf.GetName())) != nil; exists {
			return nil
		}
		if _, err := tx.Bucket(messagesBucket).CreateBucketIfNotExists([]byte(conf.GetName())); err != nil {
			return err
		}
		return putConfig(tx, subscriptionsBucket, conf.GetName(), conf)
	}, func() error {
		if exists {
			return status.Errorf(codes.AlreadyExists, "subscription %s exists", conf.GetName())
		}
		sub := newSubscription(s.Server, conf)
		sub.live, sub.stopped = true, s.closing
		s.subs[conf.GetName()] = sub
		return nil
	})
}

// GetSubscription returns a subscription.
func (s *subscriber) GetSubscription(_ context.Context, req *pubsubpb.GetSubscriptionRequest) (*pubsubpb.Subscription, error) {
	sub, err := s.find(req.GetSubscription())
	if err != nil {
		return nil, err
	}
	return sub.config(), nil
}

// ListSubscriptions returns all subscriptions of a project on one page.
func (s *subscriber) ListSubscriptions(_ context.Context, req *pubsubpb.ListSubscriptionsRequest) (*pubsubpb.ListSubscriptionsResponse, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	resp := new(pubsubpb.ListSubscriptionsResponse)
	for _, name := range slices.Sorted(maps.Keys(s.subs)) {
		if inProject(name, req.GetProject()) {
			resp.Subscriptions = append(resp.Subscriptions, s.subs[name].config())
		}
	}
	return resp, nil
}

// DeleteSubscription deletes a subscription and its messages.
func (s *subscriber) DeleteSubscription(_ context.Context, req *pubsubpb.DeleteSubscriptionRequest) (*emptypb.Empty, error) {
	name := req.GetSubscription()
	sub, err := s.find(name)
	if err != nil {
		return nil, err
	}
	sub.stop()
	return new(emptypb.Empty), s.change(func(tx *bolt.Tx) error {
		if tx.Bucket(subscriptionsBucket).Get([]byte(name)) == nil {
			return nil
		}
		if err := tx.Bucket(messagesBucket).DeleteBucket([]byte(name)); err != nil {
			return err
		}
		return tx.Bucket(subscriptionsBucket).Delete([]byte(name))
	}, func() error {
		delete(s.subs, name)
		return nil
	})
}

// UpdateSubscription changes ack_deadline_seconds, push_config, retry_policy and dead_letter_policy; other paths
// are refused. What waits for its next try is tried at once.
func (s *subscriber) UpdateSubscription(_ context.Context, req *pubsubpb.UpdateSubscriptionRequest) (*pubsubpb.Subscription, error) {
	sub, err := s.find(req.GetSubscription().GetName())
	if err != nil {
		return nil, err
	}
	from := req.GetSubscription()
	setters := make([]func(*pubsubpb.Subscription), 0, len(req.GetUpdateMask().GetPaths()))
	for _, path := range req.GetUpdateMask().GetPaths() {
		set := map[string]func(*pubsubpb.Subscription){
			"ack_deadline_seconds": func(c *pubsubpb.Subscription) { c.AckDeadlineSeconds = from.GetAckDeadlineSeconds() },
			"push_config":          func(c *pubsubpb.Subscription) { c.PushConfig = from.GetPushConfig() },
			"retry_policy":         func(c *pubsubpb.Subscription) { c.RetryPolicy = from.GetRetryPolicy() },
			"dead_letter_policy":   func(c *pubsubpb.Subscription) { c.DeadLetterPolicy = from.GetDeadLetterPolicy() },
		}[path]
		if set == nil {
			return nil, status.Errorf(codes.InvalidArgument, "%s cannot be updated here", path)
		}
		setters = append(setters, set)
	}
	return s.update(sub, func(conf *pubsubpb.Subscription) {
		for _, set := range setters {
			set(conf)
		}
	})
}

// ModifyPushConfig changes the push endpoint; an empty one turns pushing off.
func (s *subscriber) ModifyPushConfig(_ context.Context, req *pubsubpb.ModifyPushConfigRequest) (*emptypb.Empty, error) {
	sub, err := s.find(req.GetSubscription())
	if err != nil {
		return nil, err
	}
	_, err = s.update(sub, func(conf *pubsubpb.Subscription) { conf.PushConfig = req.GetPushConfig() })
	return new(emptypb.Empty), err
}

// update stores a changed copy of the subscription's configuration and puts it to use.
func (s *Server) update(sub *subscription, set func(*pubsubpb.Subscription)) (*pubsubpb.Subscription, error) {
	conf := proto.CloneOf(sub.config())
	set(conf)
	if err := checkSubscription(conf); err != nil {
		return nil, err
	}
	return conf, s.change(func(tx *bolt.Tx) error {
		if tx.Bucket(subscriptionsBucket).Get([]byte(sub.name)) == nil {
			return nil // deleted meanwhile
		}
		return putConfig(tx, subscriptionsBucket, sub.name, conf)
	}, func() error {
		sub.redeclare(conf)
		return nil
	})
}
