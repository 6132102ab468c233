package pubsub

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mesherhq/mesher/shared/topic"
)

// BenchmarkPublish measures one publisher that waits for each answer, with and without a backlog.
func BenchmarkPublish(b *testing.B) {
	for _, backlog := range []int{0, 10_000} {
		for _, size := range []int{1 << 10, 50_000, 1_000_000} {
			b.Run(fmt.Sprintf("%dB/backlog%d", size, backlog), func(b *testing.B) {
				s := open(b, Options{})
				mustDeclare(b, s, quick("http://127.0.0.1:1/nobody"))
				s.subs[storeName].stop()
				p := newPublisher(b, s.Addr())
				for i := range backlog {
					publish(b, p, fmt.Sprint(i%16), "0123456789abcdef")
				}
				m := topic.Message{Data: make([]byte, size), OrderingKey: "k"}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := p.Publish(b.Context(), m); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkPath measures publish, push and acknowledgement together: 32 publishers, an endpoint that acknowledges
// at once.
func BenchmarkPath(b *testing.B) {
	for _, backlog := range []int{0, 10_000} {
		for _, keys := range []int{1, 16} {
			for _, size := range []int{1 << 10, 50_000} {
				b.Run(fmt.Sprintf("%dB/%dkeys/backlog%d", size, keys, backlog), func(b *testing.B) {
					benchmarkPath(b, size, keys, backlog)
				})
			}
		}
	}
}

func benchmarkPath(b *testing.B, size, keys, backlog int) {
	e := newEndpoint(b, ack)
	s := open(b, Options{})
	mustDeclare(b, s, quick(e.URL))
	p := newPublisher(b, s.Addr())
	if backlog > 0 {
		// A subscription that nobody reads keeps a backlog in the same file.
		idle := quick("")
		idle.Subscription, idle.HoldSubscription = "idle", "idle-hold"
		mustDeclare(b, s, idle)
		for i := range backlog {
			publish(b, p, fmt.Sprint("idle", i%16), "0123456789abcdef")
		}
		eventually(b, "the other subscription is empty", func() bool { return s.Backlog("store") == 0 })
	}
	data := make([]byte, size)
	b.SetBytes(int64(size))
	b.ResetTimer()
	var sent atomic.Int64
	var publishers sync.WaitGroup
	for range 32 {
		publishers.Go(func() {
			for {
				i := sent.Add(1)
				if i > int64(b.N) {
					return
				}
				m := topic.Message{Data: data, OrderingKey: fmt.Sprint(i % int64(keys))}
				if _, err := p.Publish(b.Context(), m); err != nil {
					b.Error(err)
				}
			}
		})
	}
	publishers.Wait()
	eventually(b, "all are acknowledged", func() bool { return s.Backlog("store") == 0 })
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
