package postgres

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// comment moves over a block comment; they nest.
func (s *splitter) comment() error {
	depth := 0
	for i := s.at; i < len(s.text); {
		switch rest := s.text[i:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			i += 2
		case strings.HasPrefix(rest, "*/"):
			depth--
			i += 2
			if depth == 0 {
				s.at = i
				return nil
			}
		default:
			i++
		}
	}
	return errors.New("a comment is not closed")
}

// quoted moves over a quoted string or identifier; a doubled quote stands for itself, and so does any character
// after a backslash where escapes apply.
func (s *splitter) quoted(quote byte, escapes bool) error {
	for i := s.at + 1; i < len(s.text); i++ {
		switch s.text[i] {
		case '\\':
			if escapes {
				i++
			}
		case quote:
			if i+1 < len(s.text) && s.text[i+1] == quote {
				i++
				continue
			}
			s.at = i + 1
			return nil
		}
	}
	return errors.New("a quote is not closed")
}

// dollar moves over a dollar-quoted string, or over a lone dollar such as that of $1.
func (s *splitter) dollar() error {
	rest := s.text[s.at:]
	end := 1
	for end < len(rest) {
		r, size := utf8.DecodeRuneInString(rest[end:])
		if !letter(r) && (end == 1 || r < '0' || r > '9') {
			break
		}
		end += size
	}
	if end == len(rest) || rest[end] != '$' {
		s.at++
		return nil
	}
	tag := rest[:end+1]
	length := strings.Index(rest[len(tag):], tag)
	if length < 0 {
		return errors.New("the quote " + tag + " is not closed")
	}
	s.at += 2*len(tag) + length
	return nil
}

// word returns the length of the name or number that rest begins with, at least one character: a dollar sign or
// an e inside a name begins no string.
func word(rest string) int {
	n := 0
	for n < len(rest) {
		r, size := utf8.DecodeRuneInString(rest[n:])
		if !letter(r) && (r < '0' || r > '9') && (r != '$' || n == 0) {
			break
		}
		n += size
	}
	if n == 0 {
		_, n = utf8.DecodeRuneInString(rest)
	}
	return n
}

// letter reports whether r may begin a name: the server takes every character beyond ASCII for a letter.
func letter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r >= utf8.RuneSelf
}

// lineEnd returns the length of the first line of rest, without its end.
func lineEnd(rest string) int {
	if i := strings.IndexAny(rest, "\r\n"); i >= 0 {
		return i
	}
	return len(rest)
}
