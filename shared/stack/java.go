package stack

import (
	"slices"
	"strings"
)

// javaReader reads what Throwable.printStackTrace writes, and what imitates it:
//
//	Exception in thread "main" com.acme.ShopException: text
//		at com.acme.Shop.pay(Shop.java:12)
//		Suppressed: java.io.IOException: text
//			at …
//	Caused by: java.lang.IllegalStateException: text
//		at …
//		... 23 more
type javaReader struct {
	chain      []Exception // captured first
	suppressed []Exception
	current    Exception
	heading    []string
	platform   string
}

func readJava(lines []string) Trace {
	r := javaReader{platform: "java"}
	for _, line := range lines {
		r.read(line)
	}
	r.finish("")
	slices.Reverse(r.suppressed)
	slices.Reverse(r.chain)
	return Trace{Platform: r.platform, Exceptions: append(r.suppressed, r.chain...)}
}

// read takes one line.
func (r *javaReader) read(line string) {
	s := strings.TrimLeft(line, " \t")
	if call, ok := strings.CutPrefix(s, "at "); ok {
		if f, ok := javaFrame(call); ok {
			if strings.HasSuffix(f.Filename, ".php") {
				r.platform = "php"
			}
			f.Origin = originOf(r.platform, &f)
			r.current.Frames = append(r.current.Frames, f)
			return
		}
	}
	for word, link := range javaLinks {
		if text, ok := strings.CutPrefix(s, word); ok {
			if s != line && (r.current.Link == "suppressed" || len(r.suppressed) > 0) {
				link = "suppressed" // the cause of one, or another one
			}
			r.finish(link)
			r.heading = append(r.heading, text)
			return
		}
	}
	if len(r.current.Frames) == 0 && !strings.HasPrefix(s, "... ") {
		r.heading = append(r.heading, withoutThread(s))
	}
}

// javaLinks are the words before the headings of further exceptions.
var javaLinks = map[string]string{"Caused by: ": "cause", "Suppressed: ": "suppressed"}

// withoutThread drops what stands before the type of an exception that ended a thread.
func withoutThread(s string) string {
	if name, rest, ok := cutQuoted(s, `Exception in thread "`); ok && name != "" {
		return strings.TrimLeft(rest, " ")
	}
	return s
}

// cutQuoted cuts prefix and what stands before the next double quote off s.
func cutQuoted(s, prefix string) (quoted, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, prefix)
	if !ok {
		return "", s, false
	}
	return strings.Cut(s, `"`)
}

// finish adds the exception that was read. Next is the link of the one that follows.
func (r *javaReader) finish(next string) {
	e, link := r.current, r.current.Link
	e.Type, e.Value = heading(r.heading)
	if e.Type == "" && len(e.Frames) == 0 {
		e.Value = ""
	}
	switch {
	case e.Type == "" && e.Value == "" && len(e.Frames) == 0:
	case link == "suppressed":
		r.suppressed = append(r.suppressed, e)
	default:
		r.chain = append(r.chain, e)
	}
	r.current, r.heading = Exception{Link: next}, r.heading[:0]
}

// javaFrame reads "app//com.acme.Shop.pay(Shop.java:12) ~[shop.jar:1.0]".
func javaFrame(s string) (Frame, bool) {
	open := strings.IndexByte(s, '(')
	if open <= 0 || s[open-1] == ' ' || strings.IndexByte(s[:open], ' ') >= 0 {
		return Frame{}, false
	}
	place, _, ok := strings.Cut(s[open+1:], ")")
	if !ok {
		return Frame{}, false
	}
	var f Frame
	switch place {
	case "Native Method", "Unknown Source", "<generated>", "<unknown>", "Unknown Source:0":
	default:
		file, line, _, _ := position(place)
		if strings.IndexByte(file, '.') < 0 || strings.ContainsAny(file, " ,(") || strings.HasSuffix(file, ".js") {
			return Frame{}, false
		}
		f = at(file, line, 0)
	}
	_, name, _ := cutLast(s[:open], "/")
	if name == "" {
		name = s[:open]
	}
	f.Module, f.Function, _ = cutLast(name, ".")
	if f.Function == "" {
		f.Module, f.Function = "", f.Module
	}
	return f, true
}
