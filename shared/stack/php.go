package stack

import "strings"

// phpReader reads Exception::__toString, or getTraceAsString alone. A line names the call and the place it was
// called from, so that the frame of a function has the place of the line above it:
//
//	RuntimeException: text in /app/cart.php:12
//	Stack trace:
//	#0 /app/shop.php(5): Cart->pay(7)
//	#1 {main}
//
//	Next LogicException: outer text in /app/shop.php:9
type phpReader struct {
	chain   []Exception
	heading []string
	frames  []Frame // newest first
	place   Frame   // where the next function stood
	inside  bool    // between the first call and the last
}

func readPHP(lines []string) Trace {
	var r phpReader
	for _, line := range lines {
		r.read(line)
	}
	r.finish()
	return Trace{Platform: "php", Exceptions: r.chain}
}

// read takes one line.
func (r *phpReader) read(line string) {
	call, ok := phpCall(strings.TrimLeft(line, " \t"))
	switch {
	case ok:
		if !r.inside {
			r.begin()
		}
		r.add(call)
	case r.inside && line != "" && !strings.HasPrefix(line, "Next "):
	case r.inside && line == "":
		r.finish()
	default:
		if r.inside {
			r.finish()
		}
		r.heading = append(r.heading, line)
	}
}

// begin takes the place from the heading, which ends with it.
func (r *phpReader) begin() {
	r.inside = true
	for i := len(r.heading) - 1; i >= 0; i-- {
		text, place, ok := cutLast(r.heading[i], " in ")
		if file, line, _, found := position(place); ok && found {
			r.place = at(file, line, 0)
			r.heading = append(r.heading[:i:i], text)
			return
		}
	}
}

// add takes one call.
func (r *phpReader) add(call phpLine) {
	f := r.place
	f.Module, f.Function = call.class, call.function
	f.Origin = originOf("php", &f)
	r.frames, r.place = append(r.frames, f), call.place
}

// finish adds the exception that was read. The printed order is innermost first.
func (r *phpReader) finish() {
	if len(r.frames) == 0 {
		return
	}
	lines := r.heading
	if n := len(lines); n > 0 && strings.HasPrefix(lines[n-1], "Stack trace:") {
		lines = lines[:n-1]
	}
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "Next ")
		if _, text, ok := strings.Cut(lines[i], "Uncaught "); ok {
			lines[i] = text
		}
	}
	e := Exception{Link: "cause", Frames: reversed(r.frames)}
	e.Type, e.Value = heading(lines)
	r.chain = append(r.chain, e)
	*r = phpReader{chain: r.chain}
}

// phpLine is what a line of a trace says.
type phpLine struct {
	place           Frame
	class, function string
}

// phpCall reads "#0 /app/shop.php(5): Acme\Cart->pay(7)".
func phpCall(s string) (phpLine, bool) {
	s, ok := strings.CutPrefix(s, "#")
	if !ok {
		return phpLine{}, false
	}
	s, ok = numbered(s, " ")
	if s == "{main}" {
		return phpLine{function: s}, ok
	}
	place, call, found := strings.Cut(s, ": ")
	if !ok || !found {
		return phpLine{}, false
	}
	var l phpLine
	if file, digits, ok := cutLast(strings.TrimSuffix(place, ")"), "("); ok {
		line, whole := number(digits)
		if !whole {
			return phpLine{}, false
		}
		l.place = at(file, line, 0)
	} else if place != "[internal function]" {
		return phpLine{}, false
	}
	l.function, _, _ = strings.Cut(call, "(")
	for _, arrow := range [...]string{"->", "::"} {
		if class, function, ok := strings.Cut(l.function, arrow); ok {
			l.class, l.function = class, function
			break
		}
	}
	return l, true
}
