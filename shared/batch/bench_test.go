package batch

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkDo measures callers that send one item each and send again after each answer, against a flush that
// takes two milliseconds whatever it is given, like a publish.
func BenchmarkDo(b *testing.B) {
	for _, callers := range []int{1, 64, 1000} {
		for _, takes := range []time.Duration{0, 2 * time.Millisecond} {
			b.Run(fmt.Sprintf("callers=%d/flush=%s", callers, takes), func(b *testing.B) { benchmarkDo(b, callers, takes) })
		}
	}
}

func benchmarkDo(b *testing.B, callers int, takes time.Duration) {
	var flushes, left atomic.Int64
	batcher := New(Config{
		Linger: 50 * time.Millisecond, Pause: 5 * time.Millisecond, MaxCount: 500, MaxBytes: 8_000_000,
		BufferCount: 10_000, BufferBytes: 32_000_000, BufferCallers: 2000,
	}, func(_ context.Context, _ int, items []int) (int, error) {
		flushes.Add(1)
		if takes > 0 {
			<-time.After(takes)
		}
		return len(items), nil
	})
	b.ReportAllocs()
	b.ResetTimer()
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if errs := batcher.Do(1, []Item[int]{{Value: 1, Count: 1, Bytes: 2500}}); errs != nil {
					b.Error(errs)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "items/s")
	b.ReportMetric(float64(b.N)/float64(max(flushes.Load(), 1)), "items/flush")
}
