package grouping

import (
	"strings"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// isDefault reports whether a part stands for the default parts.
func isDefault[T string | []byte](part T) bool {
	s := string(part)
	return strings.HasPrefix(s, "{{") && strings.HasSuffix(s, "}}") && len(s) > 4 && strings.TrimSpace(s[2:len(s)-2]) == "default"
}

// appendTemplate appends text with its placeholders replaced by what e says, normalised unless it is for people to
// read. Unknown ones stay.
func (p *parts) appendTemplate(dst []byte, text string, e *event.Event, forPeople bool) []byte {
	for {
		before, rest, ok := strings.Cut(text, "{{")
		dst = append(dst, before...)
		if !ok {
			return dst
		}
		name, after, ok := strings.Cut(rest, "}}")
		name = strings.TrimSpace(name)
		if ok && placeholder(name) {
			start := len(dst)
			if forPeople && name == "value" || forPeople && name == "message" {
				dst = append(dst, either(e.ExceptionValue, e.Message)...)
			} else {
				dst = p.appendValue(dst, name, e)
			}
			if len(dst) == start {
				dst = append(append(append(dst, "<no "...), name...), '>')
			}
			p.notes.placeholder(name, dst[start:])
			text = after
			continue
		}
		dst, text = append(dst, "{{"...), rest
	}
}

// placeholder reports whether a name is one of a placeholder.
func placeholder(name string) bool {
	switch name {
	case "type", "value", "message", "function", "module", "transaction", "level", "logger", "release", "environment", "platform":
		return true
	}
	return strings.HasPrefix(name, "tags.") && len(name) > len("tags.")
}

// appendValue appends what a placeholder stands for.
func (p *parts) appendValue(dst []byte, name string, e *event.Event) []byte {
	switch name {
	case "type":
		return append(dst, e.ExceptionType...)
	case "value", "message":
		return appendNoting(dst, either(e.ExceptionValue, e.Message), p.notes.replacer())
	case "function", "module":
		return p.appendAt(dst, name == "function")
	}
	if key, ok := strings.CutPrefix(name, "tags."); ok {
		return append(dst, tag(e, key)...)
	}
	return append(dst, member(e, name)...)
}

// appendAt appends the function or the module, else the file, of where the event happened.
func (p *parts) appendAt(dst []byte, function bool) []byte {
	f := p.at()
	if f == nil {
		return dst
	}
	n := p.nameOf(f)
	switch {
	case function:
		return appendPlain(dst, n.function)
	case len(n.module) > 0:
		return appendPlain(dst, n.module)
	case f.file != nil:
		return p.appendFile(dst, f)
	}
	return dst
}

// either returns a, or b if a is empty.
func either(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// unquoted returns the text of a JSON string, or nothing.
func unquoted(raw []byte) string {
	if raw == nil {
		return ""
	}
	return rawjson.Unquote(raw)
}
