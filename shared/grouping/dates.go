package grouping

import "strings"

// date returns the length of a date in digits such as 2026-01-31 or 31.1.2026, with the time that may follow it,
// or of a time, or 0.
func date(s string) int {
	n := 0
	switch {
	case matches(s, "0000-00-00"), matches(s, "0000/00/00"), matches(s, "0000.00.00"), matches(s, "00.00.0000"), matches(s, "00/00/0000"),
		matches(s, "00-00-0000"):
		n = len("0000-00-00")
		if n < len(s) && isDigit(s[n]) {
			return 0
		}
	case matches(s, "00:00:00"):
		if after := len("00:00:00"); after+2 < len(s) && s[after] == ':' && isHexLetter(s[after+1]) {
			return 0 // a hardware address
		}
		return clock(s)
	case matches(s, "00000000T000000"):
		n = len("00000000T000000")
		if n < len(s) && s[n] == 'Z' {
			n++
		}
		return n
	default:
		return 0
	}
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
	case n < len(s) && (s[n] == '+' || s[n] == '-') && matches(s[n+1:], "0000"):
		n += len("+0000")
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

// namedDate returns the length of a date that begins with the name of a day or a month, or 0: Nov 20, 2026;
// Sat, 21 Nov 2026 10:00:01 GMT; Fri Nov 20 08:00:00 UTC 2026.
func namedDate(s string) int {
	n := 0
	if isDay(s) {
		for n < len(s) && isLetter(s[n]) {
			n++
		}
		n = skip(s, n, ", ")
		if size := namedDay(s[n:]); size > 0 {
			return n + size
		}
	}
	month := n
	if !isMonth(s[n:]) {
		return 0
	}
	for n < len(s) && isLetter(s[n]) {
		n++
	}
	n = skip(s, n, ". ")
	digits := digitRun(s[n:])
	if digits == 0 || digits == 3 || digits > 4 || n == month {
		return 0
	}
	return n + digits + dateRest(s[n+digits:])
}

// namedDay returns the length of a date such as 21 Nov 2026, or 0.
func namedDay(s string) int {
	n := digitRun(s)
	if n == 0 || n > 2 || n+4 > len(s) || s[n] != ' ' && s[n] != '-' && s[n] != '/' || !isMonth(s[n+1:]) {
		return 0
	}
	for n++; n < len(s) && isLetter(s[n]); n++ {
	}
	return n + dateRest(s[n:])
}

// dateRest returns the length of what may follow a day and a month: a year, a time and a zone, in any order.
func dateRest(s string) int {
	n := 0
	for range 3 {
		at := skip(s, n, ", -/")
		switch {
		case at == n:
			return n
		case matches(s[at:], "00:00"):
			n = at + clock(s[at:])
		case matches(s[at:], "0000"):
			n = at + 4
		case strings.HasPrefix(s[at:], "GMT"), strings.HasPrefix(s[at:], "UTC"), strings.HasPrefix(s[at:], "CET"):
			n = at + 3
		default:
			return n
		}
		if at = skip(s, n, " "); strings.HasPrefix(s[at:], "GMT") || strings.HasPrefix(s[at:], "UTC") {
			n = at + 3
		}
	}
	return n
}

// skip returns the index after at most two bytes of set.
func skip(s string, i int, set string) int {
	for j := 0; j < 2 && i < len(s) && strings.IndexByte(set, s[i]) >= 0; j++ {
		i++
	}
	return i
}

// isDay reports whether s begins with the name of a day of the week.
func isDay(s string) bool {
	end := letters(s)
	if end < 3 {
		return false
	}
	switch s[:3] {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return end == 3 || strings.HasSuffix(s[:end], "day")
	}
	return false
}

// isMonth reports whether s begins with the name of a month.
func isMonth(s string) bool {
	switch s[:letters(s)] {
	case "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec",
		"January", "February", "March", "April", "June", "July", "August", "September", "October", "November", "December":
		return true
	}
	return false
}

// letters returns how many letters s begins with, at most ten.
func letters(s string) int {
	n := 0
	for n < len(s) && n < 10 && isLetter(s[n]) {
		n++
	}
	return n
}
