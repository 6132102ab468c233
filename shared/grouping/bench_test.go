package grouping_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/event/eventtest"
	"github.com/mesherhq/mesher/shared/grouping"
)

// realistic returns some realistic events as text and their size.
func realistic(b *testing.B) (raws [][]byte, size int64) {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 64 {
		raws = append(raws, eventtest.Realistic(rng, i))
		size += int64(len(raws[i]))
	}
	return raws, size / 64
}

func BenchmarkGroup(b *testing.B) {
	raws, _ := realistic(b)
	events := make([]event.Event, len(raws))
	for i, raw := range raws {
		e, err := event.Decode(raw, event.DefaultLimits(), time.Now())
		if err != nil {
			b.Fatal(err)
		}
		events[i] = e
	}
	project := uuid.New()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		grouping.Group(project, &events[i%len(events)])
	}
}

// BenchmarkIngest is all that Ingest does to an event between reading and publishing it.
func BenchmarkIngest(b *testing.B) {
	raws, size := realistic(b)
	d := event.NewDecoder(event.DefaultLimits())
	project, now := uuid.New(), time.Now()
	var e event.Event
	var line []byte
	b.SetBytes(size)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := d.Decode(raws[i%len(raws)], now, &e); err != nil {
			b.Fatal(err)
		}
		grouping.Group(project, &e)
		line = e.AppendLine(line[:0])
	}
}
