package grouping

import (
	"strings"
	"unicode/utf8"
)

// pattern is a glob, cut at its stars. The first piece stands at the start of a match and the last at its end.
// Pieces are looked for from left to right and never again, so a text is read once per piece that holds a question
// mark, and about once otherwise.
type pattern []string

// parsePattern parses a pattern, in which * stands for any text and ? for one character.
func parsePattern(s string) pattern { return strings.Split(s, "*") }

// matches reports whether the whole of s matches. Empty text, which is what an event does not have, never does.
func (p pattern) matches(s string) bool {
	if s == "" {
		return false
	}
	n := prefix(s, p[0])
	if n < 0 || len(p) == 1 {
		return n == len(s)
	}
	s = s[n:]
	for _, piece := range p[1 : len(p)-1] {
		end := find(s, piece)
		if end < 0 {
			return false
		}
		s = s[end:]
	}
	return suffix(s, p[len(p)-1])
}

// prefix returns the length of what piece matches at the start of s, or -1.
func prefix(s, piece string) int {
	n := 0
	for i := range len(piece) {
		switch {
		case n >= len(s):
			return -1
		case piece[i] == '?':
			_, size := utf8.DecodeRuneInString(s[n:])
			n += size
		case piece[i] == s[n]:
			n++
		default:
			return -1
		}
	}
	return n
}

// find returns the index after the first place in s where piece matches, or -1.
func find(s, piece string) int {
	if strings.IndexByte(piece, '?') < 0 {
		i := strings.Index(s, piece)
		if i < 0 {
			return -1
		}
		return i + len(piece)
	}
	for i := 0; i <= len(s); {
		if n := prefix(s[i:], piece); n >= 0 {
			return i + n
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		i += max(size, 1)
	}
	return -1
}

// suffix reports whether s ends with what piece matches.
func suffix(s, piece string) bool {
	i := len(s)
	for range utf8.RuneCountInString(piece) {
		_, size := utf8.DecodeLastRuneInString(s[:i])
		if size == 0 {
			return false
		}
		i -= size
	}
	return prefix(s[i:], piece) == len(s)-i
}
