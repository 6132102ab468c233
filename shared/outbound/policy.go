package outbound

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mesherhq/mesher/shared/fault"
)

// refusedPorts are those of no connection: 25 takes mail from anybody, and would take it in this platform's name.
var refusedPorts = []int{25}

// refusedOverHTTP are refused to HTTP besides: the submission of mail, which reads commands out of a request's body. To
// look whether they answer at all is fine, they want a password before they take a mail.
var refusedOverHTTP = []int{465, 587}

// Policy says what may be reached.
type Policy struct {
	allow []netip.Prefix
	ports []int
	inner bool // some network other than loopback is allowed
}

// NewPolicy returns the policy of the settings, for who only wants to know. A setting that cannot be read is a
// fault.NotConfigured.
func NewPolicy(c Config) (*Policy, error) {
	p := &Policy{}
	for _, s := range list(c.Allow) {
		prefix, err := netip.ParsePrefix(s)
		if err != nil || prefix.Addr().Is4In6() || prefix.Bits() == 0 {
			return nil, fault.New(fault.NotConfigured,
				"OUTBOUND_ALLOW names %q, expected networks such as 10.8.0.0/16 or fd12:3456::/48, separated by commas; all addresses cannot be allowed", s)
		}
		p.allow = append(p.allow, prefix.Masked())
		p.inner = p.inner || !prefix.Addr().IsLoopback()
	}
	for _, s := range list(c.AllowPorts) {
		port, err := strconv.Atoi(s)
		if err != nil || !slices.Contains(slices.Concat(refusedPorts, refusedOverHTTP), port) {
			return nil, fault.New(fault.NotConfigured, "OUTBOUND_ALLOW_PORTS names %q, expected some of 25, 465 and 587, separated by commas", s)
		}
		p.ports = append(p.ports, port)
	}
	return p, nil
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// CheckAddr refuses an address that must not be connected to, with an error of code CodeAddress.
func (p *Policy) CheckAddr(ip netip.Addr) error {
	switch {
	case !ip.IsValid():
		return refuse(CodeAddress, "an address is missing")
	case ip.Zone() != "":
		return refuse(CodeAddress, "the address %s is refused: it has a zone, which only a link-local one needs", ip)
	}
	if n, ok := find(metadata, ip); ok {
		return refuse(CodeAddress, "the address %s is refused: %s", ip, n.what)
	}
	if slices.ContainsFunc(p.allow, func(a netip.Prefix) bool { return a.Contains(ip) }) {
		if inner, ok := translated(ip); ok {
			return p.CheckAddr(inner)
		}
		if _, ok := find(carriers, ip); !ok {
			return nil
		}
	}
	n, ok := find(reserved4, ip)
	if ip.Is6() {
		n, ok = find(reserved6, ip)
		if _, public := find(public6, ip); !public && !ok {
			n, ok = network{what: "not global unicast (RFC 4291)"}, true
		}
	}
	if ok {
		return refuse(CodeAddress, "the address %s is refused: %s", ip, n.what)
	}
	return nil
}

// CheckPort refuses a port that must not be connected to, with an error of code CodePort.
func (p *Policy) CheckPort(port int) error {
	if port < 1 || port > 65535 {
		return refuse(CodePort, "the port %d is refused: expected 1 to 65535", port)
	}
	return p.checkPort(port, refusedPorts, "it takes mail from anybody")
}

// checkHTTPPort refuses a port that no HTTP request may go to.
func (p *Policy) checkHTTPPort(port int) error {
	if err := p.CheckPort(port); err != nil {
		return err
	}
	return p.checkPort(port, refusedOverHTTP, "it takes mail, not HTTP")
}

func (p *Policy) checkPort(port int, among []int, why string) error {
	if slices.Contains(among, port) && !slices.Contains(p.ports, port) {
		return refuse(CodePort, "the port %d is refused: %s", port, why)
	}
	return nil
}

// CheckURL refuses what no request may go to, whatever its name leads to: another scheme than http and https, a user or
// password in the URL, a host (see CheckHost) or a port that is refused.
func (p *Policy) CheckURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return refuse(CodeURL, "the URL's scheme %.20q is refused: expected http or https", u.Scheme)
	case u.User != nil:
		return refuse(CodeURL, "the URL holds a user or a password: use a header, which is kept secret")
	case u.Host == "" || u.Opaque != "":
		return refuse(CodeURL, "the URL has no host: expected https://host/path")
	}
	if err := p.CheckHost(u.Hostname()); err != nil {
		return err
	}
	port, err := portOf(u)
	if err != nil {
		return err
	}
	return p.checkHTTPPort(port)
}

// portOf returns the port that a request goes to.
func portOf(u *url.URL) (int, error) {
	switch s := u.Port(); {
	case s != "":
		port, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			return 0, refuse(CodePort, "the port %.20q is refused: expected 1 to 65535", s)
		}
		return int(port), nil
	case u.Scheme == "https":
		return 443, nil
	}
	return 80, nil
}
