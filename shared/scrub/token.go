package scrub

import (
	"bytes"
	"encoding/base64"
)

// token returns the end of a secret of a known shape that begins at i, where a word does, or 0.
func (t *scanner) token(i int) (end int, by rule) {
	s := t.text
	switch s[i] {
	case 'e':
		return t.jwt(i), byJWT
	case 'A':
		if hasPrefix(s, i, "AKIA") || hasPrefix(s, i, "ASIA") {
			return shaped(s, i, 4, 16, 16, inCapitals), byToken
		}
		if hasPrefix(s, i, "AIza") {
			return shaped(s, i, 4, 35, 35, inBase64URL), byToken
		}
	case 'm':
		if hasPrefix(s, i, "msh") && len(s) > i+4 && s[i+4] == '_' && bytes.IndexByte([]byte("rpso"), s[i+3]) >= 0 {
			return shaped(s, i, 5, 20, most, inWord), byToken
		}
	case 'g':
		return gitToken(s, i), byToken
	case 's', 'r':
		return paymentToken(s, i), byToken
	case 'x':
		if hasPrefix(s, i, "xox") && len(s) > i+4 && s[i+4] == '-' || hasPrefix(s, i, "xapp-") {
			return shaped(s, i, 5, 10, most, inBase64URL), byToken
		}
	case 'h':
		const slack = "hooks.slack.com/services/"
		if hasPrefix(s, i, slack) {
			return run(s, i+len(slack), isBase64Bit), byToken
		}
	case 'n':
		if hasPrefix(s, i, "npm_") {
			return shaped(s, i, 4, 36, most, inWord), byToken
		}
	case 'w':
		if hasPrefix(s, i, "whsec_") {
			return shaped(s, i, 6, 20, most, inBase64), byToken
		}
	case 'y':
		if hasPrefix(s, i, "ya29.") {
			return shaped(s, i, 5, 20, most, inBase64URL), byToken
		}
	case 'G':
		if hasPrefix(s, i, "GOCSPX-") {
			return shaped(s, i, 7, 20, most, inBase64URL), byToken
		}
	case 'S':
		if hasPrefix(s, i, "SG.") {
			return shaped(s, i, 3, 40, most, inDotted), byToken
		}
	}
	return 0, 0
}

// gitToken is token for those of GitHub and GitLab.
func gitToken(s []byte, i int) int {
	switch {
	case hasPrefix(s, i, "gh") && len(s) > i+3 && s[i+3] == '_' && bytes.IndexByte([]byte("pousr"), s[i+2]) >= 0:
		return shaped(s, i, 4, 30, most, inWord)
	case hasPrefix(s, i, "github_pat_"):
		return shaped(s, i, len("github_pat_"), 20, most, inWord)
	case hasPrefix(s, i, "glpat-"):
		return shaped(s, i, len("glpat-"), 20, most, inBase64URL)
	}
	return 0
}

// paymentToken is token for those of Stripe, and those that begin with sk- as of several providers of models.
func paymentToken(s []byte, i int) int {
	if len(s) < i+8 || s[i+1] != 'k' {
		return 0
	}
	switch {
	case hasPrefix(s, i+2, "_live_") || hasPrefix(s, i+2, "_test_"):
		return shaped(s, i, 8, 10, most, inWord)
	case s[i] == 's' && s[i+2] == '-' && isMixed(s[i+3:min(len(s), i+64)]):
		return shaped(s, i, 3, 20, most, inBase64URL)
	}
	return 0
}

// isMixed reports whether there are a digit and a capital in text before it ends or a space follows.
func isMixed(text []byte) bool {
	var any uint16
	for _, b := range text {
		if !inBase64URL(b) {
			break
		}
		any |= bits[b]
	}
	return any&isDigitBit != 0 && any&isUpperBit != 0
}

// most is how long a token may be that has no fixed length.
const most = 1 << 30

// The alphabets of tokens.
func inCapitals(b byte) bool  { return isUpper(b) || isDigit(b) }
func inWord(b byte) bool      { return isAlpha(b) || isDigit(b) || b == '_' }
func inBase64URL(b byte) bool { return inWord(b) || b == '-' }
func inBase64(b byte) bool    { return inWord(b) || b == '+' || b == '/' || b == '=' }
func inDotted(b byte) bool    { return inBase64URL(b) || b == '.' }

// shaped returns the end of a token at i: a prefix, then least to most bytes of an alphabet, and no more. It
// returns 0 if there is none.
func shaped(s []byte, i, prefix, least, most int, in func(byte) bool) int {
	from := i + prefix
	end := from
	for end < len(s) && end-from <= most && in(s[end]) {
		end++
	}
	if n := end - from; n < least || n > most || end < len(s) && isWord(s[end]) {
		return 0
	}
	return end
}

// jwt returns the end of a JSON web token at i, or 0: two parts in base64 that begin like an object, and more
// parts. One of a single part is no token, one of two was cut off or has no signature.
func (t *scanner) jwt(i int) int {
	s := t.text
	if i < t.noJWT || !hasPrefix(s, i, "eyJ") {
		return 0
	}
	first := i
	for first < len(s) && inBase64URL(s[first]) {
		first++
	}
	t.noJWT = first // another start before that has the same end
	if first-i < 10 || first >= len(s) || s[first] != '.' {
		return 0
	}
	end := first
	for end < len(s) && inDotted(s[end]) {
		end++
	}
	if end-first < 8 {
		return 0
	}
	return end
}

// credentials returns where the credentials begin and end that follow the scheme in s[i:end], or zeros.
func credentials(s []byte, i, end int) (from, to int) {
	from = end
	for from < len(s) && s[from] == ' ' {
		from++
	}
	switch {
	case hasPrefixFold(s, i, "bearer") && end-i == 6:
		if to = run(s, from, isBase64Bit); to-from >= 8 && isRandom(s[from:to]) {
			return from, to
		}
	case hasPrefixFold(s, i, "basic") && end-i == 5:
		if to = run(s, from, isBase64Bit); to-from >= 4 && isUserInfo(s[from:to]) {
			return from, to
		}
	}
	return 0, 0
}

// isUserInfo reports whether text is a name and password in base64.
func isUserInfo(text []byte) bool {
	var plain [192]byte
	text = bytes.TrimRight(text[:min(len(text), 256)], "=.")
	n, _ := base64.RawStdEncoding.Decode(plain[:], text[:len(text)&^3])
	rest, _ := base64.RawStdEncoding.Decode(plain[n:], text[len(text)&^3:])
	return bytes.IndexByte(plain[:n+rest], ':') > 0
}

// isRandom reports whether text looks like made by a machine, rather than like a word or two.
func isRandom(text []byte) bool {
	if len(text) >= 32 {
		return true
	}
	for _, b := range text {
		if isDigit(b) {
			return true
		}
	}
	return false
}
