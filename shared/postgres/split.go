package postgres

import (
	"fmt"
	"strings"
)

// statement is one SQL statement of a file.
type statement struct {
	text string // without the semicolon and what surrounds it
	line int    // of its first character, counted from 1
}

// words returns the first words of the statement, for an error message.
func (s statement) words() string {
	const limit = 60
	text := strings.Join(strings.Fields(s.text[:min(len(s.text), 4*limit)]), " ")
	if len(text) > limit {
		text = text[:limit] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

// first returns the first word of the statement in lower case.
func (s statement) first() string {
	end := strings.IndexFunc(s.text, func(r rune) bool { return !letter(r) })
	if end < 0 {
		end = len(s.text)
	}
	return strings.ToLower(s.text[:end])
}

// splitter finds the semicolons that end statements: those outside quotes, comments and parentheses.
type splitter struct {
	text  string
	at    int // next byte to look at
	depth int // of parentheses
}

// split cuts the text of a file into statements. Comments before and between statements are dropped, comments
// within a statement stay. A quote or comment that never ends is an error.
func split(text string) ([]statement, error) {
	s := splitter{text: text}
	var out []statement
	start := -1 // of the statement under way
	end := 0    // after its last byte that is neither space nor comment
	finish := func() {
		if start >= 0 {
			out = append(out, statement{text[start:end], 1 + strings.Count(text[:start], "\n")})
		}
		start = -1
	}
	for s.at < len(text) {
		begin := s.at
		kind, err := s.next()
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", 1+strings.Count(text[:begin], "\n"), err)
		}
		switch kind {
		case blank:
		case terminator:
			finish()
		case token:
			if start < 0 {
				start = begin
			}
			end = s.at
		}
	}
	finish()
	return out, nil
}

// kind is what a stretch of text is to the splitter.
type kind int

const (
	blank      kind = iota // space or comment
	token                  // part of a statement
	terminator             // a semicolon that ends one
)

// next moves over one stretch of text and says what it is.
func (s *splitter) next() (kind, error) {
	rest := s.text[s.at:]
	switch c := rest[0]; {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
		s.at++
		return blank, nil
	case strings.HasPrefix(rest, "--"):
		s.at += lineEnd(rest)
		return blank, nil
	case strings.HasPrefix(rest, "/*"):
		return blank, s.comment()
	case c == ';' && s.depth == 0:
		s.at++
		return terminator, nil
	case c == '\'':
		return token, s.quoted('\'', false)
	case c == '"':
		return token, s.quoted('"', false)
	case (c == 'e' || c == 'E') && strings.HasPrefix(rest[1:], "'"):
		s.at++
		return token, s.quoted('\'', true)
	case c == '$':
		return token, s.dollar()
	case c == '(':
		s.depth++
	case c == ')':
		s.depth = max(s.depth-1, 0)
	default:
		s.at += word(rest)
		return token, nil
	}
	s.at++
	return token, nil
}
