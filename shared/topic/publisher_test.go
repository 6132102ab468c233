package topic_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/local/pubsub"
	"github.com/mesherhq/mesher/shared/topic"
)

const topicName = "projects/p/topics/events"

func openPublisher(t testing.TB, addr string) *topic.Publisher {
	t.Helper()
	p, err := topic.Open(t.Context(), topic.Config{Project: "p", EmulatorHost: addr}, "events")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestPublish_Fake(t *testing.T) {
	t.Parallel()
	srv := pstest.NewServer()
	t.Cleanup(func() { _ = srv.Close() })
	p := openPublisher(t, srv.Addr)
	ctx := t.Context()
	if _, err := srv.GServer.CreateTopic(ctx, &pubsubpb.Topic{Name: topicName}); err != nil {
		t.Fatal(err)
	}
	id, err := p.Publish(ctx, topic.Message{Data: []byte("x"), Attributes: map[string]string{"a": "b"}, OrderingKey: "p/1"})
	if err != nil {
		t.Fatal(err)
	}
	m := srv.Message(id)
	if m == nil || string(m.Data) != "x" || m.Attributes["a"] != "b" || m.OrderingKey != "p/1" {
		t.Errorf("message %s is %+v", id, m)
	}
}

// answering is a Publisher service that answers each publish with the next of its errors, then with success.
type answering struct {
	pubsubpb.UnimplementedPublisherServer
	errs chan error
}

func (a *answering) Publish(ctx context.Context, _ *pubsubpb.PublishRequest) (*pubsubpb.PublishResponse, error) {
	select {
	case err := <-a.errs:
		if errors.Is(err, errHang) {
			<-ctx.Done()
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		return nil, err
	default:
		return &pubsubpb.PublishResponse{MessageIds: []string{"7"}}, nil
	}
}

var errHang = errors.New("hang until the caller gives up")

// serve starts a service on addr ("" for a free port) and returns its address and how to stop it.
func serve(t *testing.T, addr string, errs ...error) (string, func()) {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	a := &answering{errs: make(chan error, len(errs))}
	for _, err := range errs {
		a.errs <- err
	}
	srv := grpc.NewServer()
	pubsubpb.RegisterPublisherServer(srv, a)
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(srv.Stop)
	return l.Addr().String(), srv.Stop
}

func TestPublish_Errors(t *testing.T) {
	t.Parallel()
	for _, code := range []codes.Code{
		codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.Internal, codes.ResourceExhausted, codes.Unknown, codes.Canceled,
	} {
		t.Run("tries again after "+code.String(), func(t *testing.T) {
			t.Parallel()
			failure := status.Error(code, "not now")
			addr, _ := serve(t, "", failure, failure)
			if id, err := openPublisher(t, addr).Publish(t.Context(), topic.Message{Data: []byte("x")}); id != "7" || err != nil {
				t.Errorf("got %q, %v", id, err)
			}
		})
	}
	for _, code := range []codes.Code{
		codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.FailedPrecondition, codes.Unauthenticated,
	} {
		t.Run("gives up after "+code.String(), func(t *testing.T) {
			t.Parallel()
			addr, _ := serve(t, "", status.Error(code, "never"))
			_, err := openPublisher(t, addr).Publish(t.Context(), topic.Message{Data: []byte("x")})
			if !fault.Is(err, fault.Internal) || status.Code(err) != code {
				t.Errorf("got %v, want an Internal fault that wraps the answer", err)
			}
		})
	}
	t.Run("refuses what the server would", func(t *testing.T) {
		t.Parallel()
		_, err := openPublisher(t, "127.0.0.1:1").Publish(t.Context(), topic.Message{Data: make([]byte, topic.MaxData+1)})
		if !fault.Is(err, fault.TooLarge) {
			t.Errorf("got %v", err)
		}
	})
}

func TestPublish_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	hanging, _ := serve(t, "", errHang)
	busy, _ := serve(t, "", repeat(1000, status.Error(codes.ResourceExhausted, "not now"))...)
	closed, stop := serve(t, "")
	stop()
	for name, addr := range map[string]string{"hanging": hanging, "busy": busy, "closed": closed} {
		t.Run(name+" server, deadline", func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err := openPublisher(t, addr).Publish(ctx, topic.Message{Data: []byte("x")})
			if !fault.Is(err, fault.Unavailable) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("closed server, caller gone", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := openPublisher(t, closed).Publish(ctx, topic.Message{Data: []byte("x")}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("got %v", err)
		}
	})
}

func repeat(n int, err error) []error {
	out := make([]error, n)
	for i := range out {
		out[i] = err
	}
	return out
}

// A server that comes back on its address is found again by itself, also by a publish that is waiting for it.
func TestPublish_ServerComesBack(t *testing.T) {
	t.Parallel()
	addr, stop := serve(t, "")
	p := openPublisher(t, addr)
	for round := range 3 {
		if _, err := p.Publish(t.Context(), topic.Message{Data: []byte("x")}); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		stop()
		short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if _, err := p.Publish(short, topic.Message{Data: []byte("x")}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("round %d: while the server is down: %v", round, err)
		}
		cancel()
		waiting := make(chan error, 1)
		go func() {
			_, err := p.Publish(t.Context(), topic.Message{Data: []byte("x")})
			waiting <- err
		}()
		_, stop = serve(t, addr)
		if err := <-waiting; err != nil {
			t.Errorf("round %d: a publish that waited for the server: %v", round, err)
		}
	}
}

func TestPublish_Local(t *testing.T) {
	t.Parallel()
	s, err := pubsub.Open(t.Context(), pubsub.Options{Path: filepath.Join(t.TempDir(), "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	p := openPublisher(t, s.Addr())
	if _, err := p.Publish(t.Context(), topic.Message{Data: []byte("x")}); !fault.Is(err, fault.Internal) {
		t.Errorf("without a topic: %v", err)
	}
	if err := pubsub.Declare(t.Context(), s.Addr(), "p", pubsub.Topology{}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 4 << 20, topic.MaxData} {
		if _, err := p.Publish(t.Context(), topic.Message{Data: bytes.Repeat([]byte("x"), size), OrderingKey: "k"}); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if got := s.Backlog("store"); got != 3 {
		t.Errorf("backlog %d, want 3", got)
	}
}

func TestPublish_Token(t *testing.T) {
	t.Parallel()
	s, err := pubsub.Open(t.Context(), pubsub.Options{Path: filepath.Join(t.TempDir(), "queue.db"), Token: "right"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	if err := pubsub.Declare(t.Context(), s.Addr(), "p", pubsub.Topology{Token: "right"}); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]codes.Code{"": codes.Unauthenticated, "wrong": codes.Unauthenticated, "right": codes.OK} {
		p, err := topic.Open(t.Context(), topic.Config{Project: "p", EmulatorHost: s.Addr(), EmulatorToken: token}, "events")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		if _, err := p.Publish(t.Context(), topic.Message{Data: []byte("x")}); status.Code(err) != want {
			t.Errorf("token %q: %v, want %s", token, err, want)
		} else if err != nil && !fault.Is(err, fault.Internal) {
			t.Errorf("token %q: %v, want a fault that is not tried again", token, err)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	var c topic.Config
	if err := env.Read(env.Map(nil), &c); !fault.Is(err, fault.NotConfigured) {
		t.Errorf("without a project: %v", err)
	}
	if err := env.Read(env.Map(map[string]string{"GOOGLE_CLOUD_PROJECT": "p"}), &c); err != nil {
		t.Fatal(err)
	}
	if want := (topic.Config{Project: "p"}); c != want {
		t.Errorf("got %+v, want %+v", c, want)
	}
}

func ExamplePublisher_Publish() {
	srv := pstest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	_, _ = srv.GServer.CreateTopic(ctx, &pubsubpb.Topic{Name: topicName})

	p, err := topic.Open(ctx, topic.Config{Project: "p", EmulatorHost: srv.Addr}, "events")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	_, err = p.Publish(ctx, topic.Message{Data: []byte("payload"), OrderingKey: "project/0"})
	fmt.Println(err)
	// Output: <nil>
}
