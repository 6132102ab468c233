package scrub

// What a byte of a text can be part of, as bits.
const (
	isDigitBit   uint16 = 1 << iota
	isLetterBit         // of ASCII
	isUpperBit          // of ASCII
	isKeyBit            // of a key before = or :
	endsValueBit        // of a value without quotes
	endsParamBit        // of a value that is a parameter of a URL
	isBase64Bit         // of a token: base64 in either alphabet, and the dot
	triggerBit          // nearly every secret has one
	urlBit              // so has every secret in a URL
)

// bits are what each byte can be.
var bits = [256]uint16{
	'\t': endsValueBit | endsParamBit, '\n': endsValueBit | endsParamBit, '\r': endsValueBit | endsParamBit,
	' ': endsValueBit | endsParamBit, '"': endsValueBit | endsParamBit, '\'': endsValueBit | endsParamBit,
	'`': endsValueBit | endsParamBit, '<': endsValueBit | endsParamBit, '>': endsValueBit | endsParamBit,
	'\\': endsValueBit | endsParamBit, '&': endsValueBit | endsParamBit, '#': endsParamBit,
	';': endsValueBit, ',': endsValueBit, ')': endsValueBit, '}': endsValueBit, ']': endsValueBit | isKeyBit,
	'[': isKeyBit | triggerBit, '|': endsValueBit, '-': isKeyBit | isBase64Bit, '.': isKeyBit | isBase64Bit, '%': isKeyBit, '$': isKeyBit,
	'=': triggerBit | urlBit | isBase64Bit, ':': triggerBit, '@': triggerBit | urlBit, '_': triggerBit | isKeyBit | isBase64Bit,
	'+': isBase64Bit, '/': isBase64Bit, '~': isBase64Bit,

	'0': digitBits, '1': digitBits, '2': digitBits, '3': digitBits, '4': digitBits,
	'5': digitBits, '6': digitBits, '7': digitBits, '8': digitBits, '9': digitBits,

	'a': smallBits, 'b': smallBits, 'c': smallBits, 'd': smallBits, 'e': smallBits, 'f': smallBits, 'g': smallBits,
	'h': smallBits, 'i': smallBits, 'j': smallBits, 'k': smallBits, 'l': smallBits, 'm': smallBits, 'n': smallBits,
	'o': smallBits, 'p': smallBits, 'q': smallBits, 'r': smallBits, 's': smallBits, 't': smallBits, 'u': smallBits,
	'v': smallBits, 'w': smallBits, 'x': smallBits, 'y': smallBits, 'z': smallBits,
	'A': capitalBits, 'B': capitalBits, 'C': capitalBits, 'D': capitalBits, 'E': capitalBits, 'F': capitalBits,
	'G': capitalBits, 'H': capitalBits, 'I': capitalBits, 'J': capitalBits, 'K': capitalBits, 'L': capitalBits,
	'M': capitalBits, 'N': capitalBits, 'O': capitalBits, 'P': capitalBits, 'Q': capitalBits, 'R': capitalBits,
	'S': capitalBits, 'T': capitalBits, 'U': capitalBits, 'V': capitalBits, 'W': capitalBits, 'X': capitalBits,
	'Y': capitalBits, 'Z': capitalBits,
}

const (
	digitBits   = isDigitBit | isKeyBit | isBase64Bit | triggerBit
	smallBits   = isLetterBit | isKeyBit | isBase64Bit
	capitalBits = isLetterBit | isUpperBit | isKeyBit | isBase64Bit
)

func isDigit(b byte) bool { return b-'0' < 10 }
func isUpper(b byte) bool { return b-'A' < 26 }
func isAlpha(b byte) bool { return b|0x20-'a' < 26 }
func isHex(b byte) bool   { return isDigit(b) || b|0x20-'a' < 6 }

// isLetter reports whether b is a letter, or part of a character that is not ASCII.
func isLetter(b byte) bool { return isAlpha(b) || b >= 0x80 }

// isWord reports whether b is a letter, digit or underscore of ASCII.
func isWord(b byte) bool { return bits[b]&(isDigitBit|isLetterBit) != 0 || b == '_' }

// run returns the index of the first byte at or after i that has none of the bits.
func run(s []byte, i int, any uint16) int {
	for i < len(s) && bits[s[i]]&any != 0 {
		i++
	}
	return i
}

// runUntil returns the index of the first byte at or after i that has one of the bits.
func runUntil(s []byte, i int, any uint16) int {
	for i < len(s) && bits[s[i]]&any == 0 {
		i++
	}
	return i
}

// wordEnd returns the index after the word at i.
func wordEnd(s []byte, i int) int {
	for i < len(s) && isWord(s[i]) {
		i++
	}
	return i
}

// hasPrefix reports whether prefix stands in s at i.
func hasPrefix(s []byte, i int, prefix string) bool {
	return len(s)-i >= len(prefix) && string(s[i:i+len(prefix)]) == prefix
}

// hasPrefixFold is hasPrefix for a prefix in lower case, whatever the case of s.
func hasPrefixFold(s []byte, i int, prefix string) bool {
	if len(s)-i < len(prefix) {
		return false
	}
	for n := range len(prefix) {
		b := s[i+n]
		if isUpper(b) {
			b |= 0x20
		}
		if b != prefix[n] {
			return false
		}
	}
	return true
}
