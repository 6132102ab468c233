package sentry_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rawjson"
	"github.com/mesherhq/mesher/shared/sentry"
)

// FuzzAppendNative holds the Converter to its promise: what is a JSON object within the limits becomes an event that
// the Decoder accepts.
func FuzzAppendNative(f *testing.F) {
	inputs, err := filepath.Glob("testdata/events/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, input := range inputs {
		raw, err := os.ReadFile(input)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, bytes.Contains([]byte(input), []byte("feedback")))
	}
	f.Add([]byte(`{"logentry":{"message":"%(a)s{a}{0}{}%d %% {{","params":{"a":1}},"exception":[{"type":"","value":null}]}`), false)
	short := event.DefaultLimits() // low enough for short inputs to reach them
	short.Message, short.TagKey, short.TagValue, short.Tags, short.Fingerprint, short.FingerprintPart = 5, 2, 2, 2, 2, 2
	short.Exceptions, short.Frames, short.Breadcrumbs, short.Threads, short.UnknownFields, short.Release = 2, 2, 2, 2, 3, 2
	used := sentry.NewConverter(event.DefaultLimits())
	f.Fuzz(func(t *testing.T, raw []byte, feedback bool) {
		from := sentry.Source{EventID: envelopeID, ReceivedAt: received, Feedback: feedback}
		for _, limits := range []event.Limits{event.DefaultLimits(), short} {
			native, replaced, err := sentry.NewConverter(limits).AppendNative([]byte("x"), raw, from)
			if err != nil {
				if !fault.Is(err, fault.Invalid) || fits(raw, limits) {
					t.Fatalf("%v: %.500q", err, raw)
				}
				continue
			}
			native = native[1:]
			if err := rawjson.Check(native, limits.Depth+2); err != nil || len(native) > 3*4*len(raw)+40<<10 {
				t.Fatalf("%v: %d of %d bytes: %q", err, len(native), len(raw), native)
			}
			var e event.Event
			if err := event.NewDecoder(limits).DecodeClean(native, replaced, received, &e); err != nil {
				t.Fatalf("%v: %.500q of %.500q", err, native, raw)
			}
			e.EventID, e.Fingerprint = envelopeID, envelopeID
			if err := event.DecodeLine(e.AppendLine(nil), new(event.Event)); err != nil {
				t.Fatalf("%v: %.500q", err, raw)
			}
			again, _, err := used.AppendNative(nil, raw, from)
			if limits.Message != short.Message && (err != nil || !bytes.Equal(again, native)) {
				t.Fatalf("a used converter differs: %v, %q", err, again)
			}
		}
	})
}

// fits reports whether raw is a JSON object that is not nested too deeply.
func fits(raw []byte, limits event.Limits) bool {
	clean, _, _, err := rawjson.Clean(nil, raw, limits.Depth, limits.EventBytes)
	return err == nil && json.Valid(raw) && rawjson.KindOf(clean) == rawjson.ObjectKind
}
