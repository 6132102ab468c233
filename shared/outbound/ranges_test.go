package outbound

import (
	"net/netip"
	"testing"

	"github.com/mesherhq/mesher/shared/fault"
)

// last returns the last address of a network.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	ip, _ := netip.AddrFromSlice(b)
	return ip
}

func policy(t testing.TB, c Config) *Policy {
	t.Helper()
	p, err := NewPolicy(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCheckAddr(t *testing.T) {
	t.Parallel()
	p := policy(t, Config{})

	t.Run("refuses every reserved network from its first address to its last", func(t *testing.T) {
		t.Parallel()
		for _, table := range [][]network{reserved4, reserved6, metadata, carriers, nat64} {
			for _, n := range table {
				for _, ip := range []netip.Addr{n.prefix.Addr(), n.prefix.Addr().Next(), last(n.prefix)} {
					if !n.prefix.Contains(ip) {
						continue // a network of one address
					}
					if err := p.CheckAddr(ip); fault.CodeOf(err) != CodeAddress {
						t.Errorf("%s (%s) is not refused: %v", ip, n.what, err)
					}
				}
			}
		}
	})

	// What lies right before and right after, written by hand: a table that is wrong cannot test itself.
	for _, c := range []struct {
		in      string
		refused bool
	}{
		{"0.0.0.0", true},
		{"0.255.255.255", true},
		{"1.0.0.0", false},
		{"9.255.255.255", false},
		{"10.0.0.0", true},
		{"10.255.255.255", true},
		{"11.0.0.0", false},
		{"100.63.255.255", false},
		{"100.64.0.0", true},
		{"100.127.255.255", true},
		{"100.128.0.0", false},
		{"126.255.255.255", false},
		{"127.0.0.0", true},
		{"127.0.0.1", true},
		{"127.255.255.255", true},
		{"128.0.0.0", false},
		{"168.63.129.16", true},
		{"168.63.129.17", false},
		{"169.253.255.255", false},
		{"169.254.0.0", true},
		{"169.254.169.254", true},
		{"169.254.255.255", true},
		{"169.255.0.0", false},
		{"172.15.255.255", false},
		{"172.16.0.0", true},
		{"172.31.255.255", true},
		{"172.32.0.0", false},
		{"191.255.255.255", false},
		{"192.0.0.0", true},
		{"192.0.0.255", true},
		{"192.0.1.0", false},
		{"192.0.1.255", false},
		{"192.0.2.0", true},
		{"192.0.2.255", true},
		{"192.0.3.0", false},
		{"192.88.98.255", false},
		{"192.88.99.1", true},
		{"192.88.100.0", false},
		{"192.167.255.255", false},
		{"192.168.0.0", true},
		{"192.168.255.255", true},
		{"192.169.0.0", false},
		{"198.17.255.255", false},
		{"198.18.0.0", true},
		{"198.19.255.255", true},
		{"198.20.0.0", false},
		{"198.51.99.255", false},
		{"198.51.100.0", true},
		{"198.51.101.0", false},
		{"203.0.112.255", false},
		{"203.0.113.0", true},
		{"203.0.114.0", false},
		{"223.255.255.255", false},
		{"224.0.0.0", true},
		{"239.255.255.255", true},
		{"240.0.0.0", true},
		{"255.255.255.254", true},
		{"255.255.255.255", true},
		{"8.8.8.8", false},

		{"::", true},
		{"::1", true},
		{"::2", true},
		{"::127.0.0.1", true},
		{"::8.8.8.8", true},
		{"::ffff:127.0.0.1", true},
		{"::ffff:8.8.8.8", true},
		{"::ffff:169.254.169.254", true},
		{"::fffe:8.8.8.8", true},
		{"::1:0:0:0", true},
		{"64:ff9b::7f00:1", true},
		{"64:ff9b::808:808", true},
		{"64:ff9b:1::1", true},
		{"64:ff9b:2::1", true}, // not global unicast
		{"100::1", true},
		{"1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
		{"2000::", false},
		{"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
		{"2001::", true},
		{"2001:0:4136:e378:8000:63bf:3fff:fdd2", true},
		{"2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", true},
		{"2001:200::", false},
		{"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", false},
		{"2001:db8::", true},
		{"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true},
		{"2001:db9::", false},
		{"2001:4860:4860::8888", false},
		{"2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
		{"2002::", true},
		{"2002:7f00:1::1", true},
		{"2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
		{"2003::", false},
		{"2620:4f:7fff:ffff:ffff:ffff:ffff:ffff", false},
		{"2620:4f:8000::1", true},
		{"2620:4f:8001::", false},
		{"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
		{"3fff::", true},
		{"3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", true},
		{"3fff:1000::", false},
		{"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
		{"4000::", true},
		{"5f00::1", true},
		{"fbff::1", true},
		{"fc00::", true},
		{"fd00:ec2::254", true},
		{"fd20:ce::254", true},
		{"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
		{"fe00::1", true},
		{"fe80::1", true},
		{"fe80::1%eth0", true},
		{"febf::1", true},
		{"fec0::1", true},
		{"feff::1", true},
		{"ff02::1", true},
		{"2606:4700::1%eth0", true},
		{"2606:4700::1", false},
	} {
		err := p.CheckAddr(netip.MustParseAddr(c.in))
		if got := fault.CodeOf(err) == CodeAddress; got != c.refused || !got && err != nil {
			t.Errorf("%s: got %v, want refused %v", c.in, err, c.refused)
		}
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		allow, ip string
		refused   bool
	}{
		{"127.0.0.0/8", "127.0.0.1", false},
		{"127.0.0.0/8", "::1", true},
		{"127.0.0.0/8", "::ffff:127.0.0.1", true},
		{"127.0.0.0/8", "10.0.0.1", true},
		{"::1/128, 10.1.0.0/16", "10.1.255.255", false},
		{"::1/128, 10.1.0.0/16", "10.2.0.0", true},
		{"fd00::/8", "fd12::1", false},
		{"fd00::/8", "fd20:ce::254", true},
		{"fd00::/8", "fd00:ec2::254", true},
		{"169.254.0.0/16", "169.254.169.254", true},
		{"169.254.0.0/16", "169.254.170.2", true},
		{"169.254.0.0/16", "169.254.1.1", false},
		{"::/1", "::ffff:127.0.0.1", true},
		{"::/1", "::ffff:169.254.169.254", true},
		{"::/1", "2002:7f00:1::", true},
		{"fe80::/10", "fe80::1%lo", true},
		{"64:ff9b::/96", "64:ff9b::808:808", false},
		{"64:ff9b::/96", "64:ff9b::7f00:1", true},
		{"64:ff9b::/96", "64:ff9b::a9fe:a9fe", true},
		{"64:ff9b::/96,127.0.0.0/8", "64:ff9b::7f00:1", false},
	} {
		err := policy(t, Config{Allow: c.allow}).CheckAddr(netip.MustParseAddr(c.ip))
		if got := err != nil; got != c.refused {
			t.Errorf("with %q allowed, %s: got %v, want refused %v", c.allow, c.ip, err, c.refused)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{
		{Allow: "127.0.0.1"},
		{Allow: "10.0.0.0/33"},
		{Allow: "localhost"},
		{Allow: "0.0.0.0/0"},
		{Allow: "::/0"},
		{Allow: "::ffff:10.0.0.0/104"},
		{AllowPorts: "80"},
		{AllowPorts: "smtp"},
	} {
		if _, err := New(c); !fault.Is(err, fault.NotConfigured) {
			t.Errorf("%+v: got %v, want not configured", c, err)
		}
	}
	p := policy(t, Config{AllowPorts: "25, 587"})
	for port, want := range map[int]bool{25: true, 587: true, 465: false, 443: true, 0: false, 65536: false, -1: false} {
		if err := p.checkHTTPPort(port); err == nil != want {
			t.Errorf("port %d: got %v, want allowed %v", port, err, want)
		}
	}
}
