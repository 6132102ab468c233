package check

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/mesherhq/mesher/shared/monitor"
)

// rsaLeast is the size of RSA keys, in bits, below which browsers refuse a certificate.
const rsaLeast = 2048

// weakSignatures can be forged.
var weakSignatures = []x509.SignatureAlgorithm{
	x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
}

// certificate says what is wrong with the certificate that err is about, and whether it is about one.
func (l *look) certificate(err error) (finding, bool) {
	var v *tls.CertificateVerificationError
	if !errors.As(err, &v) || len(v.UnverifiedCertificates) == 0 {
		return finding{}, false
	}
	leaf := v.UnverifiedCertificates[0]
	l.details.ExpiresAt = leaf.NotAfter.UTC()
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return l.expired(invalid.Cert), true
	case errors.As(err, &host):
		return down(monitor.CodeCertificateHost, "the certificate is not valid for this host"), true
	case slices.Contains(weakSignatures, leaf.SignatureAlgorithm):
		return down(monitor.CodeCertificateWeak, "the certificate is signed with %s, which can be forged", leaf.SignatureAlgorithm), true
	case errors.As(err, &unknown) && own(leaf):
		return down(monitor.CodeCertificateOwn, "the certificate is signed by itself, not by an authority"), true
	case errors.As(err, &unknown):
		return down(monitor.CodeCertificateUnknown, "no authority that is trusted has signed the certificate; often the server does not send the intermediate one"), true
	}
	return down(monitor.CodeCertificateInvalid, "the certificate may not be used for this server"), true
}

// expired tells a certificate that is no longer valid from one that is not yet. It may be one that signed the server's.
func (l *look) expired(c *x509.Certificate) finding {
	if c.NotBefore.After(l.now()) {
		return down(monitor.CodeCertificateEarly, "a certificate is not valid before %s", day(c.NotBefore))
	}
	return down(monitor.CodeCertificateExpired, "the certificate expired on %s", day(c.NotAfter))
}

// own reports whether a certificate is signed by itself.
func own(c *x509.Certificate) bool {
	return string(c.RawIssuer) == string(c.RawSubject) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// valid looks at a certificate that was verified: how strong it is, and whether it expires within days; 0: that is no
// matter. What expires first of the chain counts, because with it the whole is no longer trusted.
func (l *look) valid(state *tls.ConnectionState, days int) finding {
	leaf := state.PeerCertificates[0]
	l.details.ExpiresAt = end(state).UTC()
	if key, ok := leaf.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < rsaLeast {
		return degraded(monitor.CodeCertificateWeak, "the certificate's key has %d bits, browsers want at least %d", key.N.BitLen(), rsaLeast)
	}
	left := l.details.ExpiresAt.Sub(l.now())
	if days > 0 && left < time.Duration(days)*24*time.Hour {
		return degraded(monitor.CodeCertificateExpiring, "the certificate expires on %s, in %d days", day(l.details.ExpiresAt), int(left/(24*time.Hour)))
	}
	return healthy()
}

// end returns when the server's certificate, or one that signed it, expires. Of several ways to an authority the longest
// one counts. The authority's own certificate is the client's matter.
func end(state *tls.ConnectionState) time.Time {
	var latest time.Time
	for _, chain := range state.VerifiedChains {
		first := chain[0].NotAfter
		for _, c := range chain[1:max(len(chain)-1, 1)] {
			if c.NotAfter.Before(first) {
				first = c.NotAfter
			}
		}
		if first.After(latest) {
			latest = first
		}
	}
	if latest.IsZero() {
		return state.PeerCertificates[0].NotAfter // nobody asked whether it is valid
	}
	return latest
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// whyTLS says what of a handshake failed, other than the certificate.
func whyTLS(err error) string {
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "the server does not speak TLS on this port"
	case broken(err):
		return "the server ended the connection"
	}
	return "the server takes neither TLS 1.2 nor TLS 1.3, or wants a certificate of the client"
}
