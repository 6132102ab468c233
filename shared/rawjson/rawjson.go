// Package rawjson cleans, checks and cuts JSON text without building trees.
//
// Text from outside goes through Clean once. From then on it is clean text: one valid, compact value without
// a raw newline, in valid UTF-8, holding nothing that Postgres json or jsonb refuses. The walkers (Object,
// Array, Kind, Unquote) cut clean text into pieces that alias it; they do not check it again.
package rawjson

import "fmt"

// TooDeep is the Msg of a SyntaxError about a text that is nested deeper than allowed.
const TooDeep = "nested too deeply"

// TooLong is the Msg of a SyntaxError about a text whose clean form is longer than allowed.
const TooLong = "too long"

// SyntaxError says where text stops being JSON, in words for the person who sent it.
type SyntaxError struct {
	Offset int    // bytes before the place where the problem was noticed
	Msg    string // for instance "expected ',' or '}' after a value in an object"
}

// Error returns the message and the offset.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s (at byte %d)", e.Msg, e.Offset)
}

// Clean reads one JSON value from the start of src, after optional white space, and appends its compact form
// to dst. It returns the extended dst, the number of bytes of src consumed (what follows the value is not
// looked at), and how many pieces of the text it replaced because Postgres refuses them:
//   - \u0000 and the escape of a lone surrogate become \ufffd,
//   - each byte of invalid UTF-8 becomes U+FFFD,
//   - a number of more than 400 digits or with an exponent beyond ±1000 becomes a string of the same text.
//
// Printable ASCII that was escaped without need is written plainly, so that the name of a field can be looked
// for byte by byte in clean text.
//
// Reading is strict (RFC 8259). Keys that occur twice are kept twice. More than maxDepth nested arrays and
// objects are an error, and so are more than maxBytes of clean text, which can be up to three times as long as
// src. An error is always a *SyntaxError; dst then comes back with its old length and n is the offset of the
// error. src and dst must not overlap.
func Clean(dst, src []byte, maxDepth, maxBytes int) (out []byte, n, replaced int, err error) {
	c := cleaner{src: src, dst: dst, maxDepth: maxDepth, maxLen: len(dst) + maxBytes}
	start := skipSpace(src, 0)
	c.mark = start
	end := c.value(start, 0)
	if end >= 0 && len(c.dst)+end-c.mark > c.maxLen {
		end = c.fail(c.mark, TooLong)
	}
	if end < 0 {
		return dst, c.err.Offset, 0, c.err
	}
	return append(c.dst, src[c.mark:end]...), end, c.replaced, nil
}

// Check reports, as a *SyntaxError, why text is not exactly one clean value: invalid, not compact, deeper
// than maxDepth, followed by more text, or holding something that Clean would replace. It allocates nothing
// when text is clean.
func Check(text []byte, maxDepth int) error {
	c := cleaner{src: text, maxDepth: maxDepth, check: true}
	end := c.value(0, 0)
	if end < 0 {
		return c.err
	}
	if end != len(text) {
		return &SyntaxError{Offset: end, Msg: "unexpected text after the value"}
	}
	return nil
}

// skipSpace returns the index of the first byte at or after i that is not white space.
func skipSpace(src []byte, i int) int {
	for i < len(src) && (src[i] == ' ' || src[i] == '\n' || src[i] == '\r' || src[i] == '\t') {
		i++
	}
	return i
}
