// Package stack reads plain-text stack traces into frames.
//
// Where a trace comes as text, as it does from OpenTelemetry, the text is in the language's own form. Parse
// knows those of JavaScript (V8, Firefox, Safari), Go, Python, Java and its relatives, .NET, Ruby, PHP, Rust
// and Elixir. AppendChain writes what it found in the native format of package event.
package stack

import "slices"

// What Parse reads at most. Of more it keeps the start and the end: where the program began and where it failed
// matter most.
const (
	MaxText       = 64 << 10 // bytes of one trace
	MaxFrames     = 250      // of one exception
	MaxExceptions = 50       // of one chain
)

// Trace is what a text says.
type Trace struct {
	Platform   string      // javascript, node, go, python, java, csharp, ruby, php, rust or elixir
	Exceptions []Exception // innermost first: the last one was captured. Never empty
	Partial    bool        // something of the text was too much, and is not in Exceptions
}

// Exception is one exception of a chain.
type Exception struct {
	Type, Value string // either may be empty; a trace without a heading has neither
	Frames      []Frame
	Link        string // what made it part of the chain: cause, context, suppressed, member; empty for the captured one
}

// language is one way in which traces are written.
type language uint8

const (
	none language = iota
	goLang
	python
	php
	rust
	elixir
	ruby
	java
	dotnet
	v8
	gecko
	languages
)

// Parse reads the stack trace in text, and reports whether there is one. Its time and memory are linear in
// the length of text, of which it reads MaxText bytes.
func Parse(text string) (Trace, bool) {
	lines, partial := split(text)
	spoken := detect(lines)
	if spoken == none {
		return Trace{}, false
	}
	t := spoken.read(lines)
	t.Exceptions = slices.DeleteFunc(t.Exceptions, Exception.empty)
	frames := 0
	for i := range t.Exceptions {
		e := &t.Exceptions[i]
		partial = partial || len(e.Frames) > MaxFrames
		e.Frames = ends(e.Frames, MaxFrames)
		frames += len(e.Frames)
	}
	t.Partial = partial || len(t.Exceptions) > MaxExceptions
	t.Exceptions = ends(t.Exceptions, MaxExceptions)
	if frames == 0 || len(t.Exceptions) == 0 {
		return Trace{}, false
	}
	t.Exceptions[len(t.Exceptions)-1].Link = ""
	return t, true
}

// read reads lines, which are in language l.
func (l language) read(lines []string) Trace {
	switch l {
	case goLang:
		return readGo(lines)
	case python:
		return readPython(lines)
	case php:
		return readPHP(lines)
	case rust:
		return readRust(lines)
	case elixir:
		return readElixir(lines)
	case ruby:
		return readRuby(lines)
	case java:
		return readJava(lines)
	case dotnet:
		return readDotnet(lines)
	default:
		return readJavaScript(lines, l)
	}
}

// empty reports whether e says nothing.
func (e Exception) empty() bool { return e.Type == "" && e.Value == "" && len(e.Frames) == 0 }

// ends returns the first and the last elements of list, together at most most.
func ends[T any](list []T, most int) []T {
	if len(list) <= most {
		return list
	}
	return slices.Delete(list, most/2, len(list)-(most-most/2))
}
