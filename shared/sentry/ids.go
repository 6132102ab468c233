package sentry

import (
	"encoding/hex"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// parseID reads an event id: 32 hexadecimal digits, with or without the dashes of a UUID, not all zero. The
// text is a JSON string.
func parseID(raw []byte) (uuid.UUID, bool) {
	if rawjson.KindOf(raw) != rawjson.String || len(raw) != 32+2 && len(raw) != 36+2 {
		return uuid.Nil, false
	}
	id, err := uuid.ParseBytes(raw[1 : len(raw)-1])
	return id, err == nil && id != uuid.Nil
}

// eventID writes the event's own id, or else the envelope's.
func (c *Converter) eventID(raw []byte, fallback uuid.UUID) {
	if raw != nil {
		if _, ok := parseID(raw); ok {
			c.field("event_id", raw)
			return
		}
		c.move("event_id", raw)
	}
	if fallback != uuid.Nil {
		c.dst = append(appendKey(c.dst, "event_id"), '"')
		c.dst = append(hex.AppendEncode(c.dst, fallback[:]), '"')
	}
}

// traceID writes a trace id that stands outside of contexts. That of contexts.trace the Decoder finds itself.
func (c *Converter) traceID(raw []byte) {
	if raw == nil {
		return
	}
	if _, ok := event.ParseTraceID(rawjson.Unquote(raw)); ok && rawjson.KindOf(raw) == rawjson.String {
		c.field("trace_id", raw)
		return
	}
	c.move("trace_id", raw)
}
