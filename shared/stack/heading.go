package stack

import "strings"

// heading reads the lines above the frames of an exception, "Type: text" with more lines of text, after what
// else may stand there. Where no line begins with a type, all of it is the value.
func heading(lines []string) (kind, value string) {
	for i, line := range lines {
		if kind, text, ok := typed(line); ok {
			return kind, joined(text, lines[i+1:])
		}
	}
	return "", joined("", lines)
}

// joined returns the lines as one text that begins with first.
func joined(first string, rest []string) string {
	if len(rest) == 0 {
		return first
	}
	return strings.TrimSpace(first + "\n" + strings.Join(rest, "\n"))
}

// typed reads "Type: text", "Type [CODE]: text", "Type (0x80004005): text" or a lone "Type". The type is one word; alone it must look like
// one.
func typed(line string) (kind, text string, ok bool) {
	end := strings.IndexFunc(line, func(r rune) bool { return !isWord(r) })
	if end < 0 {
		end = len(line)
	}
	kind, text = line[:end], line[end:]
	switch {
	case kind == "" || kind[0]-'0' <= 9 || kind[0] == '/' || kind[0] == '<' || kind[0] == '-' || kind[0] == '.':
		return "", "", false
	case strings.HasSuffix(kind, ":") && len(kind) > 1 && kind[len(kind)-2] != ':':
		return kind[:len(kind)-1], strings.TrimSpace(text), true
	case strings.HasPrefix(text, " [") && strings.Contains(text, "]: "), strings.HasPrefix(text, " (0x") && strings.Contains(text, "): "):
		return kind, text[1:], true
	case text == "":
		return kind, "", looksTyped(kind)
	}
	return "", "", false
}

// looksTyped reports whether a lone word is the name of an exception's type rather than a message.
func looksTyped(word string) bool {
	for _, end := range [...]string{"Error", "Exception", "Interrupt", "Exit", "Warning", "Throwable", "Fault"} {
		if strings.HasSuffix(word, end) {
			return true
		}
	}
	dot := strings.LastIndexAny(word, ".:\\")
	return dot > 0 && dot < len(word)-1 && !strings.ContainsAny(word, "/,") && word[dot+1] >= 'A' && word[dot+1] <= 'Z'
}
