package outbound

import "net/netip"

// network is a range of addresses that are not those of a public service.
type network struct {
	prefix netip.Prefix
	what   string
}

// reserved4 is IANA's registry of IPv4 special-purpose addresses, whole, and those that are multicast:
// https://www.iana.org/assignments/iana-ipv4-special-registry and .../multicast-addresses. Blocks of it that are globally
// reachable, such as AS112's, serve the network itself and not a service that somebody watches.
var reserved4 = []network{
	{block("0.0.0.0/8"), "this network (RFC 791)"},
	{block("10.0.0.0/8"), "private (RFC 1918)"},
	{block("100.64.0.0/10"), "shared by a provider's customers (RFC 6598)"},
	{block("127.0.0.0/8"), "loopback (RFC 1122)"},
	{block("169.254.0.0/16"), "link-local (RFC 3927)"},
	{block("172.16.0.0/12"), "private (RFC 1918)"},
	{block("192.0.0.0/24"), "for protocols (RFC 6890)"},
	{block("192.0.2.0/24"), "documentation (RFC 5737)"},
	{block("192.31.196.0/24"), "AS112 (RFC 7535)"},
	{block("192.52.193.0/24"), "multicast tunnels (RFC 7450)"},
	{block("192.88.99.0/24"), "6to4 relays (RFC 7526)"},
	{block("192.168.0.0/16"), "private (RFC 1918)"},
	{block("192.175.48.0/24"), "AS112 (RFC 7534)"},
	{block("198.18.0.0/15"), "benchmarks (RFC 2544)"},
	{block("198.51.100.0/24"), "documentation (RFC 5737)"},
	{block("203.0.113.0/24"), "documentation (RFC 5737)"},
	{block("224.0.0.0/4"), "multicast (RFC 5771)"},
	{block("255.255.255.255/32"), "broadcast (RFC 919)"},
	{block("240.0.0.0/4"), "reserved (RFC 1112)"},
}

// reserved6 is the same of IPv6: https://www.iana.org/assignments/iana-ipv6-special-registry. Forms that carry an IPv4
// address are refused whatever they carry, because who unwraps it does not ask again. What is not global unicast at all
// (public6) needs no row; those that have one are told by their name.
var reserved6 = []network{
	{block("::/128"), "unspecified (RFC 4291)"},
	{block("::1/128"), "loopback (RFC 4291)"},
	{block("::ffff:0:0/96"), "IPv4-mapped (RFC 4291)"},
	{block("::/96"), "IPv4-compatible (RFC 4291)"},
	{block("64:ff9b::/96"), "translated to IPv4 (RFC 6052)"},
	{block("64:ff9b:1::/48"), "translated to IPv4 (RFC 8215)"},
	{block("100::/64"), "discarded (RFC 6666)"},
	{block("100:0:0:1::/64"), "dummy (RFC 9780)"},
	{block("2001::/32"), "Teredo (RFC 4380)"},
	{block("2001::/23"), "for protocols (RFC 2928)"},
	{block("2001:db8::/32"), "documentation (RFC 3849)"},
	{block("2002::/16"), "6to4 (RFC 3056)"},
	{block("2620:4f:8000::/48"), "AS112 (RFC 7534)"},
	{block("3fff::/20"), "documentation (RFC 9637)"},
	{block("5f00::/16"), "segment routing (RFC 9602)"},
	{block("fc00::/7"), "private (RFC 4193)"},
	{block("fe80::/10"), "link-local (RFC 4291)"},
	{block("fec0::/10"), "site-local (RFC 3879)"},
	{block("ff00::/8"), "multicast (RFC 4291)"},
}

// public6 is all that is allocated as global unicast: https://www.iana.org/assignments/ipv6-address-space.
var public6 = []network{{block("2000::/3"), "global unicast (RFC 4291)"}}

// metadata are the servers from which a machine of a cloud gets its own credentials. No setting allows them.
var metadata = []network{
	{block("169.254.169.254/32"), "a cloud's metadata server"},
	{block("169.254.170.0/24"), "a cloud's metadata server"},
	{block("fd20:ce::254/128"), "a cloud's metadata server"},
	{block("fd00:ec2::/32"), "a cloud's metadata server"},
	{block("100.100.100.200/32"), "a cloud's metadata server"},
	{block("168.63.129.16/32"), "a cloud's metadata server"},
	{block("192.0.0.192/32"), "a cloud's metadata server"},
}

// carriers are forms of IPv6 addresses around an IPv4 address that no setting allows: no service needs to be reached by one.
var carriers = []network{
	{block("::ffff:0:0/96"), "IPv4-mapped"},
	{block("2001::/32"), "Teredo"},
	{block("2002::/16"), "6to4"},
}

// nat64 are networks through which IPv6 reaches IPv4 addresses, which stand at the end of the address. A machine without
// IPv4 needs one of them to be allowed.
var nat64 = []network{
	{block("64:ff9b::/96"), "NAT64"},
	{block("64:ff9b:1::/48"), "NAT64"},
}

// translated returns the IPv4 address that an address of NAT64 leads to.
func translated(ip netip.Addr) (netip.Addr, bool) {
	if _, ok := find(nat64, ip); !ok {
		return netip.Addr{}, false
	}
	all := ip.As16()
	return netip.AddrFrom4([4]byte(all[12:])), true
}

// find returns the first of the networks that holds ip.
func find(networks []network, ip netip.Addr) (network, bool) {
	for _, n := range networks {
		if n.prefix.Contains(ip) {
			return n, true
		}
	}
	return network{}, false
}

func block(s string) netip.Prefix { return netip.MustParsePrefix(s) }
