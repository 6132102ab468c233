package event_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// decodeFixed decodes raw and sets what is random or for others to set.
func decodeFixed(raw []byte, limits event.Limits) (event.Event, error) {
	e, err := event.Decode(raw, limits, received)
	e.ID = uuid.MustParse("019c13ec-9e7b-7000-8000-000000000001") // of the time of receipt
	e.Fingerprint = uuid.MustParse("f0000000-0000-8000-8000-000000000000")
	if e.EventID == uuid.Nil {
		e.EventID = e.ID
	}
	return e, err
}

// TestGolden decodes testdata/*.json and compares their lines, one member a line, with testdata/*.golden.
func TestGolden(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("testdata/*.json")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	limits := event.DefaultLimits()
	limits.Logger, limits.Tags, limits.TagKey, limits.TagValue = 20, 4, 10, 12
	limits.Breadcrumbs, limits.Frames, limits.Exceptions, limits.Threads = 3, 4, 4, 2
	limits.Fingerprint, limits.FingerprintPart = 3, 14
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".json"), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			e, err := decodeFixed(raw, limits)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(input, "full.json") { // the other lines lack it
				e.Former = uuid.MustParse("e0000000-0000-8000-8000-000000000000")
			}
			line := e.AppendLine(nil)
			var again event.Event
			if err := event.DecodeLine(line, &again); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(e, again); diff != "" {
				t.Errorf("the line does not bring the event back (-before +after):\n%s", diff)
			}
			got := onePerLine(t, line)
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

// onePerLine returns line with a line for each of its members, so that differences can be read.
func onePerLine(t *testing.T, line []byte) []byte {
	t.Helper()
	if !json.Valid(line) || bytes.ContainsAny(line, "\n\x00") {
		t.Fatalf("not a line of JSON: %s", line)
	}
	var out bytes.Buffer
	d := json.NewDecoder(bytes.NewReader(line))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		key, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			t.Fatalf("cannot read %s: %v", line, err)
		}
		out.WriteString(key.(string) + " " + string(value) + "\n")
	}
	return out.Bytes()
}
