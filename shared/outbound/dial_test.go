package outbound

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbound/dnstest"
)

// victim is a service on loopback that nobody may reach. It returns its port.
func victim(t testing.TB) (port int, reached *atomic.Int64) {
	t.Helper()
	reached = &atomic.Int64{}
	address := listen(t, func(net.Conn) { reached.Add(1) })
	return portIn(t, address), reached
}

func portIn(t testing.TB, address string) int {
	t.Helper()
	_, digits, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(digits)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func at(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

func TestDialRefusesWhateverANameLeadsTo(t *testing.T) {
	t.Parallel()
	port, reached := victim(t)
	for name, records := range map[string][]string{
		"loopback":                       {"A 127.0.0.1"},
		"loopback of IPv6":               {"AAAA ::1"},
		"both":                           {"A 127.0.0.1", "AAAA ::1"},
		"an IPv4-mapped address":         {"AAAA ::ffff:127.0.0.1"},
		"an IPv4-compatible address":     {"AAAA ::127.0.0.1"},
		"a translated address":           {"AAAA 64:ff9b::7f00:1"},
		"a 6to4 address":                 {"AAAA 2002:7f00:1::1"},
		"the unspecified address":        {"A 0.0.0.0", "AAAA ::"},
		"an alias to loopback":           {"CNAME other.example", "A 127.0.0.1"},
		"an alias to metadata":           {"CNAME metadata.google.internal", "A 169.254.169.254"},
		"metadata":                       {"A 169.254.169.254", "AAAA fd20:ce::254"},
		"many, all of them refused":      {"A 127.0.0.1", "A 10.0.0.1", "A 192.168.0.1", "A 172.16.0.1"},
		"a private network and loopback": {"A 10.0.0.1", "AAAA ::1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dns := dnstest.Serve(t, func(q dnstest.Query) []*dnsmessage.Message { return q.Success(records...) })
			g := guard(t, Config{Resolver: dns.Resolver()})
			for _, network := range []string{"tcp", "tcp4", "tcp6", "udp"} {
				conn, err := g.DialContext(t.Context(), network, at("service.example", port))
				if fault.CodeOf(err) != CodeAddress {
					t.Errorf("%s: got %v, %v, want refused", network, conn, err)
				}
			}
		})
	}
	t.Cleanup(func() {
		if n := reached.Load(); n > 0 {
			t.Errorf("the service was reached %d times", n)
		}
	})
}

func TestDialRefusesRebinding(t *testing.T) {
	t.Parallel()
	port, reached := victim(t)
	// Public to whoever asks first, loopback to whoever asks again.
	dns := dnstest.Serve(t, func(q dnstest.Query) []*dnsmessage.Message {
		if q.Type == dnsmessage.TypeA && q.N > 1 {
			return q.Success("A 127.0.0.1")
		}
		return q.Success("A 93.184.215.14")
	})
	g := guard(t, Config{Resolver: dns.Resolver()})
	ips, err := g.Lookup(t.Context(), "rebind.example")
	if err != nil || len(ips) != 1 || ips[0].String() != "93.184.215.14" {
		t.Fatalf("got %v, %v, want the public address first", ips, err)
	}
	if _, err := g.DialContext(t.Context(), "tcp", at("rebind.example", port)); fault.CodeOf(err) != CodeAddress {
		t.Errorf("got %v, want refused", err)
	}
	if reached.Load() > 0 {
		t.Error("the service was reached")
	}
}

func TestDialLooksUpOnce(t *testing.T) {
	t.Parallel()
	port, _ := victim(t)
	dns := dnstest.Serve(t, func(q dnstest.Query) []*dnsmessage.Message {
		if q.N > 1 { // A and AAAA of the first lookup
			return q.Success("A 10.0.0.1")
		}
		return q.Success("A 127.0.0.1")
	})
	c := loopback()
	c.Resolver = dns.Resolver()
	conn, err := guard(t, c).DialContext(t.Context(), "tcp", at("once.example", port))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if dns.Asked() != 2 {
		t.Errorf("asked %d times, want once for each family", dns.Asked())
	}
}

// TestControl asks the last barrier by itself: it holds even where an address comes from elsewhere.
func TestControl(t *testing.T) {
	t.Parallel()
	port, reached := victim(t)
	g := guard(t, Config{})
	for _, host := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "localhost"} {
		if _, err := g.dialer.DialContext(t.Context(), "tcp", at(host, port)); fault.CodeOf(err) != CodeAddress {
			t.Errorf("%s: got %v, want refused", host, err)
		}
	}
	if _, err := guard(t, loopback()).dialer.DialContext(t.Context(), "tcp", "127.0.0.1:25"); fault.CodeOf(err) != CodePort {
		t.Errorf("port 25: got %v, want refused", err)
	}
	if _, err := g.dialer.DialContext(t.Context(), "unix", "/tmp/none"); fault.CodeOf(err) != CodeAddress {
		t.Errorf("a socket of the machine: got %v, want refused", err)
	}
	if reached.Load() > 0 {
		t.Error("the service was reached")
	}
}

