package grouping

import "strings"

// ip returns the length of an IPv4 address with the port that may follow it, or 0.
func ip(s string) int {
	i := 0
	for group := range 4 {
		n := digitRun(s[i:])
		if n == 0 || n > 3 {
			return 0
		}
		i += n
		if group < 3 {
			if i >= len(s) || s[i] != '.' {
				return 0
			}
			i++
		}
	}
	if i+1 < len(s) && s[i] == '/' && isDigit(s[i+1]) { // a network
		return i + 1 + digitRun(s[i+1:])
	}
	return i + port(s[i:])
}

// port returns the length of a colon and a number at the start of s, or 0.
func port(s string) int {
	if len(s) < 2 || s[0] != ':' {
		return 0
	}
	if n := digitRun(s[1:]); n > 0 && n <= 5 {
		return 1 + n
	}
	return 0
}

// ipv6 returns the length of an IPv6 address with its zone, or 0. It takes two colons in a row, or seven.
func ipv6(s string) int {
	n, colons, double := 0, 0, false
	for n < len(s) && n < 48 {
		if s[n] == ':' {
			colons++
			if n+1 < len(s) && s[n+1] == ':' {
				if double {
					return 0
				}
				double = true
				colons++
				n++
			}
			n++
			continue
		}
		run := hexRun(s[n:])
		if run == 0 {
			break
		}
		if dotted := ip(s[n:]); dotted > 0 && double { // ::ffff:10.0.0.1
			return n + dotted
		}
		if portAfter := double && run == 5 && allDigits(s[n:n+run]); run > 4 && !portAfter {
			return 0
		}
		n += run
	}
	if n > 1 && s[n-1] == ':' && s[n-2] != ':' {
		n--
		colons--
	}
	if n < len(s) && isWord(s[n]) || !double && colons < 7 || double && digitsIn(s[:n]) == 0 || n < 3 {
		return 0
	}
	if n+1 < len(s) && s[n] == '%' && isWord(s[n+1]) {
		n = wordEnd(s, n+1)
	}
	return n
}

// bracketed returns the class and length of an IPv6 address in brackets, with the port that may follow it, or of a
// UUID in braces.
func bracketed(s string) (class string, size int) {
	if s[0] == '{' {
		if n := uuidText(s[1:]); n > 0 && n+1 < len(s) && s[n+1] == '}' {
			return "<uuid>", n + 2
		}
		return "", 0
	}
	if n := ipv6(s[1:]); n > 0 && n+1 < len(s) && s[n+1] == ']' {
		return "<ip>", n + 2 + port(s[n+2:])
	}
	return "", 0
}

// mac returns the length of a hardware address such as 00:1b:44:11:3a:b7, or 0.
func mac(s string) int {
	const length = len("00:1b:44:11:3a:b7")
	if len(s) < length || s[2] != ':' && s[2] != '-' || len(s) > length && (isWord(s[length]) || s[length] == s[2]) {
		return 0
	}
	for i := range length {
		if i%3 == 2 {
			if s[i] != s[2] {
				return 0
			}
		} else if !isDigit(s[i]) && !isHexLetter(s[i]) {
			return 0
		}
	}
	return length
}

// url returns the length of an address with a scheme, or 0. Punctuation at its end belongs to the sentence.
func url(s string) int {
	colon := 0
	for colon < len(s) && colon < 12 && (isLetter(s[colon]) || colon > 0 && (s[colon] == '+' || isDigit(s[colon]))) {
		colon++
	}
	if colon < 2 || !strings.HasPrefix(s[colon:], "://") {
		return 0
	}
	n := colon + len("://")
	for n < len(s) && s[n] > ' ' && strings.IndexByte("\"'`<>(){}|,", s[n]) < 0 {
		n++
	}
	for n > 0 && strings.IndexByte(".:;!?", s[n-1]) >= 0 {
		n--
	}
	return n
}

// email returns the length of an e-mail address, or 0.
func email(s string) int {
	at := 0
	for at < len(s) && at < 64 && (isWord(s[at]) || s[at] == '.' || s[at] == '-' || s[at] == '+') {
		at++
	}
	if at == 0 || at >= len(s) || s[at] != '@' {
		return 0
	}
	n, dot := at+1, 0
	for n < len(s) && n < at+255 && (isWord(s[n]) || s[n] == '-' || s[n] == '.' && n+1 < len(s) && isWord(s[n+1])) {
		if s[n] == '.' {
			dot = n
		}
		n++
	}
	if dot == 0 {
		return 0
	}
	return n
}

// path returns the length of the absolute path of a file at i, or 0. The path of a request, which follows a method,
// is read word by word instead: its words tell requests apart.
func (n *normaliser) path(i int) int {
	s := n.s
	if i > 0 && (isWord(s[i-1]) || s[i-1] == '/' || s[i-1] == '.' || s[i-1] == '>') || httpMethod(n.last) && i-n.lastEnd <= 2 {
		return 0
	}
	end, slashes := i, 0
	if s[i] == '~' {
		end++
	}
	for end < len(s) && (isWord(s[end]) || strings.IndexByte("/.-@+%~$", s[end]) >= 0) {
		if s[end] == '/' {
			if slashes++; end+1 < len(s) && s[end+1] == '/' {
				return 0
			}
		}
		end++
	}
	if slashes < 2 {
		return 0
	}
	for end > i && strings.IndexByte(".-", s[end-1]) >= 0 {
		end--
	}
	return end - i
}

// httpMethod reports whether a word is a method of HTTP.
func httpMethod(word string) bool {
	switch word {
	case "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS":
		return true
	}
	return false
}

// windowsPath returns the length of a path such as C:\data\a.csv, or 0.
func windowsPath(s string) int {
	if len(s) < 4 || !isLetter(s[0]) || s[1] != ':' || s[2] != '\\' && s[2] != '/' || s[2] == s[3] && s[2] == '/' {
		return 0
	}
	return spaceOrEnd(s)
}

// spaceOrEnd returns the index of the first white space, quote, comma or bracket in s, or its length.
func spaceOrEnd(s string) int {
	n := 0
	for n < len(s) && s[n] > ' ' && strings.IndexByte("\"'`<>(),;", s[n]) < 0 {
		n++
	}
	return n
}
