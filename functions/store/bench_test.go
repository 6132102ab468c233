package store

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/topic"
	"github.com/mesherhq/mesher/shared/web"
)

// benchRows is how many events a batch of the benchmarks holds.
const benchRows = 500

// BenchmarkDecode unpacks a message into tuples.
func BenchmarkDecode(b *testing.B) {
	project := uuid.Must(uuid.NewV7())
	m := pack(project, samples(b, project, 0, benchRows)...)
	z, err := newDecoder()
	if err != nil {
		b.Fatal(err)
	}
	lease, known := web.NewBudget(1<<30).NewLease(), newMemory()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(z, m, lease, known); err != nil {
			b.Fatal(err)
		}
		lease.Release()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/event")
}

// BenchmarkAppendTuple encodes decoded events for COPY.
func BenchmarkAppendTuple(b *testing.B) {
	project := uuid.Must(uuid.NewV7())
	events := samples(b, project, 0, benchRows)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = buf[:0]
		for i := range events {
			buf = AppendTuple(buf, project, &events[i])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/event")
}

// warmUp is how many batches it takes until everything about tags is written.
const warmUp = 60

// tagged returns n events with eight tags and a user, which have some ten thousand values of tags in all.
func tagged(t testing.TB, project uuid.UUID, n int) []event.Event {
	t.Helper()
	events := samples(t, project, 0, n)
	for i := range events {
		e := &events[i]
		e.ServerName = fmt.Sprintf("host-%d", i%20)
		e.Tags = fmt.Appendf(nil, `{"region":"r%d","customer":"c%d","http.status":"50%d","runtime":"go1.26","cluster":"k%d",`+
			`"shard":"s%d","feature":"f%d","tier":"t%d"}`, i%3, i%300, i%4, i%7, i%32, i%11, i%5)
	}
	return events
}

// BenchmarkStore compares storing with the limit: pre-encoded binary COPY of the same rows into the same table,
// a commit a batch. Each iteration does the same batch in each way, one after the other, and the ratios are
// medians over the iterations: what disturbs the machine for a moment disturbs all of them.
func BenchmarkStore(b *testing.B) {
	x := setup(b)
	project := x.project(b)
	f := x.function(b, func(c *Config) { c.Database.PoolSize = 1 })
	var (
		pool   = tagged(b, project, 4*benchRows)
		events []event.Event
		turn   int
	)
	renew := func() {
		events = pool[turn%4*benchRows:][:benchRows]
		for i := range events {
			events[i].ID, events[i].EventID = event.NewID(noon), uuid.New()
		}
	}
	for range warmUp {
		turn++
		renew()
		acked(b, f, pack(project, events...))
	}
	ways := []struct {
		name string
		make func() func() error
	}{
		{"copy", func() func() error {
			stream := []byte(CopyHeader)
			for i := range events {
				stream = AppendTuple(stream, project, &events[i])
			}
			stream = append(stream, CopyTrailer...)
			return func() error {
				conn, err := f.pool.Acquire(b.Context())
				if err != nil {
					return err
				}
				defer conn.Release()
				_, err = conn.Conn().PgConn().CopyFrom(b.Context(), bytes.NewReader(stream), CopySQL)
				return err
			}
		}},
		{"rows", func() func() error {
			m := pack(project, events...)
			p, err := decode(f.zstd, m, web.NewBudget(1<<30).NewLease(), f.writer.memory)
			if err != nil {
				b.Fatal(err)
			}
			return func() error {
				_, err := f.writer.flush(context.Background(), project, []*parcel{p})
				return err
			}
		}},
		{"message", func() func() error {
			body := string(topic.EncodePush(pack(project, events...)))
			return func() error {
				if w := push(f, body); w.Code != http.StatusNoContent {
					b.Fatalf("answer = %d %s, want 204", w.Code, w.Body)
				}
				return nil
			}
		}},
	}
	took := make([][]float64, len(ways))
	for n := 0; b.Loop(); n++ {
		turn++
		for i := range ways {
			i = (i + n) % len(ways) // none is always the first
			renew()
			run := ways[i].make()
			start := time.Now()
			if err := run(); err != nil {
				b.Fatal(err)
			}
			took[i] = append(took[i], time.Since(start).Seconds())
		}
	}
	b.ReportMetric(0, "ns/op") // says nothing: it holds the preparation too
	median := func(v []float64) float64 {
		v = slices.Sorted(slices.Values(v))
		return v[len(v)/2]
	}
	for i, way := range ways {
		b.ReportMetric(benchRows/median(took[i]), way.name+"/s")
		if i == 0 {
			continue
		}
		ratios := make([]float64, len(took[i]))
		for n := range ratios {
			ratios[n] = took[0][n] / took[i][n]
		}
		b.ReportMetric(median(ratios), way.name+":copy")
	}
}

// BenchmarkRules says what alert rules of a project cost: each iteration stores a batch in a project of each sort, and the ratios
// are to the project without rules.
func BenchmarkRules(b *testing.B) {
	x := setup(b)
	f := x.function(b, func(c *Config) { c.Database.PoolSize = 1 })
	region := alert.Filter{Tags: []alert.Tag{{Key: "region", Value: "r1"}}}
	ways := []struct {
		name  string
		rules int
		kind  alert.Kind
		scope alert.Scope
		f     alert.Filter
	}{
		{"none", 0, "", "", alert.Filter{}},
		{"new_issue", 10, alert.NewIssue, "", alert.Filter{}},
		{"events", 20, alert.EventCount, alert.ByProject, alert.Filter{}},
		{"tagged", 20, alert.EventCount, alert.ByProject, region},
		{"by_issue", 20, alert.EventCount, alert.ByIssue, alert.Filter{}},
		{"rates", 20, alert.ReleaseErrorRate, "", alert.Filter{}},
		{"users", 20, alert.UserCount, alert.ByProject, alert.Filter{}},
	}
	projects, pools := make([]uuid.UUID, len(ways)), make([][]event.Event, len(ways))
	for i, w := range ways {
		projects[i] = x.project(b)
		for range w.rules {
			x.rule(b, projects[i], w.kind, alert.Condition{Scope: w.scope}, w.f)
		}
		pools[i] = tagged(b, projects[i], benchRows)
	}
	store := func(i int) time.Duration {
		for n := range pools[i] {
			pools[i][n].ID, pools[i][n].EventID = event.NewID(noon), uuid.New()
		}
		p, err := decode(f.zstd, pack(projects[i], pools[i]...), web.NewBudget(1<<30).NewLease(), f.writer.memory)
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if _, err := f.writer.flush(context.Background(), projects[i], []*parcel{p}); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	for i := range ways {
		for range 10 {
			store(i)
		}
	}
	took := make([][]float64, len(ways))
	for n := 0; b.Loop(); n++ {
		for i := range ways {
			i = (i + n) % len(ways)
			took[i] = append(took[i], store(i).Seconds())
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, w := range ways {
		ratios := make([]float64, len(took[i]))
		for n := range ratios {
			ratios[n] = took[i][n] / took[0][n]
		}
		slices.Sort(ratios)
		slices.Sort(took[i])
		b.ReportMetric(ratios[len(ratios)/2], w.name+":none")
		b.ReportMetric(took[i][len(took[i])/2]*1000, w.name+"-ms")
	}
}
