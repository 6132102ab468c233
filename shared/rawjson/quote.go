package rawjson

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// Unquote returns the text of a JSON string. raw is clean: a string value with its quotes, or a key as Object
// yields it. The result is valid UTF-8 without NUL.
func Unquote(raw []byte) string {
	raw = inner(raw)
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	return string(AppendUnquoted(make([]byte, 0, len(raw)), raw))
}

// AppendUnquoted appends to dst what Unquote returns for raw.
func AppendUnquoted(dst, raw []byte) []byte {
	raw = inner(raw)
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 || i+1 >= len(raw) {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		if b := raw[i+1]; b != 'u' {
			dst, raw = append(dst, unescaped(b)), raw[i+2:]
			continue
		}
		r := hex4(raw, i+2)
		if r < 0 { // not clean text; nothing sensible can be said about it
			return append(dst, raw[i:]...)
		}
		raw = raw[i+6:]
		if isHigh(r) && len(raw) >= 6 {
			if pair := utf16.DecodeRune(r, hex4(raw, 2)); pair != utf8.RuneError {
				r, raw = pair, raw[6:]
			}
		}
		if r == 0 {
			r = utf8.RuneError
		}
		dst = utf8.AppendRune(dst, r)
	}
}

// inner strips the quotes of a string value. A key comes without, and can begin with a quote only if that is
// escaped.
func inner(raw []byte) []byte {
	if len(raw) >= 2 && raw[0] == '"' {
		return raw[1 : len(raw)-1]
	}
	return raw
}

// unescaped returns the character that a backslash and b stand for.
func unescaped(b byte) byte {
	switch b {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return b
}

// AppendString appends s to dst as a clean JSON string with its quotes. NUL and each byte of invalid UTF-8
// become U+FFFD. It never writes more for the text of a clean string than that string has.
func AppendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	mark := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= ' ' && b < utf8.RuneSelf && b != '"' && b != '\\' {
			i++
			continue
		}
		if b >= utf8.RuneSelf {
			if size := runeLen(s[i:]); size > 0 {
				i += size
				continue
			}
		}
		dst = appendEscaped(append(dst, s[mark:i]...), b)
		i++
		mark = i
	}
	return append(append(dst, s[mark:]...), '"')
}

// StringSize returns the number of bytes that AppendString appends for s.
func StringSize[T string | []byte](s T) int {
	var escaped [6]byte
	size := len(`""`) + len(s)
	for i := 0; i < len(s); {
		b := s[i]
		if b >= ' ' && b < utf8.RuneSelf && b != '"' && b != '\\' {
			i++
			continue
		}
		if b >= utf8.RuneSelf {
			if n := runeLen(s[i:]); n > 0 {
				i += n
				continue
			}
		}
		size += len(appendEscaped(escaped[:0], b)) - 1
		i++
	}
	return size
}

// runeLen returns the length of the character at the start of s, or 0 if it is not valid UTF-8.
func runeLen[T string | []byte](s T) int {
	r, size := utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
	if r == utf8.RuneError && size <= 1 {
		return 0
	}
	return size
}

// appendEscaped appends the form of a byte that cannot stand for itself in a string.
func appendEscaped(dst []byte, b byte) []byte {
	switch {
	case b == '"' || b == '\\':
		return append(dst, '\\', b)
	case b >= '\b' && b <= '\r' && b != '\v':
		return append(dst, '\\', "btn_fr"[b-'\b'])
	case b == 0 || b >= utf8.RuneSelf:
		return append(dst, "\ufffd"...)
	}
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', digits[b>>4], digits[b&15])
}
