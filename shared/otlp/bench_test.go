package otlp_test

import (
	"os"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/otlp"
)

func BenchmarkRecord(b *testing.B) {
	for _, input := range []string{"js_logs", "spans"} {
		raw, err := os.ReadFile("testdata/" + input + ".json")
		if err != nil {
			b.Fatal(err)
		}
		signal, message := signalOf(input)
		for name, body := range map[string][]byte{otlp.JSONType: raw, otlp.ProtobufType: protobuf(b, message, tree(b, raw))} {
			b.Run(input+"/"+name, func(b *testing.B) {
				benchmark(b, body, name, signal)
			})
		}
	}
}

// benchmark measures reading an export and writing its events, and what of that is one record.
func benchmark(b *testing.B, body []byte, contentType string, signal otlp.Signal) {
	b.Helper()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	var dst []byte
	records := 0
	for b.Loop() {
		q, err := open(body, contentType, signal)
		if err != nil {
			b.Fatal(err)
		}
		for rec := range q.Records() {
			if rec.IsEvent(otlp.SeverityTrace) {
				dst = rec.AppendNative(dst[:0], received)
			}
			records++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(records), "ns/record")
}

// BenchmarkHostile shows that time is linear in the size of the body, and in what it may repeat.
func BenchmarkHostile(b *testing.B) {
	many := func(s string, n int) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	long := `{"attributes":[{"key":"a","value":{"stringValue":"` + strings.Repeat("x", 1<<20) + `"}}]}`
	nested := strings.Repeat(`{"arrayValue":{"values":[`, 60) + many(`{"intValue":1}`, 20_000) + strings.Repeat(`]}}`, 60)
	for name, records := range map[string]string{
		"empty records":   many(`{}`, otlp.MaxRecords),
		"many attributes": many(`{"attributes":[`+many(`{}`, otlp.MaxAttributes)+`]}`, 300),
		"many tags":       many(`{"attributes":[`+many(`{"key":"k","value":{"intValue":1}}`, otlp.MaxAttributes)+`]}`, 50),
		"deep values":     `{"body":` + nested + `}`,
	} {
		b.Run(name, func(b *testing.B) { benchmark(b, export(records), otlp.JSONType, otlp.LogSignal) })
	}
	b.Run("many scopes of a long resource", func(b *testing.B) {
		body := `{"resourceLogs":[{"resource":` + long + `,"scopeLogs":[` + many(`{"scope":{"name":"s"},"logRecords":[{}]}`, otlp.MaxRecords) + `]}]}`
		benchmark(b, []byte(body), otlp.JSONType, otlp.LogSignal)
	})
	b.Run("many exceptions of a long span", func(b *testing.B) {
		body := `{"resourceSpans":[{"scopeSpans":[{"spans":[` + strings.TrimSuffix(long, "}") + `,"events":[` + many(`{"name":"exception"}`, 50_000) + `]}]}]}]}`
		benchmark(b, []byte(body), otlp.JSONType, otlp.TraceSignal)
	})
}
