package scrub

import "bytes"

// furthest is how far the end of a password is searched that has the slashes of a path in it, in bytes.
const furthest = 256

// userInfo looks at the user and password that may follow the "://" at i, and returns where to go on. The name of
// the user stays if there is a password, and it does not look like a key itself.
func (t *scanner) userInfo(i int) int {
	s, from := t.text, i+len("://")
	end := from
	for end < len(s) && bits[s[end]]&endsParamBit == 0 && s[end] != '/' && s[end] != '?' {
		end++
	}
	at := bytes.LastIndexByte(s[from:end], '@')
	if at < 0 {
		at = farAt(s[from:], end-from)
	}
	if at <= 0 {
		return from
	}
	at += from
	colon := bytes.IndexByte(s[from:at], ':')
	switch {
	case isFiltered(s[from:at]):
		return t.pass(at)
	case colon < 0:
		if looksSecret(s[from:at]) && at-from >= 8 {
			return t.match(from, at, byURL)
		}
		return from
	case from+colon+1 == at || colon >= 16 && looksSecret(s[from:from+colon]):
		return t.match(from, at, byURL)
	case isFiltered(s[from+colon+1 : at]):
		return t.pass(at)
	}
	return t.match(from+colon+1, at, byURL)
}

// farAt returns the index of the @ after a password with a slash, question mark or number sign in it, or -1. It
// begins with a host and a port unless what follows the colon is no number.
func farAt(s []byte, end int) int {
	colon := bytes.IndexByte(s[:end], ':')
	if colon < 1 || colon+1 == end || isCount(s[colon+1:end]) {
		return -1
	}
	s = s[:min(len(s), furthest)]
	stop := bytes.IndexAny(s, " \t\r\n\"'`<>\\")
	if stop >= 0 {
		s = s[:stop]
	}
	return bytes.LastIndexByte(s, '@')
}

// dsn looks at the user and password before the "@tcp(" at i, as drivers of MySQL take them.
func (t *scanner) dsn(i int) {
	s, from := t.text, i
	for from > t.floor && i-from < furthest && bits[s[from-1]]&endsParamBit == 0 {
		from--
	}
	colon := bytes.IndexByte(s[from:i], ':')
	if colon >= 0 && from+colon+1 < i && !isFiltered(s[from+colon+1:i]) {
		t.match(from+colon+1, i, byURL)
	}
}