func TestDialLeavesRefusedAddressesOut(t *testing.T) {
	t.Parallel()
	port, _ := victim(t)
	dns := dnstest.Serve(t, func(q dnstest.Query) []*dnsmessage.Message {
		return q.Success("A 10.0.0.1", "A 127.0.0.1", "A 169.254.169.254", "AAAA fd00::1", "AAAA fe80::1")
	})
	c := loopback()
	c.Resolver = dns.Resolver()
	g := guard(t, c)
	ctx, trace := WithTrace(t.Context())
	conn, err := g.DialContext(ctx, "tcp", at("mixed.example", port))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if got := trace.Address().String(); got != at("127.0.0.1", port) || trace.DNS() <= 0 || trace.Connect() <= 0 || trace.Stage() != Connected {
		t.Errorf("got %s, DNS %s, connect %s, stage %s", got, trace.DNS(), trace.Connect(), trace.Stage())
	}
	// What is left is reported by itself, not as a refusal.
	if _, err := g.DialContext(t.Context(), "tcp", at("mixed.example", closedPort(t))); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want connection refused", err)
	}
}

// closedPort returns one on which nothing listens.
func closedPort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return portIn(t, l.Addr().String())
}

func TestDialTriesOtherAddresses(t *testing.T) {
	t.Parallel()
	port := deaf(t)
	// The same port, another address: this one answers.
	l, err := net.Listen("tcp", at("127.0.0.2", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	dns := dnstest.Serve(t, func(q dnstest.Query) []*dnsmessage.Message {
		return q.Success("A 127.0.0.3", "A 127.0.0.1", "A 127.0.0.2")
	})
	c := loopback()
	c.Resolver = dns.Resolver()
	g := guard(t, c)
	ips, err := g.Lookup(t.Context(), "several.example")
	if err != nil || len(ips) != 3 {
		t.Fatalf("got %v, %v", ips, err)
	}
	conn, err := g.first(t.Context(), "tcp", []netip.Addr{
		netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"),
	}, uint16(port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := addressOf(conn).Addr().String(); got != "127.0.0.2" {
		t.Errorf("connected to %s, want 127.0.0.2", got)
	}
}

func TestDialTriesTheOtherFamily(t *testing.T) {
	t.Parallel()
	four, _ := victim(t)
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6")
	}
	t.Cleanup(func() { l.Close() })
	six := portIn(t, l.Addr().String())
	dns := dnstest.Serve(t, func(q dnstest.Query) []*dnsmessage.Message { return q.Success("A 127.0.0.1", "AAAA ::1") })
	c := loopback()
	c.Resolver = dns.Resolver()
	for port, want := range map[int]string{four: "127.0.0.1", six: "::1"} {
		ctx, trace := WithTrace(t.Context())
		conn, err := guard(t, c).DialContext(ctx, "tcp", at("both.example", port))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if got := trace.Address().Addr().String(); got != want {
			t.Errorf("connected to %s, want %s", got, want)
		}
	}
}

// fixed resolves every name to the same addresses.
type fixed []netip.Addr

func (f fixed) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { return f, nil }

// TestMappedAddresses resolves a name to an IPv4 address in the form in which some resolvers give it: it is that address, no
// more and no less.
func TestMappedAddresses(t *testing.T) {
	t.Parallel()
	port, _ := victim(t)
	mapped := fixed{netip.MustParseAddr("::ffff:127.0.0.1")}
	conn, err := guard(t, Config{Allow: "127.0.0.0/8", Resolver: mapped}).DialContext(t.Context(), "tcp", at("service.example", port))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if _, err := guard(t, Config{Resolver: mapped}).DialContext(t.Context(), "tcp", at("service.example", port)); fault.CodeOf(err) != CodeAddress {
		t.Errorf("got %v, want refused", err)
	}
}

// deaf returns a port of 127.0.0.1 on which connections are neither taken nor refused: its queue is full.
func deaf(t testing.TB) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	err = errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0))
	name, err2 := syscall.Getsockname(fd)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	port := name.(*syscall.SockaddrInet4).Port
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at("127.0.0.1", port))
		cancel()
		if err != nil {
			return port
		}
		t.Cleanup(func() { conn.Close() })
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	t.Parallel()
	port := deaf(t)
	for name, handler := range map[string]dnstest.Handler{
		"no connection":  func(q dnstest.Query) []*dnsmessage.Message { return q.Success("A 127.0.0.1") },
		"no name server": func(dnstest.Query) []*dnsmessage.Message { return nil },
		"another id": func(q dnstest.Query) []*dnsmessage.Message {
			q.ID++
			return q.Success("A 127.0.0.1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := loopback()
			c.Resolver = dnstest.Serve(t, handler).Resolver()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			var n net.Error
			if _, err := guard(t, c).DialContext(ctx, "tcp", at("slow.example", port)); !errors.As(err, &n) || !n.Timeout() {
				t.Errorf("got %v, want a timeout", err)
			}
		})
	}
}

func TestDialReportsNameServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code     dnsmessage.RCode
		notFound bool
	}{
		"no such name":    {dnsmessage.RCodeNameError, true},
		"no address":      {dnsmessage.RCodeSuccess, true},
		"a server failed": {dnsmessage.RCodeServerFailure, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dns := dnstest.Serve(t, func(q dnstest.Query) []*dnsmessage.Message { return q.Failure(c.code) })
			_, err := guard(t, Config{Resolver: dns.Resolver()}).DialContext(t.Context(), "tcp", "none.example:80")
			var d *net.DNSError
			if !errors.As(err, &d) || d.IsNotFound != c.notFound || Refused(err) {
				t.Errorf("got %v, want an error of DNS, not found %v", err, c.notFound)
			}
		})
	}
}

func TestDialRefusesBadAddresses(t *testing.T) {
	t.Parallel()
	g := guard(t, loopback())
	for address, want := range map[string]string{
		"": CodeAddress, "127.0.0.1": CodeAddress, ":80": CodeAddress, "a b:80": CodeAddress, "2130706433:80": CodeAddress, "::1:80": CodeAddress,
		"127.0.0.1:": CodePort, "127.0.0.1:http": CodePort, "127.0.0.1:0": CodePort, "127.0.0.1:65536": CodePort, "127.0.0.1:-1": CodePort,
		"127.0.0.1:25": CodePort, "metadata.google.internal:80": CodeAddress, "[fe80::1%lo]:80": CodeAddress,
	} {
		if _, err := g.DialContext(t.Context(), "tcp", address); fault.CodeOf(err) != want {
			t.Errorf("%q: got %v, want code %s", address, err, want)
		}
	}
	for _, network := range []string{"unix", "unixgram", "ip4:icmp", ""} {
		if _, err := g.DialContext(t.Context(), network, "127.0.0.1:80"); fault.CodeOf(err) != CodeAddress {
			t.Errorf("network %q: got %v, want refused", network, err)
		}
	}
}

func TestAlternate(t *testing.T) {
	t.Parallel()
	var in []netip.Addr
	for _, s := range []string{"2606:4700::1", "2606:4700::2", "8.8.8.8", "2606:4700::3", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "8.8.8.9"} {
		in = append(in, netip.MustParseAddr(s))
	}
	var got []string
	for _, ip := range alternate(in) {
		got = append(got, ip.String())
	}
	want := []string{"2606:4700::1", "8.8.8.8", "2606:4700::2", "8.8.4.4", "2606:4700::3", "1.1.1.1", "1.0.0.1", "9.9.9.9"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
