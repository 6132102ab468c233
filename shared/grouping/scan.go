package grouping

import "strings"

// number returns the placeholder and length of the text at i, which begins with a digit.
func (n *normaliser) number(i int) (class string, size int) {
	s := n.s[i:]
	if size = date(s); size > 0 {
		return "<date>", size
	}
	if size = uuidText(s); size > 0 {
		return "<uuid>", size
	}
	if size = mac(s); size > 0 {
		return "<mac>", size
	}
	if size = ip(s); size > 0 {
		return "<ip>", size
	}
	if size = n.afterID(i); size > 0 {
		return "<id>", size
	}
	end := wordEnd(s, 0)
	word := s[:end]
	if end < len(s) && s[end] == ':' {
		if size = ipv6(s); size > 0 {
			return "<ip>", size
		}
	}
	if end < len(s) && (s[end] == '@' || s[end] == '.' && !isDigit(s[end-1]) || s[end] == '-' && !allDigits(word)) {
		if class, size = n.joined(i); size > 0 {
			return class, size
		}
	}
	if end > 2 && word[0] == '0' && word[1]|0x20 == 'x' && hexRun(word[2:]) == end-2 {
		if end == 10 && strings.HasPrefix(word, "0x8") && (word[3:5] == "00" || word[3:5] == "01") { // HRESULT
			return "", end
		}
		return "<hex>", end
	}
	if n.afterCode(i) {
		return "", end
	}
	return n.quantity(s, word)
}

// quantity returns the placeholder and length of a number with its unit, a version, or an id that begins with a
// digit.
func (n *normaliser) quantity(s, word string) (class string, size int) {
	digits := digitRun(s)
	if digits == len(word) {
		if size = version(s); size > 0 {
			return "<version>", size
		}
		if size = namedDay(s); size > 0 {
			return "<date>", size
		}
		for digits+3 < len(s) && digits <= 3+4*4 && s[digits] == ',' && digitRun(s[digits+1:]) == 3 { // 1,200,000
			digits += 4
		}
		if digits+1 < len(s) && s[digits] == '.' && isDigit(s[digits+1]) {
			digits += 1 + digitRun(s[digits+1:])
		}
	}
	if size = duration(s); size > 0 {
		return "<duration>", size
	}
	if size = unit(s, digits); size > 0 {
		return "<size>", size
	}
	switch {
	case digits < len(word) && isHash(word):
		return hexClass(word), len(word)
	case digits < len(word) && mixed(word):
		return "<id>", len(word)
	}
	return "<num>", digits // what follows within the word is an ending, as in 3rd
}

// afterCode reports whether what begins at i is a code of an error, by the word before it: status 404, HTTP/2,
// SQLSTATE[42P01], ORA-00942.
func (n *normaliser) afterCode(i int) bool {
	if n.lastEnd == 0 || i-n.lastEnd > 2 || n.lastEnd >= i {
		return false
	}
	between := n.s[n.lastEnd:i]
	if between == "-" {
		return codeFamily(n.last) || n.lastEnd == len(n.last) && upperWord(n.last) && colonAfter(n.s[i:])
	}
	if len(n.last) < 2 || len(n.last) > 12 {
		return false
	}
	var low [12]byte
	for j := range len(n.last) {
		low[j] = n.last[j]
		if isUpper(low[j]) {
			low[j] += 'a' - 'A'
		}
	}
	switch string(low[:len(n.last)]) {
	case "status", "code", "errno", "sqlstate", "statuscode", "status_code", "errorcode", "error_code", "errcode", "exitcode", "hresult", "signal", "invariant":
		return strings.Trim(between, " =:#([") == ""
	case "http":
		return strings.Trim(between, " =:/") == ""
	case "error":
		return between == " " || between == "#" || between == " #" || between == "="
	}
	return false
}

// upperWord reports whether a word consists of two to eight capitals.
func upperWord(s string) bool {
	for i := range len(s) {
		if !isUpper(s[i]) {
			return false
		}
	}
	return len(s) >= 2 && len(s) <= 8
}

// colonAfter reports whether a colon follows the digits that s begins with.
func colonAfter(s string) bool {
	n := digitRun(s)
	return n > 0 && n < len(s) && s[n] == ':'
}

// version returns the length of a version of three numbers or more, with what follows a dash: 2.0.0-rc.1. Four
// numbers are an address already.
func version(s string) int {
	n, dots := digitRun(s), 0
	for n > 0 && n+1 < len(s) && s[n] == '.' && isDigit(s[n+1]) {
		n += 1 + digitRun(s[n+1:])
		dots++
	}
	if dots < 2 {
		return 0
	}
	if n+1 < len(s) && (s[n] == '-' || s[n] == '+') && isLetter(s[n+1]) {
		for n++; n < len(s) && (isWord(s[n]) || s[n] == '.' && n+1 < len(s) && isWord(s[n+1])); n++ {
		}
	}
	return n
}

// unit returns the length of a size such as 12 MB whose number has that many bytes, or 0.
func unit(s string, number int) int {
	n := number
	if n < len(s) && s[n] == ' ' {
		n++
	}
	end := wordEnd(s, n)
	switch s[n:end] {
	case "B", "kB", "KB", "kb", "MB", "mb", "GB", "gb", "TB", "KiB", "MiB", "GiB", "TiB", "byte", "bytes", "Bytes":
		return end
	case "K", "M", "G", "Mi", "Gi", "Ki":
		if n == number {
			return end
		}
	}
	return 0
}

// duration returns the length of a time span such as 12ms, 1.5 s or 3m20s, or 0.
func duration(s string) int {
	n := 0
	for {
		number := digitRun(s[n:])
		if number == 0 {
			return n
		}
		if n+number+1 < len(s) && s[n+number] == '.' && isDigit(s[n+number+1]) {
			number += 1 + digitRun(s[n+number+1:])
		}
		at := n + number
		spaced := at < len(s) && s[at] == ' '
		if spaced {
			at++
		}
		end := at
		for end < len(s) && isLetter(s[end]) {
			end++
		}
		if !timeUnit(s[at:end], spaced) || end < len(s) && s[end] == '_' {
			return 0
		}
		if n = end; spaced {
			return n
		}
	}
}

// timeUnit reports whether s is a unit of time. A single letter other than s is one only right after its number.
func timeUnit(s string, spaced bool) bool {
	switch s {
	case "ns", "us", "µs", "μs", "ms", "s", "sec", "secs", "second", "seconds", "min", "mins", "minute", "minutes", "hr", "hrs", "hour", "hours",
		"day", "days", "week", "weeks", "msec", "millis", "milliseconds", "millisecond", "microseconds", "nanoseconds":
		return true
	case "m", "h", "d", "w":
		return !spaced
	}
	return false
}

// isoDuration reports whether a word is a time span of ISO 8601 such as PT5S.
func isoDuration(word string) bool {
	numbers := 0
	for i := 1; i < len(word); {
		if word[i] == 'T' {
			i++
			continue
		}
		n := digitRun(word[i:])
		if i += n; n == 0 || i >= len(word) || strings.IndexByte("YMWDHS", word[i]) < 0 {
			return false
		}
		i++
		numbers++
	}
	return numbers > 0
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

// digitRun returns how many digits s begins with.
func digitRun[T string | []byte](s T) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// hexRun returns how many hexadecimal digits s begins with.
func hexRun[T string | []byte](s T) int {
	n := 0
	for n < len(s) && (isDigit(s[n]) || isHexLetter(s[n])) {
		n++
	}
	return n
}
