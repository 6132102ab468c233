package sentry_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
	"github.com/mesherhq/mesher/shared/sentry"
)

var update = flag.Bool("update", false, "rewrite testdata/events/*.golden")

// received is when all events of these tests were received, and envelopeID what their envelopes are called.
var (
	received   = time.UnixMilli(1769860800123).UTC()
	envelopeID = uuid.MustParse("e0000000-0000-4000-8000-000000000001")
)

// converted converts raw and decodes the result. What is random is fixed.
func converted(t *testing.T, raw []byte, from sentry.Source) event.Event {
	t.Helper()
	e, err := convert(raw, from, event.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func convert(raw []byte, from sentry.Source, limits event.Limits) (event.Event, error) {
	var e event.Event
	native, replaced, err := sentry.NewConverter(limits).AppendNative(nil, raw, from)
	if err != nil {
		return e, err
	}
	err = event.NewDecoder(limits).DecodeClean(native, replaced, from.ReceivedAt, &e)
	e.ID = uuid.MustParse("019c13ec-9e7b-7000-8000-000000000001") // of the time of receipt
	return e, err
}

// TestGolden converts and decodes testdata/events/*.json and compares their lines, one member a line, with
// testdata/events/*.golden.
func TestGolden(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("testdata/events/*.json")
	if err != nil || len(inputs) < 25 {
		t.Fatalf("%d inputs: %v", len(inputs), err)
	}
	for _, input := range inputs {
		name := strings.TrimSuffix(filepath.Base(input), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			from := sentry.Source{EventID: envelopeID, ReceivedAt: received, Feedback: strings.HasPrefix(name, "feedback_")}
			e := converted(t, raw, from)
			got := onePerLine(t, e.AppendLine(nil))
			golden := strings.TrimSuffix(input, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v; run the test with -update", err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

// onePerLine returns line with a line for each of its members, so that differences can be read. The fingerprint, which
// package grouping sets, is left out.
func onePerLine(t *testing.T, line []byte) []byte {
	t.Helper()
	if !json.Valid(line) || rawjson.Check(line, 200) != nil {
		t.Fatalf("not a clean line of JSON: %s", line)
	}
	var out bytes.Buffer
	for key, value := range rawjson.Object(line) {
		if string(key) != "fp" {
			out.WriteString(string(key) + " " + string(value) + "\n")
		}
	}
	return out.Bytes()
}
