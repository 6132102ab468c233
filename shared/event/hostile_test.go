package event_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
)

// shape is an event made to cost as much as it can.
type shape struct {
	name, raw string
	refused   bool // at full size
}

// repeat returns an event of at most size bytes: before, as many items as fit, with commas between them, and
// after.
func repeat(size int, before string, item func(i int) string, after string) string {
	size -= len(with(before + after))
	var b strings.Builder
	for i := 0; ; i++ {
		text := item(i)
		if b.Len()+len(text)+1 > size {
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(text)
	}
	return with(before + b.String() + after)
}

// fill is repeat for a long text made of units.
func fill(size int, before, unit, after string) string {
	return with(before + strings.Repeat(unit, (size-len(with(before+after)))/len(unit)) + after)
}

// shapes returns hostile events of at most size bytes.
func shapes(size int) []shape {
	same := func(item string) func(int) string { return func(int) string { return item } }
	num := func(format string) func(int) string { return func(i int) string { return fmt.Sprintf(format, i) } }
	list := func(open string, item func(int) string, end string) string { return repeat(size, open, item, end) }
	bytes200, bytes201 := strings.Repeat("k", 190), strings.Repeat(`\u0001`, 201)

	var prefixes strings.Builder // a, event.a, event.event.a and so on, in a quarter of the bytes
	prefixes.WriteString(`"extra":{"a":0`)
	for i := 1; prefixes.Len()+6*i < size/4; i++ {
		prefixes.WriteString(`,"` + strings.Repeat("event.", i) + `a":0`)
	}
	prefixes.WriteString("},")
	var clashing strings.Builder // half of the bytes in extra, the same names in the other half
	clashing.WriteString(`"extra":{"x":0`)
	for i := 0; clashing.Len() < size/2; i++ {
		fmt.Fprintf(&clashing, `,"%x":0`, i)
	}
	clashing.WriteString("},")
	return []shape{
		{"unknown fields, each another", list("", num(`"%x":1`), ""), false},
		{"unknown field, again and again", list("", same(`"a":1`), ""), false},
		{"unknown fields, escaped names", list("", num(`"\u00e9%x":1`), ""), false},
		{"unknown fields, a thousand of long names", list("", func(i int) string {
			return fmt.Sprintf(`"%x%s":1`, i, strings.Repeat(`\n`, size/2100))
		}, ""), false},
		{"names chained by prefixes", list(prefixes.String(), same(`"a":1`), ""), false},
		{"names chained by underscores", list(`"event":1,"extra":{`, func(i int) string {
			return `"event` + strings.Repeat("_", i) + `":0`
		}, `}`), false},
		{"names that extra has", list(clashing.String(), num(`"%x":1`), ""), false},
		{"extra of many names", list(`"a":1,"extra":{`, num(`"%x":1`), `}`), false},
		{"extra, again and again", list("", same(`"extra":{"a":1}`), `,"a":1`), false},
		{"known fields, again and again", list("", same(`"user":{},"tags":{},"release":"1"`), ""), false},
		{"tags", list(`"tags":{`, num(`"%x":"v"`), `}`), false},
		{"tags that are numbers", list(`"tags":{`, num(`"%x":1`), `}`), false},
		{"tags as pairs", list(`"tags":[`, num(`["%x",1]`), `]`), false},
		{"tags that are null", list(`"tags":{"n":1,`, num(`"%x":null`), `}`), false},
		{"tags with everything over the limit", list(`"tags":{`, num(`"%x`+bytes200+bytes201+`":"`+bytes201+`"`), `}`), false},
		{"tags, one of them wrong", fill(size, `"tags":{"`, "k", `":{}}`), true},
		{"fingerprint", list(`"fingerprint":[`, num(`%d`), `]`), false},
		{"fingerprint of long parts", list(`"fingerprint":[`, num(`"%x`+bytes201+`"`), `]`), false},
		{"breadcrumbs", list(`"breadcrumbs":[`, same(`{}`), `]`), false},
		{"breadcrumbs that are null", list(`"breadcrumbs":[{},`, same(`null`), `]`), false},
		{"breadcrumbs under values, again and again", list(`"breadcrumbs":{`, same(`"values":[]`), `}`), false},
		{"threads", list(`"threads":[`, same(`{}`), `]`), false},
		{"exceptions", list(`"exception":[`, same(`{"type":"a"}`), `]`), false},
		{"exceptions with bare stacks", list(`"exception":[`, same(`{"type":"a","stacktrace":[]}`), `]`), false},
		{"stack, again and again", list(`"exception":{"type":"a",`, same(`"stacktrace":[]`), `}`), false},
		{"types, again and again", list(`"exception":{`, same(`"type":"a"`), `}`), false},
		{"frames", list(`"exception":{"type":"a","stacktrace":[`, same(`{}`), `]}`), false},
		{"frames that are null", list(`"exception":{"type":"a","stacktrace":{"frames":[`, same(`null`), `]}}`), false},
		{"frames under frames, again and again", list(`"exception":{"type":"a","stacktrace":{`, same(`"frames":[null]`), `}}`), false},
		{"frame of many members", list(`"exception":{"type":"a","stacktrace":[{`, num(`"lineno":%d`), `}]}`), false},
		{"stacks over the limit", list(`"exception":[`, same(`{"type":"a","stacktrace":[{}`+strings.Repeat(`,{}`, 300)+`]}`), `]`), false},
		{"user ids", list(`"user":{`, num(`"id":%d`), `}`), false},
		{"trace ids", list(`"contexts":{"trace":{`, num(`"trace_id":"%032x"`), `}}`), false},
		{"text of short escapes", fill(size, `"message":"`, `\b`, `"`), false},
		{"text of long escapes", fill(size, `"message":"`, `\u0001`, `"`), false},
		{"text of needless escapes", fill(size, `"message":"`, `\u0061`, `"`), false},
		{"text of escaped slashes", fill(size, `"message":"`, `\/`, `"`), false},
		{"text of escaped pairs", fill(size, `"message":"`, `\ud83d\ude00`, `"`), false},
		{"text of what Postgres refuses", fill(size, `"message":"`, `\u0000\ud800`, `"`), false},
		{"text that is not UTF-8", fill(size, `"message":"`, "\xff", `"`), true},
		{"text that is not UTF-8, a third", fill(size/3, `"message":"`, "\xff", `"`), false},
		{"exception of text that is not UTF-8", fill(max(1000, size/40), `"user":{"id":"`+strings.Repeat("\xff", 200)+`"},"exception":{"value":"`, "\xff", `"}`), false},
		{"exception of long escapes", fill(size, `"exception":{"value":"`, `\u0001`, `"}`), false},
		{"numbers of huge exponents", repeat(size*3/4, `"a":[`, same(`1e1001`), `]`), false},
		{"white space", list("", same(`"a" : [ 1 ]`), ""), false},
		{"arrays as deep as allowed", list(`"a":[`, same(strings.Repeat("[", 98)+strings.Repeat("]", 98)), `]`), false},
		{"objects as deep as allowed", list(`"a":[`, same(strings.Repeat(`{"":`, 98)+"1"+strings.Repeat("}", 98)), `]`), false},
		{"arrays too deep", fill(size, `"a":`, "[", ``), true},
		{"timestamp of many digits", fill(size, `"timestamp":"1769860799.`, "1", `"`), false},
		{"timestamp that is none", fill(size, `"timestamp":"`, "x", `"`), true},
	}
}

// TestHostileEvents holds the lines of hostile events of every size to what Limits.LineBytes promises. The
// figures are those of BenchmarkHostile; this only fails when work is no longer linear.
func TestHostileEvents(t *testing.T) {
	t.Parallel()
	limits := event.DefaultLimits()
	for _, s := range shapes(limits.EventBytes) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if len(s.raw) > limits.EventBytes {
				t.Fatalf("the shape has %d bytes", len(s.raw))
			}
			start := time.Now()
			e, err := event.Decode([]byte(s.raw), limits, received)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			if (err != nil) != s.refused {
				t.Fatalf("error %.200v, want one: %v", err, s.refused)
			}
			if err != nil {
				if len(err.Error()) > 500 {
					t.Errorf("an error of %d bytes: %.500v", len(err.Error()), err)
				}
				return
			}
			e.EventID, e.Fingerprint, e.Former = e.ID, uuid.New(), uuid.New()
			checkSize(t, len(s.raw), &e, &limits)
			if len(e.Meta) > 45<<10 {
				t.Errorf("meta has %d bytes", len(e.Meta))
			}
			if err := event.DecodeLine(e.AppendLine(nil), new(event.Event)); err != nil {
				t.Error(err)
			}
		})
	}
}

