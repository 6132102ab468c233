package stack

import "strings"

// readElixir reads an exception as Exception.format returns it:
//
//	** (Acme.Error) text
//	    (shop 0.1.0) lib/cart.ex:12: Acme.Cart.pay/1
func readElixir(lines []string) Trace {
	var frames []Frame
	var above []string
	for _, line := range lines {
		f, ok := elixirFrame(strings.TrimLeft(line, " "))
		if ok {
			frames = append(frames, f)
		} else if len(frames) == 0 {
			above = append(above, line)
		}
	}
	e := Exception{Frames: reversed(frames)}
	for i, line := range above {
		if kind, ok := between(line, "** (", ") "); ok {
			_, text, _ := strings.Cut(line, ") ")
			e.Type, e.Value = kind, joined(text, above[i+1:])
			break
		}
	}
	if e.Type == "" {
		e.Type, e.Value = heading(above)
	}
	return Trace{Platform: "elixir", Exceptions: []Exception{e}}
}

// elixirFrame reads "(shop 0.1.0) lib/cart.ex:12: Acme.Cart.pay/1".
func elixirFrame(s string) (Frame, bool) {
	application, rest, ok := strings.Cut(s, ") ")
	place, call, called := strings.Cut(rest, ": ")
	if !ok || !called || !strings.HasPrefix(application, "(") {
		return Frame{}, false
	}
	file, line, _, ok := position(place)
	if !ok || !strings.HasSuffix(file, ".ex") && !strings.HasSuffix(file, ".exs") && !strings.HasSuffix(file, ".erl") {
		return Frame{}, false
	}
	f := at(file, line, 0)
	f.Function = call
	if arity := strings.LastIndexByte(call, '/'); arity > 0 {
		if dot := strings.LastIndexByte(call[:arity], '.'); dot > 0 {
			f.Module, f.Function = call[:dot], call[dot+1:]
		}
	}
	name, _, _ := strings.Cut(application[1:], " ")
	f.Origin = originOfApplication(name)
	return f, true
}
