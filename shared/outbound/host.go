package outbound

import (
	"net/netip"
	"slices"
	"strings"
)

// Lengths of names (RFC 1035, section 2.3.4).
const (
	nameMost  = 253
	labelMost = 63
)

// metadataNames lead to a cloud's metadata server. No setting allows them.
var metadataNames = []string{
	"metadata.google.internal", "metadata.goog", "metadata", "instance-data", "instance-data.ec2.internal",
	"metadata.azure.internal", "metadata.tencentyun.com",
}

// innerDomains are those that lead to a machine's own network, where an operator may allow some of it.
var innerDomains = []string{"internal", "local", "localdomain", "lan", "intranet", "home.arpa"}

// CheckHost refuses what can never be reached, without looking it up: for the moment in which somebody enters it. A host
// is a name, an IPv4 address as four decimal numbers, or an IPv6 address, in brackets or not. Every other way to spell an
// address that some program takes (2130706433, 0x7f.1, 0177.0.0.1, 127.1, %31) is refused even where the address is not,
// because the next program may read another one. What passes may still be refused when it is connected to.
func (p *Policy) CheckHost(host string) error {
	if len(host) > nameMost+2 { // a dot at the end, or brackets
		return refuse(CodeAddress, "the host is refused: it has %d characters, at most %d are a name", len(host), nameMost)
	}
	name, err := bare(host)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return p.CheckAddr(ip)
	}
	if err := wellFormed(host, name); err != nil {
		return err
	}
	return p.checkName(strings.ToLower(name))
}

// bare returns the host without brackets or the dot of the root.
func bare(host string) (string, error) {
	inside, open := strings.CutPrefix(host, "[")
	inside, closed := strings.CutSuffix(inside, "]")
	switch {
	case open != closed:
		return "", refuse(CodeAddress, "the host %q is refused: its brackets do not match", host)
	case open:
		if ip, err := netip.ParseAddr(inside); err != nil || !ip.Is6() {
			return "", refuse(CodeAddress, "the host %q is refused: what brackets hold must be an IPv6 address", host)
		}
		return inside, nil
	}
	return strings.TrimSuffix(host, "."), nil
}

// wellFormed refuses what is not a name of letters, digits, hyphens and underscores, or ends as an address does.
func wellFormed(host, name string) error {
	if name == "" {
		return refuse(CodeAddress, "the host is empty")
	}
	if len(name) > nameMost {
		return refuse(CodeAddress, "the host is refused: it has %d characters, at most %d are a name", len(name), nameMost)
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > labelMost {
			return refuse(CodeAddress, "the host %q is refused: each part of a name has 1 to %d characters", host, labelMost)
		}
		if i := strings.IndexFunc(label, notInName); i >= 0 {
			return refuse(CodeAddress, "the host %q is refused: a name has letters, digits, hyphens and dots; others are written as xn--", host)
		}
	}
	if numeric(labels[len(labels)-1]) {
		return refuse(CodeAddress, "the host %q is refused: write an IPv4 address as four decimal numbers, such as 93.184.215.14", host)
	}
	return nil
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// numeric reports whether a name that ends in label is an IPv4 address to some program: decimal, octal or hexadecimal.
func numeric(label string) bool {
	digits := "0123456789"
	if len(label) > 1 && label[0] == '0' && label[1]|0x20 == 'x' {
		label, digits = label[2:], "0123456789abcdefABCDEF"
	}
	return strings.Trim(label, digits) == ""
}

// checkName refuses names that lead inside. name is in lower case and without a dot at its end.
func (p *Policy) checkName(name string) error {
	if slices.Contains(metadataNames, name) {
		return refuse(CodeAddress, "the host %q is refused: a cloud's metadata server", name)
	}
	if isLocalhost(name) {
		if p.localhost() == nil {
			return refuse(CodeAddress, "the host %q is refused: it is the machine that would look", name)
		}
		return nil
	}
	last := func(domain string) bool { return name == domain || strings.HasSuffix(name, "."+domain) }
	if !p.inner && slices.ContainsFunc(innerDomains, last) {
		return refuse(CodeAddress, "the host %q is refused: it is a name of an inner network", name)
	}
	return nil
}

// isLocalhost reports names that are loopback by definition (RFC 6761, section 6.3).
func isLocalhost(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// localhost returns the addresses of localhost that are allowed.
func (p *Policy) localhost() []netip.Addr {
	var out []netip.Addr
	for _, ip := range []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()} {
		if p.CheckAddr(ip) == nil {
			out = append(out, ip)
		}
	}
	return out
}
