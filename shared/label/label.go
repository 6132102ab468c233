// Package label is what people call things: names of people, organizations and projects, labels of keys and tokens.
package label

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mesherhq/mesher/shared/fault"
)

// Check refuses, as a fault.Invalid, a text that is too short or too long, in characters, or that a person could not
// read. what is what the error calls it.
func Check(what, text string, least, most int) error {
	switch n := utf8.RuneCountInString(text); {
	case n < least:
		return fault.New(fault.Invalid, "the %s is empty", what)
	case n > most:
		return fault.New(fault.Invalid, "the %s has %d characters; at most %d are allowed", what, n, most)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !Shown(r) }):
		return fault.New(fault.Invalid, "the %s holds a character that cannot be shown", what)
	case strings.TrimSpace(text) != text:
		return fault.New(fault.Invalid, "the %s begins or ends with a space", what)
	case n > 0 && !strings.ContainsFunc(text, func(r rune) bool { return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) }):
		return fault.New(fault.Invalid, "the %s has no character that can be seen", what)
	}
	return nil
}

// Shown reports whether a character can be shown and is not one of those that show nothing all the same: a name of such
// looks like none, or like another one.
func Shown(r rune) bool {
	const blankBraille = '\u2800'
	return unicode.IsGraphic(r) && r != blankBraille &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
