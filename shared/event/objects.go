package event

import (
	"encoding/hex"
	"strings"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// objects reads user, contexts, request and sdk, and what of them has a column of its own.
func (d *Decoder) objects(e *Event) error {
	s := &d.sent
	for _, field := range [...]struct {
		to   *[]byte
		name string
		raw  []byte
	}{
		{&e.UserInfo, "user", s.user},
		{&e.Contexts, "contexts", s.contexts},
		{&e.Request, "request", s.request},
		{&e.SDK, "sdk", s.sdk},
	} {
		if field.raw == nil || string(field.raw) == "{}" {
			continue
		}
		if rawjson.KindOf(field.raw) != rawjson.ObjectKind {
			return mustBe(field.name, "an object", field.raw)
		}
		*field.to = field.raw
	}
	if err := d.userID(e); err != nil {
		return err
	}
	return d.traceID(e)
}

// userID reads user.id, a string or a number.
func (d *Decoder) userID(e *Event) error {
	switch id := rawjson.Lookup(e.UserInfo, "id"); rawjson.KindOf(id) {
	case rawjson.Invalid, rawjson.Null:
	case rawjson.String:
		e.UserID = d.cut("user.id", rawjson.Unquote(id), d.limits.UserID)
	case rawjson.Number:
		e.UserID = d.cut("user.id", string(id), d.limits.UserID)
	default:
		return mustBe("user.id", "a string or a number", id)
	}
	return nil
}

// traceID reads trace_id, which must be right, or else contexts.trace.trace_id, which may be anything.
func (d *Decoder) traceID(e *Event) error {
	if d.sent.traceID == nil {
		e.TraceID, _ = ParseTraceID(rawjson.Unquote(rawjson.Lookup(rawjson.Lookup(e.Contexts, "trace"), "trace_id")))
		return nil
	}
	text, err := d.text("trace_id", d.sent.traceID, 100)
	if err != nil {
		return err
	}
	id, ok := ParseTraceID(text)
	if !ok {
		return fault.New(fault.Invalid, "trace_id must be 32 hexadecimal digits, not %q", text)
	}
	e.TraceID = id
	return nil
}

// ParseTraceID returns s in lower case if it is a trace id: 32 hexadecimal digits, with or without the dashes
// of a UUID, and not all zero.
func ParseTraceID(s string) (string, bool) {
	if len(s) == 36 {
		s = strings.ReplaceAll(s, "-", "")
	}
	if len(s) != 32 {
		return "", false
	}
	var id [16]byte
	if _, err := hex.Decode(id[:], []byte(s)); err != nil || id == [16]byte{} {
		return "", false
	}
	return strings.ToLower(s), true
}
