package stack

import (
	"strconv"
	"strings"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// Origin says whose code a frame runs.
type Origin uint8

// The origins. Unknown is for where the text does not tell.
const (
	Unknown Origin = iota
	App            // the program's own
	Library        // of the language, its runtime or a dependency
)

// Frame is one line of a stack trace. What the text does not say is empty or 0.
type Frame struct {
	Module      string // package or class
	Function    string
	Filename    string // a name relative to something
	AbsPath     string // a path on the machine, or a URL
	ContextLine string // the line of source
	Line        int    // counted from 1
	Column      int
	Origin      Origin
}

// NewFrame returns the frame of a function in a file, both as the language of platform names them, with module
// and origin taken from the names.
func NewFrame(platform, function, file string, line, column int) Frame {
	f := at(file, line, column)
	f.Function = function
	switch platform {
	case "go":
		f.Module, f.Function = goName(function)
	case "java", "csharp":
		if module, name, ok := cutLast(function, "."); ok {
			f.Module, f.Function = strings.TrimSuffix(module, "."), name
		}
	}
	f.Origin = originOf(platform, &f)
	return f
}

// at returns a frame with the place filled in.
func at(file string, line, column int) Frame {
	f := Frame{Line: line, Column: column}
	if isAbsolute(file) {
		f.AbsPath = file
	} else {
		f.Filename = file
	}
	return f
}

// file returns the name or path of the file.
func (f *Frame) file() string {
	if f.AbsPath != "" {
		return f.AbsPath
	}
	return f.Filename
}

// isAbsolute reports whether a file's name is a path on some machine or a URL.
func isAbsolute(file string) bool {
	return strings.HasPrefix(file, "/") || strings.HasPrefix(file, `\\`) || strings.Contains(file, "://") ||
		len(file) > 3 && file[1] == ':' && (file[2] == '\\' || file[2] == '/')
}

// AppendChain appends chain to dst as the exception of an event in the native format: clean JSON, innermost
// first, frames oldest first. An entry with neither type nor value, which an event may not have, is given the
// type "Error".
func AppendChain(dst []byte, chain []Exception) []byte {
	dst = append(dst, '[')
	for i := range chain {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = chain[i].appendTo(dst)
	}
	return append(dst, ']')
}

func (e *Exception) appendTo(dst []byte) []byte {
	dst = append(dst, '{')
	if e.Type == "" && e.Value == "" {
		dst = append(dst, `"type":"Error"`...)
	}
	dst = appendText(dst, "type", e.Type)
	dst = appendText(dst, "value", e.Value)
	if e.Link != "" {
		dst = append(appendText(append(dst, `,"mechanism":{"type":"chained"`...), "source", e.Link), '}')
	}
	if len(e.Frames) > 0 {
		dst = append(AppendFrames(append(dst, `,"stacktrace":{"frames":`...), e.Frames), '}')
	}
	return append(dst, '}')
}

// AppendFrames appends frames to dst as a clean JSON array in the native format.
func AppendFrames(dst []byte, frames []Frame) []byte {
	dst = append(dst, '[')
	for i := range frames {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = frames[i].appendTo(dst)
	}
	return append(dst, ']')
}

func (f *Frame) appendTo(dst []byte) []byte {
	dst = append(dst, '{')
	dst = appendText(dst, "module", f.Module)
	dst = appendText(dst, "function", f.Function)
	dst = appendText(dst, "filename", f.Filename)
	dst = appendText(dst, "abs_path", f.AbsPath)
	dst = appendNumber(dst, "lineno", f.Line)
	dst = appendNumber(dst, "colno", f.Column)
	dst = appendText(dst, "context_line", f.ContextLine)
	if f.Origin != Unknown {
		dst = strconv.AppendBool(appendKey(dst, "in_app"), f.Origin == App)
	}
	return append(dst, '}')
}

// appendText appends a member unless its value is empty.
func appendText(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	return rawjson.AppendString(appendKey(dst, key), value)
}

// appendNumber appends a member unless its value is 0.
func appendNumber(dst []byte, key string, n int) []byte {
	if n == 0 {
		return dst
	}
	return strconv.AppendInt(appendKey(dst, key), int64(n), 10)
}

// appendKey appends a key, and a comma unless it is the first.
func appendKey(dst []byte, key string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), key...), '"', ':')
}
