package otlp_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/otlp"
)

// generator makes exports at random, as trees of JSON. Everything may be missing.
type generator struct{ *rand.Rand }

func (g generator) maybe(o object, key string, value func() any) {
	if g.IntN(4) > 0 {
		o[key] = value()
	}
}

func (g generator) list(most int, element func() any) any {
	list := make([]any, g.IntN(most+1))
	for i := range list {
		list[i] = element()
	}
	return list
}

func (g generator) pick(texts ...string) any { return texts[g.IntN(len(texts))] }

func (g generator) text() any {
	return g.pick("", "shop", "a\x00b", "\u00fc\u2028\U0001f600", "\"\\\n", "GET", "7", "https://acme.test/a?b=c",
		"Error: x\n    at f (/srv/a.js:1:2)", "goroutine 1 [running]:\nmain.f()\n\t/a.go:1 +0x1", "  ", string(make([]byte, 300)))
}

func (g generator) key() any {
	return g.pick("", "k", "exception.type", "exception.message", "exception.stacktrace", "code.file.path", "code.function.name", "code.line.number",
		"user.id", "http.request.method", "http.route", "url.full", "url.path", "server.address", "http.request.header.x", "service.name", "service.version",
		"telemetry.sdk.language", "telemetry.sdk.name", "deployment.environment", "host.name", "http.target", "a\"b\x00")
}

func (g generator) whole() any {
	n := []int64{0, 1, -1, 17, 1 << 53, 1<<53 + 1, 1<<63 - 1, -1 << 63}[g.IntN(8)]
	if g.IntN(2) == 0 && n < 1<<53 && n > -1<<53 {
		return json.Number(strconv.FormatInt(n, 10))
	}
	return strconv.FormatInt(n, 10)
}

func (g generator) time() any {
	return g.pick("0", "1", "1795305600123456789", "18446744073709551615")
}

func (g generator) id(size int) func() any {
	return func() any {
		id := make([]byte, size)
		if g.IntN(4) > 0 {
			for i := range id {
				id[i] = byte(g.Uint32())
			}
		}
		return hex.EncodeToString(id[:size-g.IntN(2)*g.IntN(2)*2])
	}
}

func (g generator) value(depth int) any {
	o := object{}
	switch n := g.IntN(9); {
	case n == 0:
		o["boolValue"] = g.IntN(2) == 0
	case n == 1:
		o["intValue"] = g.whole()
	case n == 2:
		o["doubleValue"] = []any{json.Number("0"), json.Number("-1.5e-300"), json.Number("1e21"), "NaN", "Infinity", "-Infinity", json.Number("12")}[g.IntN(7)]
	case n == 3:
		o["bytesValue"] = base64.StdEncoding.EncodeToString([]byte(g.text().(string)))
	case n == 4 && depth < 6:
		o["arrayValue"] = object{"values": g.list(4, func() any { return g.value(depth + 1) })}
	case n == 5 && depth < 6:
		o["kvlistValue"] = object{"values": g.list(4, func() any { return g.attribute(depth + 1) })}
	case n > 5:
		o["stringValue"] = g.text()
	}
	return o
}

func (g generator) attribute(depth int) any {
	o := object{}
	g.maybe(o, "key", g.key)
	g.maybe(o, "value", func() any { return g.value(depth) })
	return o
}

func (g generator) attributes() any { return g.list(8, func() any { return g.attribute(0) }) }

func (g generator) count() any { return json.Number(strconv.Itoa(g.IntN(3))) }

func (g generator) logRecord() any {
	o := object{}
	g.maybe(o, "timeUnixNano", g.time)
	g.maybe(o, "observedTimeUnixNano", g.time)
	g.maybe(o, "severityNumber", func() any { return json.Number(strconv.Itoa(g.IntN(27) - 1)) })
	g.maybe(o, "severityText", func() any { return g.pick("", "INFO", "ERROR+4", "warn") })
	g.maybe(o, "body", func() any { return g.value(0) })
	g.maybe(o, "attributes", g.attributes)
	g.maybe(o, "droppedAttributesCount", g.count)
	g.maybe(o, "flags", g.count)
	g.maybe(o, "traceId", g.id(16))
	g.maybe(o, "spanId", g.id(8))
	g.maybe(o, "eventName", g.text)
	return o
}

func (g generator) spanEvent() any {
	o := object{}
	g.maybe(o, "timeUnixNano", g.time)
	g.maybe(o, "name", func() any { return g.pick("exception", "exception", "other") })
	g.maybe(o, "attributes", g.attributes)
	g.maybe(o, "droppedAttributesCount", g.count)
	return o
}

func (g generator) span() any {
	o := object{}
	g.maybe(o, "traceId", g.id(16))
	g.maybe(o, "spanId", g.id(8))
	g.maybe(o, "parentSpanId", g.id(8))
	g.maybe(o, "name", g.text)
	g.maybe(o, "kind", g.count)
	g.maybe(o, "startTimeUnixNano", g.time)
	g.maybe(o, "endTimeUnixNano", g.time)
	g.maybe(o, "attributes", g.attributes)
	g.maybe(o, "droppedAttributesCount", g.count)
	g.maybe(o, "events", func() any { return g.list(4, g.spanEvent) })
	g.maybe(o, "status", func() any { return object{"code": g.count(), "message": g.text()} })
	return o
}

// export makes an export of a signal, with the names of its levels.
func (g generator) export(groups, scopes, records string, record func() any) object {
	return object{groups: g.list(3, func() any {
		group := object{}
		g.maybe(group, "resource", func() any { return object{"attributes": g.attributes()} })
		group[scopes] = g.list(3, func() any {
			scope := object{}
			g.maybe(scope, "scope", func() any { return object{"name": g.text(), "version": g.text(), "attributes": g.attributes()} })
			scope[records] = g.list(4, record)
			return scope
		})
		return group
	})}
}

// TestEncodings writes exports in both encodings: they must become the same events.
func TestEncodings(t *testing.T) {
	t.Parallel()
	total := 0
	for seed := range uint64(400) {
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		for _, s := range []struct {
			signal  otlp.Signal
			message string
			export  object
		}{
			{otlp.LogSignal, "Logs", g.export("resourceLogs", "scopeLogs", "logRecords", g.logRecord)},
			{otlp.TraceSignal, "Traces", g.export("resourceSpans", "scopeSpans", "spans", g.span)},
		} {
			raw, err := json.Marshal(s.export)
			if err != nil {
				t.Fatal(err)
			}
			fromJSON, rejected := natives(t, raw, "application/json; charset=utf-8", s.signal)
			fromProtobuf, also := natives(t, protobuf(t, s.message, s.export), otlp.ProtobufType, s.signal)
			if rejected != 0 || also != 0 {
				t.Fatalf("seed %d: %d and %d rejected of %s", seed, rejected, also, raw)
			}
			if diff := cmp.Diff(withoutIDs(fromJSON), withoutIDs(fromProtobuf)); diff != "" {
				t.Fatalf("seed %d (-json +protobuf):\n%s\n%s", seed, diff, raw)
			}
			total += len(fromJSON)
		}
	}
	if total < 1000 {
		t.Errorf("only %d records were compared", total)
	}
}
