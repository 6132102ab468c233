package event_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
)

// received is when the events of these tests are received.
var received = time.Date(2026, 1, 31, 12, 0, 0, 123456789, time.UTC)

// with returns an event that is complete apart from members, which come last.
func with(members string) string {
	return `{"message":"disk full","level":"error","timestamp":"2026-01-31T11:59:59Z",` + members + `}`
}

func TestDecodeSaysWhatToFix(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{`{}`, `missing required field: message (or exception), level, timestamp; the least an event needs is {"message":"disk full","level":"error","timestamp":"2026-01-31T12:00:00Z"}`},
		{`{"message":" ","level":null,"exception":[]}`, `missing required field: message (or exception), level, timestamp; the least`},
		{`{"exception":{"type":"E"},"level":"info"}`, `missing required field: timestamp; the least`},
		{`[]`, `an event must be a JSON object, not an array`},
		{`"text"`, `an event must be a JSON object, not a string`},
		{``, `the event is not valid JSON: unexpected end: expected a value (at byte 0)`},
		{`{"message":"x",}`, `the event is not valid JSON: expected a key in double quotes (at byte 15)`},
		{`{} {}`, `unexpected text after the event (at byte 3)`},
		{with(`"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100)), `the event is nested deeper than 100 levels (at byte 177)`},
		{with(`"message":7`), `message must be a string, not the number 7`},
		{with(`"release":["1"]`), `release must be a string, not an array`},
		{with(`"level":"loud"`), `level must be one of fatal, error, warning, info, debug, not "loud"`},
		{with(`"level":3`), `level must be a string, not the number 3`},
		{with(`"timestamp":"yesterday"`), `timestamp must be RFC 3339 such as 2026-01-31T12:00:00Z, or epoch seconds, not "yesterday"`},
		{with(`"timestamp":"2026-02-30T00:00:00Z"`), `timestamp must be RFC 3339 such as 2026-01-31T12:00:00Z, or epoch seconds, not "2026-02-30T00:00:00Z"`},
		{with(`"timestamp":1769860800000`), `timestamp must be epoch seconds, and 1769860800000 looks like milliseconds: divide it by 1000`},
		{with(`"timestamp":"1769860800000"`), `timestamp must be epoch seconds, and 1769860800000 looks like milliseconds: divide it by 1000`},
		{with(`"timestamp":-1769860800000`), `timestamp must be epoch seconds, and -1769860800000 looks like milliseconds: divide it by 1000`},
		{with(`"timestamp":1769860800000000`), `timestamp must be epoch seconds such as 1769860800, not 1769860800000000`},
		{with(`"timestamp":"1769860800000000000"`), `timestamp must be epoch seconds such as 1769860800, not 1769860800000000000`},
		{with(`"timestamp":1e300`), `timestamp must be epoch seconds such as 1769860800, not 1e300`},
		{with(`"timestamp":1e999`), `timestamp must be epoch seconds such as 1769860800, not 1e999`},
		{with(`"timestamp":1e14`), `timestamp must be epoch seconds such as 1769860800, not 1e14`},
		{with(`"timestamp":` + strings.Repeat("1", 400)), `timestamp must be epoch seconds such as 1769860800, not 111111111111111111111111111111`},
		{with(`"timestamp":""`), `timestamp must be RFC 3339 such as 2026-01-31T12:00:00Z, or epoch seconds, not ""`},
		{with(`"timestamp":"1_0"`), `timestamp must be RFC 3339 such as 2026-01-31T12:00:00Z, or epoch seconds, not "1_0"`},
		{with(`"timestamp":"1e3"`), `timestamp must be RFC 3339 such`},
		{with(`"timestamp":"0x10"`), `timestamp must be RFC 3339 such`},
		{with(`"timestamp":" 12"`), `timestamp must be RFC 3339 such`},
		{with(`"timestamp":"12 "`), `timestamp must be RFC 3339 such`},
		{with(`"timestamp":"+12"`), `timestamp must be RFC 3339 such`},
		{with(`"timestamp":"012"`), `timestamp must be RFC 3339 such`},
		{with(`"timestamp":"12."`), `timestamp must be RFC 3339 such`},
		{with(`"timestamp":".5"`), `timestamp must be RFC 3339 such`},
		{with(`"timestamp":"-"`), `timestamp must be RFC 3339 such`},
		{with(`"timestamp":"NaN"`), `timestamp must be RFC 3339 such`},
		{with(`"timestamp":"Infinity"`), `timestamp must be RFC 3339 such`},
		{with(`"timestamp":-99999999999`), `timestamp -99999999999 is not within the years 1 to 9999`},
		{with(`"timestamp":true`), `timestamp must be RFC 3339 text or epoch seconds, not a boolean`},
		{with(`"event_id":"12"`), `event_id must be a UUID of 32 hexadecimal digits, with or without dashes, not "12"`},
		{with(`"event_id":"{9b2e7c1a-0000-4000-8000-000000000000}"`), `event_id must be a UUID of 32 hexadecimal digits`},
		{with(`"event_id":"00000000000000000000000000000000"`), `event_id must be a UUID of 32 hexadecimal digits`},
		{with(`"event_id":12`), `event_id must be a string, not the number 12`},
		{with(`"trace_id":"xyz"`), `trace_id must be 32 hexadecimal digits, not "xyz"`},
		{with(`"fingerprint":{"a":1}`), `fingerprint must be an array of strings, not an object`},
		{with(`"fingerprint":["a",["b"]]`), `fingerprint[1] must be a string, not an array`},
		{with(`"tags":"a"`), `tags must be an object of strings, not a string`},
		{with(`"tags":{"foo":{"a":1}}`), `tags.foo must be a string, not an object`},
		{with(`"tags":[["a","b"],["c"]]`), `tags[1] must be a pair such as ["region","eu"]`},
		{with(`"tags":[["a",["b"]]]`), `tags.a must be a string, not an array`},
		{with(`"extra":[]`), `extra must be an object, not an array`},
		{with(`"user":"bob"`), `user must be an object, not a string`},
		{with(`"user":{"id":true}`), `user.id must be a string or a number, not a boolean`},
		{with(`"contexts":[]`), `contexts must be an object, not an array`},
		{with(`"request":"GET /"`), `request must be an object, not a string`},
		{with(`"sdk":"go"`), `sdk must be an object, not a string`},
		{with(`"breadcrumbs":"x"`), `breadcrumbs must be an array of objects, or {"values": […]}, not a string`},
		{with(`"breadcrumbs":{"a":1}`), `breadcrumbs must be an array of objects, or {"values": […]}, not an object`},
		{with(`"breadcrumbs":{"values":3}`), `breadcrumbs.values must be an array of objects, not the number 3`},
		{with(`"breadcrumbs":[{},"x"]`), `breadcrumbs[1] must be an object, not a string`},
		{with(`"threads":[1]`), `threads[0] must be an object, not the number 1`},
		{with(`"exception":"boom"`), `exception must be an object, an array of objects, or {"values": […]}, not a string`},
		{with(`"exception":["boom"]`), `exception[0] must be an object, not a string`},
		{with(`"exception":{"values":"boom"}`), `exception.values must be an array of objects, not a string`},
		{with(`"exception":[{"module":"m"}]`), `exception[0] needs a type or a value`},
		{with(`"exception":[{"type":"A"},{"type":4}]`), `exception[1].type must be a string, not the number 4`},
		{with(`"exception":{"type":"A","module":{}}`), `exception[0].module must be a string, not an object`},
		{with(`"exception":{"type":"A","mechanism":"generic"}`), `exception[0].mechanism must be an object, not a string`},
		{with(`"exception":{"type":"A","stacktrace":"at main"}`), `exception[0].stacktrace must be an object with frames, or an array of frames, not a string`},
		{with(`"exception":{"type":"A","stacktrace":{"frames":{}}}`), `exception[0].stacktrace.frames must be an array, not an object`},
		{with(`"exception":{"type":"A","stacktrace":[{},{"lineno":"12"}]}`), `exception[0].stacktrace.frames[1].lineno must be a whole number, not a string`},
		{with(`"exception":{"type":"A","stacktrace":[{"colno":1.5}]}`), `exception[0].stacktrace.frames[0].colno must be a whole number, not the number 1.5`},
		{with(`"exception":{"type":"A","stacktrace":[{"in_app":"yes"}]}`), `exception[0].stacktrace.frames[0].in_app must be true or false, not a string`},
		{with(`"exception":{"type":"A","stacktrace":[{"pre_context":"x"}]}`), `exception[0].stacktrace.frames[0].pre_context must be an array of lines, not a string`},
		{with(`"exception":{"type":"A","stacktrace":[7]}`), `exception[0].stacktrace.frames[0] must be an object, not the number 7`},
	}
	for _, tt := range tests {
		t.Run(tt.in[:min(len(tt.in), 150)], func(t *testing.T) {
			t.Parallel()
			_, err := event.Decode([]byte(tt.in), event.DefaultLimits(), received)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || !fault.Is(err, fault.Invalid) {
				t.Errorf("Decode(%s)\n error %v\n want  %s", tt.in, err, tt.want)
			}
		})
	}
}

func TestDecodeRefusesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	limits := event.DefaultLimits()
	in := with(`"x":1`)
	limits.EventBytes = len(in)
	if _, err := event.Decode([]byte(in), limits, received); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	_, err := event.Decode([]byte(in+" "), limits, received)
	if want := fmt.Sprintf("the event has %d bytes, the limit is %d", len(in)+1, len(in)); !fault.Is(err, fault.TooLarge) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestDecodeRefusesWhatBecomesTooLarge(t *testing.T) {
	t.Parallel()
	limits := event.DefaultLimits()
	limits.EventBytes = 1000
	_, err := event.Decode([]byte(with(`"x":"`+strings.Repeat("\xff", 500)+`"`)), limits, received)
	want := "the event has more than 1000 bytes, which is the limit, once what cannot be stored is replaced: each byte that is not UTF-8 by U+FFFD"
	if !fault.Is(err, fault.TooLarge) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestDecodeKeepsUnknownFields(t *testing.T) {
	t.Parallel()
	limits := event.DefaultLimits()
	limits.UnknownFields = 3
	var names []string
	for i := range 64 {
		names = append(names, `"event`+strings.Repeat("_", i)+`":0`)
	}
	taken := strings.Join(names, ",")
	tests := []struct{ name, in, extra, meta string }{
		{"beside extra", `"a":1,"extra":{"b":2}`, `{"b":2,"a":1}`, ``},
		{"the last of several", `"a":1,"b":2,"a":3`, `{"a":3,"b":2}`, ``},
		{"the last of several, however it is spelt", `"\u00e9":1,"é":2,"\n":3,"\u000a":4`, `{"\u00e9":2,"\n":4}`, ``},
		{"whose name extra has", `"a":1,"b":2,"extra":{"a":0}`, `{"a":0,"b":2,"event":{"a":1}}`, ``},
		{"whose name extra has, however it is spelt", `"é":1,"extra":{"\u00e9":0}`, `{"\u00e9":0,"event":{"é":1}}`, ``},
		{"whose name extra has twice", `"a":1,"extra":{"a":0,"a":0}`, `{"a":0,"a":0,"event":{"a":1}}`, ``},
		{"when event is taken by extra", `"a":1,"extra":{"a":0,"event":0}`, `{"a":0,"event":0,"event_":{"a":1}}`, ``},
		{"when event is taken by another", `"a":1,"event":2,"event_x":3,"extra":{"a":0}`, `{"a":0,"event":2,"event_x":3,"event_":{"a":1}}`, ``},
		{"when event is taken by both", `"event":1,"extra":{"event":0,"event__":0}`, `{"event":0,"event__":0,"event_":{"event":1}}`, ``},
		{"when each name is taken", `"event":1,"b":2,"extra":{` + taken + `}`, `{` + taken + `,"b":2}`, `{"dropped":[{"field":"unknown fields","count":1}]}`},
		{"up to the limit", `"a":1,"b":2,"c":3,"d":4,"a":5,"e":6`, `{"a":5,"b":2,"c":3}`, `{"dropped":[{"field":"unknown fields","count":2}]}`},
		{"unless extra replaces them", `"extra":{"a":1},"extra":{"b":2},"b":3`, `{"b":2,"event":{"b":3}}`, ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, err := event.Decode([]byte(with(tt.in)), limits, received)
			if err != nil || string(e.Extra) != tt.extra || string(e.Meta) != tt.meta {
				t.Errorf("Decode(%s) has\n extra %s and meta %s, %v; want\n extra %s and meta %s", tt.in, e.Extra, e.Meta, err, tt.extra, tt.meta)
			}
		})
	}
}

func TestDecodeKeepsMetaShort(t *testing.T) {
	t.Parallel()
	var tags []string
	for i := range 150 {
		tags = append(tags, fmt.Sprintf(`"%03d%s":"%s"`, i, strings.Repeat("k", 100), strings.Repeat("v", 201)))
	}
	e, err := event.Decode([]byte(with(`"tags":{`+strings.Join(tags, ",")+`}`)), event.DefaultLimits(), received)
	if err != nil {
		t.Fatal(err)
	}
	meta := string(e.Meta)
	first := `{"trimmed":[{"field":"tags.000` + strings.Repeat("k", 56) + `","length":201},`
	if strings.Count(meta, `"field"`) != 100 || !strings.HasPrefix(meta, first) || !strings.HasSuffix(meta, `],"trimmed_more":50}`) {
		t.Errorf("meta %s", meta)
	}
}

func TestDecodeCountsFramesOfAllStacks(t *testing.T) {
	t.Parallel()
	limits := event.DefaultLimits()
	limits.Frames = 1
	const entry = `{"type":"T","stacktrace":[{},{},{}]}`
	e, err := event.Decode([]byte(with(`"exception":[`+entry+`,`+entry+`]`)), limits, received)
	if want := `{"dropped":[{"field":"exception.stacktrace.frames","count":4}]}`; err != nil || string(e.Meta) != want {
		t.Errorf("meta %s, %v; want %s", e.Meta, err, want)
	}
}

func TestDecodeTakesTheLastStack(t *testing.T) {
	t.Parallel()
	const in = `"exception":{"stacktrace":[],"type":"T","stacktrace":null,"stacktrace":[{"lineno":1}],"module":"m"}`
	e, err := event.Decode([]byte(with(in)), event.DefaultLimits(), received)
	if want := `[{"stacktrace":{"frames":[{"lineno":1}]},"type":"T","module":"m"}]`; err != nil || string(e.Exception) != want {
		t.Errorf("exception %s, %v; want %s", e.Exception, err, want)
	}
}

func TestDecodeTimestamps(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{`"2026-01-31T11:59:59Z"`, "2026-01-31T11:59:59Z"},
		{`"2026-01-31t11:59:59.5z"`, "2026-01-31T11:59:59.5Z"},
		{`"2026-01-31 11:59:59.123456789"`, "2026-01-31T11:59:59.123456Z"},
		{`"2026-01-31T11:59:59"`, "2026-01-31T11:59:59Z"},
		{`"2026-01-31T13:59:59+02:00"`, "2026-01-31T11:59:59Z"},
		{`"2026-01-31T06:29:59-0530"`, "2026-01-31T11:59:59Z"},
		{`"2024-02-29T00:00:00Z"`, "2024-02-29T00:00:00Z"},
		{`1769860799`, "2026-01-31T11:59:59Z"},
		{`1769860799.25`, "2026-01-31T11:59:59.25Z"},
		{`1.769860799123456e9`, "2026-01-31T11:59:59.123456Z"},
		{`"1769860799.000001"`, "2026-01-31T11:59:59.000001Z"},
		{`-1`, "1969-12-31T23:59:59Z"},
		{`"-1.5"`, "1969-12-31T23:59:58.5Z"},
		{`"0"`, "1970-01-01T00:00:00Z"},
		{`99999999999`, "5138-11-16T09:46:39Z"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			e, err := event.Decode([]byte(with(`"timestamp":`+tt.in)), event.DefaultLimits(), received)
			if got := e.OccurredAt.Format(time.RFC3339Nano); err != nil || got != tt.want || e.OccurredAt.Location() != time.UTC {
				t.Errorf("Decode(%s) occurred at %s, %v; want %s", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestDecodeSetsIdentity(t *testing.T) {
	t.Parallel()
	e, err := event.Decode([]byte(with(`"event_id":"9B2E7C1A-0000-4000-8000-00000000000a"`)), event.DefaultLimits(), received)
	if err != nil {
		t.Fatal(err)
	}
	if want := uuid.MustParse("9b2e7c1a-0000-4000-8000-00000000000a"); e.EventID != want {
		t.Errorf("event id %s, want %s", e.EventID, want)
	}
	if want := received.Truncate(time.Millisecond); !e.ReceivedAt.Equal(want) {
		t.Errorf("received at %s, want %s", e.ReceivedAt, want)
	}
	seconds, nanos := e.ID.Time().UnixTime()
	if e.ID.Version() != 7 || e.ID.Variant() != uuid.RFC4122 || !time.Unix(seconds, nanos).Equal(e.ReceivedAt) {
		t.Errorf("id %s is of version %d and made at %s", e.ID, e.ID.Version(), time.Unix(seconds, nanos))
	}
	if e, err = event.Decode([]byte(with(`"x":1`)), event.DefaultLimits(), received); err != nil || e.EventID != uuid.Nil {
		t.Errorf("event id %s, %v; want none", e.EventID, err)
	}
}

func TestDecoderReusesItsBuffers(t *testing.T) {
	t.Parallel()
	d := event.NewDecoder(event.DefaultLimits())
	var a, b event.Event
	if err := d.Decode([]byte(with(`"release":"1","tags":{"n":1},"fingerprint":"f"`)), received, &a); err != nil {
		t.Fatal(err)
	}
	if err := d.Decode([]byte(with(`"release":"2"`)), received, &b); err != nil {
		t.Fatal(err)
	}
	if a.Release != "1" || b.Release != "2" || string(b.Tags) != "{}" || b.ClientFingerprint != nil || b.Meta != nil {
		t.Errorf("the first has release %s; the second is %+v", a.Release, b)
	}
}

func TestTrim(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in     string
		limit  int
		want   string
		length int
	}{
		{"abc", 3, "abc", 3},
		{"abcd", 3, "abc", 4},
		{"äöü", 3, "äöü", 3},
		{"äöüß", 3, "äöü", 4},
		{"\U0001f600\U0001f600", 1, "\U0001f600", 2},
		{"", 0, "", 0},
	}
	for _, tt := range tests {
		got, length := event.Trim(tt.in, tt.limit)
		if got != tt.want || length != tt.length || !utf8.ValidString(got) {
			t.Errorf("Trim(%q, %d) = %q, %d; want %q, %d", tt.in, tt.limit, got, length, tt.want, tt.length)
		}
	}
}
