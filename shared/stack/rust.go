package stack

import (
	"slices"
	"strings"
)

// rustReader reads a panic with its backtrace, or an error as anyhow and eyre print it:
//
//	thread 'main' panicked at src/main.rs:5:10:
//	text
//	stack backtrace:
//	   0: core::panicking::panic_fmt
//	             at /rustc/9fc6b431/library/core/src/panicking.rs:72:14
//	   1: shop::pay
type rustReader struct {
	heading []string
	causes  []string // outermost first
	frames  []Frame  // newest first
	part    rustPart
}

type rustPart uint8

const (
	rustHeading rustPart = iota
	rustCauses
	rustFrames
)

func readRust(lines []string) Trace {
	var r rustReader
	for _, line := range lines {
		r.read(line)
	}
	var chain []Exception
	slices.Reverse(r.causes)
	for _, cause := range r.causes {
		chain = append(chain, Exception{Type: "Error", Value: cause, Link: "cause"})
	}
	for i := range r.frames {
		r.frames[i].Origin = originOf("rust", &r.frames[i])
	}
	e := Exception{Frames: reversed(r.frames)}
	e.Type, e.Value = rustHead(r.heading)
	return Trace{Platform: "rust", Exceptions: append(chain, e)}
}

// read takes one line.
func (r *rustReader) read(line string) {
	s := strings.TrimLeft(line, " \t")
	switch {
	case strings.EqualFold(s, "stack backtrace:"):
		r.part = rustFrames
		return
	case r.part != rustFrames && s == "Caused by:":
		r.part = rustCauses
		return
	case r.part == rustHeading && !r.begins(line, s):
		r.heading = append(r.heading, line)
		return
	case r.part == rustCauses && s != "":
		if text, ok := numbered(s, ": "); ok {
			s = text
		}
		r.causes = append(r.causes, s)
		return
	}
	r.frame(line, s)
}

// begins reports whether a line is a frame although nothing said that frames follow.
func (r *rustReader) begins(line, s string) bool {
	_, ok := rustCall(s)
	if ok && line != s {
		r.part = rustFrames
	}
	return r.part == rustFrames
}

// frame takes a call, or the place of the last one.
func (r *rustReader) frame(line, s string) {
	if function, ok := rustCall(s); ok && line != s {
		r.frames = append(r.frames, Frame{Function: function})
		return
	}
	place, ok := strings.CutPrefix(s, "at ")
	if n := len(r.frames); ok && n > 0 && r.frames[n-1].file() == "" {
		file, row, column, _ := position(place)
		f := at(file, row, column)
		f.Function = r.frames[n-1].Function
		r.frames[n-1] = f
	}
}

// rustHead reads the heading of a panic, or any other.
func rustHead(lines []string) (kind, value string) {
	for i, line := range lines {
		if !strings.HasPrefix(line, "thread '") {
			continue
		}
		_, text, ok := strings.Cut(line, " panicked at ")
		if !ok {
			continue
		}
		if quoted, ok := between(text, "'", "', "); ok && text[0] == '\'' { // before Rust 1.73
			return "panic", quoted
		}
		return "panic", joined("", lines[i+1:])
	}
	return heading(lines)
}

// rustCall reads "12: shop::pay::h0123456789abcdef", with or without an address.
func rustCall(s string) (function string, ok bool) {
	s, ok = numbered(s, ": ")
	if !ok {
		return "", false
	}
	s = strings.TrimLeft(s, " ")
	if strings.HasPrefix(s, "0x") {
		if _, name, ok := strings.Cut(s, " - "); ok {
			s = name
		}
	}
	if name, hash, ok := cutLast(s, "::h"); ok && len(hash) == 16 {
		s = name
	}
	s = strings.TrimPrefix(withoutHashes(s), "__rustc::")
	return s, s != "" && strings.IndexByte(s, '"') < 0
}

// withoutHashes drops the hash behind each crate's name, as in "std[e28293b1aa0f68bd]::io".
func withoutHashes(s string) string {
	if !strings.Contains(s, "]::") {
		return s
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "[")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		if hash, after, ok := strings.Cut(rest, "]"); ok && len(hash) == 16 {
			s = after
			continue
		}
		b.WriteByte('[')
		s = rest
	}
}
