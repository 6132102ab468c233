package sentry

import (
	"bytes"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// noMessage stands in for the message of an event that has neither a message nor an exception.
const noMessage = `"(no message)"`

// maxKept is how many bytes of buffers a Converter keeps for the next event: a single huge one must not swell
// it for good.
const maxKept = 256 << 10

// Source is what is known of an event besides its own text.
type Source struct {
	EventID    uuid.UUID // of the envelope's header, for an event without an id of its own; uuid.Nil is none
	ReceivedAt time.Time // for an event without a timestamp, or with one that cannot be read
	Feedback   bool      // the item is of type feedback: its message lies in contexts.feedback, its level is info
}

// Converter turns Sentry events into native ones and reuses its buffers from one to the next. It serves one
// goroutine at a time.
type Converter struct {
	limits event.Limits
	clean  []byte  // clean text of the event
	spare  []byte  // text that had to be written anew before its place in dst was reached
	sent   fields  // the fields that the native format knows, as they came; they alias clean
	moved  []moved // what goes to extra; aliases clean or spare
	dst    []byte  // what is being written
}

// NewConverter returns a Converter for events within limits.
func NewConverter(limits event.Limits) *Converter {
	return &Converter{limits: limits}
}

// AppendNative appends raw, the payload of an item of type event or feedback, to dst as one event in the native
// format. What it appends came through rawjson.Clean, so that it goes to Decoder.DecodeClean together with
// replaced, which is what Clean counted. The Decoder has the limits of the Converter, and accepts it.
//
// It refuses what is not a JSON object, what is nested too deeply, and what is or becomes longer than
// Limits.EventBytes (a usual event grows by less than 200 bytes, and none to more than four times its size and
// 40 KiB). Every error is a *fault.Error, Invalid or TooLarge, whose detail says what to fix; dst then comes
// back as it was. Everything else of the limits is left to the Decoder. Work is linear in len(raw).
func (c *Converter) AppendNative(dst, raw []byte, from Source) (native []byte, replaced int, err error) {
	if err := c.fits(len(raw)); err != nil {
		return dst, 0, err
	}
	if cap(c.clean)+cap(c.spare) > maxKept && len(raw) < maxKept {
		c.clean, c.spare = nil, nil
	}
	clean, n, replaced, err := rawjson.Clean(c.clean[:0], raw, c.limits.Depth, c.limits.EventBytes)
	c.clean = clean
	if err != nil {
		return dst, 0, c.syntaxFault(err)
	}
	if rest := bytes.TrimLeft(raw[n:], " \t\r\n"); len(rest) > 0 {
		return dst, 0, fault.New(fault.Invalid, "unexpected text after the event (at byte %d)", len(raw)-len(rest))
	}
	if kind := rawjson.KindOf(clean); kind != rawjson.ObjectKind {
		return dst, 0, fault.New(fault.Invalid, "an event must be a JSON object, not %s", kind)
	}
	c.spare, c.moved, c.sent = c.spare[:0], c.moved[:0], fields{}
	c.dst = append(dst, '{')
	c.event(from)
	native = append(c.dst, '}')
	c.dst = nil
	if err := c.fits(len(native) - len(dst)); err != nil {
		return dst, 0, err
	}
	return native, replaced, nil
}

// event writes the members of the native event. Fields that the native format does not know are copied: the
// Decoder puts them into extra.
func (c *Converter) event(from Source) {
	for key, value := range rawjson.Object(c.clean) {
		null := rawjson.KindOf(value) == rawjson.Null
		if slot := c.sent.slot(key); slot == nil {
			if !null {
				c.dst = append(appendKey(c.dst, key), value...)
			}
		} else if *slot = value; null {
			*slot = nil
		}
	}
	s := &c.sent
	c.eventID(s.eventID, from.EventID)
	c.traceID(s.traceID)
	c.timestamp(s.timestamp, from.ReceivedAt)
	c.level(s.level, from.Feedback)
	c.message(from.Feedback, c.exception(s.exception))
	c.texts()
	c.list("threads", s.threads)
	c.list("breadcrumbs", s.breadcrumbs)
	c.user(s.user)
	c.object("contexts", s.contexts)
	c.object("request", s.request)
	c.object("sdk", s.sdk)
	c.tags(s.tags)
	c.fingerprint(s.fingerprint)
	c.extra(s.extra) // the last: the others move to it what has no place elsewhere
}

// fits refuses a text above the size limit.
func (c *Converter) fits(size int) error {
	if size <= c.limits.EventBytes {
		return nil
	}
	return fault.New(fault.TooLarge, "the event has %d bytes, the limit is %d", size, c.limits.EventBytes)
}

// syntaxFault puts a syntax error into words for the client.
func (c *Converter) syntaxFault(err error) error {
	var syntax *rawjson.SyntaxError
	if errors.As(err, &syntax) {
		switch syntax.Msg {
		case rawjson.TooDeep:
			return fault.New(fault.Invalid, "the event is nested deeper than %d levels (at byte %d)", c.limits.Depth, syntax.Offset)
		case rawjson.TooLong:
			return fault.New(fault.TooLarge, "the event has more than %d bytes, which is the limit, once each byte "+
				"that is not UTF-8 is replaced by U+FFFD", c.limits.EventBytes)
		}
	}
	return fault.New(fault.Invalid, "the event is not valid JSON: %s", err)
}
