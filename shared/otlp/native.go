package otlp

import (
	"math"
	"strings"
	"time"

	"github.com/mesherhq/mesher/shared/rawjson"
	"github.com/mesherhq/mesher/shared/stack"
)

// AppendNative appends the event that the record becomes to dst, as clean JSON in the native format. ReceivedAt
// is its timestamp if the record has none.
//
// A record has no limit of its own, so that event.Decoder may still find the event too large; nothing else of it
// is ever refused.
func (rec *Record) AppendNative(dst []byte, receivedAt time.Time) []byte {
	exception := rec.exception()
	w := objectWriter{dst: append(dst, '{')}
	w.text("event_id", rec.EventID().String())
	w.text("timestamp", rec.occurred(receivedAt).Format(time.RFC3339Nano))
	w.text("level", string(rec.Level()))
	w.text("message", rec.message(exception))
	rec.writeException(&w, exception)
	res := rec.resource
	w.text("platform", first(res.platform, exception.platform))
	w.text("logger", rec.scope.name)
	w.text("release", res.release)
	w.text("environment", res.environment)
	w.text("server_name", res.server)
	w.text("transaction", rec.transaction())
	rec.writeTrace(&w)
	rec.writeUser(&w)
	rec.writeRequest(&w)
	w.raw("sdk", res.sdk)
	w.dst = rec.appendTags(w.dst)
	rec.writeExtra(&w, exception.parsed)
	return append(w.dst, '}')
}

// text returns an attribute as text, or "".
func (rec *Record) text(s slot) string { return textOf(rec.picked[s]) }

// longestMessage is how many bytes of a message are written: an event keeps fewer characters, and the message is
// another copy of a body that is not a text.
const longestMessage = 8192 * 4

// message returns the body as text. A record without one needs other words unless it has an exception.
func (rec *Record) message(exception exception) string {
	text := textOf(&rec.body)
	if rec.body.kind == mapValue {
		text = first(rec.bodyMember("message"), rec.bodyMember("msg"), text)
	}
	text = text[:min(len(text), longestMessage)]
	if strings.TrimSpace(text) != "" || len(exception.chain) > 0 {
		return text
	}
	for _, name := range [...][]byte{rec.eventName, rec.severityText} {
		if name := clip(string(name)); strings.TrimSpace(name) != "" {
			return name
		}
	}
	return "a log record without a body"
}

// bodyMember returns the text of a member of a body that is a map, if it is a string.
func (rec *Record) bodyMember(key string) string {
	member := rawjson.Lookup(rec.body.bytes, key)
	if rawjson.KindOf(member) != rawjson.String {
		return ""
	}
	return rawjson.Unquote(member)
}

// transaction returns the name of the span, or what a server's span of the request would be called.
func (rec *Record) transaction() string {
	if rec.span != nil {
		return string(clip(rec.span.name))
	}
	route := rec.text(requestRoute)
	if method := rec.text(requestMethod); method != "" && route != "" {
		return clip(method) + " " + clip(route)
	}
	return clip(route)
}

// writeTrace writes trace_id and contexts.trace. Ids of another length, or all zero, are none.
func (rec *Record) writeTrace(w *objectWriter) {
	trace, id := hexID(rec.traceID, 16), hexID(rec.spanID, 8)
	w.text("trace_id", trace)
	if trace == "" && id == "" {
		return
	}
	inner := objectWriter{dst: append(appendKey(w.dst, "contexts"), `{"trace":{`...)}
	inner.text("trace_id", trace)
	inner.text("span_id", id)
	if rec.span != nil {
		inner.id("parent_span_id", rec.span.parent, 8)
	}
	w.dst = append(inner.dst, `}}`...)
}

// writeUser writes user.
func (rec *Record) writeUser(w *objectWriter) {
	id, email, name := rec.text(userID), rec.text(userEmail), rec.text(userName)
	if id == "" && email == "" && name == "" {
		return
	}
	inner := objectWriter{dst: append(appendKey(w.dst, "user"), '{')}
	inner.text("id", id)
	inner.text("email", email)
	inner.text("username", name)
	w.dst = append(inner.dst, '}')
}

// writeExtra writes extra.otel: all of the record that is not in the event as it came. Without says that the
// attributes of the exception are.
func (rec *Record) writeExtra(w *objectWriter, without bool) {
	start := len(w.dst)
	x := objectWriter{dst: append(appendKey(w.dst, "extra"), `{"otel":{`...)}
	empty := len(x.dst)
	if len(rec.attributes) > 0 {
		skip := func(s slot) bool {
			return without && (s == exceptionType || s == exceptionMessage || s == exceptionStack)
		}
		x.dst, _ = appendAttributes(appendKey(x.dst, "attributes"), rec.attributes, math.MaxInt, skip)
	}
	if rec.body.kind != absentValue && rec.body.kind != stringValue {
		x.dst = appendValue(appendKey(x.dst, "body"), rec.body)
	}
	if rec.number > 0 {
		x.number("severity_number", uint64(rec.number))
	}
	x.text("severity_text", rec.severityText)
	x.text("event_name", rec.eventName)
	if rec.flags > 0 {
		x.number("flags", rec.flags)
	}
	if rec.dropped > 0 {
		x.number("dropped_attributes_count", rec.dropped)
	}
	if rec.span != nil {
		x.raw("span", rec.span.json)
	}
	x.raw("scope", rec.scope.json)
	x.raw("resource", rec.resource.json)
	if rec.resource.dropped > 0 {
		x.number("dropped_resource_attributes_count", rec.resource.dropped)
	}
	if len(x.dst) == empty {
		w.dst = w.dst[:start]
		return
	}
	w.dst = append(x.dst, `}}`...)
}

// writeFrames writes a member with a stack trace as its value.
func writeFrames(w *objectWriter, key string, frames []stack.Frame) {
	w.dst = stack.AppendFrames(append(appendKey(w.dst, key), `{"frames":`...), frames)
	w.dst = append(w.dst, '}')
}

// quoted returns a text as clean JSON.
func quoted(text string) []byte { return rawjson.AppendString(nil, text) }
