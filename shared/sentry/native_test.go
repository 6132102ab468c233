package sentry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rawjson"
	"github.com/mesherhq/mesher/shared/sentry"
)

// atNoon is the source of the events of these tests.
var atNoon = sentry.Source{EventID: envelopeID, ReceivedAt: received}

// TestOneField converts events of one field and compares what one member of the line says.
func TestOneField(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, member, want string }{
		{"time as a float", `"timestamp":1769860799.123456`, "occ", `1769860799123456`},
		{"time as a whole number", `"timestamp":1769860799`, "occ", `1769860799000000`},
		{"time in nanoseconds", `"timestamp":"2026-01-31T11:59:59.123456789Z"`, "occ", `1769860799123456`},
		{"time with an offset", `"timestamp":"2026-01-31T13:59:59.5+02:00"`, "occ", `1769860799500000`},
		{"time without a zone", `"timestamp":"2026-01-31T11:59:59"`, "occ", `1769860799000000`},
		{"time without a zone, with a fraction", `"timestamp":"2026-01-31T11:59:59.25"`, "occ", `1769860799250000`},
		{"time in milliseconds", `"timestamp":1769860799123`, "occ", `1769860799123000`},
		{"time as digits in quotes", `"timestamp":"1769860799.5"`, "occ", `1769860799500000`},
		{"no time", `"message":"x"`, "occ", `1769860800123000`},
		{"a time that is none", `"timestamp":{"at":1}`, "occ", `1769860800123000`},
		{"a time beyond all years", `"timestamp":1e300`, "occ", `1769860800123000`},
		{"a time beyond all years is kept", `"timestamp":1e300`, "extra", `{"timestamp":1e300}`},
		{"no level", `"message":"x"`, "lvl", `"error"`},
		{"level log", `"level":"log"`, "lvl", `"info"`},
		{"level of Python's logging", `"level":30`, "lvl", `"warning"`},
		{"level in capitals", `"level":"Fatal"`, "lvl", `"fatal"`},
		{"an unknown level", `"level":"sample"`, "lvl", `"error"`},
		{"an unknown level is kept", `"level":"sample"`, "extra", `{"level":"sample"}`},
		{"message as an object", `"message":{"formatted":"a 1","message":"a %s","params":[1]}`, "msg", `"a 1"`},
		{"formatted wins", `"logentry":{"message":"a %s","params":["1"],"formatted":"b"}`, "msg", `"b"`},
		{"message is the template", `"logentry":{"message":"a","params":null}`, "msg", `"a"`},
		{"nothing but the message need be kept", `"logentry":{"message":"a","formatted":"a","params":[]}`, "extra", `{}`},
		{"a template is kept", `"logentry":{"message":"a %s","params":[1]}`, "extra", `{"logentry":{"message":"a %s","params":[1]}}`},
		{"logentry as text", `"logentry":"a"`, "msg", `"a"`},
		{"message as a number", `"message":5`, "msg", `"5"`},
		{"blank message", `"message":" \n ","logentry":{"message":"a"}`, "msg", `"a"`},
		{"params that are too few", `"logentry":{"message":"%s and %s","params":["a"]}`, "msg", `"a and %s"`},
		{"params with names", `"logentry":{"message":"{who} has {n:d} {{x}","params":{"who":"a","n":2}}`, "msg", `"a has 2 {x}"`},
		{"params with numbers", `"logentry":{"message":"{1} {0}","params":["a","b"]}`, "msg", `"b a"`},
		{"params with widths", `"logentry":{"message":"%-5.2f|%03d|%%|%ld","params":[1.5,7,8]}`, "msg", `"1.5|7|%|8"`},
		{"params without placeholders", `"logentry":{"message":"100% sure {","params":["a"]}`, "msg", `"100% sure {"`},
		{"trace of contexts", `"contexts":{"trace":{"trace_id":"0AF7651916CD43DD8448EB211C80319C"}}`, "trace", `"0af7651916cd43dd8448eb211c80319c"`},
		{"id with dashes", `"event_id":"c0ffee00-0000-4000-8000-000000000001"`, "eid", `"c0ffee00-0000-4000-8000-000000000001"`},
		{"id of the envelope", `"event_id":null`, "eid", `"e0000000-0000-4000-8000-000000000001"`},
		{"id of zeros", `"event_id":"00000000000000000000000000000000"`, "eid", `"e0000000-0000-4000-8000-000000000001"`},
		{"user.id as a number", `"user":{"id":12345678901234567890,"x":1}`, "user", `{"id":"12345678901234567890","x":1}`},
		{"user as text", `"user":"bob"`, "extra", `{"user":"bob"}`},
		{"user as PHP's empty array", `"user":[],"contexts":[],"extra":[],"tags":[],"request":[]`, "extra", `{}`},
		{"an address to be resolved", `"user":{"ip_address":"{{auto}}"}`, "user", `{"ip_address":"{{auto}}"}`},
		{"tags of all kinds", `"tags":{"a":1,"b":true,"c":null,"d":0.5}`, "tags", `{"a":"1","b":"true","d":"0.5"}`},
		{"tags as pairs", `"tags":[["k","v"],null,["n",null]]`, "tags", `{"k":"v"}`},
		{"a tag that is an object", `"tags":{"k":"v","o":{"x":1}}`, "extra", `{"tags":{"o":{"x":1}}}`},
		{"extra", `"extra":{"a":1},"dist":"7"`, "extra", `{"a":1,"dist":"7"}`},
		{"extra that is none", `"extra":[1]`, "extra", `{"extra":[1]}`},
		{"extra that has the name", `"extra":{"user":1,"user_":2},"user":"bob"`, "extra", `{"user":1,"user_":2,"user__":"bob"}`},
		{"threads as values", `"threads":{"values":[{"id":1}]}`, "thr", `[{"id":1}]`},
		{"threads as an array", `"threads":[{"id":"a"}]`, "thr", `[{"id":"a"}]`},
		{"breadcrumbs as values", `"breadcrumbs":{"values":[{"message":"a"}]}`, "crumbs", `[{"message":"a"}]`},
		{"breadcrumbs beside values", `"breadcrumbs":{"values":[],"more":1}`, "extra", `{"breadcrumbs":{"more":1}}`},
		{"fingerprint of numbers", `"fingerprint":["a",1,null,{"b":2}]`, "cfp", `["a","1","{\"b\":2}"]`},
		{"fingerprint that is one number", `"fingerprint":5`, "cfp", `["5"]`},
		{"release as a number", `"release":5`, "rel", `"5"`},
		{"exception without a type", `"exception":{"values":[{"value":"a","type":null,"mechanism":null}]}`, "exc", `[{"value":"a","type":null,"mechanism":null}]`},
		{"exception without anything", `"exception":{"values":[{"stacktrace":{"frames":[]}}]}`, "exc", `[{"stacktrace":{"frames":[]},"value":"(no message)"}]`},
		{"exception that is empty", `"exception":{"values":[]}`, "msg", `"(no message)"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := converted(t, []byte(`{`+test.in+`}`), atNoon)
			e.EventID, e.Fingerprint = orID(e), e.ID
			if got := rawjson.Lookup(e.AppendLine(nil), test.member); string(got) != test.want {
				t.Errorf("%s is %s, want %s", test.member, got, test.want)
			}
		})
	}
}

// orID returns the event's id, which every line must have.
func orID(e event.Event) (id [16]byte) {
	id = e.EventID
	if id == [16]byte{} {
		id = e.ID
	}
	return id
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	small := event.DefaultLimits()
	small.EventBytes, small.Depth = 200, 3
	for _, test := range []struct {
		name, in string
		kind     fault.Kind
		want     string
	}{
		{"not JSON", `{"a":}`, fault.Invalid, "not valid JSON"},
		{"not an object", `[]`, fault.Invalid, "must be a JSON object, not an array"},
		{"text behind", `{} x`, fault.Invalid, "unexpected text after the event (at byte 3)"},
		{"too deep", `{"a":[[[]]]}`, fault.Invalid, "nested deeper than 3 levels"},
		{"too long", `{"a":"` + strings.Repeat("x", 200) + `"}`, fault.TooLarge, "has 208 bytes, the limit is 200"},
		{"too long when cleaned", `{"a":"` + strings.Repeat("\xff", 100) + `"}`, fault.TooLarge, "more than 200 bytes"},
		{"too long when native", `{"a":"` + strings.Repeat("x", 150) + `"}`, fault.TooLarge, "the limit is 200"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dst := []byte("kept")
			out, _, err := sentry.NewConverter(small).AppendNative(dst, []byte(test.in), atNoon)
			if !fault.Is(err, test.kind) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
			if string(out) != "kept" {
				t.Errorf("dst came back as %q", out)
			}
		})
	}
}

// TestNothingIsLost makes events whose fields hold anything but what they should, with a mark in each text, and
// looks for the marks in what would be stored.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	names := []string{
		"message", "logentry", "level", "event_id", "trace_id", "environment", "release", "platform", "transaction",
		"server_name", "logger", "fingerprint", "exception", "threads", "breadcrumbs", "user", "contexts", "request", "sdk",
		"tags", "extra", "modules", "dist", "_meta", "culprit", "timestamp",
	}
	limits := event.DefaultLimits() // no text is cut: that is the Decoder's business, and noted
	for _, limit := range []*int{
		&limits.Message, &limits.ExceptionType, &limits.ExceptionValue, &limits.Environment, &limits.Release,
		&limits.Platform, &limits.Transaction, &limits.ServerName, &limits.Logger, &limits.UserID, &limits.FingerprintPart,
	} {
		*limit = 1 << 20
	}
	c, d := sentry.NewConverter(limits), event.NewDecoder(limits)
	for seed := range uint64(4000) {
		m := maker{rng: rand.New(rand.NewPCG(seed, 1))}
		raw := []byte("{")
		for i, name := range names {
			if i > 0 {
				raw = append(raw, ',')
			}
			raw = fmt.Appendf(raw, "%q:%s", name, m.value(5))
		}
		raw = append(raw, '}')
		if !json.Valid(raw) {
			t.Fatalf("the test made %s", raw)
		}
		native, replaced, err := c.AppendNative(nil, raw, atNoon)
		if err != nil {
			t.Fatalf("seed %d: %v: %s", seed, err, raw)
		}
		var e event.Event
		if err := d.DecodeClean(native, replaced, received, &e); err != nil {
			t.Fatalf("seed %d: %v\n%.1500s\n%.1500s", seed, err, raw, native)
		}
		line := e.AppendLine(nil)
		for mark := range m.marks {
			if text := fmt.Sprintf("mark%dx", mark); !bytes.Contains(line, []byte(text)) {
				t.Fatalf("seed %d: %s is lost\n%.1500s\n%.1500s", seed, text, raw, line)
			}
		}
	}
}

// maker makes JSON values at random.
type maker struct {
	rng   *rand.Rand
	marks int // that were given out
}

// members are names that mean something somewhere in an event.
var members = []string{
	"values", "type", "value", "module", "mechanism", "stacktrace", "frames", "function", "filename", "lineno", "in_app",
	"pre_context", "context_line", "id", "message", "formatted", "params", "trace", "trace_id", "user", "a",
}

// value returns a value nested at most depth levels. An object has no member twice.
func (m *maker) value(depth int) string {
	switch n := m.rng.IntN(10); {
	case n == 0:
		return [...]string{"null", "true", "false", `""`, "[]", "{}", "0", "-1.5e3"}[m.rng.IntN(8)]
	case n < 4 || depth == 0:
		m.marks++
		return fmt.Sprintf(`"mark%dx"`, m.marks-1)
	case n < 6:
		items := make([]string, m.rng.IntN(4))
		for i := range items {
			items[i] = m.value(depth - 1)
		}
		return "[" + strings.Join(items, ",") + "]"
	default:
		var items []string
		for _, i := range m.rng.Perm(len(members))[:m.rng.IntN(6)] {
			items = append(items, fmt.Sprintf("%q:%s", members[i], m.value(depth-1)))
		}
		return "{" + strings.Join(items, ",") + "}"
	}
}
