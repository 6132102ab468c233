package ingest

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mesherhq/mesher/shared/event/eventtest"
)

// BenchmarkIngest measures requests of the native API, from the handler to the acknowledged publish, with many at a time.
func BenchmarkIngest(b *testing.B) {
	for _, bench := range []struct {
		name            string
		events, clients int // clients for each processor
	}{{"one event", 1, 64}, {"a hundred events", 100, 8}} {
		b.Run(bench.name, func(b *testing.B) {
			h := start(b, nil)
			rng := rand.New(rand.NewPCG(1, 2))
			var body []byte
			for i := range bench.events {
				body = append(append(body, eventtest.Realistic(rng, i)...), '\n')
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			b.SetParallelism(bench.clients)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(body))
					r.Header.Set("X-Mesher-Key", h.key)
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					if w.Code != http.StatusAccepted {
						b.Errorf("%d %s", w.Code, w.Body)
					}
				}
			})
			b.ReportMetric(float64(b.N*bench.events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
