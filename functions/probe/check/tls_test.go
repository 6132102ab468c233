package check

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/monitor"
)

// in moves a certificate's days.
func in(from, to time.Duration) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) }
}

const days = 24 * time.Hour

// certificates are those that a server may have, and what is to be said of them.
func certificates(t testing.TB, a *authority) map[string]struct {
	cert   tls.Certificate
	status monitor.Status
	code   string
} {
	t.Helper()
	type row = struct {
		cert   tls.Certificate
		status monitor.Status
		code   string
	}
	key := newKey(t)
	other := newAuthority(t)
	between := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "Intermediate"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-days), NotAfter: time.Now().Add(5*days + time.Hour),
	}, a.cert, key, a.key)
	under := newKey(t)
	chained := tls.Certificate{PrivateKey: under, Certificate: [][]byte{sign(t, leaf(), between, under, key).Raw, between.Raw}}
	alone := chained
	alone.Certificate = chained.Certificate[:1]
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	rsaAuthority, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaRoot := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(4), Subject: pkix.Name{CommonName: "RSA authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-days), NotAfter: time.Now().Add(999 * days),
	}, nil, rsaAuthority, rsaAuthority)
	a.roots.AddCert(rsaRoot)
	sha1 := leaf()
	sha1.SignatureAlgorithm = x509.SHA1WithRSA
	return map[string]row{
		"good":                     {a.issue(t), monitor.Healthy, monitor.CodeOK},
		"expired":                  {a.issue(t, in(-10*days, -days)), monitor.Down, monitor.CodeCertificateExpired},
		"not valid yet":            {a.issue(t, in(days, 10*days)), monitor.Down, monitor.CodeCertificateEarly},
		"soon to expire":           {a.issue(t, in(-days, 3*days+time.Hour)), monitor.Degraded, monitor.CodeCertificateExpiring},
		"of another host":          {a.issue(t, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"other.example"}, nil }), monitor.Down, monitor.CodeCertificateHost},
		"signed by itself":         {tls.Certificate{PrivateKey: key, Certificate: [][]byte{sign(t, leaf(), nil, key, key).Raw}}, monitor.Down, monitor.CodeCertificateOwn},
		"of an unknown authority":  {other.issue(t), monitor.Down, monitor.CodeCertificateUnknown},
		"for clients only":         {a.issue(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), monitor.Down, monitor.CodeCertificateInvalid},
		"without the intermediate": {alone, monitor.Down, monitor.CodeCertificateUnknown},
		"soon without it":          {chained, monitor.Degraded, monitor.CodeCertificateExpiring},
		"of a small key":           {tls.Certificate{PrivateKey: small, Certificate: [][]byte{sign(t, leaf(), a.cert, small, a.key).Raw}}, monitor.Degraded, monitor.CodeCertificateWeak},
		"signed with SHA-1":        {tls.Certificate{PrivateKey: under, Certificate: [][]byte{sign(t, sha1, rsaRoot, under, rsaAuthority).Raw}}, monitor.Down, monitor.CodeCertificateWeak},
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	table := certificates(t, a)
	c := checker(t, settings(), Options{Roots: a.roots})
	for name, x := range table {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveTLS(t, x.cert, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "well") })
			host, port := hostPort(t, s.Listener.Addr().String())
			parsed, err := x509.ParseCertificate(x.cert.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			look := func(kind monitor.Kind, config monitor.Config) {
				got := c.Run(t.Context(), kind, config, monitor.Secrets{}, patient)
				want(t, got, x.status, x.code)
				// What is shown is when the chain expires, which is not after the certificate does.
				if at := got.Details.ExpiresAt; at.IsZero() || at.After(parsed.NotAfter) {
					t.Errorf("expires at %s, the certificate at %s", at, parsed.NotAfter)
				}
				if got.Details.TLSMS <= 0 || got.Details.Address == "" {
					t.Errorf("got %+v", got.Details)
				}
			}
			look(monitor.TLS, monitor.Config{TLS: &monitor.TLSConfig{Host: host, Port: port}})
			look(monitor.HTTP, monitor.Config{HTTP: &monitor.HTTPConfig{URL: s.URL, ExpiryDays: 14}})
		})
	}
}

