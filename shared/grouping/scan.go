package grouping

import "strings"

// numeric returns the class and length of the varying text at the start of s, which is a digit.
func numeric(s string) (class string, n int) {
	if n := date(s); n > 0 {
		return "<date>", n
	}
	if n := uuidText(s); n > 0 {
		return "<uuid>", n
	}
	if n := ip(s); n > 0 {
		return "<ip>", n
	}
	end := wordEnd(s, 0)
	word := s[:end]
	if len(word) > 2 && word[0] == '0' && word[1]|0x20 == 'x' && hexRun(word[2:]) == len(word)-2 {
		return "<hex>", end
	}
	n = digitRun(s)
	switch {
	case n < end && isHash(word):
		return "<hex>", end
	case n == end && n+1 < len(s) && s[n] == '.' && isDigit(s[n+1]):
		n += 1 + digitRun(s[n+1:])
	}
	return "<num>", n // what follows within the word is a unit, or an ending as in 3rd
}

// date returns the length of a date such as 2026-01-31, with the time that may follow it, or 0.
func date(s string) int {
	if !matches(s, "0000-00-00") && !matches(s, "0000/00/00") {
		if matches(s, "00:00:00") {
			return clock(s)
		}
		return 0
	}
	n := len("0000-00-00")
	if n < len(s) && (s[n]|0x20 == 't' || s[n] == ' ') && matches(s[n+1:], "00:00") {
		n += 1 + clock(s[n+1:])
	}
	return n
}

// clock returns the length of a time such as 12:30:59.123+02:00, of which the hours and minutes are there.
func clock(s string) int {
	n := len("00:00")
	if matches(s[n:], ":00") {
		n += len(":00")
	}
	if n+1 < len(s) && (s[n] == '.' || s[n] == ',') && isDigit(s[n+1]) {
		n += 1 + digitRun(s[n+1:])
	}
	switch {
	case n < len(s) && s[n]|0x20 == 'z':
		n++
	case n < len(s) && (s[n] == '+' || s[n] == '-') && matches(s[n+1:], "00:00"):
		n += len("+00:00")
	}
	return n
}

// matches reports whether s begins like pattern, in which 0 is any digit.
func matches(s, pattern string) bool {
	if len(s) < len(pattern) {
		return false
	}
	for i := range len(pattern) {
		if pattern[i] == '0' && !isDigit(s[i]) || pattern[i] != '0' && pattern[i] != s[i] {
			return false
		}
	}
	return true
}

// uuidText returns the length of a UUID with dashes, or 0.
func uuidText(s string) int {
	const length = 36
	if len(s) < length || len(s) > length && isWord(s[length]) {
		return 0
	}
	for i := range length {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (s[i] == '-') || !dash && !isDigit(s[i]) && !isHexLetter(s[i]) {
			return 0
		}
	}
	return length
}

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
	if i+1 < len(s) && s[i] == ':' && isDigit(s[i+1]) {
		i += 1 + digitRun(s[i+1:])
	}
	return i
}

// url returns the length of an address with a scheme, or 0. Punctuation at its end belongs to the sentence.
func url(s string) int {
	colon := 0
	for colon < len(s) && colon < 12 && (isLetter(s[colon]) || s[colon] == '+') {
		colon++
	}
	if colon < 2 || !strings.HasPrefix(s[colon:], "://") {
		return 0
	}
	n := colon + len("://")
	for n < len(s) && s[n] > ' ' && strings.IndexByte("\"'`<>()[]{}|,", s[n]) < 0 {
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
	for n < len(s) && (isWord(s[n]) || s[n] == '-' || s[n] == '.' && n+1 < len(s) && isWord(s[n+1])) {
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

// digitRun returns how many digits s begins with.
func digitRun(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// hexRun returns how many hexadecimal digits s begins with.
func hexRun(s string) int {
	n := 0
	for n < len(s) && (isDigit(s[n]) || isHexLetter(s[n])) {
		n++
	}
	return n
}
