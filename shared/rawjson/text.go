package rawjson

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special returns the top bit of each byte of x that cannot simply be copied within a string: a quote, a
// backslash, a control character, or part of a multi-byte character. Borrows may also set bits above the
// first true one, so only the lowest bit counts.
func special(x uint64) uint64 {
	quote := x ^ '"'*ones
	slash := x ^ '\\'*ones
	return ((quote-ones)&^quote | (slash-ones)&^slash | (x-0x20*ones)&^x | x) & highs
}

// plain returns the index of the first special byte at or after i, or len(src).
func plain(src []byte, i int) int {
	for i+8 <= len(src) {
		if m := special(binary.LittleEndian.Uint64(src[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(src) && src[i] >= ' ' && src[i] < utf8.RuneSelf && src[i] != '"' && src[i] != '\\' {
		i++
	}
	return i
}

// text reads a string whose opening quote stands at i.
func (c *cleaner) text(i int) int {
	start := i
	i++
	for {
		i = plain(c.src, i)
		if i >= len(c.src) {
			return c.fail(start, "unexpected end: unterminated string")
		}
		switch b := c.src[i]; {
		case b == '"':
			return i + 1
		case b == '\\':
			if i = c.escape(i); i < 0 {
				return i
			}
		case b < ' ':
			return c.fail(i, "a control character in a string must be escaped")
		default:
			if r, size := utf8.DecodeRune(c.src[i:]); r != utf8.RuneError || size > 1 {
				i += size
			} else if i = c.replace(i, i+1, "\ufffd"); i < 0 {
				return i
			}
		}
	}
}

// escape reads an escape whose backslash stands at i, and the second half of a surrogate pair with it.
func (c *cleaner) escape(i int) int {
	if i+1 >= len(c.src) {
		return c.fail(len(c.src), "unexpected end: unterminated string")
	}
	switch c.src[i+1] {
	case '"', '\\', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case '/':
		return c.splice(i, i+2, "/")
	case 'u':
	default:
		return c.fail(i, "unknown escape in a string: a backslash is written \\\\")
	}
	r := hex4(c.src, i+2)
	switch {
	case r < 0:
		return c.fail(i, "\\u needs four hexadecimal digits")
	case isHigh(r) && i+7 < len(c.src) && c.src[i+6] == '\\' && c.src[i+7] == 'u' && isLow(hex4(c.src, i+8)):
		return i + 12
	case r == 0 || isHigh(r) || isLow(r):
		return c.replace(i, i+6, `\ufffd`)
	case r >= ' ' && r < 0x7f && r != '"' && r != '\\':
		return c.splice(i, i+6, string(r))
	}
	return i + 6
}

func isHigh(r rune) bool { return r >= 0xd800 && r < 0xdc00 }
func isLow(r rune) bool  { return r >= 0xdc00 && r < 0xe000 }

// hex4 returns the value of the four hexadecimal digits at i, or -1.
func hex4(src []byte, i int) rune {
	if i+4 > len(src) {
		return -1
	}
	var r rune
	for _, b := range src[i : i+4] {
		switch {
		case b >= '0' && b <= '9':
			b -= '0'
		case b|0x20 >= 'a' && b|0x20 <= 'f':
			b = b | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(b)
	}
	return r
}
