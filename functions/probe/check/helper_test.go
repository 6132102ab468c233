package check

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/outbound"
	"github.com/mesherhq/mesher/shared/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// settings allow what tests listen on.
func settings() outbound.Config { return outbound.Config{Allow: "127.0.0.0/8,::1/128"} }

func checker(t testing.TB, c outbound.Config, o Options) *Checker {
	t.Helper()
	g, err := outbound.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return New(g, slog.New(slog.DiscardHandler), o)
}

// usual looks with what tests need.
func usual(t testing.TB) *Checker {
	t.Helper()
	return checker(t, settings(), Options{Region: "test"})
}

const patient = 20 * time.Second

// want compares the outcome of a look.
func want(t testing.TB, got monitor.Look, status monitor.Status, code string, texts ...string) {
	t.Helper()
	if got.Status != status || got.Details.Code != code {
		t.Errorf("got %s %s (%s), want %s %s", got.Status, got.Details.Code, got.Details.Error, status, code)
	}
	for _, text := range texts {
		if !strings.Contains(got.Details.Error, text) {
			t.Errorf("the text %q lacks %q", got.Details.Error, text)
		}
	}
	if (got.Details.Error == "") != (code == monitor.CodeOK) {
		t.Errorf("code %s with the text %q", got.Details.Code, got.Details.Error)
	}
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// listen answers every connection in its own way and returns where.
func listen(t testing.TB, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				answer(c)
			}()
		}
	}()
	return l.Addr().String()
}

// hang reads for ever and answers nothing.
func hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func hostPort(t testing.TB, address string) (string, int) {
	t.Helper()
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(digits)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

func (c *Checker) get(t testing.TB, url string, change ...func(*monitor.HTTPConfig)) monitor.Look {
	t.Helper()
	h := monitor.HTTPConfig{URL: url}
	for _, f := range change {
		f(&h)
	}
	return c.Run(t.Context(), monitor.HTTP, monitor.Config{HTTP: &h}, monitor.Secrets{}, patient)
}

// authority signs certificates.
type authority struct {
	cert  *x509.Certificate
	key   crypto.Signer
	roots *x509.CertPool
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: newKey(t), roots: x509.NewCertPool()}
	a.cert = sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().AddDate(-20, 0, 0), NotAfter: time.Now().AddDate(20, 0, 0),
	}, nil, a.key, a.key)
	a.roots.AddCert(a.cert)
	return a
}

// sign returns a certificate of key, signed by parent, or by itself where there is none.
func sign(t testing.TB, template, parent *x509.Certificate, key, by crypto.Signer) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// leaf is a certificate for localhost and 127.0.0.1 that expires in a year.
func leaf() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

// issue returns a certificate that the authority signed.
func (a *authority) issue(t testing.TB, change ...func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := leaf()
	for _, f := range change {
		f(template)
	}
	key := newKey(t)
	return tls.Certificate{Certificate: [][]byte{sign(t, template, a.cert, key, a.key).Raw}, PrivateKey: key}
}

// serveTLS starts an HTTPS server with a certificate.
func serveTLS(t testing.TB, cert tls.Certificate, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// settles waits until no goroutine runs code of a look.
func settles(t testing.TB) {
	t.Helper()
	var stacks []byte
	for ends := time.Now().Add(patient); time.Now().Before(ends); time.Sleep(10 * time.Millisecond) {
		stacks = make([]byte, 4<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if left(stacks) == 0 {
			return
		}
	}
	t.Errorf("%d goroutines are left:\n%s", left(stacks), stacks)
}

// left counts the goroutines of clients in a listing.
func left(stacks []byte) int {
	n := 0
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		for _, mark := range []string{"outbound.(*Guard)", "http.(*persistConn)", "http.(*Transport)", "pgconn.", "check.(*look)", "check.lookup"} {
			if bytes.Contains(stack, []byte(mark)) {
				n++
				break
			}
		}
	}
	return n
}

func settingsOf(allow string) outbound.Config { return outbound.Config{Allow: allow} }
