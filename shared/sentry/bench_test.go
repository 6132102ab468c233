package sentry_test

import (
	"math/rand/v2"
	"testing"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/event/eventtest"
	"github.com/mesherhq/mesher/shared/sentry"
)

// realistic is an event of 2.5 KB with the fields that every SDK sends.
func realistic() []byte {
	return eventtest.RealisticAt(rand.New(rand.NewPCG(1, 2)), 7, received)
}

// BenchmarkDecode is the yardstick: the same event, sent as a native one.
func BenchmarkDecode(b *testing.B) {
	raw, d := realistic(), event.NewDecoder(event.DefaultLimits())
	var e event.Event
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode(raw, received, &e); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkConvertAndDecode is what the Converter and the Decoder cost together.
func BenchmarkConvertAndDecode(b *testing.B) {
	raw, c, d := realistic(), sentry.NewConverter(event.DefaultLimits()), event.NewDecoder(event.DefaultLimits())
	var native []byte
	var e event.Event
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		var replaced int
		var err error
		if native, replaced, err = c.AppendNative(native[:0], raw, atNoon); err != nil {
			b.Fatal(err)
		}
		if err = d.DecodeClean(native, replaced, received, &e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadEnvelope(b *testing.B) {
	event := realistic()
	body := append([]byte(`{"event_id":"c0ffee00000000000000000000000001","sent_at":"2026-01-31T12:00:00Z","sdk":{"name":"x"},`+
		`"trace":{"trace_id":"0af7651916cd43dd8448eb211c80319c","public_key":"k"}}`+"\n"+`{"type":"event"}`+"\n"), event...)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if env, err := sentry.ReadEnvelope(body); err != nil || len(env.Items) != 1 {
			b.Fatal(err)
		}
	}
}
