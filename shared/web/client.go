package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientIP returns the address that r comes from, without a zone and with IPv4 as such; the zero Addr when there is
// none. Hops is how many proxies add to X-Forwarded-For: what the first of them added is believed, and nothing before
// it. With no hops, or too few parts, it is the connection's own address.
func ClientIP(r *http.Request, hops int) netip.Addr {
	ip, ok := address(forwarded(r.Header.Values("X-Forwarded-For"), hops))
	if !ok {
		ip, _ = address(r.RemoteAddr)
	}
	return ip
}

// forwarded returns the hops-th part from the end, "" when there is none. Several headers mean the same as one with all
// their parts.
func forwarded(headers []string, hops int) string {
	for _, h := range slices.Backward(headers) {
		for rest, more := h, true; more; {
			part := rest
			i := strings.LastIndexByte(rest, ',')
			if more = i >= 0; more {
				rest, part = rest[:i], rest[i+1:]
			}
			if hops--; hops == 0 {
				return strings.TrimSpace(part)
			}
		}
	}
	return ""
}

// address reads an IP address, with a port or without.
func address(s string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(s)
	if err != nil {
		with, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		ip = with.Addr()
	}
	return ip.Unmap().WithZone(""), true
}
