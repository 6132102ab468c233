package stack

import (
	"slices"
	"strings"
)

// readJavaScript reads the stack of an Error, in the form of V8 or that of Firefox and Safari, with the causes
// that Node prints below it:
//
//	TypeError: text            pay@https://acme.test/app.js:12:5
//	    at pay (/srv/app.js:12:5)       @https://acme.test/app.js:20:1
//	    at /srv/app.js:20:1 {
//	  [cause]: Error: inner text
//	      at …
func readJavaScript(lines []string, form language) Trace {
	r := scriptReader{form: form}
	for _, line := range lines {
		r.read(line)
	}
	r.finish()
	slices.Reverse(r.chain)
	t := Trace{Platform: "javascript", Exceptions: r.chain}
	if form == v8 && r.onDisk {
		t.Platform = "node"
	}
	return t
}

type scriptReader struct {
	form    language
	chain   []Exception // captured first
	current Exception
	heading []string
	onDisk  bool // a frame is in a file rather than at a URL
}

// read takes one line.
func (r *scriptReader) read(line string) {
	s := strings.TrimLeft(line, " \t")
	if f, ok := r.frame(s); ok {
		f.Origin = originOf("javascript", &f)
		r.onDisk = r.onDisk || strings.HasPrefix(f.file(), "node:") || f.AbsPath != "" &&
			(!strings.Contains(f.AbsPath, "://") || strings.HasPrefix(f.AbsPath, "file://"))
		r.current.Frames = append(r.current.Frames, f)
		return
	}
	text, caused := strings.CutPrefix(s, "[cause]: ")
	if !caused {
		text, caused = strings.CutPrefix(s, "Caused by: ")
	}
	if caused {
		r.finish()
		r.heading = append(r.heading, text)
	} else if len(r.current.Frames) == 0 {
		r.heading = append(r.heading, strings.TrimPrefix(strings.TrimPrefix(line, "Uncaught "), "(in promise) "))
	}
}

// frame reads a frame in the form of the text.
func (r *scriptReader) frame(s string) (Frame, bool) {
	if r.form == gecko {
		return geckoFrame(s)
	}
	call, ok := strings.CutPrefix(s, "at ")
	if !ok {
		return Frame{}, false
	}
	return v8Frame(strings.TrimSuffix(call, " {"))
}

// finish adds the exception that was read.
func (r *scriptReader) finish() {
	e := r.current
	e.Type, e.Value = heading(r.heading)
	e.Link = "cause"
	slices.Reverse(e.Frames)
	if !e.empty() {
		r.chain = append(r.chain, e)
	}
	r.current, r.heading = Exception{}, nil
}

// v8Frame reads "async pay (/srv/app.js:12:5)" or "/srv/app.js:12:5".
func v8Frame(s string) (Frame, bool) {
	function, place := "", strings.TrimPrefix(s, "async ")
	if name, rest, ok := strings.Cut(place, " ("); ok && strings.HasSuffix(rest, ")") {
		function, place = name, rest[:len(rest)-1]
	}
	if strings.HasPrefix(place, "eval at ") { // the code has no file: take the place of the call
		_, place, _ = cutLast(place, " (")
		place, _, _ = strings.Cut(place, ")")
	}
	file, line, column, ok := position(place)
	builtIn := place == "<anonymous>" || place == "native" || strings.HasPrefix(place, "wasm://") || strings.HasPrefix(place, "index ")
	if !ok && !builtIn {
		return Frame{}, false
	}
	if function == "" && (!ok || column == 0 && !isAbsolute(file)) {
		return Frame{}, false
	}
	f := at(file, line, column)
	if function != "<anonymous>" {
		f.Function = function
	}
	return f, true
}

// geckoFrame reads "pay@https://acme.test/app.js:12:5".
func geckoFrame(s string) (Frame, bool) {
	function, place, ok := strings.Cut(s, "@")
	if !ok || strings.ContainsAny(function, " \t") && !strings.HasSuffix(function, " code") && !strings.Contains(function, "handler*") {
		return Frame{}, false
	}
	if star := strings.LastIndexByte(function, '*'); star >= 0 { // "async*pay", "setTimeout handler*pay"
		function = function[star+1:]
	}
	if place == "[native code]" {
		return Frame{Function: function, Filename: place}, true
	}
	file, line, column, ok := position(place)
	if i := strings.Index(file, " line "); i > 0 && strings.Contains(file[i:], " > ") { // eval
		digits, _, _ := strings.Cut(file[i+len(" line "):], " ")
		line, _ = number(digits)
		file, column = file[:i], 0
	}
	if !ok || !isAbsolute(file) && !strings.HasPrefix(file, "webpack") && file != "debugger eval code" {
		return Frame{}, false
	}
	f := at(file, line, column)
	f.Function = function
	return f, true
}
