package postgres

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// The certificate is what its comment says, and there is time to follow Supabase to the next one.
func TestSupabaseRoot(t *testing.T) {
	t.Parallel()
	block, rest := pem.Decode([]byte(supabaseRoot))
	if block == nil || len(rest) != 0 {
		t.Fatal("not one certificate")
	}
	sum := sha256.Sum256(block.Bytes)
	if got, want := hex.EncodeToString(sum[:]), "807025ad50d4ed219d2c9c7d299c004f824eb00cf7f65afef607d07b72e6cafa"; got != want {
		t.Errorf("SHA-256 = %s, want %s", got, want)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if cert.Subject.CommonName != "Supabase Root 2021 CA" || !cert.IsCA || cert.CheckSignatureFrom(cert) != nil {
		t.Errorf("it is of %s, a CA: %t", cert.Subject, cert.IsCA)
	}
	if left := time.Until(cert.NotAfter); left < 365*24*time.Hour {
		t.Errorf("it ends on %s: add its successor", cert.NotAfter)
	}
}

func TestRoots(t *testing.T) {
	t.Parallel()
	supabase := x509.NewCertPool()
	supabase.AppendCertsFromPEM([]byte(supabaseRoot))
	system, err := x509.SystemCertPool()
	if err != nil {
		t.Fatal(err)
	}
	system.AppendCertsFromPEM([]byte(supabaseRoot))
	given := x509.NewCertPool()
	for _, tt := range []struct {
		name, host, ca string
		given, want    *x509.CertPool
	}{
		{"another host", "db.example.com", "", nil, nil},
		{"another host with a file", "db.example.com", "", given, given},
		{"the pooler", "aws-1-eu-west-1.pooler.supabase.com", "", nil, system},
		{"a database", "db.abc.supabase.co", "", nil, system},
		{"in capitals and with a root", "DB.ABC.SUPABASE.CO.", "", nil, system},
		{"a database with a file", "db.abc.supabase.co", "", given, supabase},
		{"a database with DATABASE_CA", "db.abc.supabase.co", supabaseRoot, given, supabase},
		{"a look-alike", "db.abcsupabase.co", "", nil, nil},
		{"one below another name", "supabase.com.example.com", "", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := roots(tt.host, tt.ca, tt.given)
			if err != nil || !got.Equal(tt.want) {
				t.Errorf("the certificates are not the expected ones, %v", err)
			}
		})
	}
	if !given.Equal(x509.NewCertPool()) {
		t.Error("what was given is changed")
	}
}

// Each host of a connection string has its own certificates.
func TestPoolConfig_TrustsByHost(t *testing.T) {
	t.Parallel()
	pc, err := poolConfig(Config{
		URL: "postgres://u:p@db.example.com,db.abc.supabase.co/postgres?sslmode=verify-full", PoolSize: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	check := func(pc *pgxpool.Config, host string, known bool) {
		t.Helper()
		tls := pc.ConnConfig.TLSConfig
		if pc.ConnConfig.Host != host {
			tls = pc.ConnConfig.Fallbacks[0].TLSConfig
		}
		if tls.ServerName != host || (tls.RootCAs != nil) != known {
			t.Errorf("%s is verified as %q, with certificates of its own: %t", host, tls.ServerName, tls.RootCAs != nil)
		}
	}
	check(pc, "db.example.com", false)
	check(pc, "db.abc.supabase.co", true)
}
