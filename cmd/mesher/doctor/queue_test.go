package doctor

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pubsub "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"

	local "github.com/mesherhq/mesher/shared/local/pubsub"
	"github.com/mesherhq/mesher/shared/loopback"
	"github.com/mesherhq/mesher/shared/topic"
)

// A real Pub/Sub on this machine, as it is declared and after somebody changed it.
func TestQueue(t *testing.T) {
	t.Parallel()
	const token = "queue-token"
	server, err := local.Open(t.Context(), local.Options{Path: filepath.Join(t.TempDir(), "messages.db"), Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close(context.Background()) })
	e := &exam{Installation: Installation{
		Queue:  &topic.Config{Project: "p", EmulatorHost: server.Addr(), EmulatorToken: token},
		Routes: []Route{{"events", "store"}},
	}}
	look := func() Report { return Report{Findings: queue(t.Context(), e)} }
	expect(t, look(), "", Wrong, "there is no topic events")

	declared := local.Topology{Topic: "events", Subscription: "store", Endpoint: "http://127.0.0.1:1/", Token: token}
	if err := local.Declare(t.Context(), server.Addr(), "p", declared); err != nil {
		t.Fatal(err)
	}
	expect(t, look(), "", OK, "store delivers events in order, and gives up after 100 attempts")

	conn, err := grpc.NewClient(server.Addr(), loopback.Dial(token)...)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	subs, err := pubsub.NewSubscriptionAdminClient(t.Context(), option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	remove := func(name string) {
		t.Helper()
		if err := subs.DeleteSubscription(t.Context(), &pubsubpb.DeleteSubscriptionRequest{Subscription: "projects/p/subscriptions/" + name}); err != nil {
			t.Fatal(err)
		}
	}
	remove("events-dead-letter-hold")
	expect(t, look(), "", Wrong, "events-dead-letter, which has no subscription")
	remove("store")
	expect(t, look(), "", Wrong, "has no subscription store")
	e.Queue.EmulatorToken = "another"
	expect(t, look(), "", Unknown, "may not look")
	e.Queue.EmulatorHost = "127.0.0.1:1"
	expect(t, look(), "", Unknown, "does not answer")
}

func TestDelivery_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := topic.Delivery{
		Topic: true, Subscription: true, Ordered: true, Pushed: true, Signed: true, AckDeadline: time.Minute,
		MinBackoff: time.Second, MaxBackoff: time.Minute, DeadLetter: "events-dead-letter", Attempts: 100, Held: true,
	}
	for says, change := range map[string]func(*topic.Delivery){
		"delivers events in order":  func(*topic.Delivery) {},
		"is detached":               func(d *topic.Delivery) { d.Detached = true },
		"keeps no order":            func(d *topic.Delivery) { d.Ordered = false },
		"pushes nowhere":            func(d *topic.Delivery) { d.Pushed = false },
		"without a token":           func(d *topic.Delivery) { d.Signed = false },
		"has a filter":              func(d *topic.Delivery) { d.Filtered = true },
		"gives 10s to answer":       func(d *topic.Delivery) { d.AckDeadline = 10 * time.Second },
		"is deleted after 744h0m0s": func(d *topic.Delivery) { d.Expires = 31 * 24 * time.Hour },
		"has no retry policy":       func(d *topic.Delivery) { d.MaxBackoff = 0 },
		"no dead-letter policy":     func(d *topic.Delivery) { d.DeadLetter = "" },
		"they are lost":             func(d *topic.Delivery) { d.Held = false },
		"after 5 attempts":          func(d *topic.Delivery) { d.Attempts = 5 },
	} {
		d := good
		change(&d)
		found := delivery(Route{"events", "store"}, d, false)
		if len(found) != 1 || !strings.Contains(found[0].What, says) || (found[0].Level == OK) != (d == good) {
			t.Errorf("%s: %+v", says, found)
		}
	}
	local := good
	local.Signed, local.Expires = false, time.Hour
	if found := delivery(Route{"events", "store"}, local, true); found[0].Level != OK {
		t.Errorf("on this machine: %+v", found)
	}
}
