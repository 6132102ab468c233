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
	kind, value []byte
	from, to    int  // its frames in chain.frames
	synthetic   bool // the client made the exception up to carry a stack
	unhandled   bool
	group       bool // the entries before it happened side by side
}

// frame is what matters of a stack frame.
type frame struct {
	module, file, abs, function, context, image []byte

	style style
	flag  flag
	inApp bool
	rule  string // by which inApp was decided, unless the client said so
}

// flag is what a client says about a frame.
type flag uint8

// The flags.
const (
	unsaid flag = iota
	saidApp
	saidLibrary
)

// chain is an exception, read once for parts and culprit.
type chain struct {
	entries []entry
	frames  []frame
}

// read adds the entries and frames of an exception.
func (c *chain) read(exception []byte, s style) {
	for _, raw := range rawjson.Array(exception) {
		en := entry{from: len(c.frames)}
		for key, value := range rawjson.Object(raw) {
			switch string(key) {
			case "type":
				en.kind = text(value)
			case "value":
				en.value = text(value)
			case "mechanism":
				en.readMechanism(value)
			case "stacktrace":
				c.frames = c.frames[:en.from]
				for key, value := range rawjson.Object(value) {
					if string(key) == "frames" {
						c.readFrames(value, s)
					}
				}
			}
		}
		en.to = len(c.frames)
		c.entries = append(c.entries, en)
	}
}

// readMechanism reads how an exception was captured.
func (en *entry) readMechanism(mechanism []byte) {
	for key, value := range rawjson.Object(mechanism) {
		switch string(key) {
		case "synthetic":
			en.synthetic = string(value) == "true"
		case "handled":
			en.unhandled = string(value) == "false"
		case "is_exception_group":
			en.group = string(value) == "true"
		}
	}
}

// readFrames adds the frames of an array.
func (c *chain) readFrames(frames []byte, s style) {
	for _, raw := range rawjson.Array(frames) {
		c.frames = append(c.frames, frame{style: s})
		f := &c.frames[len(c.frames)-1]
		for key, value := range rawjson.Object(raw) {
			switch string(key) {
			case "module":
				f.module = text(value)
			case "filename":
				f.file = text(value)
			case "abs_path":
				f.abs = text(value)
			case "function":
				f.function = text(value)
			case "package":
				f.image = text(value)
			case "context_line":
				f.context = text(value)
			case "in_app":
				f.flag = saidLibrary
				if string(value) == "true" {
					f.flag = saidApp
				} else if string(value) == "null" {
					f.flag = unsaid
				}
			}
		}
		f.judge()
	}
}

// judge decides whether a frame is of the application: as the client says, else by the rules for its platform.
func (f *frame) judge() {
	if f.file == nil {
		f.file = f.abs
	}
	if f.style == unknown {
		f.style = styleOfFile(inner(f.file))
	}
	if f.flag != unsaid {
		f.inApp = f.flag == saidApp
		return
	}
	f.rule = f.library()
	f.inApp = f.rule == ""
}

// text returns value if it is a string that is not empty, else nil.
func text(value []byte) []byte {
	if len(value) <= len(`""`) || value[0] != '"' {
		return nil
	}
	return value
}

// inner returns a string as it stands between its quotes.
func inner(quoted []byte) []byte {
	if len(quoted) < len(`""`) {
		return nil
	}
	return quoted[1 : len(quoted)-1]
}

// contextLine appends the line of source of a frame, if it can stand in for the name of its function.
func (f *frame) contextLine(dst []byte) []byte {
	if f.context == nil || len(f.context) > longestContext {
		return dst
	}
	start := len(dst)
	dst = rawjson.AppendUnquoted(dst, f.context)
	line := bytes.TrimSpace(dst[start:])
	return append(dst[:start], line...)
}
