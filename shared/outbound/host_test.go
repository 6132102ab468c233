package outbound

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/fault"
)

func TestCheckHost(t *testing.T) {
	t.Parallel()
	p := policy(t, Config{})
	for _, host := range []string{
		"example.com", "EXAMPLE.com.", "a.b-c_d.example", "xn--bcher-kva.example", "93.184.215.14", "8.8.8.8.", "2606:4700::1",
		"[2606:4700::1]", "127.0.0.1.nip.io", "1e100.net", "0x7f.example", "localhost.example", "internal.example", "example",
	} {
		if err := p.CheckHost(host); err != nil {
			t.Errorf("%q: %v", host, err)
		}
	}
	for _, host := range []string{
		"", ".", "..", "a..b", ".a", "a..", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "a",
		"127.0.0.1", "127.0.0.1.", "10.1.2.3", "169.254.169.254", "0.0.0.0", "255.255.255.255",
		// Spellings of addresses.
		"127.1", "127.0.1", "2130706433", "017700000001", "0x7f000001", "0X7F000001", "0x7f.1", "0x7f.0.0.1", "0177.0.0.1",
		"127.0.0.01", "127.0.0.0x1", "127.0.0.0x", "0x", "8.8.8", "134744072", "010.8.8.8", "1.2.3.4.5", "999.1.1.1", "a.1",
		"127.0.0.1\n", "127.0.0.1\x00", "127.0.0.1:80", "127.0.0.1/", "127.0.0.1#", "127.0.0.1?", "127.0.0.1\\", "a@127.0.0.1", "0.0.0.0.",
		"4294967297", "127.0.0.1%00", "%31%32%37.0.0.1", "127.0.0.1%2e", "127。0。0。1", "１２７.0.0.1", "①②⑦.0.0.1", "127.0.0.1 ", " 127.0.0.1",
		// IPv6.
		"::", "::1", "[::1]", "[::1", "::1]", "[]", "[127.0.0.1]", "[::ffff:127.0.0.1]", "::ffff:7f00:1", "::ffff:8.8.8.8", "::127.0.0.1",
		"fe80::1", "fe80::1%eth0", "[fe80::1%25eth0]", "2606:4700::1%1", "[2606:4700::1%lo]", "64:ff9b::7f00:1", "2002:7f00:1::", "fd20:ce::254",
		"0:0:0:0:0:0:0:1", "0000::1", "[0:0:0:0:0:ffff:7f00:0001]", "2001:db8::1", "1::2::3", ":::1", "[[::1]]", "[::1].",
		// Names.
		"localhost", "LOCALHOST.", "a.localhost", "metadata.google.internal", "Metadata.Google.Internal.", "metadata", "metadata.goog",
		"instance-data", "db.internal", "internal", "printer.local", "router.lan", "nas.home.arpa", "münchen.example", "a b", "a\tb",
	} {
		if err := p.CheckHost(host); fault.CodeOf(err) != CodeAddress || !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: got %v, want refused", host, err)
		}
	}
}