func TestCertificateOptions(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	s := serveTLS(t, a.issue(t, in(-days, 20*days+time.Hour)), func(http.ResponseWriter, *http.Request) {})
	host, port := hostPort(t, s.Listener.Addr().String())
	c := checker(t, settings(), Options{Roots: a.roots})
	run := func(change func(*monitor.TLSConfig)) monitor.Look {
		config := monitor.TLSConfig{Host: host, Port: port}
		change(&config)
		return c.Run(t.Context(), monitor.TLS, monitor.Config{TLS: &config}, monitor.Secrets{}, patient)
	}
	want(t, run(func(*monitor.TLSConfig) {}), monitor.Healthy, monitor.CodeOK)
	want(t, run(func(c *monitor.TLSConfig) { c.DegradedDays = 30 }), monitor.Degraded, monitor.CodeCertificateExpiring, "in 20 days")
	want(t, run(func(c *monitor.TLSConfig) { c.ServerName = "localhost" }), monitor.Healthy, monitor.CodeOK)
	want(t, run(func(c *monitor.TLSConfig) { c.ServerName = "other.example" }), monitor.Down, monitor.CodeCertificateHost)
	want(t, run(func(c *monitor.TLSConfig) { c.Host = "localhost" }), monitor.Healthy, monitor.CodeOK)

	// An expiry that nobody asked for is noted, no more.
	got := c.get(t, s.URL)
	want(t, got, monitor.Healthy, monitor.CodeOK)
	if got.Details.ExpiresAt.IsZero() {
		t.Error("when the certificate expires is not noted")
	}

	// A month later, by the clock.
	later := clock.With(t.Context(), func() time.Time { return time.Now().Add(30 * days) })
	tlsConfig := monitor.Config{TLS: &monitor.TLSConfig{Host: host, Port: port}}
	want(t, c.Run(later, monitor.TLS, tlsConfig, monitor.Secrets{}, patient), monitor.Down, monitor.CodeCertificateExpired)
	httpConfig := monitor.Config{HTTP: &monitor.HTTPConfig{URL: s.URL}}
	want(t, c.Run(later, monitor.HTTP, httpConfig, monitor.Secrets{}, patient), monitor.Down, monitor.CodeCertificateExpired)
}

func TestOldTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for name, server := range map[string]*tls.Config{
		"version":              {MaxVersion: tls.VersionTLS11},
		"client's certificate": {ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server.Certificates = []tls.Certificate{a.issue(t)}
			address := listen(t, func(c net.Conn) { _ = tls.Server(c, server).HandshakeContext(t.Context()) })
			host, port := hostPort(t, address)
			c := checker(t, settings(), Options{Roots: a.roots})
			got := c.Run(t.Context(), monitor.TLS, monitor.Config{TLS: &monitor.TLSConfig{Host: host, Port: port}}, monitor.Secrets{}, patient)
			want(t, got, monitor.Down, monitor.CodeTLS, "neither TLS 1.2 nor TLS 1.3")
		})
	}
}

func TestTCP(t *testing.T) {
	t.Parallel()
	c := usual(t)
	address := listen(t, func(c net.Conn) {
		fmt.Fprint(c, "220 ready\r\n")
		line := make([]byte, 100)
		n, _ := c.Read(line)
		for _, b := range line[:n] { // in parts
			_, _ = c.Write([]byte{b})
		}
	})
	host, port := hostPort(t, address)
	run := func(send, expect string) monitor.Look {
		return c.Run(t.Context(), monitor.TCP, monitor.Config{TCP: &monitor.TCPConfig{Host: host, Port: port, Send: send, Expect: expect}}, monitor.Secrets{}, patient)
	}
	got := run("", "")
	want(t, got, monitor.Healthy, monitor.CodeOK)
	if got.Details.Address != address || got.Details.ConnectMS <= 0 || got.Latency <= 0 {
		t.Errorf("got %+v", got)
	}
	want(t, run("", "220 "), monitor.Healthy, monitor.CodeOK)
	want(t, run("PING\r\n", "PING"), monitor.Healthy, monitor.CodeOK)
	want(t, run("PING\r\n", "PONG"), monitor.Down, monitor.CodeExpect)
	closed := monitor.Config{TCP: &monitor.TCPConfig{Host: host, Port: 1}}
	want(t, c.Run(t.Context(), monitor.TCP, closed, monitor.Secrets{}, patient), monitor.Down, monitor.CodeConnect, "nothing listens there")
	mail := monitor.Config{TCP: &monitor.TCPConfig{Host: host, Port: 25}}
	want(t, c.Run(t.Context(), monitor.TCP, mail, monitor.Secrets{}, patient), monitor.Down, monitor.CodeRefusedPort)
}
