package grouping

import (
	"bytes"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// sort is what the name of a frame says about it.
type sort uint8

// The sorts.
const (
	named     sort = iota
	anonymous      // the name says only that there is none, or a minifier chose it
	generated      // a compiler or a framework put the frame there: proxies, thunks, accessors
)

// name is a frame without what varies in its names: counters, hashes, type arguments, ways of being called.
// A closure has the name of the function that it stands in.
type name struct {
	module, function []byte
	sort             sort
}

// nameOf returns the name of a frame. It is valid until the next call.
func (p *parts) nameOf(f *frame) name {
	p.scratch = rawjson.AppendUnquoted(p.scratch[:0], f.module)
	end := len(p.scratch)
	p.scratch = rawjson.AppendUnquoted(p.scratch, f.function)
	n := name{module: p.scratch[:end:end], function: p.scratch[end:]}
	switch f.style {
	case unknown:
		n.other()
	case golang:
		n.golang()
	case python:
		n.python()
	case browser, node:
		n.script(f.style)
	case jvm:
		n.jvm()
	case dotnet:
		n.dotnet()
	case ruby:
		n.ruby()
	case php:
		n.php()
	case rust:
		n.rust()
	case native:
		n.native()
	case apple:
		n.apple()
	case beam:
		n.beam()
	}
	if f.style != jvm && f.style != dotnet {
		n.function = unqualified(n.function, n.module)
	}
	if n.sort == named && nameless(n.function) {
		n.sort = anonymous
	}
	return n
}

// unqualified returns a function without the module that it begins with.
func unqualified(function, module []byte) []byte {
	if len(module) == 0 || len(function) < len(module)+2 || !bytes.HasPrefix(function, module) {
		return function
	}
	if rest := bytes.TrimLeft(function[len(module):], ".:#"); len(rest) > 0 && len(rest) < len(function)-len(module) {
		return rest
	}
	return function
}

// nameless reports whether a function's name says only that it has none.
func nameless(function []byte) bool {
	switch string(function) {
	case "", "?", "??", "<anonymous>", "<unknown>", "anonymous", "<redacted>", "<unnamed>", "{closure}", "(anonymous)", "unknown":
		return true
	}
	return false
}

// appendPlain appends the name of a type, module or function of any platform without its counters.
func appendPlain(dst, name []byte) []byte {
	start := len(dst)
	for i := 0; i < len(name); {
		b := name[i]
		if !isDigit(b) || !counter(dst[start:]) {
			dst = append(dst, b)
			i++
			continue
		}
		hex := b == '0' && i+1 < len(name) && name[i+1] == 'x'
		if hex {
			i += 2
		}
		for i < len(name) && (isDigit(name[i]) || hex && isHexLetter(name[i])) {
			i++
		}
	}
	return dst
}

// counter reports whether digits that follow name are a counter.
func counter(name []byte) bool {
	n := len(name)
	if n == 0 {
		return false
	}
	switch name[n-1] {
	case '$', '#', ':', ' ':
		return true
	case '.':
		return n < 2 || !isDigit(name[n-2])
	case '_':
		return n >= 3 && name[n-2] == '_'
	}
	return false
}

// before returns what of s stands before mark, or s.
func before(s []byte, mark string) []byte {
	if i := bytes.Index(s, []byte(mark)); i >= 0 {
		return s[:i]
	}
	return s
}

// afterLast returns what of s stands after the last mark, or s.
func afterLast(s []byte, mark string) []byte {
	if i := bytes.LastIndex(s, []byte(mark)); i >= 0 && i+len(mark) < len(s) {
		return s[i+len(mark):]
	}
	return s
}

// without removes what stands between pairs of open and close, with them, in place. A pair that is not closed
// stays.
func without(s []byte, open, shut byte) []byte {
	if bytes.IndexByte(s, open) < 0 {
		return s
	}
	out, depth, from := s[:0], 0, 0
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b == open:
			if depth == 0 {
				from = len(out)
			}
			depth++
			out = append(out, b)
		case b == shut && depth > 0 && (shut != '>' || s[i-1] != '-'): // no arrow
			out = append(out, b)
			if depth--; depth == 0 {
				out = out[:from]
			}
		default:
			out = append(out, b)
		}
	}
	return out
}

// digits returns s without the digits it ends with.
func withoutDigits(s []byte) []byte {
	for len(s) > 0 && isDigit(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isDigit(b byte) bool     { return b-'0' <= 9 }
func isUpper(b byte) bool     { return b-'A' <= 'Z'-'A' }
func isLower(b byte) bool     { return b-'a' <= 'z'-'a' }
func isHexLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'f' }
func isLetter(b byte) bool    { return b|0x20 >= 'a' && b|0x20 <= 'z' || b >= 0x80 }
func isWord(b byte) bool      { return isDigit(b) || isLetter(b) || b == '_' }
