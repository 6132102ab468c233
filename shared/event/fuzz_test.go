package event_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/event/eventtest"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// smallLimits are low enough for short inputs to reach them.
func smallLimits() event.Limits {
	l := event.DefaultLimits()
	l.Message, l.ExceptionType, l.ExceptionValue, l.Environment, l.Release, l.Transaction = 10, 10, 10, 3, 3, 3
	l.ServerName, l.Logger, l.Platform, l.UserID = 3, 3, 3, 3
	l.TagKey, l.TagValue, l.Tags, l.Fingerprint, l.FingerprintPart = 2, 2, 2, 2, 2
	l.Exceptions, l.Frames, l.Breadcrumbs, l.Threads, l.Depth = 2, 2, 2, 2, 12
	l.UnknownFields = 3
	return l
}

func FuzzDecode(f *testing.F) {
	inputs, err := filepath.Glob("testdata/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, input := range inputs {
		raw, err := os.ReadFile(input)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add(eventtest.Realistic(rand.New(rand.NewPCG(1, 2)), 1))
	for _, s := range shapes(2000) {
		f.Add([]byte(s.raw))
	}
	limits := smallLimits()
	d := event.NewDecoder(limits)
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := decodeFixed(raw, limits)
		if err != nil {
			var known *fault.Error
			if !errors.As(err, &known) || known.Kind != fault.Invalid || !utf8.ValidString(known.Detail) || len(known.Detail) > 1000 {
				t.Fatalf("error %v", err)
			}
			return
		}
		line := e.AppendLine(nil)
		if most := 3*len(raw) + 2000; len(line) > most || len(line) != e.LineSize() { // little stands in it twice
			t.Fatalf("the line has %d bytes, LineSize says %d, at most %d are allowed", len(line), e.LineSize(), most)
		}
		if full, err := event.Decode(raw, event.DefaultLimits(), received); err == nil {
			limits := event.DefaultLimits()
			checkSize(t, len(raw), &full, &limits)
		}
		checkText(t, &e, &limits)
		checkJSON(t, &e, &limits)
		if !json.Valid(line) || bytes.ContainsAny(line, "\x00\n") || rawjson.Check(line, 100) != nil {
			t.Fatalf("not a clean line: %q", line)
		}
		var again, reused event.Event
		if err := event.DecodeLine(line, &again); err != nil || !cmp.Equal(e, again) {
			t.Fatalf("line %s: %v\n%s", line, err, cmp.Diff(e, again))
		}
		if err := d.Decode(raw, received, &reused); err != nil {
			t.Fatal(err)
		}
		reused.ID, reused.EventID, reused.Fingerprint = e.ID, e.EventID, e.Fingerprint
		if diff := cmp.Diff(e, reused); diff != "" {
			t.Fatalf("a used decoder differs:\n%s", diff)
		}
	})
}

// checkText fails unless all texts are valid and within limits.
func checkText(t *testing.T, e *event.Event, l *event.Limits) {
	t.Helper()
	if level, ok := event.ParseLevel(string(e.Level)); !ok || level != e.Level {
		t.Fatalf("level %q", e.Level)
	}
	for _, text := range []struct {
		is    string
		limit int
	}{
		{e.Message, l.Message},
		{e.ExceptionType, l.ExceptionType},
		{e.ExceptionValue, l.ExceptionValue},
		{e.Environment, l.Environment},
		{e.Release, l.Release},
		{e.Platform, l.Platform},
		{e.Transaction, l.Transaction},
		{e.ServerName, l.ServerName},
		{e.Logger, l.Logger},
		{e.UserID, l.UserID},
		{e.TraceID, 32},
	} {
		if !utf8.ValidString(text.is) || bytes.IndexByte([]byte(text.is), 0) >= 0 || utf8.RuneCountInString(text.is) > text.limit {
			t.Fatalf("text %q, limit %d", text.is, text.limit)
		}
	}
}

// checkJSON fails unless tags, fingerprint and lists have their canonical types and sizes.
func checkJSON(t *testing.T, e *event.Event, l *event.Limits) {
	t.Helper()
	var tags map[string]string
	var parts []string
	var chain, crumbs, threads []map[string]json.RawMessage
	for _, piece := range []struct {
		raw []byte
		to  any
	}{{e.Tags, &tags}, {e.ClientFingerprint, &parts}, {e.Exception, &chain}, {e.Breadcrumbs, &crumbs}, {e.Threads, &threads}} {
		if piece.raw == nil {
			continue
		}
		if err := json.Unmarshal(piece.raw, piece.to); err != nil {
			t.Fatalf("%s: %v", piece.raw, err)
		}
	}
	if len(tags) > l.Tags || len(parts) > l.Fingerprint || len(chain) > l.Exceptions || len(crumbs) > l.Breadcrumbs || len(threads) > l.Threads {
		t.Fatalf("over a limit: %s %s %s %s %s", e.Tags, e.ClientFingerprint, e.Exception, e.Breadcrumbs, e.Threads)
	}
	for key, value := range tags {
		if utf8.RuneCountInString(key) > l.TagKey || utf8.RuneCountInString(value) > l.TagValue {
			t.Fatalf("tags %s", e.Tags)
		}
	}
	for _, entry := range chain {
		var stack map[string]json.RawMessage
		var frames []map[string]json.RawMessage
		if raw := entry["stacktrace"]; raw != nil && json.Unmarshal(raw, &stack) != nil {
			t.Fatalf("stacktrace %s", raw)
		}
		if raw := stack["frames"]; raw != nil && json.Unmarshal(raw, &frames) != nil || len(frames) > l.Frames {
			t.Fatalf("frames %s", raw)
		}
	}
}
