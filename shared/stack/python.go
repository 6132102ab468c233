package stack

import (
	"slices"
	"strings"
)

// pythonReader reads tracebacks:
//
//	Traceback (most recent call last):
//	  File "/srv/app.py", line 3, in pay
//	    charge(card)
//	ValueError: no such card
//
//	During handling of the above exception, another exception occurred:
//	…
type pythonReader struct {
	chain   []Exception
	members []Exception // of the group at the end of chain
	current Exception
	heading []string // lines of the type and value
	inside  bool     // the current exception was begun
	grouped bool     // it is a member
}

func readPython(lines []string) Trace {
	var r pythonReader
	for _, line := range lines {
		plain := withoutMargin(line)
		if r.grouped && plain == line && strings.HasPrefix(line, tracebackLine) {
			r.finish("context")
			r.ungroup()
		}
		r.read(plain)
	}
	r.finish("")
	r.ungroup()
	return Trace{Platform: "python", Exceptions: r.chain}
}

const tracebackLine = "Traceback (most recent call last):"

// read takes one line.
func (r *pythonReader) read(line string) {
	s := strings.TrimSpace(line)
	switch {
	case strings.HasSuffix(s, tracebackLine):
		r.finish("context")
		r.inside = true
	case strings.HasPrefix(s, "During handling of the above exception"):
		r.finish("context")
	case strings.HasPrefix(s, "The above exception was the direct cause"):
		r.finish("cause")
	case s == separator:
		r.finish("context")
		r.inside, r.grouped = true, true
	case indented(line) && len(r.heading) == 0:
		r.frame(s)
	case r.inside && (s != "" || len(r.heading) > 0):
		r.heading = append(r.heading, line)
	}
}

// frame takes a line within a traceback: a place, its source, or marks below that.
func (r *pythonReader) frame(s string) {
	if f, ok := pythonFrame(s); ok {
		r.current.Frames = append(r.current.Frames, f)
		r.inside = true
		return
	}
	if n := len(r.current.Frames); n > 0 && strings.Trim(s, "~^ ") != "" && r.current.Frames[n-1].ContextLine == "" &&
		!strings.HasPrefix(s, "[Previous line repeated") {
		r.current.Frames[n-1].ContextLine = s
	}
}

// finish adds the exception that was read, if any, with the way in which it led to the next one.
func (r *pythonReader) finish(link string) {
	for n := len(r.heading); n > 0 && r.heading[n-1] == ""; n-- {
		r.heading = r.heading[:n-1]
	}
	e := r.current
	e.Type, e.Value = heading(r.heading)
	if !e.empty() {
		e.Link = link
		if r.grouped {
			e.Link = "member"
			r.members = append(r.members, e)
		} else {
			r.chain = append(r.chain, e)
		}
	}
	r.current, r.heading, r.inside = Exception{}, nil, false
}

// ungroup puts the members of a group before it, for they are within it.
func (r *pythonReader) ungroup() {
	r.chain = slices.Insert(r.chain, max(0, len(r.chain)-1), r.members...)
	r.members, r.grouped = nil, false
}

// separator stands for each line between the members of a group.
const separator = "----------------"

// withoutMargin drops what is drawn beside the members of an exception group.
func withoutMargin(line string) string {
	s := strings.TrimLeft(line, " ")
	switch {
	case s == "|":
		return ""
	case strings.HasPrefix(s, "| "):
		return s[2:]
	case strings.HasPrefix(s, "+-"), strings.HasPrefix(s, "+ "):
		if strings.Contains(s, separator) {
			return separator
		}
		return s[2:]
	}
	return line
}

// pythonFrame reads `File "/srv/app.py", line 3, in pay`.
func pythonFrame(s string) (Frame, bool) {
	s, ok := strings.CutPrefix(s, `File "`)
	if !ok {
		return Frame{}, false
	}
	file, rest, ok := cutLast(s, `", line `)
	if !ok {
		return Frame{}, false
	}
	digits, function, _ := strings.Cut(rest, ", in ")
	line, ok := number(digits)
	f := at(file, line, 0)
	f.Function = function
	f.Origin = originOf("python", &f)
	return f, ok
}
