package otlp_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/otlp"
	"github.com/mesherhq/mesher/shared/rawjson"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

var received = time.Date(2026, 11, 22, 0, 0, 1, 0, time.UTC)

// open reads an export of either signal.
func open(body []byte, contentType string, signal otlp.Signal) (*otlp.Request, error) {
	if signal == otlp.TraceSignal {
		return otlp.Traces(body, contentType)
	}
	return otlp.Logs(body, contentType)
}

// natives returns all records as events in the native format, and how many were rejected. Each is taken by an
// event.Decoder.
func natives(t testing.TB, body []byte, contentType string, signal otlp.Signal) (list []string, rejected int) {
	t.Helper()
	q, err := open(body, contentType, signal)
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[uuid.UUID]bool)
	for rec := range q.Records() {
		raw := rec.AppendNative(nil, received)
		checkNative(t, raw)
		if ids[rec.EventID()] || rec.EventID() == uuid.Nil {
			t.Fatalf("the id %s is not unique", rec.EventID())
		}
		ids[rec.EventID()] = true
		list = append(list, string(raw))
	}
	rejected, reason := q.Rejected()
	if (rejected > 0) != (reason != "") {
		t.Fatalf("%d rejected because of %q", rejected, reason)
	}
	return list, rejected
}

// checkNative fails unless raw is clean, and an event within the limits on text.
func checkNative(t testing.TB, raw []byte) event.Event {
	t.Helper()
	limits := event.DefaultLimits()
	limits.EventBytes = 64 << 20
	if err := rawjson.Check(raw, limits.Depth); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	e, err := event.Decode(raw, limits, received)
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	return e
}

// signalOf returns the signal of a test file, and the name of its message.
func signalOf(name string) (otlp.Signal, string) {
	if strings.Contains(name, "spans") {
		return otlp.TraceSignal, "Traces"
	}
	return otlp.LogSignal, "Logs"
}

var eventID = regexp.MustCompile(`"event_id":"[0-9a-f-]{36}",`)

// withoutIDs returns events without their ids, which are those of the bytes that came.
func withoutIDs(list []string) []string {
	out := make([]string, len(list))
	for i, raw := range list {
		out[i] = eventID.ReplaceAllString(raw, "")
	}
	return out
}

// TestGolden writes the records of testdata/*.json as events, from JSON and from protobuf.
func TestGolden(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("testdata/*.json")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".json"), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			signal, message := signalOf(input)
			list, _ := natives(t, raw, otlp.JSONType, signal)
			same, _ := natives(t, protobuf(t, message, tree(t, raw)), otlp.ProtobufType, signal)
			if diff := cmp.Diff(withoutIDs(list), withoutIDs(same)); diff != "" {
				t.Errorf("protobuf differs (-json +protobuf):\n%s", diff)
			}
			got := onePerLine(t, list)
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

// onePerLine returns events with a line for each of their members.
func onePerLine(t *testing.T, list []string) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, raw := range list {
		for key, value := range rawjson.Object([]byte(raw)) {
			if !json.Valid(value) {
				t.Fatalf("%s is not JSON: %s", key, value)
			}
			out.WriteString(string(key) + " " + string(value) + "\n")
		}
		out.WriteString("\n")
	}
	return out.Bytes()
}

func TestIsEvent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		record string
		least  int
		want   bool
		level  event.Level
	}{
		{`{}`, otlp.SeverityError, false, event.Info},
		{`{}`, otlp.SeverityInfo, true, event.Info},
		{`{"severityNumber":4}`, otlp.SeverityError, false, event.Debug},
		{`{"severityNumber":8}`, otlp.SeverityError, false, event.Debug},
		{`{"severityNumber":9}`, otlp.SeverityError, false, event.Info},
		{`{"severityNumber":13}`, otlp.SeverityError, false, event.Warning},
		{`{"severityNumber":16}`, otlp.SeverityWarning, true, event.Warning},
		{`{"severityNumber":"17"}`, otlp.SeverityError, true, event.Error},
		{`{"severityNumber":20}`, otlp.SeverityFatal, false, event.Error},
		{`{"severityNumber":24}`, otlp.SeverityFatal, true, event.Fatal},
		{`{"severityNumber":25}`, otlp.SeverityError, false, event.Info},
		{`{"severityNumber":-1}`, otlp.SeverityError, false, event.Info},
		{`{"severityNumber":"SEVERITY_NUMBER_ERROR3"}`, 19, true, event.Error},
		{`{"severityNumber":"SEVERITY_NUMBER_ERROR3"}`, 20, false, event.Error},
		{`{"severityText":"ERROR+4"}`, otlp.SeverityError, true, event.Error},
		{`{"severityText":"critical"}`, otlp.SeverityFatal, true, event.Fatal},
		{`{"severityText":"Warning"}`, otlp.SeverityError, false, event.Warning},
		{`{"severityText":"?"}`, otlp.SeverityError, false, event.Info},
		{`{"severityNumber":9,"severityText":"ERROR"}`, otlp.SeverityError, false, event.Info},
		{`{"attributes":[{"key":"exception.type","value":{"stringValue":"E"}}]}`, otlp.SeverityFatal, true, event.Error},
		{`{"severityNumber":9,"attributes":[{"key":"exception.message","value":{"stringValue":"m"}}]}`, otlp.SeverityFatal, true, event.Info},
		{`{"attributes":[{"key":"exception.stacktrace","value":{"stringValue":"s"}}]}`, otlp.SeverityFatal, true, event.Error},
		{`{"attributes":[{"key":"exception.type","value":{"stringValue":""}},{"key":"exception.message"}]}`, otlp.SeverityError, false, event.Info},
		{`{"attributes":[{"key":"exception.escaped","value":{"boolValue":true}}]}`, otlp.SeverityError, false, event.Info},
	} {
		q, err := otlp.Logs(export(tt.record), otlp.JSONType)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for rec := range q.Records() {
			count++
			if got := rec.IsEvent(tt.least); got != tt.want || rec.Level() != tt.level {
				t.Errorf("%s is an event from %d on: %v, with level %s", tt.record, tt.least, got, rec.Level())
			}
		}
		if count != 1 {
			t.Errorf("%s: %d records", tt.record, count)
		}
	}
}

// export puts log records into an export in JSON.
func export(records ...string) []byte {
	return []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[` + strings.Join(records, ",") + `]}]}]}`)
}
