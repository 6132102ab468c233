package pubsub

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	pubsub "cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/mesherhq/mesher/shared/loopback"
)

const token = "EXAMPLETOKENEXAMPLETOKEN"

// dial connects with the token, or without one if it is empty.
func dial(t *testing.T, addr, token string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, loopback.Dial(token)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// calls are requests that must not be answered to a stranger.
func calls(conn *grpc.ClientConn) map[string]func(context.Context) error {
	topics, subs := pubsubpb.NewPublisherClient(conn), pubsubpb.NewSubscriberClient(conn)
	return map[string]func(context.Context) error{
		"Publish": func(ctx context.Context) error {
			_, err := topics.Publish(ctx, &pubsubpb.PublishRequest{
				Topic: "projects/" + project + "/topics/events", Messages: []*pubsubpb.PubsubMessage{{Data: []byte("x")}},
			})
			return err
		},
		"GetSubscription": func(ctx context.Context) error {
			_, err := subs.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: storeName})
			return err
		},
		"UpdateSubscription": func(ctx context.Context) error {
			_, err := subs.UpdateSubscription(ctx, &pubsubpb.UpdateSubscriptionRequest{
				Subscription: &pubsubpb.Subscription{
					Name: storeName, PushConfig: &pubsubpb.PushConfig{PushEndpoint: "http://127.0.0.1:1/other"},
				},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"push_config"}},
			})
			return err
		},
		"Pull": func(ctx context.Context) error {
			//nolint:staticcheck // the field is deprecated, and the only way not to wait for a message
			_, err := subs.Pull(ctx, &pubsubpb.PullRequest{Subscription: holdName, MaxMessages: 1, ReturnImmediately: true})
			return err
		},
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Token: token})
	top := quick("http://127.0.0.1:1/nobody")
	if err := Declare(t.Context(), s.Addr(), project, top); status.Code(err) != codes.Unauthenticated {
		t.Errorf("declared without the token: %v", err)
	}
	top.Token = token
	mustDeclare(t, s, top)

	for name, header := range map[string][]string{
		"no header":           nil,
		"no token":            {"Bearer "},
		"another token":       {"Bearer " + strings.ToLower(token)},
		"the token's start":   {"Bearer " + token[:len(token)-1]},
		"more than the token": {"Bearer " + token + "A"},
		"another scheme":      {"Basic " + token},
		"the token alone":     {token},
		"two headers":         {"Bearer wrong", "Bearer " + token},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			ctx := t.Context()
			for _, h := range header {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", h)
			}
			conn := dial(t, s.Addr(), "")
			for method, call := range calls(conn) {
				if err := call(ctx); status.Code(err) != codes.Unauthenticated || strings.Contains(err.Error(), token) {
					t.Errorf("%s: %v, want Unauthenticated", method, err)
				}
			}
			stream, err := pubsubpb.NewSubscriberClient(conn).StreamingPull(ctx)
			if err == nil {
				_, err = stream.Recv()
			}
			if status.Code(err) != codes.Unauthenticated {
				t.Errorf("StreamingPull: %v, want Unauthenticated", err)
			}
			if err := conn.Invoke(ctx, "/other/Method", &pubsubpb.Topic{}, &pubsubpb.Topic{}); status.Code(err) != codes.Unauthenticated {
				t.Errorf("a method that there is none of: %v, want Unauthenticated", err)
			}
		})
	}
	sub, err := pubsubpb.NewSubscriberClient(dial(t, s.Addr(), token)).GetSubscription(t.Context(),
		&pubsubpb.GetSubscriptionRequest{Subscription: storeName})
	if err != nil || sub.GetPushConfig().GetPushEndpoint() != top.Endpoint || s.Backlog("store") != 0 {
		t.Errorf("after what was refused: %v, %v, backlog %d", sub, err, s.Backlog("store"))
	}
	for method, call := range calls(dial(t, s.Addr(), token)) {
		if err := call(t.Context()); err != nil {
			t.Errorf("%s with the token: %v", method, err)
		}
	}
}

// A stranger is refused before a message of theirs is read: this one never ends.
func TestToken_ReadsNothingOfStrangers(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Token: token})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := dial(t, s.Addr(), "wrong").NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, pubsubpb.Publisher_Publish_FullMethodName)
	if err == nil {
		err = stream.RecvMsg(&pubsubpb.PublishResponse{})
	}
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("got %v, want Unauthenticated", err)
	}
}

// The clients of the real library, which publish and pull in their own ways.
func TestToken_RealClient(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, ack)
	s := open(t, Options{Token: token})
	top := quick(e.URL)
	top.Token = token
	mustDeclare(t, s, top)
	c := newClient(t, s.Addr(), token)
	if _, err := c.Publisher("events").Publish(t.Context(), &pubsub.Message{Data: []byte("x")}).Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m := e.next(t); string(m.Data) != "x" {
		t.Errorf("pushed %q", m.Data)
	}
	wrong := newClient(t, s.Addr(), "wrong")
	if _, err := wrong.Publisher("events").Publish(t.Context(), &pubsub.Message{Data: []byte("y")}).Get(t.Context()); status.Code(err) != codes.Unauthenticated {
		t.Errorf("with a wrong token: %v", err)
	}
}

// An endpoint's URL holds the token that it asks for, so it must not reach the log.
func TestPush_LogsNoURL(t *testing.T) {
	t.Parallel()
	var logs logged
	s := open(t, Options{Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	mustDeclare(t, s, quick("http://127.0.0.1:1/push?token="+token))
	publish(t, newPublisher(t, s.Addr()), "k", "x")
	eventually(t, "a failed push is logged", func() bool { return strings.Contains(logs.String(), "push failed") })
	if strings.Contains(logs.String(), token) {
		t.Errorf("the log holds the token:\n%s", logs.String())
	}
}

// logged is a log that is read while it is written.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
