package stack

import (
	"slices"
	"strings"
)

// readGo reads what a panic prints, or runtime.Stack returns. Of several goroutines the first one counts: it
// is the one that failed.
//
//	panic: first [recovered]
//		panic: second
//
//	goroutine 1 [running]:
//	main.(*Cart).Pay(0xc000012120, {0x4b1e50, 0x3})
//		/src/cart.go:12 +0x1d
//	created by main.main in goroutine 7
//		/src/main.go:5 +0x2a
func readGo(lines []string) Trace {
	chain, rest := goPanics(lines)
	var frames []Frame
	function, inside := "", false
	for _, line := range rest {
		switch {
		case strings.HasPrefix(line, "goroutine ") && strings.HasSuffix(line, ":"):
			if inside && len(frames) > 0 {
				return goTrace(chain, frames)
			}
			inside = true
		case strings.HasPrefix(line, "\t") && isGoPlace(line[1:]):
			frames = append(frames, goFrame(function, line[1:]))
			function = ""
		case line != "" && !indented(line):
			function = line
		}
	}
	return goTrace(chain, frames)
}

// goTrace puts frames, which are newest first, under the last panic. What runs above the call of panic only
// recovers from it.
func goTrace(chain []Exception, frames []Frame) Trace {
	for i := len(frames) - 1; i >= 0; i-- {
		if frames[i].Function == "panic" && frames[i].Module == "" {
			for j := range i + 1 {
				frames[j].Origin = Library
			}
			break
		}
	}
	slices.Reverse(frames)
	if len(chain) == 0 {
		chain = []Exception{{}}
	}
	chain[len(chain)-1].Frames = frames
	return Trace{Platform: "go", Exceptions: chain}
}

// goPanics reads the lines before the first goroutine.
func goPanics(lines []string) (chain []Exception, rest []string) {
	first := 0 // line of the value of the last panic
	for i, line := range lines {
		if strings.HasPrefix(line, "goroutine ") && strings.HasSuffix(line, ":") {
			goValue(chain, lines[first:i])
			return chain, lines[i:]
		}
		kind, _, ok := strings.Cut(strings.TrimLeft(line, "\t "), ": ")
		switch {
		case ok && (kind == "panic" || kind == "fatal error"):
			goValue(chain, lines[first:i])
			chain, first = append(chain, Exception{Type: kind, Link: "cause"}), i
		case len(chain) == 0 && isGoPlace(line):
			return nil, lines
		}
	}
	return nil, lines
}

// goValue sets the value of the last panic from its lines.
func goValue(chain []Exception, lines []string) {
	if len(chain) == 0 {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.HasPrefix(line, "[signal ") })
	_, value, _ := strings.Cut(joined("", kept), ": ")
	value = strings.TrimSuffix(strings.TrimSuffix(value, " [recovered]"), " [recovered, repanicked]")
	chain[len(chain)-1].Value = value
}

// goFrame reads a call, which may be missing, and its place.
func goFrame(call, place string) Frame {
	place, _, _ = strings.Cut(place, " +0x")
	file, line, _, _ := position(place)
	f := at(file, line, 0)
	if created, ok := strings.CutPrefix(call, "created by "); ok {
		call, _, _ = strings.Cut(created, " in goroutine ")
	} else if strings.HasSuffix(call, ")") {
		call, _, _ = cutLast(call, "(")
	}
	f.Module, f.Function = goName(call)
	f.Origin = originOf("go", &f)
	return f
}

// isGoPlace reports whether s is a file and line such as "/src/main.go:12 +0x1d".
func isGoPlace(s string) bool {
	s, _, _ = strings.Cut(s, " +0x")
	file, _, _, ok := position(s)
	return ok && (strings.HasSuffix(file, ".go") || strings.HasSuffix(file, ".s") || file == "_cgo_gotypes")
}

// goName cuts "example.com/shop/cart.(*Cart).Pay" into package and function.
func goName(name string) (module, function string) {
	slash := strings.LastIndexByte(name, '/') + 1
	if bracket := strings.IndexByte(name, '['); bracket >= 0 && bracket < slash {
		slash = strings.LastIndexByte(name[:bracket], '/') + 1
	}
	dot := strings.IndexByte(name[slash:], '.')
	if dot < 0 {
		return "", name
	}
	return strings.ReplaceAll(name[:slash+dot], "%2e", "."), name[slash+dot+1:]
}
