package monitor

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// checkHost refuses what is no name of a host and no address, and hosts that must not be looked at.
func checkHost(field, host string, guard Guard) error {
	if host == "" {
		return invalid(field, "is missing")
	}
	if _, err := netip.ParseAddr(host); err != nil && !hostname(host) {
		return invalid(field, "%q is neither the name of a host nor an IP address", clip(host))
	}
	if guard == nil {
		return nil
	}
	if err := guard.CheckHost(host); err != nil {
		return invalid(field, "%s", reason(err))
	}
	return nil
}

func checkPort(field string, port int, guard Guard) error {
	if port < 1 || port > 65535 {
		return invalid(field, "%d is not from 1 to 65535", port)
	}
	if guard == nil {
		return nil
	}
	if err := guard.CheckPort(port); err != nil {
		return invalid(field, "%s", reason(err))
	}
	return nil
}

// checkAddress checks host:port.
func checkAddress(field, address string, guard Guard) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return invalid(field, "%q is not host:port; an IPv6 address stands in brackets", clip(address))
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return invalid(field, "the port %q is no number", clip(port))
	}
	return first(checkPort(field, n, guard), checkHost(field, host, guard))
}

// hostname reports whether s can be the name of a host. Underscores stand in some.
func hostname(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || len(part) > 63 || part[0] == '-' || part[len(part)-1] == '-' ||
			strings.Trim(strings.ToLower(part), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	// An address that is no address, such as 10.0.0.300 or 127.1, is no name either: some would read it as one.
	last := s[strings.LastIndexByte(s, '.')+1:]
	return strings.Trim(last, "0123456789") != ""
}
