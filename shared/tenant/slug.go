package tenant

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/mesherhq/mesher/shared/label"
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
	return label.Check(what, name, 1, nameMost)
}
