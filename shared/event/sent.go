package event

import (
	"strings"
	"unicode/utf8"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// sent holds the known fields of the native format as they came; nil is absent or null.
type sent struct {
	message, level, timestamp, eventID, traceID                                  []byte
	environment, release, platform, transaction, serverName, logger, fingerprint []byte
	exception, threads, breadcrumbs, user, contexts, request, sdk, tags, extra   []byte
}

// slot returns the field called key, or nil. The compiler turns the switch into a search by length.
func (s *sent) slot(key []byte) *[]byte {
	switch string(key) {
	case "message":
		return &s.message
	case "level":
		return &s.level
	case "timestamp":
		return &s.timestamp
	case "event_id":
		return &s.eventID
	case "trace_id":
		return &s.traceID
	case "environment":
		return &s.environment
	case "release":
		return &s.release
	case "platform":
		return &s.platform
	case "transaction":
		return &s.transaction
	case "server_name":
		return &s.serverName
	case "logger":
		return &s.logger
	case "fingerprint":
		return &s.fingerprint
	case "exception":
		return &s.exception
	case "threads":
		return &s.threads
	case "breadcrumbs":
		return &s.breadcrumbs
	case "user":
		return &s.user
	case "contexts":
		return &s.contexts
	case "request":
		return &s.request
	case "sdk":
		return &s.sdk
	case "tags":
		return &s.tags
	case "extra":
		return &s.extra
	}
	return nil
}

// texts reads the short text fields.
func (d *Decoder) texts(e *Event) error {
	s, l := &d.sent, &d.limits
	for _, field := range [...]struct {
		to    *string
		name  string
		raw   []byte
		limit int
	}{
		{&e.Message, "message", s.message, l.Message},
		{&e.Environment, "environment", s.environment, l.Environment},
		{&e.Release, "release", s.release, l.Release},
		{&e.Platform, "platform", s.platform, l.Platform},
		{&e.Transaction, "transaction", s.transaction, l.Transaction},
		{&e.ServerName, "server_name", s.serverName, l.ServerName},
		{&e.Logger, "logger", s.logger, l.Logger},
	} {
		if field.raw == nil {
			continue
		}
		text, err := d.text(field.name, field.raw, field.limit)
		if err != nil {
			return err
		}
		*field.to = text
	}
	return nil
}

// text reads a string of at most limit characters; what is longer is cut, and noted.
func (d *Decoder) text(name string, raw []byte, limit int) (string, error) {
	if kind := rawjson.KindOf(raw); kind != rawjson.String {
		return "", mustBe(name, "a string", raw)
	}
	return d.cut(name, rawjson.Unquote(raw), limit), nil
}

// cut shortens text to limit characters and notes it.
func (d *Decoder) cut(name, text string, limit int) string {
	if short, length := Trim(text, limit); length > limit {
		d.notes.trim(name, length)
		return short
	}
	return text
}

// Trim returns the first limit characters of text, and how many it had (when text is short enough, at least
// a number not above limit).
func Trim(text string, limit int) (short string, length int) {
	if len(text) <= limit {
		return text, len(text)
	}
	if length = utf8.RuneCountInString(text); length <= limit {
		return text, length
	}
	end := 0
	for range limit {
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
	}
	return strings.Clone(text[:end]), length // a copy, so that a huge text is not kept alive by a short one
}

// level reads the level, which is there.
func (d *Decoder) level(e *Event) error {
	text, err := d.text("level", d.sent.level, 100)
	if err != nil {
		return err
	}
	level, ok := ParseLevel(text)
	if !ok {
		return fault.New(fault.Invalid, "level must be one of fatal, error, warning, info, debug, not %q", text)
	}
	e.Level = level
	return nil
}

// mustBe returns the error for a value of the wrong kind. A number is shown, since it may be the wrong number.
func mustBe(path, want string, raw []byte) error {
	if rawjson.KindOf(raw) == rawjson.Number {
		shown, _ := Trim(string(raw), 20)
		return fault.New(fault.Invalid, "%s must be %s, not the number %s", path, want, shown)
	}
	return fault.New(fault.Invalid, "%s must be %s, not %s", path, want, rawjson.KindOf(raw))
}
