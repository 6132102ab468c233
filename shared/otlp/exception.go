package otlp

import (
	"strings"

	"github.com/mesherhq/mesher/shared/stack"
)

// exception is what a record tells about one.
type exception struct {
	chain    []stack.Exception // innermost first, or nil
	frame    []stack.Frame     // the place of a record without an exception: one frame, or nil
	platform string            // whose form the stack trace has, or ""
	parsed   bool              // the chain holds all that the attributes say
}

// exception reads the attributes of the exception. The last entry of the chain has the type and message that the
// record names: those of the stack trace are the same or come in other words.
func (rec *Record) exception() exception {
	var x exception
	kind, message, text := rec.text(exceptionType), rec.text(exceptionMessage), rec.text(exceptionStack)
	frame := rec.place()
	if !rec.isException() {
		x.frame = frame
		return x
	}
	trace, ok := stack.Parse(text)
	x.chain, x.platform = trace.Exceptions, trace.Platform
	x.parsed = text == "" || ok && !trace.Partial
	if !ok {
		x.chain = []stack.Exception{{}}
	}
	last := &x.chain[len(x.chain)-1]
	if kind != "" {
		last.Type = kind
	}
	if message != "" {
		last.Value = message
	}
	if last.Type == "" && last.Value == "" {
		last.Value = rec.unnamed(text)
	}
	if len(last.Frames) == 0 {
		last.Frames = frame
	}
	return x
}

// unnamed returns words for an exception that has neither type nor message: the body, or the start of a stack
// trace that could not be read.
func (rec *Record) unnamed(text string) string {
	if body := rec.body; body.kind == stringValue && len(body.bytes) > 0 {
		return string(body.bytes)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if line = clip(line); line != "" && !strings.HasPrefix(line, "goroutine ") {
		return line
	}
	return "an exception without type and message"
}

// place returns the frame that the code.* attributes describe, or nil.
func (rec *Record) place() []stack.Frame {
	file, function := rec.text(codeFile), rec.text(codeFunction)
	if file == "" && function == "" {
		return nil
	}
	f := stack.NewFrame(rec.resource.platform, function, file, rec.whole(codeLine), rec.whole(codeColumn))
	if module := rec.text(codeNamespace); module != "" && f.Module == "" {
		f.Module = module
	}
	return []stack.Frame{f}
}

// whole returns an attribute as a number of a line or column, or 0.
func (rec *Record) whole(s slot) int {
	n, ok := parseUnsigned([]byte(rec.text(s)))
	if !ok || n > 1e9 {
		return 0
	}
	return int(n)
}

// writeException writes exception, or the place of a record without one as its thread.
func (rec *Record) writeException(w *objectWriter, x exception) {
	if x.chain != nil {
		w.dst = stack.AppendChain(appendKey(w.dst, "exception"), x.chain)
	}
	if x.frame != nil {
		inner := objectWriter{dst: append(appendKey(w.dst, "threads"), `[{"current":true`...)}
		writeFrames(&inner, "stacktrace", x.frame)
		w.dst = append(inner.dst, `}]`...)
	}
}
