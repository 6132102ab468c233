package outbound

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// DialContext connects to address, host:port with a port in digits, over tcp or udp. A name's addresses are looked up once;
// those that are refused are left out, and the others tried in the resolver's order, IPv6 and IPv4 in turn, each beside the
// one before when that takes long. Where all are refused the error has code CodeAddress.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if !strings.HasPrefix(network, "tcp") && !strings.HasPrefix(network, "udp") {
		return nil, refuse(CodeAddress, "%s connections are refused", network)
	}
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		return nil, refuse(CodeAddress, "%q is refused: expected host:port", address)
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return nil, refuse(CodePort, "the port %q is refused: expected 1 to 65535", digits)
	}
	if err := g.CheckPort(int(port)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialMost)
	defer cancel()
	ips, err := g.Lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	trace := traceOf(ctx)
	end := trace.begin(Connecting)
	conn, err := g.first(ctx, network, ips, uint16(port))
	if err != nil {
		end(Connecting)
		return nil, err
	}
	end(Connected)
	trace.reached(addressOf(conn))
	return conn, nil
}

// Lookup returns the addresses of a host that may be connected to, at most eight, in the order in which to try them. The
// error says which are refused when all are, and is a *net.DNSError when there is none.
func (g *Guard) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if err := g.CheckHost(host); err != nil {
		return nil, err
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return []netip.Addr{ip}, nil
	}
	name := strings.TrimSuffix(host, ".")
	if isLocalhost(strings.ToLower(name)) {
		return g.localhost(), nil
	}
	end := traceOf(ctx).begin(Looking)
	// The dot of the root keeps the system's search domains from being tried.
	found, err := g.resolver.LookupNetIP(ctx, "ip", name+".")
	end(Looking)
	if err != nil {
		return nil, err
	}
	ips, refused := g.sift(found)
	if len(ips) > 0 {
		return alternate(ips), nil
	}
	if refused != nil {
		return nil, refuse(CodeAddress, "%s leads nowhere that may be reached: %s", name, refused)
	}
	return nil, &net.DNSError{Err: "no address", Name: name, IsNotFound: true}
}

// sift returns those of the addresses that may be connected to, and why the first of the others may not.
func (g *Guard) sift(found []netip.Addr) (ips []netip.Addr, refused error) {
	for _, ip := range found {
		// To connect to an IPv4-mapped address is to connect to the IPv4 one.
		ip = ip.Unmap()
		if err := g.CheckAddr(ip); err != nil {
			if refused == nil {
				refused = err
			}
			continue
		}
		ips = append(ips, ip)
	}
	return ips, refused
}

// alternate puts addresses of both families in turn, beginning with the first one's, and keeps as many as are tried.
func alternate(ips []netip.Addr) []netip.Addr {
	var same, other []netip.Addr
	for _, ip := range ips {
		if ip.Is4() == ips[0].Is4() {
			same = append(same, ip)
		} else {
			other = append(other, ip)
		}
	}
	out := make([]netip.Addr, 0, len(ips))
	for i := range max(len(same), len(other)) {
		if i < len(same) {
			out = append(out, same[i])
		}
		if i < len(other) {
			out = append(out, other[i])
		}
	}
	return out[:min(len(out), addressesMost)]
}

// attempt is how one address went.
type attempt struct {
	conn net.Conn
	err  error
}

// first returns the first connection that is made. It begins with the first address, and with the next one when that
// failed or takes long. All attempts are over when it returns.
func (g *Guard) first(ctx context.Context, network string, ips []netip.Addr, port uint16) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan attempt)
	var failed error
	next, running := 0, 0
	begin := func() {
		to := netip.AddrPortFrom(ips[next], port).String()
		next, running = next+1, running+1
		go func() {
			conn, err := g.dialer.DialContext(ctx, network, to)
			results <- attempt{conn, err}
		}()
	}
	begin()
	delay := time.NewTimer(attemptDelay)
	defer delay.Stop()
	for running > 0 {
		select {
		case <-delay.C:
		case r := <-results:
			running--
			if r.err == nil {
				cancel()
				discard(results, running)
				return r.conn, nil
			}
			failed = worse(failed, r.err)
		}
		if next < len(ips) && ctx.Err() == nil {
			begin()
			delay.Reset(attemptDelay)
		}
	}
	return nil, failed
}

// discard waits for attempts that are no longer needed.
func discard(results <-chan attempt, running int) {
	for range running {
		if r := <-results; r.err == nil {
			_ = r.conn.Close()
		}
	}
}

// worse returns which of two errors to report: the first, but rather another than that a family of addresses cannot be
// reached from here at all, which is nothing of the service.
func worse(a, b error) error {
	if a == nil || errors.Is(a, syscall.ENETUNREACH) || errors.Is(a, syscall.EAFNOSUPPORT) || errors.Is(a, syscall.EADDRNOTAVAIL) {
		return b
	}
	return a
}

// addressOf returns the other end of a connection.
func addressOf(conn net.Conn) netip.AddrPort {
	to, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.AddrPort{}
	}
	return to
}
