package postgres_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

// authority signs certificates.
type authority struct {
	pem  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{encode("CERTIFICATE", der), cert, key}
}

// sign returns the certificate of a server, and its key.
func (a authority) sign(t *testing.T, until time.Time, change func(*x509.Certificate)) (cert, private string) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", raw)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// serve has the server show a certificate from now on. The server writes the files itself, as the user that it runs as.
func serve(t *testing.T, db *pgtest.Database, cert, key string) {
	t.Helper()
	for name, text := range map[string]string{"server.crt": cert, "server.key": key} {
		db.Exec(t, fmt.Sprintf("copy (select unnest(string_to_array('%s', e'\\n'))) to program 'umask 077; cat > %s'",
			strings.TrimSpace(text), name))
	}
	var before time.Time
	admin := db.Conn(t, pgtest.Admin)
	if err := admin.QueryRow(t.Context(), "select pg_conf_load_time()").Scan(&before); err != nil {
		t.Fatal(err)
	}
	db.Exec(t, "alter system set ssl = on", "select pg_reload_conf()")
	for {
		// A session sees when it has loaded the settings itself.
		var loaded bool
		if err := db.Conn(t, pgtest.Admin).QueryRow(t.Context(), "select pg_conf_load_time() > $1 and current_setting('ssl')::bool", before).Scan(&loaded); err != nil {
			t.Fatal(err)
		}
		if loaded {
			return
		}
	}
}

// ping connects with the settings that functions have, to another address of the server if one is given.
func ping(t *testing.T, db *pgtest.Database, mode, ca string) error {
	t.Helper()
	u, err := url.Parse(db.URL(pgtest.Admin))
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = "sslmode=" + mode
	pool, err := postgres.Open(t.Context(), read(t, u.String(), map[string]string{"DATABASE_CA": ca}))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var encrypted bool
	if err := pool.QueryRow(ctx, "select ssl from pg_stat_ssl where pid = pg_backend_pid()").Scan(&encrypted); err != nil {
		return err
	}
	if want := mode != "disable"; encrypted != want {
		t.Errorf("with %s the connection is encrypted: %t", mode, encrypted)
	}
	return nil
}

func TestOpen_VerifiesTheServer(t *testing.T) {
	t.Parallel()
	c := pgtest.NewCluster(t)
	db := c.Empty(t)
	good, other := newAuthority(t, "good"), newAuthority(t, "other")
	here := func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} }
	tomorrow := time.Now().Add(24 * time.Hour)

	if err := ping(t, db, "verify-full", good.pem); err == nil {
		t.Error("a server without encryption is taken for one that is verified")
	}
	for _, tt := range []struct {
		name   string
		by     authority
		until  time.Time
		change func(*x509.Certificate)
		says   string
	}{
		{"of another host", good, tomorrow, func(c *x509.Certificate) { c.DNSNames = []string{"db.example.com"} }, "127.0.0.1"},
		{"of nobody", good, tomorrow, func(c *x509.Certificate) { c.Subject.CommonName = "127.0.0.1" }, "127.0.0.1"},
		{"that has expired", good, time.Now().Add(-time.Hour), here, "expired"},
		{"of somebody unknown", other, tomorrow, here, "unknown authority"},
		{"that is right", good, tomorrow, here, ""},
	} {
		cert, key := tt.by.sign(t, tt.until, tt.change)
		serve(t, db, cert, key)
		err := ping(t, db, "verify-full", good.pem)
		if tt.says == "" {
			if err != nil {
				t.Errorf("a certificate %s is refused: %v", tt.name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("a certificate %s: %v, want an error that says %q", tt.name, err, tt.says)
		}
		if postgres.Transient(err) {
			t.Errorf("a certificate %s is to be tried again: %v", tt.name, err)
		}
		// Nothing but the certificate keeps the connection from being made.
		if err := ping(t, db, "require", ""); err != nil {
			t.Errorf("without a look at the certificate %s: %v", tt.name, err)
		}
	}
	if err := ping(t, db, "verify-full", ""); err == nil {
		t.Error("without DATABASE_CA, a certificate of an authority that the system does not know is accepted")
	}
	if err := ping(t, db, "disable", good.pem); err != nil {
		t.Errorf("on this machine, without encryption: %v", err)
	}
}
