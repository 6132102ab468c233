package pubsub

import (
	"errors"
	"testing"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestAdmin(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	mustDeclare(t, s, quick("http://127.0.0.1:1/store"))
	mustDeclare(t, s, quick("http://127.0.0.1:2/store"))
	c := newClient(t, s.Addr(), "")
	topics, subs := c.TopicAdminClient, c.SubscriptionAdminClient

	sub, err := subs.GetSubscription(t.Context(), &pubsubpb.GetSubscriptionRequest{Subscription: storeName})
	if err != nil || sub.GetPushConfig().GetPushEndpoint() != "http://127.0.0.1:2/store" {
		t.Errorf("subscription %v, %v; want the endpoint declared last", sub, err)
	}
	names := 0
	for it := topics.ListTopics(t.Context(), &pubsubpb.ListTopicsRequest{Project: "projects/" + project}); ; names++ {
		if _, err := it.Next(); errors.Is(err, iterator.Done) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for it := subs.ListSubscriptions(t.Context(), &pubsubpb.ListSubscriptionsRequest{Project: "projects/" + project}); ; names++ {
		if _, err := it.Next(); errors.Is(err, iterator.Done) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if names != 4 {
		t.Errorf("%d topics and subscriptions, want 2 and 2", names)
	}

	for name, tt := range map[string]struct {
		call func() error
		want codes.Code
	}{
		"a name too short": {func() error {
			_, err := topics.CreateTopic(t.Context(), &pubsubpb.Topic{Name: "projects/p/topics/x"})
			return err
		}, codes.InvalidArgument},
		"a topic twice": {func() error {
			_, err := topics.CreateTopic(t.Context(), &pubsubpb.Topic{Name: "projects/" + project + "/topics/events"})
			return err
		}, codes.AlreadyExists},
		"a subscription to nothing": {func() error {
			_, err := subs.CreateSubscription(t.Context(), &pubsubpb.Subscription{
				Name: "projects/p/subscriptions/lonely", Topic: "projects/p/topics/none",
			})
			return err
		}, codes.NotFound},
		"a filter": {func() error {
			_, err := subs.CreateSubscription(t.Context(), &pubsubpb.Subscription{
				Name: "projects/p/subscriptions/choosy", Topic: sub.GetTopic(), Filter: "attributes.x",
			})
			return err
		}, codes.Unimplemented},
		"a deadline too short": {func() error {
			_, err := subs.CreateSubscription(t.Context(), &pubsubpb.Subscription{
				Name: "projects/p/subscriptions/hasty", Topic: sub.GetTopic(), AckDeadlineSeconds: 9,
			})
			return err
		}, codes.InvalidArgument},
		"pulling where it pushes": {func() error {
			_, err := subs.Pull(t.Context(), &pubsubpb.PullRequest{Subscription: storeName, MaxMessages: 1})
			return err
		}, codes.FailedPrecondition},
		"two keys in a request": {func() error {
			_, err := topics.Publish(t.Context(), &pubsubpb.PublishRequest{Topic: sub.GetTopic(), Messages: []*pubsubpb.PubsubMessage{
				{Data: []byte("a"), OrderingKey: "a"}, {Data: []byte("b"), OrderingKey: "b"},
			}})
			return err
		}, codes.InvalidArgument},
		"an empty message": {func() error {
			_, err := topics.Publish(t.Context(), &pubsubpb.PublishRequest{
				Topic: sub.GetTopic(), Messages: []*pubsubpb.PubsubMessage{{}},
			})
			return err
		}, codes.InvalidArgument},
		"a snapshot": {func() error {
			_, err := subs.CreateSnapshot(t.Context(), &pubsubpb.CreateSnapshotRequest{
				Name: "projects/p/snapshots/now", Subscription: storeName,
			})
			return err
		}, codes.Unimplemented},
	} {
		if err := tt.call(); status.Code(err) != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}

	publish(t, newPublisher(t, s.Addr()), "k", "x") // the endpoint does not listen
	if err := subs.DeleteSubscription(t.Context(), &pubsubpb.DeleteSubscriptionRequest{Subscription: storeName}); err != nil {
		t.Error(err)
	}
	if got := s.Backlog("store"); got != 0 {
		t.Errorf("backlog %d of a deleted subscription", got)
	}
	mustDeclare(t, s, quick(newEndpoint(t, ack).URL))
	if got := s.Backlog("store"); got != 0 {
		t.Errorf("a new subscription has the %d messages of the old", got)
	}
}
