package pubsub

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/topic"
)

func TestDelivery_OrderPerKey(t *testing.T) {
	t.Parallel()
	const keys, each = 8, 50
	var mu sync.Mutex
	busy, overlaps := map[string]int{}, 0
	var parallel, most atomic.Int64
	e := newEndpoint(t, func(_ context.Context, m topic.Message) int {
		mu.Lock()
		if busy[m.OrderingKey]++; busy[m.OrderingKey] > 1 {
			overlaps++
		}
		mu.Unlock()
		most.Store(max(most.Load(), parallel.Add(1)))
		<-time.After(time.Millisecond) // long enough for a second message of the key to overlap
		parallel.Add(-1)
		mu.Lock()
		busy[m.OrderingKey]--
		mu.Unlock()
		return http.StatusNoContent
	})
	s := open(t, Options{})
	mustDeclare(t, s, quick(e.URL))
	p := newPublisher(t, s.Addr())

	var publishers sync.WaitGroup
	want := map[string][]string{}
	for k := range keys {
		key := fmt.Sprintf("p/%d", k)
		for i := range each {
			want[key] = append(want[key], fmt.Sprint(i))
		}
		publishers.Go(func() {
			for i := range each {
				if _, err := p.Publish(t.Context(), topic.Message{Data: []byte(fmt.Sprint(i)), OrderingKey: key}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	publishers.Wait()
	eventually(t, "all are acknowledged", func() bool { return s.Backlog("store") == 0 })

	for key := range want {
		if diff := cmp.Diff(want[key], e.order(key)); diff != "" {
			t.Errorf("order of %s (-want +got)\n%s", key, diff)
		}
	}
	if overlaps > 0 {
		t.Errorf("%d times two messages of a key were outstanding", overlaps)
	}
	if most.Load() < 2 {
		t.Error("different keys were never delivered at the same time")
	}
}

func TestDelivery_StuckKeyHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, func(ctx context.Context, m topic.Message) int {
		if m.OrderingKey == "hung" {
			<-ctx.Done()
		}
		if m.OrderingKey == "broken" {
			return http.StatusServiceUnavailable
		}
		return http.StatusNoContent
	})
	s := open(t, Options{MaxOutstanding: 4})
	mustDeclare(t, s, quick(e.URL))
	p := newPublisher(t, s.Addr())
	for i := range 20 {
		publish(t, p, "hung", fmt.Sprint(i))
		publish(t, p, "broken", fmt.Sprint(i))
		publish(t, p, "fine", fmt.Sprint(i))
		publish(t, p, "", fmt.Sprint(i))
	}
	eventually(t, "only the 40 of the stuck keys wait", func() bool { return s.Backlog("store") == 40 })
	if fine, loose := len(e.order("fine")), len(e.order("")); fine != 20 || loose != 20 {
		t.Errorf("%d of the other key and %d without one arrived, want 20 each", fine, loose)
	}
}

func TestDelivery_RetriesInOrder(t *testing.T) {
	t.Parallel()
	var failures atomic.Int64
	failures.Store(6)
	e := newEndpoint(t, func(_ context.Context, m topic.Message) int {
		if string(m.Data) == "1" && failures.Add(-1) >= 0 {
			return http.StatusInternalServerError
		}
		return http.StatusNoContent
	})
	s := open(t, Options{})
	mustDeclare(t, s, quick(e.URL))
	p := newPublisher(t, s.Addr())
	for i := range 3 {
		publish(t, p, "k", fmt.Sprint(i))
	}
	var seen []string
	for len(seen) < 9 {
		m := e.next(t)
		seen = append(seen, fmt.Sprintf("%s#%d", m.Data, m.DeliveryAttempt))
	}
	want := []string{"0#1", "1#1", "1#2", "1#3", "1#4", "1#5", "1#6", "1#7", "2#1"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("deliveries (-want +got)\n%s", diff)
	}
}

func TestDelivery_HungEndpointIsTriedAgain(t *testing.T) {
	t.Parallel()
	var first atomic.Bool
	e := newEndpoint(t, func(ctx context.Context, _ topic.Message) int {
		if first.CompareAndSwap(false, true) {
			<-ctx.Done() // ends when the acknowledgement deadline has cut the connection
			return http.StatusServiceUnavailable
		}
		return http.StatusNoContent
	})
	s := open(t, Options{})
	mustDeclare(t, s, quick(e.URL)) // the shortest deadline there is, 10 s
	publish(t, newPublisher(t, s.Addr()), "k", "x")
	eventually(t, "the message is acknowledged", func() bool { return s.Backlog("store") == 0 })
	if got := []int{e.next(t).DeliveryAttempt, e.next(t).DeliveryAttempt}; got[0]+got[1] != 3 {
		t.Errorf("attempts %v, want 1 and 2", got)
	}
}

func TestDelivery_LargestMessage(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, ack)
	s := open(t, Options{})
	mustDeclare(t, s, quick(e.URL))
	data := bytes.Repeat([]byte("0123456789"), topic.MaxData/10)
	attrs := map[string]string{"schema": "1", "project_id": "p"}
	p := newPublisher(t, s.Addr())
	id, err := p.Publish(t.Context(), topic.Message{Data: data, Attributes: attrs, OrderingKey: "k"})
	if err != nil {
		t.Fatal(err)
	}
	m := e.next(t)
	if !bytes.Equal(m.Data, data) {
		t.Errorf("%d bytes arrived changed", len(m.Data))
	}
	m.Data = nil
	if m.PublishTime.IsZero() {
		t.Error("no publish time")
	}
	want := topic.Message{
		Attributes: attrs, OrderingKey: "k", ID: id, PublishTime: m.PublishTime, DeliveryAttempt: 1, Subscription: storeName,
	}
	if diff := cmp.Diff(want, m, cmp.Transformer("data", func(b []byte) int { return len(b) })); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestDelivery_Duplicates(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, ack)
	s := open(t, Options{Duplicates: Duplicates{AfterAck: 0.5, AtOnce: 0.5}})
	mustDeclare(t, s, quick(e.URL))
	p := newPublisher(t, s.Addr())
	for i := range 100 {
		publish(t, p, "k", fmt.Sprintf("%03d", i))
	}
	eventually(t, "all are acknowledged", func() bool { return s.Backlog("store") == 0 })
	got := e.order("k")
	distinct := map[string]bool{}
	for i, data := range got {
		distinct[data] = true
		if i > 0 && data < got[i-1] {
			t.Errorf("%s arrived after %s", data, got[i-1])
		}
	}
	// 100 messages at a mean of 3 deliveries: not one duplicate has a probability of 2^-200.
	if len(distinct) != 100 || len(got) == 100 {
		t.Errorf("%d deliveries of %d messages, want duplicates of 100", len(got), len(distinct))
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	conf, _ := Topology{MinBackoff: 100 * time.Millisecond, MaxBackoff: time.Second}.withDefaults().subscriptions("projects/p")
	var got []time.Duration
	for attempt := 1; attempt <= 6; attempt++ {
		got = append(got, pause(conf, attempt)/time.Millisecond)
	}
	if diff := cmp.Diff([]time.Duration{100, 200, 400, 800, 1000, 1000}, got); diff != "" {
		t.Errorf("milliseconds (-want +got)\n%s", diff)
	}
	conf.RetryPolicy = nil
	if a, b := pause(conf, 1), pause(conf, 100); a != defaultMinBackoff || b != defaultMaxBackoff {
		t.Errorf("without a policy %s to %s", a, b)
	}
}
