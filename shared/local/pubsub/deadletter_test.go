package pubsub

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	pubsub "cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"

	"github.com/mesherhq/mesher/shared/loopback"
	"github.com/mesherhq/mesher/shared/topic"
)

// newClient returns the real client library's client, without a token if that is empty.
func newClient(t testing.TB, addr, token string) *pubsub.Client {
	t.Helper()
	opts := []option.ClientOption{option.WithEndpoint(addr), option.WithoutAuthentication()}
	for _, d := range loopback.Dial(token) {
		opts = append(opts, option.WithGRPCDialOption(d))
	}
	c, err := pubsub.NewClient(t.Context(), project, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestDeadLetter(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, func(_ context.Context, m topic.Message) int {
		if m.Attributes["poison"] != "" {
			return http.StatusBadRequest
		}
		return http.StatusNoContent
	})
	s := open(t, Options{})
	top := quick(e.URL)
	top.MaxAttempts = 5
	mustDeclare(t, s, top)

	// The client's own publisher, with its batches and ordering keys.
	c := newClient(t, s.Addr(), "")
	events := c.Publisher("events")
	events.EnableMessageOrdering = true
	for _, m := range []*pubsub.Message{
		{Data: []byte("before"), OrderingKey: "k"},
		{Data: []byte("bad"), OrderingKey: "k", Attributes: map[string]string{"poison": "yes"}},
		{Data: []byte("after"), OrderingKey: "k"},
	} {
		if _, err := events.Publish(t.Context(), m).Get(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the key goes on", func() bool { return s.Backlog("store") == 0 })
	if diff := cmp.Diff([]string{"before", "after"}, e.order("k")); diff != "" {
		t.Errorf("acknowledged (-want +got)\n%s", diff)
	}

	subs := c.SubscriptionAdminClient
	pull := func() []*pubsubpb.ReceivedMessage {
		resp, err := subs.Pull(t.Context(), &pubsubpb.PullRequest{Subscription: holdName, MaxMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetReceivedMessages()
	}
	held := pull()
	if len(held) != 1 {
		t.Fatalf("%d messages held, want 1", len(held))
	}
	m := held[0].GetMessage()
	published := m.GetAttributes()["CloudPubSubDeadLetterSourceTopicPublishTime"]
	want := map[string]string{
		"poison": "yes",
		"CloudPubSubDeadLetterSourceDeliveryCount":       "5",
		"CloudPubSubDeadLetterSourceSubscription":        "store",
		"CloudPubSubDeadLetterSourceSubscriptionProject": project,
		"CloudPubSubDeadLetterSourceTopicPublishTime":    published,
	}
	if diff := cmp.Diff(want, m.GetAttributes()); diff != "" || published == "" {
		t.Errorf("attributes (-want +got)\n%s", diff)
	}
	if string(m.GetData()) != "bad" || m.GetOrderingKey() != "k" {
		t.Errorf("message %q of key %q", m.GetData(), m.GetOrderingKey())
	}

	// What a developer's tool does with it: look, give back, acknowledge.
	if again := pull(); len(again) != 0 {
		t.Errorf("a leased message was handed out again: %v", again)
	}
	err := subs.ModifyAckDeadline(t.Context(), &pubsubpb.ModifyAckDeadlineRequest{
		Subscription: holdName, AckIds: []string{held[0].GetAckId()}, AckDeadlineSeconds: 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the message is there again", func() bool { held = pull(); return len(held) == 1 })
	err = subs.Acknowledge(t.Context(), &pubsubpb.AcknowledgeRequest{Subscription: holdName, AckIds: []string{held[0].GetAckId()}})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Backlog(holdName); got != 0 {
		t.Errorf("backlog %d after the acknowledgement", got)
	}
}

func TestDeadLetter_WithoutTopicKeepsTheMessage(t *testing.T) {
	t.Parallel()
	answer := make(chan int, 20)
	e := newEndpoint(t, func(context.Context, topic.Message) int { return <-answer })
	s := open(t, Options{})
	top := quick(e.URL)
	top.MaxAttempts = 5
	mustDeclare(t, s, top)
	c := newClient(t, s.Addr(), "")
	err := c.TopicAdminClient.DeleteTopic(t.Context(), &pubsubpb.DeleteTopicRequest{
		Topic: "projects/" + project + "/topics/events-dead-letter",
	})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, newPublisher(t, s.Addr()), "k", "x")
	for range 8 {
		answer <- http.StatusBadRequest
	}
	answer <- http.StatusNoContent
	eventually(t, "the message is delivered in the end", func() bool { return len(e.order("k")) == 1 })
}

func TestDeadLetter_IsTriedLate(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	e := newEndpoint(t, func(context.Context, topic.Message) int {
		if down.Load() {
			return http.StatusServiceUnavailable
		}
		return http.StatusNoContent
	})
	s := open(t, Options{})
	top := quick(e.URL)
	top.MaxAttempts, top.LateRetry = 5, 20*time.Millisecond
	mustDeclare(t, s, quick(e.URL)) // as an earlier version did
	mustDeclare(t, s, top)
	p := newPublisher(t, s.Addr())
	publish(t, p, "k", "outlives the attempts")
	eventually(t, "the message is dead-lettered", func() bool { return s.Backlog("store") == 0 && s.Backlog(holdName) == 1 })
	down.Store(false)
	eventually(t, "the message is delivered after all", func() bool { return s.Backlog(holdName) == 0 })
	if diff := cmp.Diff([]string{"outlives the attempts"}, e.order("k")); diff != "" {
		t.Errorf("acknowledged (-want +got)\n%s", diff)
	}
}
