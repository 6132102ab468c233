package stack

import "strings"

// readDotnet reads what Exception.ToString returns. The headings of the inner exceptions come first, then their
// frames from the innermost outwards:
//
//	Acme.ShopException: text
//	 ---> System.InvalidOperationException: inner text
//	   at Acme.Cart.Pay(Int32 id) in /src/Cart.cs:line 12
//	   --- End of inner exception stack trace ---
//	   at Acme.Shop.Main() in /src/Shop.cs:line 5
func readDotnet(lines []string) Trace {
	var r dotnetReader
	for _, line := range lines {
		r.read(line)
	}
	for len(r.open) > 0 {
		r.finish()
	}
	return Trace{Platform: "csharp", Exceptions: r.chain}
}

type dotnetReader struct {
	chain []Exception // innermost first
	open  []dotnetException
}

// dotnetException is one whose frames are still to come.
type dotnetException struct {
	heading []string
	frames  []Frame // newest first
}

// read takes one line.
func (r *dotnetReader) read(line string) {
	s := strings.TrimSuffix(strings.TrimLeft(line, " \t"), "<---") // the end of a member of an AggregateException
	switch {
	case strings.HasPrefix(s, "--- End of inner exception"):
		if len(r.open) > 1 {
			r.finish()
		}
		return
	case strings.HasPrefix(s, "--- End of stack trace"), s == "":
		return
	case strings.HasPrefix(s, "at "):
		if f, ok := dotnetFrame(s[len("at "):]); ok {
			last := r.last()
			last.frames = append(last.frames, f)
			return
		}
	}
	if len(r.open) > 0 && len(r.last().frames) > 0 && !strings.HasPrefix(s, "---> ") {
		return // text between frames
	}
	s = strings.TrimPrefix(s, "Unhandled exception. ")
	for i, heading := range strings.Split(s, "---> ") {
		if i > 0 {
			r.open = append(r.open, dotnetException{})
		}
		if heading = strings.TrimSpace(heading); heading != "" {
			last := r.last()
			last.heading = append(last.heading, withoutIndex(heading))
		}
	}
}

// withoutIndex drops "(Inner Exception #1) " before the heading of a member of an AggregateException.
func withoutIndex(s string) string {
	if rest, ok := strings.CutPrefix(s, "(Inner Exception #"); ok {
		if _, text, ok := strings.Cut(rest, ") "); ok {
			return text
		}
	}
	return s
}

// last returns the exception that lines belong to.
func (r *dotnetReader) last() *dotnetException {
	if len(r.open) == 0 {
		r.open = append(r.open, dotnetException{})
	}
	return &r.open[len(r.open)-1]
}

// finish adds the innermost exception that is still open to the chain.
func (r *dotnetReader) finish() {
	last := r.last()
	e := Exception{Link: "cause", Frames: reversed(last.frames)}
	e.Type, e.Value = heading(last.heading)
	r.chain = append(r.chain, e)
	r.open = r.open[:len(r.open)-1]
}

// dotnetFrame reads "Acme.Cart.Pay(Int32 id) in /src/Cart.cs:line 12".
func dotnetFrame(s string) (Frame, bool) {
	call, place, _ := cutLast(s, ") in ")
	if place == "" {
		call = strings.TrimSuffix(call, ")")
	}
	open := strings.IndexByte(call, '(')
	if open <= 0 || call[open-1] == ' ' || len(call) == len(s) {
		return Frame{}, false
	}
	file, digits, _ := cutLast(place, ":line ")
	line, _ := number(digits)
	f := at(file, line, 0)
	name := call[:open]
	if generic := strings.IndexByte(name, '['); generic > 0 {
		name = name[:generic]
	}
	f.Function = name
	if module, function, ok := cutLast(name, "."); ok && function != "" {
		f.Function = function
		if strings.HasSuffix(module, ".") { // a constructor: Acme.Cart..ctor
			module, f.Function = module[:len(module)-1], "."+function
		}
		f.Module = module
	} else if name != "lambda_method" && place == "" {
		return Frame{}, false
	}
	f.Origin = originOf("csharp", &f)
	return f, true
}
