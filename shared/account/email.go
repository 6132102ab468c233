package account

import (
	"strings"

	"github.com/mesherhq/mesher/shared/fault"
)

// The lengths of an address and its parts, in characters, as mail servers take them (RFC 5321, RFC 1035).
const (
	emailMost = 254
	localMost = 64
	labelMost = 63 // between two dots of a domain
)

// NormalEmail returns the address without spaces around it, or a fault.Invalid: at most 254 characters, ASCII, one @, no
// name or comment, nothing that could end a header of a mail. Case is kept; addresses that differ in it only are the same.
func NormalEmail(s string) (string, error) {
	s = strings.TrimSpace(s)
	local, domain, _ := strings.Cut(s, "@")
	switch {
	case s == "":
		return "", fault.New(fault.Invalid, "the e-mail address is empty")
	case len(s) > emailMost:
		return "", fault.New(fault.Invalid, "the e-mail address has more than %d characters", emailMost)
	case !isLocal(local) || !isDomain(domain):
		return "", fault.New(fault.Invalid,
			"the e-mail address is not one: write it as in anna@example.com, without a name, in ASCII (a domain with other letters as xn--…)")
	}
	return s, nil
}

// isLocal reports whether s is what may stand before the @ without quotes: atoms with single dots between them. A quoted
// one is allowed by the standard, used by nobody, and read differently by different programs.
func isLocal(s string) bool {
	if len(s) > localMost {
		return false
	}
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !isAlnum(r) && !strings.ContainsRune("!#$%&'*+-/=?^_{|}~", r) }) {
			return false
		}
	}
	return true
}

// isDomain reports whether s is the name of a host on the internet: two labels or more, the last of which is no number, as
// it would be in an IP address.
func isDomain(s string) bool {
	var labels int
	var last string
	for last = range strings.SplitSeq(s, ".") {
		labels++
		if last == "" || len(last) > labelMost || last[0] == '-' || last[len(last)-1] == '-' ||
			strings.ContainsFunc(last, func(r rune) bool { return !isAlnum(r) && r != '-' }) {
			return false
		}
	}
	return labels > 1 && strings.ContainsFunc(last, func(r rune) bool { return r > '9' })
}

func isAlnum(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
