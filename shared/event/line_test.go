package event_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// anyEvent returns an event of which each field is present or absent by chance.
func anyEvent(rng *rand.Rand) event.Event {
	text := func() string {
		if rng.IntN(2) == 0 {
			return ""
		}
		return []string{"a", "two words", "é\U0001f600", "quote \" slash \\ line\n", "\x01"}[rng.IntN(5)]
	}
	piece := func(open, end string) []byte {
		if rng.IntN(2) == 0 {
			return nil
		}
		return []byte(open + end)
	}
	object := func() []byte { return piece(`{"a":`, `[1,"\\n"]}`) }
	list := func() []byte { return piece(`[{"a":`, `null}]`) }
	at := time.UnixMilli(rng.Int64N(4e12)).UTC()
	levels := []event.Level{event.Fatal, event.Error, event.Warning, event.Info, event.Debug}
	e := event.Event{
		ID: event.NewID(at), EventID: uuid.New(), Fingerprint: uuid.New(),
		ReceivedAt: at, OccurredAt: time.UnixMicro(rng.Int64N(4e15)).UTC(), Level: levels[rng.IntN(5)],
		Message: text(), ExceptionType: text(), ExceptionValue: text(), Title: text(), Culprit: text(),
		Environment: text(), Release: text(), Platform: text(), Transaction: text(), ServerName: text(),
		Logger: text(), UserID: text(), TraceID: text(),
		Tags: []byte(`{}`), Extra: []byte(`{"x":{}}`), Exception: list(), Threads: list(), Breadcrumbs: list(),
		UserInfo: object(), Contexts: object(), Request: object(), SDK: object(),
		ClientFingerprint: piece(`["a",`, `"b"]`), Meta: object(),
	}
	if rng.IntN(2) == 0 {
		e.Former = uuid.New()
	}
	return e
}

func TestLineBringsTheEventBack(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		want := anyEvent(rng)
		line := want.AppendLine(nil)
		if got := want.LineSize(); got != len(line) {
			t.Fatalf("LineSize() = %d, want %d: %s", got, len(line), line)
		}
		var got event.Event
		if err := event.DecodeLine(line, &got); err != nil {
			t.Fatalf("DecodeLine(%s) = %v", line, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", line, diff)
		}
	}
}

func TestDecodeLinePassesOverUnknownMembers(t *testing.T) {
	t.Parallel()
	want := anyEvent(rand.New(rand.NewPCG(5, 6)))
	line := bytes.Replace(want.AppendLine(nil), []byte(`{`), []byte(`{"new":{"a":[1]},`), 1)
	var got event.Event
	if err := event.DecodeLine(line, &got); err != nil || !cmp.Equal(want, got) {
		t.Errorf("DecodeLine(%s) = %v\n%s", line, err, cmp.Diff(want, got))
	}
}

func TestDecodeLineReadsLinesWithoutFormer(t *testing.T) {
	t.Parallel()
	want := anyEvent(rand.New(rand.NewPCG(9, 10)))
	want.Former = uuid.New()
	line := want.AppendLine(nil)
	member := fmt.Sprintf(`,"was":"%s"`, want.Former)
	if !bytes.Contains(line, []byte(member)) {
		t.Fatalf("no %s in %s", member, line)
	}
	line, want.Former = bytes.Replace(line, []byte(member), nil, 1), uuid.Nil
	got := event.Event{Former: uuid.New()}
	if err := event.DecodeLine(line, &got); err != nil || !cmp.Equal(want, got) {
		t.Errorf("DecodeLine(%s) = %v\n%s", line, err, cmp.Diff(want, got))
	}
	if again := got.AppendLine(nil); !bytes.Equal(line, again) || got.LineSize() != len(line) {
		t.Errorf("the line of an event without a former fingerprint is %s, want %s", again, line)
	}
}

func TestDecodeLineRefuses(t *testing.T) {
	t.Parallel()
	e := event.Event{ID: event.NewID(received), EventID: uuid.New(), Fingerprint: uuid.New(), ReceivedAt: received, Level: event.Info, Message: "m"}
	line := string(e.AppendLine(nil))
	if err := event.DecodeLine([]byte(line), new(event.Event)); err != nil {
		t.Fatal(err)
	}
	swap := func(from, to string) string {
		if !strings.Contains(line, from) {
			t.Fatalf("no %s in %s", from, line)
		}
		return strings.Replace(line, from, to, 1)
	}
	tests := []struct{ name, in, want string }{
		{"nothing", ``, "not a line of clean JSON"},
		{"an array", `[]`, "a line must be an object, not an array"},
		{"an empty object", `{}`, "a line lacks v, id, eid, fp, rcv, occ, lvl, tags, extra"},
		{"a line cut short", line[:len(line)-1], "not a line of clean JSON"},
		{"two lines", line + line, "not a line of clean JSON"},
		{"white space", swap(`,"tags"`, `, "tags"`), "not a line of clean JSON"},
		{"NUL", swap(`"m"`, `"\u0000"`), "not a line of clean JSON"},
		{"another schema", swap(`"v":1`, `"v":2`), `member "v" of a line is not valid`},
		{"no level", swap(`,"lvl":"info"`, ``), "a line lacks lvl"},
		{"an unknown level", swap(`"lvl":"info"`, `"lvl":"warn"`), `member "lvl" of a line is not valid`},
		{"an id twice", swap(`"tags":{}`, fmt.Sprintf(`"tags":{},"eid":"%s"`, e.EventID)), `member "eid" of a line occurs twice`},
		{"a nil id", swap(e.EventID.String(), uuid.Nil.String()), `member "eid" of a line is not valid`},
		{"an id of another time", swap(e.ID.String(), event.NewID(received.Add(time.Second)).String()), "id "},
		{"an id of another version", swap(e.ID.String(), uuid.New().String()), "id "},
		{"a former fingerprint that is nil", swap(`,"tags"`, fmt.Sprintf(`,"was":"%s","tags"`, uuid.Nil)), `member "was" of a line is not valid`},
		{"a former fingerprint that is none", swap(`,"tags"`, `,"was":1,"tags"`), `member "was" of a line is not valid`},
		{"a time as text", swap(`"occ":`, `"occ":"x","o":`), `member "occ" of a line is not valid`},
		{"a time too late", swap(`"occ":`, `"occ":9223372036854775807,"o":`), `member "occ" of a line is not valid`},
		{"a message that is no text", swap(`"msg":"m"`, `"msg":1`), `member "msg" of a line is not valid`},
		{"tags that are no object", swap(`"tags":{}`, `"tags":[]`), `member "tags" of a line is not valid`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := event.DecodeLine([]byte(tt.in), new(event.Event))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || !fault.Is(err, fault.Invalid) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

func FuzzDecodeLine(f *testing.F) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 5 {
		e := anyEvent(rng)
		f.Add(e.AppendLine(nil))
	}
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var e event.Event
		if err := event.DecodeLine(line, &e); err != nil {
			return
		}
		again := e.AppendLine(nil)
		if len(again) != e.LineSize() {
			t.Fatalf("LineSize() = %d, want %d: %s", e.LineSize(), len(again), again)
		}
		var second event.Event
		if err := event.DecodeLine(again, &second); err != nil || !cmp.Equal(e, second) {
			t.Fatalf("%s became %s, %v", line, again, err)
		}
		if err := rawjson.Check(again, 600); err != nil {
			t.Fatal(err)
		}
	})
}
