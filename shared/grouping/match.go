package grouping

import (
	"strings"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// fieldNames are the fields of a matcher, for people.
const fieldNames = "type, value, message, path, function, module, logger, level, release, environment, platform, transaction and tags.<name>"

// scope is what a matcher looks at.
type scope uint8

// The scopes.
const (
	ofEvent scope = iota
	ofEntry
	ofFrame
)

// matcher is a Matcher with its pattern parsed.
type matcher struct {
	scope   scope
	field   string
	tag     string
	pattern pattern
}

// parseMatcher parses a matcher, and reports whether its field is known.
func parseMatcher(m Matcher) (matcher, bool) {
	parsed := matcher{field: m.Field, pattern: parsePattern(m.Pattern)}
	switch m.Field {
	case "logger", "level", "release", "environment", "platform", "transaction":
	case "type", "value":
		parsed.scope = ofEntry
	case "message":
		parsed.scope, parsed.field = ofEntry, "value"
	case "path":
		parsed.scope, parsed.pattern = ofFrame, parsePattern(slashed(m.Pattern))
	case "function", "module":
		parsed.scope = ofFrame
	default:
		tag, ok := strings.CutPrefix(m.Field, "tags.")
		if parsed.field, parsed.tag = "tags", tag; !ok || tag == "" || !fits(tag) {
			return matcher{}, false
		}
	}
	return parsed, true
}

// slashed returns a path with slashes, whatever the system.
func slashed(path string) string { return strings.ReplaceAll(path, `\`, "/") }

// subject is what of an event rules are held against. It is made once per event, and only if there are rules.
type subject struct {
	e       *event.Event
	entries []thing
	frames  []thing
}

// thing is an entry or a frame, by field. The path has two names.
type thing struct{ kind, value, path, file, function, module string }

// first returns the first rule that matches e, or nil.
func (r *Rules) first(p *parts, e *event.Event) *rule {
	if r == nil || len(r.rules) == 0 {
		return nil
	}
	s := subject{e: e}
	for i := range p.chain.entries {
		en := &p.chain.entries[i]
		s.entries = append(s.entries, thing{kind: plainText(en.kind), value: plainText(en.value)})
	}
	if e.Message != "" {
		s.entries = append(s.entries, thing{value: cut(e.Message)})
	}
	for i := range p.chain.frames {
		f := &p.chain.frames[i]
		s.frames = append(s.frames, thing{
			path: slashed(plainText(f.abs)), file: slashed(plainText(f.file)), function: plainText(f.function), module: plainText(f.module),
		})
	}
	for i := range r.rules {
		if s.matches(r.rules[i].matchers) {
			return &r.rules[i]
		}
	}
	return nil
}

// plainText returns the text of a JSON string, as much of it as a pattern is held against.
func plainText(raw []byte) string { return cut(rawjson.Unquote(raw)) }

// cut returns as much of s as a pattern is held against.
func cut(s string) string { return s[:min(len(s), longestTested)] }

// matches reports whether all matchers match: those of the event, those of entries one and the same entry, those of
// frames one and the same frame.
func (s *subject) matches(matchers []matcher) bool {
	var scopes [ofFrame + 1]bool
	for i := range matchers {
		m := &matchers[i]
		scopes[m.scope] = true
		if m.scope == ofEvent && !m.pattern.matches(s.member(m)) {
			return false
		}
	}
	return (!scopes[ofEntry] || anyMatches(s.entries, ofEntry, matchers)) && (!scopes[ofFrame] || anyMatches(s.frames, ofFrame, matchers))
}

// anyMatches reports whether one of the things matches all matchers of a scope.
func anyMatches(things []thing, of scope, matchers []matcher) bool {
	for i := range things {
		all := true
		for j := range matchers {
			if m := &matchers[j]; m.scope == of && !things[i].matches(m) {
				all = false
				break
			}
		}
		if all {
			return true
		}
	}
	return false
}

// matches reports whether a thing matches one matcher.
func (t *thing) matches(m *matcher) bool {
	switch m.field {
	case "type":
		return m.pattern.matches(t.kind)
	case "value":
		return m.pattern.matches(t.value)
	case "path":
		return m.pattern.matches(t.path) || m.pattern.matches(t.file)
	case "function":
		return m.pattern.matches(t.function)
	}
	return m.pattern.matches(t.module)
}

// member returns the field of the event that a matcher is for.
func (s *subject) member(m *matcher) string {
	if m.field == "tags" {
		return cut(tag(s.e, m.tag))
	}
	return cut(member(s.e, m.field))
}

// member returns a text of an event by the name that placeholders and matchers have for it.
func member(e *event.Event, name string) string {
	switch name {
	case "logger":
		return e.Logger
	case "level":
		return string(e.Level)
	case "release":
		return e.Release
	case "environment":
		return e.Environment
	case "platform":
		return e.Platform
	case "transaction":
		return e.Transaction
	}
	return ""
}

// tag returns a tag of an event, or nothing.
func tag(e *event.Event, name string) string {
	value := ""
	for key, raw := range rawjson.Object(e.Tags) {
		if string(key) == name || rawjson.Unquote(key) == name {
			value = rawjson.Unquote(raw)
		}
	}
	return value
}
