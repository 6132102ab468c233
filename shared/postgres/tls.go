package postgres

import (
	"crypto/x509"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/fault"
)

// secure says which certificates are trusted, and refuses every way to another machine that is not encrypted and
// verified. A connection string may name several hosts, and sslmode=prefer adds a plain one to each.
func secure(conn *pgconn.Config, c Config) error {
	ways := []*pgconn.FallbackConfig{{Host: conn.Host, TLSConfig: conn.TLSConfig}}
	for _, way := range append(ways, conn.Fallbacks...) {
		if way.TLSConfig != nil {
			roots, err := roots(way.Host, c.CA, way.TLSConfig.RootCAs)
			if err != nil {
				return err
			}
			way.TLSConfig.RootCAs = roots
		}
		verified := way.TLSConfig != nil && !way.TLSConfig.InsecureSkipVerify
		if !verified && !c.Insecure && !Local(way.Host) {
			return fault.New(fault.NotConfigured,
				"the connection to %s is not encrypted and verified: add sslmode=verify-full to DATABASE_URL "+
					"(with the provider's certificate in DATABASE_CA), or set DATABASE_INSECURE=true if the network in between is trusted", way.Host)
		}
	}
	return nil
}

// roots returns the certificates that may sign host's: those of DATABASE_CA, else of the connection string's
// sslrootcert, else the system's, which nil stands for. Supabase's own are trusted besides, for its hosts.
func roots(host, ca string, given *x509.CertPool) (*x509.CertPool, error) {
	trusted := given
	if ca != "" {
		trusted = x509.NewCertPool()
		if !trusted.AppendCertsFromPEM([]byte(ca)) {
			return nil, fault.New(fault.NotConfigured, "DATABASE_CA holds no certificate: expected PEM, from BEGIN CERTIFICATE to END CERTIFICATE")
		}
	}
	if !ofSupabase(host) {
		return trusted, nil
	}
	if trusted != nil {
		trusted = trusted.Clone() // another host may share it
	} else if system, err := x509.SystemCertPool(); err == nil {
		trusted = system
	} else {
		trusted = x509.NewCertPool() // a system without certificates
	}
	trusted.AppendCertsFromPEM([]byte(supabaseRoot))
	return trusted, nil
}

// ofSupabase reports whether only Supabase can have given a host its name.
func ofSupabase(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return strings.HasSuffix(host, ".supabase.co") || strings.HasSuffix(host, ".supabase.com")
}

// Local reports whether a connection to host stays on this machine.
func Local(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// supabaseRoot signs the certificates of Supabase's servers and poolers, which no public authority does. It is what a
// project's settings offer for download as prod-ca-2021.crt: "Supabase Root 2021 CA" of Supabase Inc, signed by itself,
// valid from 2021-04-28 to 2031-04-26. Its SHA-256 is
// 80:70:25:AD:50:D4:ED:21:9D:2C:9C:7D:29:9C:00:4F:82:4E:B0:0C:F7:F6:5A:FE:F6:07:D0:7B:72:E6:CA:FA.
const supabaseRoot = `-----BEGIN CERTIFICATE-----
MIIDxDCCAqygAwIBAgIUbLxMod62P2ktCiAkxnKJwtE9VPYwDQYJKoZIhvcNAQEL
BQAwazELMAkGA1UEBhMCVVMxEDAOBgNVBAgMB0RlbHdhcmUxEzARBgNVBAcMCk5l
dyBDYXN0bGUxFTATBgNVBAoMDFN1cGFiYXNlIEluYzEeMBwGA1UEAwwVU3VwYWJh
c2UgUm9vdCAyMDIxIENBMB4XDTIxMDQyODEwNTY1M1oXDTMxMDQyNjEwNTY1M1ow
azELMAkGA1UEBhMCVVMxEDAOBgNVBAgMB0RlbHdhcmUxEzARBgNVBAcMCk5ldyBD
YXN0bGUxFTATBgNVBAoMDFN1cGFiYXNlIEluYzEeMBwGA1UEAwwVU3VwYWJhc2Ug
Um9vdCAyMDIxIENBMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqQXW
QyHOB+qR2GJobCq/CBmQ40G0oDmCC3mzVnn8sv4XNeWtE5XcEL0uVih7Jo4Dkx1Q
DmGHBH1zDfgs2qXiLb6xpw/CKQPypZW1JssOTMIfQppNQ87K75Ya0p25Y3ePS2t2
GtvHxNjUV6kjOZjEn2yWEcBdpOVCUYBVFBNMB4YBHkNRDa/+S4uywAoaTWnCJLUi
cvTlHmMw6xSQQn1UfRQHk50DMCEJ7Cy1RxrZJrkXXRP3LqQL2ijJ6F4yMfh+Gyb4
O4XajoVj/+R4GwywKYrrS8PrSNtwxr5StlQO8zIQUSMiq26wM8mgELFlS/32Uclt
NaQ1xBRizkzpZct9DwIDAQABo2AwXjALBgNVHQ8EBAMCAQYwHQYDVR0OBBYEFKjX
uXY32CztkhImng4yJNUtaUYsMB8GA1UdIwQYMBaAFKjXuXY32CztkhImng4yJNUt
aUYsMA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADggEBAB8spzNn+4VU
tVxbdMaX+39Z50sc7uATmus16jmmHjhIHz+l/9GlJ5KqAMOx26mPZgfzG7oneL2b
VW+WgYUkTT3XEPFWnTp2RJwQao8/tYPXWEJDc0WVQHrpmnWOFKU/d3MqBgBm5y+6
jB81TU/RG2rVerPDWP+1MMcNNy0491CTL5XQZ7JfDJJ9CCmXSdtTl4uUQnSuv/Qx
Cea13BX2ZgJc7Au30vihLhub52De4P/4gonKsNHYdbWjg7OWKwNv/zitGDVDB9Y2
CMTyZKG3XEu5Ghl1LEnI3QmEKsqaCLv12BnVjbkSeZsMnevJPs1Ye6TjjJwdik5P
o/bKiIz+Fq8=
-----END CERTIFICATE-----
`
