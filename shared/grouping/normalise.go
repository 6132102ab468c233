package grouping

import "strings"

// longestMessage is how much of a message has a say, in bytes.
const longestMessage = 1024

// appendNormalised appends message to dst with what varies from event to event replaced: <num>, <hex>,
// <uuid>, <ip>, <date>, <email>, <url> and <str> (quoted text). White space is collapsed.
//
// It is a scanner that tries, at each start of a word, the forms that can begin with that byte.
func appendNormalised(dst []byte, message string) []byte {
	s := strings.TrimSpace(message)
	s = s[:min(len(s), longestMessage)]
	for i := 0; i < len(s); {
		b := s[i]
		if class, n := variable(s, i); n > 0 {
			dst = append(dst, class...)
			i += n
			continue
		}
		switch {
		case isWord(b):
			end := wordEnd(s, i)
			dst = appendWord(dst, s[i:end])
			i = end
		case b <= ' ':
			for i < len(s) && s[i] <= ' ' {
				i++
			}
			dst = append(dst, ' ')
		default:
			dst = append(dst, b)
			i++
		}
	}
	return dst
}

// variable returns the placeholder for the varying text that begins at i, and its length, or 0. It is asked
// at the start of a word or at punctuation, never within a word.
func variable(s string, i int) (class string, n int) {
	b := s[i]
	switch {
	case b == '"' || b == '\'' || b == '`':
		return "<str>", quoted(s, i)
	case b == '-' && i+1 < len(s) && isDigit(s[i+1]) && (i == 0 || opens(s[i-1])):
		class, n = variable(s, i+1)
		if class != "<num>" {
			return "", 0
		}
		return class, n + 1
	case isDigit(b):
		return numeric(s[i:])
	case !isWord(b):
		return "", 0
	}
	if n := url(s[i:]); n > 0 {
		return "<url>", n
	}
	if n := email(s[i:]); n > 0 {
		return "<email>", n
	}
	if isHexLetter(b) {
		if n := uuidText(s[i:]); n > 0 {
			return "<uuid>", n
		}
		if end := wordEnd(s, i); isHash(s[i:end]) {
			return "<hex>", end - i
		}
	}
	return "", 0
}

// opens reports whether a sign may follow b, rather than a dash.
func opens(b byte) bool { return b <= ' ' || b == '=' || b == '(' || b == '[' || b == ':' || b == ',' }

// wordEnd returns the index after the word at i.
func wordEnd(s string, i int) int {
	for i < len(s) && isWord(s[i]) {
		i++
	}
	return i
}

// appendWord appends a word that is no varying text itself, with runs of four digits or more replaced: ids
// such as user12345 vary, names such as utf8 and sha256 do not.
func appendWord(dst []byte, word string) []byte {
	for i := 0; i < len(word); {
		end := i
		for end < len(word) && isDigit(word[end]) {
			end++
		}
		switch {
		case end-i >= 4:
			dst = append(dst, "<num>"...)
			i = end
		case end > i:
			dst = append(dst, word[i:end]...)
			i = end
		default:
			dst = append(dst, word[i])
			i++
		}
	}
	return dst
}

// quoted returns the length of the quoted text at i with its quotes, or 0. An apostrophe within a word opens
// nothing, and neither does a quote that is not closed on the same line.
func quoted(s string, i int) int {
	if i > 0 && isWord(s[i-1]) {
		return 0
	}
	for j := i + 1; j < len(s) && s[j] != '\n'; j++ {
		switch {
		case s[j] == '\\':
			j++
		case s[j] == s[i] && (j+1 >= len(s) || !isWord(s[j+1])):
			return j + 1 - i
		}
	}
	return 0
}
