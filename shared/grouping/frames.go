package grouping

import (
	"bytes"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// longestContext is the longest line of source that can stand in for the name of a function, in bytes of
// JSON. Minified code has much longer ones, which change with every build.
const longestContext = 120

// entry is what matters of an entry of an exception chain. Texts here and in frame are quoted JSON strings
// that are not empty, or nil.
type entry struct {
	kind     []byte
	from, to int // its frames in chain.frames
}

// frame is what matters of a stack frame.
type frame struct {
	module, file, function, context []byte
	inApp                           bool
	absolute                        bool // file is a path on the machine
}

// chain is an exception, read once for parts and culprit.
type chain struct {
	entries []entry
	frames  []frame
}

// read adds the entries and frames of an exception.
func (c *chain) read(exception []byte) {
	for _, raw := range rawjson.Array(exception) {
		en := entry{from: len(c.frames)}
		for key, value := range rawjson.Object(raw) {
			switch string(key) {
			case "type":
				en.kind = text(value)
			case "stacktrace":
				c.frames = c.frames[:en.from]
				for key, value := range rawjson.Object(value) {
					if string(key) == "frames" {
						c.readFrames(value)
					}
				}
			}
		}
		en.to = len(c.frames)
		c.entries = append(c.entries, en)
	}
}

// readFrames adds the frames of an array.
func (c *chain) readFrames(frames []byte) {
	for _, raw := range rawjson.Array(frames) {
		var f frame
		for key, value := range rawjson.Object(raw) {
			switch string(key) {
			case "module":
				f.module = text(value)
			case "filename":
				if value = text(value); value != nil {
					f.file, f.absolute = value, isAbsolute(value)
				}
			case "abs_path":
				if f.file == nil {
					f.file, f.absolute = text(value), true
				}
			case "function":
				f.function = text(value)
			case "context_line":
				f.context = text(value)
			case "in_app":
				f.inApp = string(value) == "true"
			}
		}
		c.frames = append(c.frames, f)
	}
}

// text returns value if it is a string that is not empty, else nil.
func text(value []byte) []byte {
	if len(value) <= len(`""`) || value[0] != '"' {
		return nil
	}
	return value
}

// stack adds the types of the chain and its frames, only the in-app ones if inApp. It reports whether that
// found any frame, and adds nothing otherwise. An entry without a type, which a client makes to carry the
// stack of a message, has no say.
func (p *parts) stack(inApp bool) bool {
	start, found := len(p.ends), false
	for _, en := range p.chain.entries {
		if en.kind == nil {
			continue
		}
		p.text = rawjson.AppendUnquoted(p.text, en.kind)
		p.end()
		first := len(p.ends)
		for i := en.from; i < en.to; i++ {
			f := &p.chain.frames[i]
			if inApp && !f.inApp || !p.appendFrame(f) {
				continue
			}
			found = true
			p.fold(first)
		}
	}
	if !found {
		p.truncate(start)
	}
	return found
}

// isAbsolute reports whether a file's name, a quoted JSON string, is a path on some machine: it differs from one
// machine to the next and says nothing before its last segments.
func isAbsolute(raw []byte) bool {
	name := raw[1 : len(raw)-1]
	return bytes.HasPrefix(name, []byte("/")) || bytes.HasPrefix(name, []byte("file:")) ||
		len(name) > 3 && name[1] == ':' && (name[2] == '\\' || name[2] == '/')
}

// appendFrame adds a part for f: its module or file, and its function. It reports false, and adds nothing, if
// f has none of them.
func (p *parts) appendFrame(f *frame) bool {
	start := len(p.text)
	switch {
	case f.module != nil:
		p.text = appendName(p.text, f.module)
	case f.absolute:
		p.text = appendFile(p.text, lastSegments(f.file))
	case f.file != nil:
		p.text = appendFile(p.text, f.file)
	}
	switch {
	case f.function != nil && !anonymous(f.function):
		p.text = appendName(append(p.text, ' '), f.function)
	case f.context != nil && len(f.context) <= longestContext:
		p.text = append(p.text, ' ')
		p.text = append(p.text, bytes.TrimSpace(rawjson.AppendUnquoted(nil, f.context))...)
	}
	if len(p.text) == start {
		return false
	}
	p.end()
	return true
}

// anonymous reports whether a function's name says only that it has none.
func anonymous(function []byte) bool {
	switch string(function) {
	case `"?"`, `"<anonymous>"`, `"<unknown>"`, `"anonymous"`:
		return true
	}
	return false
}

// lastSegments returns the file and its folder of a path in quotes: what lies above differs from machine to
// machine.
func lastSegments(path []byte) []byte {
	slashes := 0
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '/' || path[i] == '\\' && path[i-1] == '\\' {
			if slashes++; slashes == 2 {
				return path[i+1 : len(path)-1]
			}
		}
	}
	return path
}