func TestCheckHostWithAllowedNetworks(t *testing.T) {
	t.Parallel()
	laptop, inner := policy(t, Config{Allow: "127.0.0.0/8,::1/128"}), policy(t, Config{Allow: "10.0.0.0/8"})
	for _, c := range []struct {
		host          string
		laptop, inner bool
	}{
		{"localhost", true, false},
		{"api.localhost", true, false},
		{"127.0.0.1", true, false},
		{"[::1]", true, false},
		{"2130706433", false, false},
		{"10.0.0.1", false, true},
		{"db.internal", false, true},
		{"metadata.google.internal", false, false},
		{"169.254.169.254", false, false},
	} {
		if err := laptop.CheckHost(c.host); err == nil != c.laptop {
			t.Errorf("%s on a laptop: %v", c.host, err)
		}
		if err := inner.CheckHost(c.host); err == nil != c.inner {
			t.Errorf("%s with an inner network: %v", c.host, err)
		}
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	p := policy(t, Config{})
	for raw, want := range map[string]string{
		"https://example.com/a?b#c":           "",
		"http://example.com:8080":             "",
		"https://[2606:4700::1]:1/":           "",
		"ftp://example.com":                   CodeURL,
		"file:///etc/passwd":                  CodeURL,
		"gopher://example.com:70/_x":          CodeURL,
		"HTTPS:example.com":                   CodeURL,
		"//example.com":                       CodeURL,
		"https://":                            CodeURL,
		"https://user@example.com":            CodeURL,
		"https://user:pass@example.com":       CodeURL,
		"https://example.com@127.0.0.1/":      CodeURL,
		"https://127.0.0.1/":                  CodeAddress,
		"https://2130706433/":                 CodeAddress,
		"https://[::ffff:169.254.169.254]/":   CodeAddress,
		"http://metadata.google.internal/":    CodeAddress,
		"http://169.254.169.254/computeMeta/": CodeAddress,
		"http://example.com:0/":               CodePort,
		"http://example.com:65536/":           CodePort,
		"http://example.com:25/":              CodePort,
		"http://example.com:587/":             CodePort,
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		err = p.CheckURL(u)
		if got := fault.CodeOf(err); err == nil && want != "" || err != nil && got != want {
			t.Errorf("%s: got %v, want code %q", raw, err, want)
		}
	}
}

// aton reads an IPv4 address as inet_aton and browsers do: one to four numbers, decimal, octal or hexadecimal, of which the
// last fills what is left.
func aton(s string) (netip.Addr, bool) {
	parts := strings.Split(strings.TrimSuffix(s, "."), ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var sum uint64
	for i, part := range parts {
		n, err := uint64(0), error(nil)
		switch lower := strings.ToLower(part); {
		case lower == "0x":
		case strings.HasPrefix(lower, "0x"):
			n, err = strconv.ParseUint(lower[2:], 16, 32)
		case len(part) > 1 && part[0] == '0':
			n, err = strconv.ParseUint(part[1:], 8, 32)
		default:
			n, err = strconv.ParseUint(part, 10, 32)
		}
		lastPart := i == len(parts)-1
		if err != nil || !lastPart && n > 255 || lastPart && n >= 1<<(8*(5-len(parts))) {
			return netip.Addr{}, false
		}
		if lastPart {
			sum = sum<<(8*(5-len(parts))) | n
		} else {
			sum = sum<<8 | n
		}
	}
	return netip.AddrFrom4([4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}), true
}

// spellings returns every address that some program may read in a host.
func spellings(host string) []netip.Addr {
	var out []netip.Addr
	texts := []string{host, strings.Trim(host, "[] ."), strings.TrimSuffix(host, ".")}
	if plain, err := url.PathUnescape(host); err == nil {
		texts = append(texts, plain, strings.Trim(plain, "[] ."))
	}
	for _, s := range texts {
		if ip, err := netip.ParseAddr(s); err == nil {
			out = append(out, ip)
		}
		if before, _, ok := strings.Cut(s, "%"); ok {
			if ip, err := netip.ParseAddr(before); err == nil {
				out = append(out, ip)
			}
		}
		if ip, ok := aton(s); ok {
			out = append(out, ip)
		}
	}
	return out
}

func FuzzCheckHost(f *testing.F) {
	for _, s := range []string{
		"example.com", "127.0.0.1", "0x7f.1", "017700000001", "[::1]", "::ffff:10.0.0.1", "fe80::1%eth0", "%31.0.0.1", "2130706433.",
		"8.8.8.8", "2606:4700::1", "localhost", "a.0x", "1.2.3.08", "[2606:4700::1%25a]", "64:ff9b::1",
	} {
		f.Add(s)
	}
	p := policy(f, Config{})
	f.Fuzz(func(t *testing.T, host string) {
		if p.CheckHost(host) != nil {
			return
		}
		for _, ip := range spellings(host) {
			if err := p.CheckAddr(ip.Unmap()); err != nil {
				t.Errorf("%q passes, and may be read as %s: %v", host, ip, err)
			}
			if strict, err := netip.ParseAddr(strings.Trim(strings.TrimSuffix(host, "."), "[]")); err != nil || strict != ip {
				t.Errorf("%q passes, and one program reads %s where another reads %v", host, ip, strict)
			}
		}
		u, err := url.Parse("http://" + host + ":80/")
		if err != nil && !strings.Contains(host, ":") {
			t.Errorf("%q passes, and is no host of a URL: %v", host, err)
		} else if err == nil && !strings.EqualFold(u.Hostname(), strings.Trim(host, "[]")) {
			t.Errorf("%q passes, and is %q in a URL", host, u.Hostname())
		}
	})
}
