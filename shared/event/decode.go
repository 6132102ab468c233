package event

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// Decode reads one event in the native format with a Decoder of its own. The event shares memory with nobody.
func Decode(raw []byte, limits Limits, receivedAt time.Time) (Event, error) {
	var e Event
	err := NewDecoder(limits).Decode(raw, receivedAt, &e)
	return e, err
}

// Decoder reads events in the native format and reuses its buffers from one to the next. It serves one
// goroutine at a time.
type Decoder struct {
	limits  Limits
	clean   []byte         // clean text of the event; most fields alias it
	scratch []byte         // text that had to be written anew; the other fields alias it
	sent    sent           // the known fields, as they came
	unknown []member       // the rest
	places  map[string]int // of the unknown fields, by their names without escapes
	name    []byte         // a key without its escapes
	items   [][]byte       // elements of the list being read
	last    head           // of the exception
	notes   notes
}

// maxKept is how many bytes of buffers a Decoder keeps for the next event: a single huge one must not swell
// it for good.
const maxKept = 256 << 10

// NewDecoder returns a Decoder for events within limits.
func NewDecoder(limits Limits) *Decoder {
	return &Decoder{limits: limits, places: make(map[string]int)}
}

// Decode reads raw, which is one event in the native format and nothing else but white space, into e. The
// []byte fields of e are valid until the next call; everything else stays.
//
// Every error is a *fault.Error whose detail says what to fix: Invalid, or TooLarge above the size limit. Work
// and memory are linear in len(raw), whatever it holds: see Limits.LineBytes for what can come of it.
//
// ID is new, EventID is uuid.Nil unless the client sent one, and Fingerprint, Title and Culprit are for
// package grouping to set.
func (d *Decoder) Decode(raw []byte, receivedAt time.Time, e *Event) error {
	if err := d.limits.fits(len(raw)); err != nil {
		return err
	}
	if cap(d.clean)+cap(d.scratch)+cap(d.name) > maxKept && len(raw) < maxKept {
		d.clean, d.scratch, d.name, d.unknown, d.places = nil, nil, nil, nil, make(map[string]int)
	}
	clean, n, replaced, err := rawjson.Clean(d.clean[:0], raw, d.limits.Depth, d.limits.EventBytes)
	d.clean = clean
	if err != nil {
		return syntaxFault(err, d.limits)
	}
	if rest := bytes.TrimLeft(raw[n:], " \t\r\n"); len(rest) > 0 {
		return fault.New(fault.Invalid, "unexpected text after the event (at byte %d)", len(raw)-len(rest))
	}
	return d.DecodeClean(clean, replaced, receivedAt, e)
}

// DecodeClean is Decode for text that came out of rawjson.Clean, such as an element of an array of events.
// The []byte fields of e alias clean. Replaced is what Clean counted, for Meta.
func (d *Decoder) DecodeClean(clean []byte, replaced int, receivedAt time.Time, e *Event) error {
	if err := d.limits.fits(len(clean)); err != nil {
		return err
	}
	if kind := rawjson.KindOf(clean); kind != rawjson.ObjectKind {
		return fault.New(fault.Invalid, "an event must be a JSON object, not %s", kind)
	}
	d.scratch, d.unknown, d.sent = d.scratch[:0], d.unknown[:0], sent{}
	d.notes.reset(replaced)
	clear(d.places)
	for key, value := range rawjson.Object(clean) {
		if slot := d.sent.slot(key); slot == nil {
			d.keep(key, value)
		} else if *slot = value; rawjson.KindOf(value) == rawjson.Null {
			*slot = nil
		}
	}
	now := receivedAt.UTC().Truncate(time.Millisecond)
	*e = Event{ID: NewID(now), ReceivedAt: now, Tags: []byte("{}"), Extra: []byte("{}")}
	return d.fill(e)
}

// fill reads the fields into e, those first whose absence is an error.
func (d *Decoder) fill(e *Event) error {
	s := &d.sent
	if err := d.texts(e); err != nil {
		return err
	}
	if err := d.exception(s.exception, e); err != nil {
		return err
	}
	if err := d.required(e); err != nil {
		return err
	}
	for _, read := range [...]func(*Event) error{d.level, d.time, d.ids, d.objects, d.lists, d.tags, d.fingerprint, d.extra} {
		if err := read(e); err != nil {
			return err
		}
	}
	e.Meta = d.written(d.notes.appendTo(d.scratch))
	return d.limits.lineFits(e.LineSize())
}

// required reports all required fields that are missing at once.
func (d *Decoder) required(e *Event) error {
	var missing []string
	if strings.TrimSpace(e.Message) == "" && e.Exception == nil {
		missing = append(missing, "message (or exception)")
	}
	if d.sent.level == nil {
		missing = append(missing, "level")
	}
	if d.sent.timestamp == nil {
		missing = append(missing, "timestamp")
	}
	if missing == nil {
		return nil
	}
	return fault.New(fault.Invalid, `missing required field: %s; the least an event needs is `+
		`{"message":"disk full","level":"error","timestamp":"2026-01-31T12:00:00Z"}`, strings.Join(missing, ", "))
}

// written takes the extended scratch buffer and returns what was added to it, or nil if that is nothing.
func (d *Decoder) written(extended []byte) []byte {
	start := len(d.scratch)
	d.scratch = extended
	if start == len(extended) {
		return nil
	}
	return extended[start:len(extended):len(extended)]
}

// ids reads event_id.
func (d *Decoder) ids(e *Event) error {
	if d.sent.eventID == nil {
		return nil
	}
	text, err := d.text("event_id", d.sent.eventID, 100)
	if err != nil {
		return err
	}
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 32 && len(text) != 36 || id == uuid.Nil {
		return fault.New(fault.Invalid, "event_id must be a UUID of 32 hexadecimal digits, with or without dashes, not %q", text)
	}
	e.EventID = id
	return nil
}

// syntaxFault puts a syntax error into words for the client.
func syntaxFault(err error, limits Limits) error {
	var syntax *rawjson.SyntaxError
	if errors.As(err, &syntax) {
		switch syntax.Msg {
		case rawjson.TooDeep:
			return fault.New(fault.Invalid, "the event is nested deeper than %d levels (at byte %d)", limits.Depth, syntax.Offset)
		case rawjson.TooLong:
			return fault.New(fault.TooLarge, "the event has more than %d bytes, which is the limit, once what "+
				"cannot be stored is replaced: each byte that is not UTF-8 by U+FFFD", limits.EventBytes)
		}
	}
	return fault.New(fault.Invalid, "the event is not valid JSON: %s", err)
}
