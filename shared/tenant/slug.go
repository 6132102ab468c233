package tenant

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mesherhq/mesher/shared/fault"
)

const (
	nameMost = 200 // characters of an organization's or project's name
	slugMost = 63  // characters of a slug
)

// folded are letters that are written with plain ones where there is no other way.
var folded = strings.NewReplacer(
	"à", "a", "á", "a", "â", "a", "ã", "a", "ä", "a", "å", "a", "æ", "ae", "ç", "c", "è", "e", "é", "e", "ê", "e", "ë", "e",
	"ì", "i", "í", "i", "î", "i", "ï", "i", "ñ", "n", "ò", "o", "ó", "o", "ô", "o", "õ", "o", "ö", "o", "ø", "o", "œ", "oe",
	"ß", "ss", "ù", "u", "ú", "u", "û", "u", "ü", "u", "ý", "y", "ÿ", "y",
)

// Slug derives what stands in addresses from a name: lower-case letters, digits and single hyphens. The same name
// gives the same slug each time; one without a letter or digit that can stand there gives a hash.
func Slug(name string) string {
	var b strings.Builder
	for _, r := range folded.Replace(strings.ToLower(name)) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	slug := b.String()
	slug = strings.TrimSuffix(slug[:min(slugMost, len(slug))], "-")
	if slug == "" {
		sum := sha256.Sum256([]byte(name))
		return "n-" + hex.EncodeToString(sum[:6])
	}
	return slug
}

// CheckName refuses what cannot be the name of an organization or a project; what says which.
func CheckName(what, name string) error {
	return checkText(what, name, 1, nameMost)
}

// checkText refuses a text that is too short or too long, in characters, or that a person could not read.
func checkText(what, text string, least, most int) error {
	switch n := utf8.RuneCountInString(text); {
	case n < least:
		return fault.New(fault.Invalid, "the %s is empty", what)
	case n > most:
		return fault.New(fault.Invalid, "the %s has %d characters; at most %d are allowed", what, n, most)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) || unseen(r) }):
		return fault.New(fault.Invalid, "the %s holds a character that cannot be shown", what)
	case strings.TrimSpace(text) != text:
		return fault.New(fault.Invalid, "the %s begins or ends with a space", what)
	case n > 0 && !strings.ContainsFunc(text, func(r rune) bool { return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) }):
		return fault.New(fault.Invalid, "the %s has no character that can be seen", what)
	}
	return nil
}

// unseen reports whether a character that counts as one that can be shown shows nothing: a name of such looks like none, or
// like another one.
func unseen(r rune) bool {
	const blankBraille = '\u2800'
	return r == blankBraille || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
