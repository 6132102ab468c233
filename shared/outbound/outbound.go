// Package outbound is the one way to reach addresses that users chose: what monitors probe and where webhooks go.
//
// Whoever may name an address could otherwise use this platform to reach what only it can reach: the metadata server that
// gives out its credentials, databases beside it, its own loopback. A name says nothing about where it leads, and may lead
// elsewhere a moment later, so what is checked is the address that is connected to, at the moment of connecting.
package outbound

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
)

// Codes of refusals, as fault.CodeOf tells them.
const (
	CodeAddress  = "refused_address"  // an address, or a name, that must not be reached
	CodePort     = "refused_port"     // a port that must not be reached
	CodeURL      = "refused_url"      // a scheme or a form of URL that is not taken
	CodeHeader   = "refused_header"   // a header that must not be sent
	CodeRedirect = "refused_redirect" // a redirect that is not followed, or one too many
	CodeTooLarge = "too_large"        // a body beyond the limit
)

// Limits of connecting.
const (
	// dialMost bounds one connection, from the lookup of its name on, where the caller's context does not.
	dialMost = 30 * time.Second
	// attemptDelay is how long an address has for itself before the next one is tried beside it (RFC 8305, section 5).
	attemptDelay = 250 * time.Millisecond
	// addressesMost is how many of a name's addresses are tried.
	addressesMost = 8
)

// Config holds what the operator may decide.
type Config struct {
	Allow      string `env:"OUTBOUND_ALLOW" envDefault:"" doc:"networks that probes and webhooks may reach although they are private or reserved, such as 10.8.0.0/16, separated by commas; never the cloud's metadata servers"`
	AllowPorts string `env:"OUTBOUND_ALLOW_PORTS" envDefault:"" doc:"ports that probes and webhooks may reach although they are refused by default (25; 465 and 587 over HTTP), separated by commas"`

	// Resolver looks names up; nil: the system's.
	Resolver Resolver
}

// Resolver looks up the addresses of a name. A *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Guard makes connections, and refuses those that its policy does not allow. It keeps none, and is for any number of
// goroutines.
type Guard struct {
	*Policy
	resolver Resolver
	dialer   net.Dialer
}

// New returns a guard. A setting that cannot be read is a fault.NotConfigured.
func New(c Config) (*Guard, error) {
	p, err := NewPolicy(c)
	if err != nil {
		return nil, err
	}
	g := &Guard{Policy: p, resolver: c.Resolver}
	if g.resolver == nil {
		// The C library's resolver cannot be interrupted.
		g.resolver = &net.Resolver{PreferGo: true}
	}
	g.dialer = net.Dialer{KeepAlive: -1, ControlContext: g.control}
	return g, nil
}

// Refused reports whether err says that something was refused, rather than that it failed.
func Refused(err error) bool {
	var f *fault.Error
	if !errors.As(err, &f) {
		return false
	}
	switch f.Code {
	case CodeAddress, CodePort, CodeURL, CodeHeader, CodeRedirect:
		return true
	}
	return false
}

// control sees the address of every socket that is about to be connected, whatever it was resolved from, and however.
func (g *Guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	switch network {
	case "tcp4", "tcp6", "udp4", "udp6":
	default:
		return refuse(CodeAddress, "%s connections are refused", network)
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return refuse(CodeAddress, "%q is not an address with a port", address)
	}
	if err := g.CheckPort(int(to.Port())); err != nil {
		return err
	}
	return g.CheckAddr(to.Addr())
}

// refuse returns the error of a refusal: invalid, because asking again does not help.
func refuse(code, format string, args ...any) error {
	return fault.New(fault.Invalid, format, args...).Named(code)
}
