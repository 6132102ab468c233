package sentry_test

import (
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/sentry"
)

// shapes returns events of about size bytes that grow, or cost, as much as they can.
func shapes(size int) map[string]string {
	list := func(before, item, after string) string {
		n := (size - len(before) - len(after)) / (len(item) + 1)
		return `{` + before + strings.Repeat(item+",", n) + item + after + `}`
	}
	text := func(before, unit, after string) string {
		return `{` + before + strings.Repeat(unit, size/len(unit)) + after + `}`
	}
	return map[string]string{
		"bare entries":            list(`"exception":[`, `{"a":0}`, `]`),
		"fields of frames":        list(`"exception":[{"type":"E","stacktrace":[{`, `"lineno":{}`, `}]}]`),
		"numbers for text":        list(`"exception":[{`, `"type":0`, `}]`),
		"parts of arrays":         list(`"fingerprint":[`, `[""]`, `]`),
		"one part of backslashes": text(`"fingerprint":[["`, `\\`, `"]]`),
		"a placeholder often":     text(`"logentry":{"params":{"a":"`+strings.Repeat("x", size/2)+`"},"message":"`, "%(a)s", `"}`),
		"placeholders unknown":    list(`"logentry":{"message":"`+strings.Repeat("%(b)s", size/8)+`","params":{`, `"a":0`, `}}`),
		"placeholders not ended":  text(`"logentry":{"params":[1],"message":"`, "{%(", `"}`),
		"params":                  list(`"logentry":{"message":"`+strings.Repeat("{}", size/4)+`","params":[`, `1`, `]}`),
		"formatted twice":         text(`"logentry":{"params":[1],"formatted":"`, "x", `"}`),
		"names of extra taken":    list(`"user":1,"sdk":1,"extra":{`, `"user`+strings.Repeat("_", 60)+`":1,"user":0`, `}`),
		"tags that are none":      list(`"tags":[`, `{}`, `]`),
		"blank message":           text(`"message":"`, `\n`, `"`),
		"values again and again":  list(`"threads":{`, `"values":[]`, `}`),
		"unknown fields":          list(``, `"a":0`, ``),
		"levels of nesting":       `{"exception":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}`,
	}
}

// TestHostileEvents holds growth to what AppendNative promises.
func TestHostileEvents(t *testing.T) {
	t.Parallel()
	limits := event.DefaultLimits()
	for name, raw := range shapes(limits.EventBytes / 5) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			native, replaced, err := sentry.NewConverter(limits).AppendNative(nil, []byte(raw), atNoon)
			if err != nil {
				t.Fatal(err)
			}
			if most := 4*len(raw) + 40<<10; len(native) > most {
				t.Errorf("%d bytes became %d, at most %d are promised", len(raw), len(native), most)
			}
			var e event.Event
			if err := event.NewDecoder(limits).DecodeClean(native, replaced, received, &e); err != nil {
				t.Error(err)
			}
		})
	}
}

// BenchmarkHostile converts hostile events of half a megabyte. An event may take 50 ms.
func BenchmarkHostile(b *testing.B) {
	limits := event.DefaultLimits()
	for name, raw := range shapes(limits.EventBytes / 2) {
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			c, raw := sentry.NewConverter(limits), []byte(raw)
			b.SetBytes(int64(len(raw)))
			var native []byte
			for b.Loop() {
				native, _, _ = c.AppendNative(native[:0], raw, atNoon)
			}
		})
	}
}

// BenchmarkHostileEnvelope cuts envelopes of a megabyte in which nothing is right.
func BenchmarkHostileEnvelope(b *testing.B) {
	for name, line := range map[string]string{
		"headers": `{"type":"x"}`, "lengths": `{"type":"x","length":1}`, "payloads": `{"type":"x","a":1}`, "newlines": "", "braces": "{",
		"long": `{"type":"` + strings.Repeat("x", 8000) + `"`, "nested": `{"type":` + strings.Repeat("[", 8000),
	} {
		b.Run(name, func(b *testing.B) {
			body := []byte("{}\n" + strings.Repeat(line+"\n", 1<<20/(len(line)+1)))
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := sentry.ReadEnvelope(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
