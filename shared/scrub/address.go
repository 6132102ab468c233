package scrub

import (
	"bytes"
	"net/netip"
)

// email looks at the @ at i, and returns where to go on.
func (t *scanner) email(i int) int {
	s := t.text
	from := i
	for from > t.floor && (inBase64URL(s[from-1]) || s[from-1] >= 0x80 || bytes.IndexByte([]byte(".%+"), s[from-1]) >= 0) {
		from--
	}
	for from < i && (s[from] == '.' || s[from] == '-') {
		from++
	}
	end := i + 1
	for end < len(s) && (isLetter(s[end]) || isDigit(s[end]) || s[end] == '-' || s[end] == '.') {
		end++
	}
	for end > i+1 && (s[end-1] == '.' || s[end-1] == '-') {
		end--
	}
	domain := s[i+1 : end]
	dot := bytes.LastIndexByte(domain, '.')
	if from == i || dot < 1 || !isTLD(domain[dot+1:]) {
		t.floor = max(t.floor, i) // what stands before is no name of a later one
		return i + 1
	}
	return t.match(from, end, byEmail)
}

// isTLD reports whether a domain can end in label. Files of images are called logo@2x.png.
func isTLD(label []byte) bool {
	switch string(label) {
	case "png", "jpg", "jpeg", "gif", "svg", "webp", "js", "css":
		return false
	}
	for _, b := range label {
		if !isLetter(b) {
			return false
		}
	}
	return len(label) >= 2
}

// ipv4 returns the end of an address such as 192.0.2.1 at i, or 0.
func ipv4(s []byte, i int) int {
	for part := range 4 {
		n, from := 0, i
		for i < len(s) && isDigit(s[i]) && i-from < 4 {
			n = n*10 + int(s[i]-'0')
			i++
		}
		if i == from || n > 255 || i-from > 3 {
			return 0
		}
		if part < 3 {
			if i >= len(s) || s[i] != '.' {
				return 0
			}
			i++
		}
	}
	if continues(s, i) {
		return 0
	}
	return i
}

// ipv6 returns the end of an address such as 2001:db8::1 at i, where a word begins, or 0. One of less than two
// colons and a digit is a name in some language, such as a::b.
func (t *scanner) ipv6(i int) int {
	const longest = 45
	s := t.text
	end, colons, digits := i, 0, 0
	for end < len(s) && end-i <= longest && (isHex(s[end]) || s[end] == ':' || s[end] == '.') {
		switch {
		case s[end] == ':':
			colons++
		case isDigit(s[end]):
			digits++
		}
		end++
	}
	for end > i && (s[end-1] == '.' || s[end-1] == ':') {
		if end-i >= 2 && s[end-2] == ':' && s[end-1] == ':' {
			break
		}
		end--
	}
	if colons < 2 || colons > 7 || colons < 6 && !bytes.Contains(s[i:end], []byte("::")) || digits == 0 || end < len(s) && isWord(s[end]) {
		return 0
	}
	if first := bytes.IndexByte(s[i:end], ':'); colons < 3 && first < 3 {
		return 0
	}
	if _, err := netip.ParseAddr(string(s[i:end])); err != nil {
		return 0
	}
	return end
}
