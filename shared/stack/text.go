package stack

import (
	"strings"
	"unicode/utf8"
)

// split returns the lines of text without line ends, white space at their ends and terminal colours. Partial
// says that the middle of text was left out.
func split(text string) (lines []string, partial bool) {
	if len(text) > MaxText {
		text, partial = middleOut(text), true
	}
	if strings.IndexByte(text, '\x1b') >= 0 {
		text = withoutColours(text)
	}
	lines = make([]string, 0, strings.Count(text, "\n")+1)
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimRight(line, " \t\r\n"))
	}
	return lines, partial
}

// middleOut returns the first and the last whole lines of text, or of a line that is longer than that its ends.
func middleOut(text string) string {
	head, tail := text[:MaxText/2], text[len(text)-MaxText/2+1:]
	if i := strings.LastIndexByte(head, '\n'); i > 0 {
		head = head[:i]
	}
	if i := strings.IndexByte(tail, '\n'); i >= 0 {
		tail = tail[i+1:]
	}
	return strings.ToValidUTF8(head, "") + "\n" + strings.ToValidUTF8(tail, "")
}

// withoutColours drops the escape sequences that terminals take as colours and the like.
func withoutColours(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for {
		i := strings.IndexByte(text, '\x1b')
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i])
		if text = text[i+1:]; strings.HasPrefix(text, "[") {
			end := 1
			for end < len(text) && text[end] >= 0x20 && text[end] < 0x40 {
				end++
			}
			text = text[min(end+1, len(text)):]
		}
	}
}

// cutLast is strings.Cut around the last separator.
func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}

// between returns what stands in s between open and the next end after it.
func between(s, open, end string) (string, bool) {
	_, s, ok := strings.Cut(s, open)
	if !ok {
		return "", false
	}
	s, _, ok = strings.Cut(s, end)
	return s, ok
}

// number reads a whole number of at most nine digits; ok is false for anything else.
func number(s string) (n int, ok bool) {
	if s == "" || len(s) > 9 {
		return 0, false
	}
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// numbered cuts a leading whole number and what follows it, such as "12" and ": " off s.
func numbered(s, follows string) (rest string, ok bool) {
	digits, rest, found := strings.Cut(s, follows)
	_, ok = number(digits)
	return rest, found && ok
}

// position reads "file:12:5" or "file:12". Without a number ok is false and file is all of s.
func position(s string) (file string, line, column int, ok bool) {
	rest, last, _ := cutLast(s, ":")
	n, ok := number(last)
	if !ok {
		return s, 0, 0, false
	}
	if file, before, _ := cutLast(rest, ":"); file != "" {
		if line, ok := number(before); ok {
			return file, line, n, true
		}
	}
	return rest, n, 0, rest != ""
}

// indented reports whether a line begins with white space.
func indented(line string) bool { return line != "" && (line[0] == ' ' || line[0] == '\t') }

// isWord reports whether r may be part of the name of a type.
func isWord(r rune) bool {
	return r >= utf8.RuneSelf || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' || strings.ContainsRune("_$.:\\/`+<>[],*&-", r)
}
