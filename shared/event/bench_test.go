package event_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/event/eventtest"
)

func BenchmarkDecode(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	var raws [64][]byte
	size := 0
	for i := range raws {
		raws[i] = eventtest.Realistic(rng, i)
		size += len(raws[i])
	}
	d, now := event.NewDecoder(event.DefaultLimits()), time.Now()
	var e event.Event
	b.SetBytes(int64(size / len(raws)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := d.Decode(raws[i%len(raws)], now, &e); err != nil {
			b.Fatal(err)
		}
	}
}

// realisticLine returns the line of one realistic event, and the event.
func realisticLine(b *testing.B) ([]byte, event.Event) {
	b.Helper()
	e, err := event.Decode(eventtest.Realistic(rand.New(rand.NewPCG(1, 2)), 7), event.DefaultLimits(), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	e.Fingerprint = uuid.New()
	line := e.AppendLine(nil)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	return line, e
}

func BenchmarkAppendLine(b *testing.B) {
	line, e := realisticLine(b)
	for b.Loop() {
		line = e.AppendLine(line[:0])
	}
}

func BenchmarkDecodeLine(b *testing.B) {
	line, e := realisticLine(b)
	for b.Loop() {
		if err := event.DecodeLine(line, &e); err != nil {
			b.Fatal(err)
		}
	}
}
