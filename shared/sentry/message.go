package sentry

import (
	"bytes"
	"strings"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// saying is one place of an event that may hold its message.
type saying struct {
	name string
	raw  []byte // as it was sent, or nil
	text []byte // the message in it, a JSON string; nil if it has none that is not blank
	all  bool   // text is all there is in raw
}

// message writes the message: of the places where SDKs put it the first that has one. What the others say besides
// moves to extra. An event without any gets a message that says so, unless it has an exception.
func (c *Converter) message(feedback, exception bool) {
	var from [3]saying
	if feedback {
		text := rawjson.Lookup(rawjson.Lookup(c.sent.contexts, "feedback"), "message")
		from[0].text = c.said(text) // and stays in contexts
	}
	from[1] = c.saying("message", c.sent.message)
	from[2] = c.saying("logentry", c.sent.logentry)
	var text []byte
	for i := range from {
		if text = from[i].text; text != nil {
			break
		}
	}
	for i := range from {
		if s := &from[i]; s.raw != nil && (!s.all || !bytes.Equal(s.text, text)) {
			c.move(s.name, s.raw)
		}
	}
	switch {
	case text != nil:
		c.field("message", text)
	case !exception:
		c.field("message", []byte(noMessage))
	}
}

// saying reads one place: text, or an object of a template, its params and the formatted text.
func (c *Converter) saying(name string, raw []byte) saying {
	s := saying{name: name, raw: raw}
	switch rawjson.KindOf(raw) {
	case rawjson.String, rawjson.Number, rawjson.Bool:
		s.text = c.said(raw)
		s.all = s.text != nil
	case rawjson.ObjectKind:
		c.entry(&s)
	}
	return s
}

// entry reads a saying that is an object. Its formatted text wins; without one the template is formatted here.
func (c *Converter) entry(s *saying) {
	var template, params []byte
	s.all = true
	for key, value := range rawjson.Object(s.raw) {
		switch string(key) {
		case "formatted":
			s.text = c.said(value)
			s.all = s.all && (s.text != nil || empty(value))
		case "message":
			template = value
		case "params":
			params = value
			s.all = s.all && empty(value)
		default:
			s.all = s.all && empty(value)
		}
	}
	said := c.said(template)
	s.all = s.all && (said != nil || empty(template))
	switch {
	case s.text != nil:
		s.all = s.all && (empty(template) || bytes.Equal(said, s.text))
	case said != nil && !empty(params):
		s.text = c.formatted(said, params)
	default:
		s.text = said
	}
}

// said returns raw as a JSON string, or nil if it is no scalar or nothing can be seen of it within the limit of a
// message.
func (c *Converter) said(raw []byte) []byte {
	if !isScalar(raw) {
		return nil
	}
	if rawjson.KindOf(raw) != rawjson.String {
		return c.write(func(dst []byte) []byte { return rawjson.AppendString(dst, raw) })
	}
	if c.blank(raw) {
		return nil
	}
	return raw
}

// blank reports whether the first characters of a JSON string, up to the limit of a message, are white space.
func (c *Converter) blank(raw []byte) bool {
	for _, b := range raw[1:min(len(raw)-1, c.limits.Message+1)] {
		if b > ' ' && b < 0x7f && b != '\\' {
			return false // an escape or a long character is rare at the start
		}
		if b != ' ' {
			break
		}
	}
	text, _ := event.Trim(rawjson.Unquote(raw), c.limits.Message)
	return strings.TrimSpace(text) == ""
}

// empty reports whether value holds nothing.
func empty(value []byte) bool {
	switch string(value) {
	case "", "null", `""`, "[]", "{}":
		return true
	}
	return false
}
