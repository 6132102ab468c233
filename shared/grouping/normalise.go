package grouping

import "strings"

// longestMessage is how much of a message has a say, in bytes.
const longestMessage = 1024

// normaliser replaces what varies from event to event in a text.
//
// It is a scanner that tries, at each start of a word, the forms that can begin with that byte. It looks at each
// byte a bounded number of times, whatever the text.
type normaliser struct {
	s       string
	last    string // the word before, as it stands in s
	lastEnd int    // where it ends
	token   int    // end of the newest token that was looked at whole, dashes included
	open    [3]int // per kind of quote, the end of the line on which it is known not to be closed
}

// appendNormalised appends message to dst with what varies replaced by a placeholder: <num>, <hex>, <uuid>, <id>,
// <ip>, <mac>, <host>, <date>, <duration>, <size>, <version>, <email>, <url>, <arn>, <path>, <token>, <pod>, <pid>
// and <str> (quoted text). White space is collapsed. What tells errors apart stays: words, names of columns, codes.
func appendNormalised(dst []byte, message string) []byte {
	return appendNoting(dst, message, nil)
}

// appendNoting is appendNormalised that calls note, unless nil, for each replacement.
func appendNoting(dst []byte, message string, note func(from, to string)) []byte {
	s := strings.TrimSpace(message)
	n := normaliser{s: s[:min(len(s), longestMessage)]}
	for i := 0; i < len(n.s); {
		b := n.s[i]
		if class, size := n.variable(i); size > 0 {
			if class != "" {
				if note != nil {
					note(n.s[i:i+size], class)
				}
				dst = append(dst, class...)
			} else {
				dst = append(dst, n.s[i:i+size]...)
			}
			n.last, n.lastEnd = n.s[i:i+size], i+size
			i += size
			continue
		}
		switch {
		case isWord(b):
			end := wordEnd(n.s, i)
			start := len(dst)
			dst = appendWord(dst, n.s[i:end])
			if note != nil && string(dst[start:]) != n.s[i:end] {
				note(n.s[i:end], string(dst[start:]))
			}
			n.last, n.lastEnd = n.s[i:end], end
			i = end
		case b <= ' ':
			for i < len(n.s) && n.s[i] <= ' ' {
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

// variable returns the placeholder for the varying text that begins at i, and its length, or 0. The placeholder of
// text that stays as it is, is empty. It is asked at the start of a word or at punctuation, never within a word.
func (n *normaliser) variable(i int) (class string, size int) {
	s, b := n.s, n.s[i]
	switch {
	case b == '"' || b == '\'' || b == '`':
		if size = n.quoted(i); size > 0 && n.isName(i, size) {
			return "", size
		}
		return "<str>", size
	case isDigit(b):
		return n.number(i)
	case isLetter(b) || b == '_':
		return n.word(i)
	case b == '-' && i+1 < len(s) && isDigit(s[i+1]) && (i == 0 || opens(s[i-1])):
		if n.afterCode(i) {
			return "", 1 + digitRun(s[i+1:])
		}
		class, size = n.number(i + 1)
		if class != "<num>" && class != "<duration>" && class != "<size>" {
			return "", 0
		}
		return class, size + 1
	case b == '/' || b == '~' && strings.HasPrefix(s[i:], "~/"):
		return "<path>", n.path(i)
	case b == '[' || b == '{':
		return bracketed(s[i:])
	case b == ':':
		if i == 0 || !isWord(s[i-1]) {
			return "<ip>", ipv6(s[i:])
		}
	case b == '=':
		if i > 0 && s[i-1] == ')' && strings.HasPrefix(s[i:], "=(") { // Key (email)=(…)
			if end := strings.IndexByte(s[i:], ')'); end > 0 {
				return "=(<str>)", end + 1
			}
		}
	case b == '#':
		if strings.HasPrefix(s[i:], "#PID<") {
			if end := strings.IndexByte(s[i:], '>'); end > 0 {
				return "<pid>", end + 1
			}
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
func appendWord[T string | []byte](dst []byte, word T) []byte {
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
// nothing, and neither does a quote that is not closed on the same line. A backtick may be closed by an apostrophe.
func (n *normaliser) quoted(i int) int {
	s := n.s
	kind := strings.IndexByte("\"'`", s[i])
	if i > 0 && isWord(s[i-1]) || i < n.open[kind] {
		return 0
	}
	j := i + 1
	for ; j < len(s) && s[j] != '\n'; j++ {
		switch {
		case s[j] == '\\':
			j++
		case (s[j] == s[i] || s[i] == '`' && s[j] == '\'') && (j+1 >= len(s) || !isWord(s[j+1])):
			return j + 1 - i
		}
	}
	n.open[kind] = j
	return 0
}

// isName reports whether the quoted text at i is the name of something in the code or the schema, by the words
// around it. Those tell errors apart, other quoted texts are data.
func (n *normaliser) isName(i, size int) bool {
	body := n.s[i+1 : i+size-1]
	if body == "" || len(body) > 64 || !identifier(body) {
		return false
	}
	rest := n.s[i+size:]
	if strings.HasPrefix(rest, " is not defined") || strings.HasPrefix(rest, " is undefined") || strings.HasPrefix(rest, " object has no ") {
		return true
	}
	return n.lastEnd > 0 && i-n.lastEnd <= 2 && strings.Trim(n.s[n.lastEnd:i], " (:") == "" && introducesName(n.last, n.s[:n.lastEnd], body)
}

// introducesName reports whether the quoted text body after a word is a name. Before is the text up to the word's end.
func introducesName(word, before, body string) bool {
	switch strings.ToLower(word) {
	case "column", "columns", "table", "relation", "constraint", "attribute", "property", "method", "function", "procedure", "class",
		"module", "package", "field", "reading", "setting", "operator", "schema", "variable", "argument", "parameter", "view", "trigger",
		"sequence", "type", "component", "named", "keyword", "symbol", "extension", "import", "member", "calling":
		return true
	case "key":
		return strings.HasSuffix(before, "for key") || coded(body) // MySQL's unique keys
	case "name":
		return strings.HasSuffix(before, "import name") || coded(body)
	case "bean", "queue", "topic", "job", "task", "event", "command", "service", "handler", "feature", "option", "index":
		return coded(body)
	}
	return false
}

// coded reports whether s is written as names in code are and words for people are not: camelCase, snake_case or
// with dots, without digits.
func coded(s string) bool {
	return digitsIn(s) == 0 && (strings.ContainsAny(s, "_.") || upperIn(s[1:]) && strings.ToUpper(s) != s)
}

// identifier reports whether s looks like a name in code: letters, dots, underscores, and few digits.
func identifier(s string) bool {
	for i := range len(s) {
		if b := s[i]; !isWord(b) && b != '.' && b != '$' && b != '-' {
			return false
		}
	}
	return !isDigit(s[0]) && !isHash(s) && !mixed(s) && longestDigits(s) < 4
}

// longestDigits returns the length of the longest run of digits in s.
func longestDigits(s string) int {
	most, run := 0, 0
	for i := range len(s) {
		if run++; !isDigit(s[i]) {
			run = 0
		}
		most = max(most, run)
	}
	return most
}