// checkSize fails unless the line of e, which came of raw bytes, is as long as promised.
func checkSize(t *testing.T, raw int, e *event.Event, l *event.Limits) {
	t.Helper()
	size, most := len(e.AppendLine(nil)), min(3*raw+128<<10, l.LineBytes())
	if size > most || size != e.LineSize() {
		t.Fatalf("the line has %d bytes, LineSize says %d, at most %d are promised for an event of %d", size, e.LineSize(), most, raw)
	}
}

func TestDecodeRefusesALineTooLong(t *testing.T) {
	t.Parallel()
	limits := event.DefaultLimits()
	limits.ExceptionValue = limits.EventBytes // so that nearly all of the event stands in its line twice
	raw := fill(limits.EventBytes, `"exception":{"value":"`, "x", `"}`)
	_, err := event.Decode([]byte(raw), limits, received)
	if want := "the event has 20"; !fault.Is(err, fault.TooLarge) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want %s…", err, want)
	}
}

// BenchmarkHostile decodes hostile events of a megabyte. An event may take 50 ms.
func BenchmarkHostile(b *testing.B) {
	limits := event.DefaultLimits()
	for _, s := range shapes(limits.EventBytes) {
		b.Run(strings.ReplaceAll(s.name, " ", "-"), func(b *testing.B) {
			d, raw, size := event.NewDecoder(limits), []byte(s.raw), 0
			var e event.Event
			b.ReportAllocs()
			for b.Loop() {
				if err := d.Decode(raw, received, &e); (err != nil) != s.refused {
					b.Fatal(err)
				}
			}
			if !s.refused {
				size = e.LineSize()
			}
			b.ReportMetric(float64(size)/float64(len(raw)), "line/raw")
		})
	}
}
