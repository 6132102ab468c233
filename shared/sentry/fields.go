package sentry

import (
	"strings"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// fields holds the fields that the native format knows, and logentry, as they came; nil is absent or null.
type fields struct {
	message, logentry, level, timestamp, eventID, traceID                        []byte
	environment, release, platform, transaction, serverName, logger, fingerprint []byte
	exception, threads, breadcrumbs, user, contexts, request, sdk, tags, extra   []byte
}

// slot returns the field called key, or nil.
func (f *fields) slot(key []byte) *[]byte {
	switch string(key) {
	case "message":
		return &f.message
	case "logentry":
		return &f.logentry
	case "level":
		return &f.level
	case "timestamp":
		return &f.timestamp
	case "event_id":
		return &f.eventID
	case "trace_id":
		return &f.traceID
	case "environment":
		return &f.environment
	case "release":
		return &f.release
	case "platform":
		return &f.platform
	case "transaction":
		return &f.transaction
	case "server_name":
		return &f.serverName
	case "logger":
		return &f.logger
	case "fingerprint":
		return &f.fingerprint
	case "exception":
		return &f.exception
	case "threads":
		return &f.threads
	case "breadcrumbs":
		return &f.breadcrumbs
	case "user":
		return &f.user
	case "contexts":
		return &f.contexts
	case "request":
		return &f.request
	case "sdk":
		return &f.sdk
	case "tags":
		return &f.tags
	case "extra":
		return &f.extra
	}
	return nil
}

// appendKey appends a key, which is still escaped, and a comma before it unless it is the first of its object.
func appendKey[T string | []byte](dst []byte, key T) []byte {
	dst = append(append(appendComma(dst), '"'), key...)
	return append(dst, '"', ':')
}

// appendComma appends a comma unless an object or array has just been opened.
func appendComma(dst []byte) []byte {
	if last := dst[len(dst)-1]; last == '{' || last == '[' {
		return dst
	}
	return append(dst, ',')
}

// appendText appends value as a string: itself if it is one, else its JSON text in quotes.
func appendText(dst, value []byte) []byte {
	if rawjson.KindOf(value) == rawjson.String {
		return append(dst, value...)
	}
	return rawjson.AppendString(dst, value)
}

// isScalar reports whether value is a string, a number or a boolean.
func isScalar(value []byte) bool {
	switch rawjson.KindOf(value) {
	case rawjson.String, rawjson.Number, rawjson.Bool:
		return true
	}
	return false
}

// field writes the member called name.
func (c *Converter) field(name string, value []byte) {
	c.dst = append(appendKey(c.dst, name), value...)
}

// texts writes the short text fields. A number or a boolean becomes text.
func (c *Converter) texts() {
	s := &c.sent
	for _, f := range [...]struct {
		name string
		raw  []byte
	}{
		{"environment", s.environment},
		{"release", s.release},
		{"platform", s.platform},
		{"transaction", s.transaction},
		{"server_name", s.serverName},
		{"logger", s.logger},
	} {
		switch {
		case f.raw == nil:
		case isScalar(f.raw):
			c.dst = appendText(appendKey(c.dst, f.name), f.raw)
		default:
			c.move(f.name, f.raw)
		}
	}
}

// object writes a field that is an object.
func (c *Converter) object(name string, raw []byte) {
	switch {
	case raw == nil:
	case rawjson.KindOf(raw) == rawjson.ObjectKind:
		c.field(name, raw)
	default:
		c.move(name, raw)
	}
}

// level writes the level: error where none is sent, or one that nobody knows.
func (c *Converter) level(raw []byte, feedback bool) {
	level := event.Error
	if feedback {
		level = event.Info
	}
	if raw != nil {
		if sent, ok := levelOf(raw); ok {
			level = sent
		} else {
			c.move("level", raw)
		}
	}
	c.dst = append(append(append(appendKey(c.dst, "level"), '"'), level...), '"')
}

// levelOf returns the level that raw names: by its name, "log" as JavaScript's console has it, or the number
// that Python's logging uses.
func levelOf(raw []byte) (event.Level, bool) {
	switch text := strings.TrimSpace(rawjson.Unquote(raw)); text {
	case "log":
		return event.Info, true
	case "10":
		return event.Debug, true
	case "20":
		return event.Info, true
	case "30":
		return event.Warning, true
	case "40":
		return event.Error, true
	case "50":
		return event.Fatal, true
	default:
		return event.ParseLevel(text)
	}
}
