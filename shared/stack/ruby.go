package stack

import (
	"slices"
	"strings"
)

// rubyReader reads Exception#full_message, or a backtrace alone. An exception's heading stands behind its newest
// frame, and its cause follows:
//
//	app.rb:5:in 'Cart#pay': text (Shop::Error)
//		from app.rb:9:in '<main>'
//	app.rb:3:in 'Cart#charge': inner text (KeyError)
//		from …
type rubyReader struct {
	chain   []Exception // captured first
	current Exception
	heading []string
	more    bool // the heading goes on
}

func readRuby(lines []string) Trace {
	r := rubyReader{}
	for _, line := range lines {
		r.read(line)
	}
	r.finish()
	slices.Reverse(r.chain)
	return Trace{Platform: "ruby", Exceptions: r.chain}
}

// read takes one line.
func (r *rubyReader) read(line string) {
	f, text, ok := rubyFrame(strings.TrimLeft(line, " \t"))
	switch {
	case ok && text != "":
		r.finish()
		r.heading, r.more = []string{text}, true
		r.current.Frames = append(r.current.Frames, f)
	case ok:
		r.current.Frames, r.more = append(r.current.Frames, f), false
	case r.more, len(r.current.Frames) == 0:
		r.heading = append(r.heading, line)
	}
}

// finish adds the exception that was read.
func (r *rubyReader) finish() {
	if len(r.current.Frames) > 0 {
		e := Exception{Link: "cause", Frames: reversed(r.current.Frames)}
		e.Type, e.Value = rubyHeading(r.heading)
		r.chain = append(r.chain, e)
	}
	r.current, r.heading, r.more = Exception{}, nil, false
}

// rubyHeading reads "text (Type)", whose first line may go on in others, or "Type: text".
func rubyHeading(lines []string) (kind, value string) {
	if len(lines) == 0 {
		return "", ""
	}
	text, kind, ok := cutLast(lines[0], " (")
	kind, closed := strings.CutSuffix(kind, ")")
	if !ok || !closed || strings.ContainsAny(kind, " ,") {
		return heading(lines)
	}
	return kind, joined(text, lines[1:])
}

// rubyFrame reads "from app.rb:5:in 'Cart#pay': text (Shop::Error)". The text is there in headings only.
func rubyFrame(s string) (f Frame, text string, ok bool) {
	s = strings.TrimPrefix(s, "from ")
	if rest, ok := numbered(s, ": from "); ok {
		s = rest
	}
	place, rest, ok := strings.Cut(s, ":in ")
	if !ok || rest == "" || rest[0] != '\'' && rest[0] != '`' {
		return f, "", false
	}
	function, text, ok := strings.Cut(rest[1:], "'")
	text, heading := strings.CutPrefix(text, ": ")
	if !ok || text != "" && !heading {
		return f, "", false
	}
	file, line, column, ok := position(place)
	if !ok || column != 0 {
		return f, "", false
	}
	f = at(file, line, 0)
	f.Function = function
	f.Origin = originOf("ruby", &f)
	return f, text, true
}

// reversed returns frames in the opposite order, in the same memory.
func reversed(frames []Frame) []Frame {
	slices.Reverse(frames)
	return frames
}
