package check

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/fault"
)

const postgresPort = 5432

// target is what a connection string says. It is read here and not by pgx, which would read files and settings of this
// machine that a string can name.
type target struct {
	host, user, password, database, mode string
	port                                 uint16
}

// parseTarget reads postgres://user:password@host:port/database?sslmode=…, of which no error repeats anything.
func parseTarget(text string) (target, error) {
	bad := func(what string) (target, error) {
		return target{}, fault.New(fault.Invalid, "the connection string %s: expected postgres://user:password@host:port/database?sslmode=verify-full", what)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Opaque != "" || u.Fragment != "" {
		return bad("is not a URL of Postgres")
	}
	t := target{host: u.Hostname(), user: u.User.Username(), database: strings.TrimPrefix(u.Path, "/"), port: postgresPort, mode: "verify-full"}
	t.password, _ = u.User.Password()
	if t.host == "" || t.user == "" || strings.ContainsAny(t.host, ",/@") {
		return bad("does not name one host and a user")
	}
	if s := u.Port(); s != "" {
		port, err := strconv.ParseUint(s, 10, 16)
		if err != nil || port == 0 {
			return bad("has no port from 1 to 65535")
		}
		t.port = uint16(port)
	}
	if t.database == "" {
		t.database = t.user
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return bad("has parameters that cannot be read")
	}
	for name, values := range query {
		if name != "sslmode" || len(values) != 1 {
			return bad("has other parameters than sslmode")
		}
		t.mode = values[0]
	}
	switch t.mode {
	case "disable", "require", "verify-ca", "verify-full":
		return t, nil
	}
	return bad("has an sslmode that is none of disable, require, verify-ca and verify-full")
}

// verified reports whether the server's certificate is verified.
func (t target) verified() bool { return t.mode == "verify-ca" || t.mode == "verify-full" }

// config returns pgx's settings, of which each that matters is set here: those of this machine count for nothing.
func (t target) config(w *wire, roots *x509.CertPool, now func() time.Time, state **tls.ConnectionState) (*pgconn.Config, error) {
	c, err := pgconn.ParseConfig("host=localhost port=5432 user=postgres dbname=postgres sslmode=disable")
	if err != nil {
		return nil, err
	}
	c.Host, c.Port, c.Database, c.User, c.Password = t.host, t.port, t.database, t.user, t.password
	c.TLSConfig, c.Fallbacks, c.SSLNegotiation, c.SSLCertMode = nil, nil, "", "disable"
	c.RuntimeParams = map[string]string{"application_name": "mesher-probe", "client_encoding": "UTF8"}
	c.ConnectTimeout, c.MaxProtocolMessageBodyLen = 0, messageMost
	c.DialFunc, c.AfterNetConnect = w.dial, w.inspect
	c.LookupFunc = w.lookup
	c.ValidateConnect, c.AfterConnect = nil, nil
	c.OnNotice, c.OnNotification = nil, nil
	c.ChannelBinding = "prefer"
	if t.mode != "disable" {
		c.TLSConfig = t.tls(roots, now, state)
	}
	if !t.verified() {
		c.RequireAuth = "!password" // whoever is in between could ask for it
	}
	return c, nil
}

// tls returns how the server is verified. sslmode=require asks for encryption, not for whom.
func (t target) tls(roots *x509.CertPool, now func() time.Time, state **tls.ConnectionState) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Time: now, ServerName: t.host}
	c.VerifyConnection = func(s tls.ConnectionState) error { *state = &s; return nil }
	switch t.mode {
	case "require":
		c.InsecureSkipVerify = true // that is what the user asked for, and no password is sent as it is
	case "verify-ca":
		c.InsecureSkipVerify = true // verified right here, but for the name
		c.VerifyConnection = func(s tls.ConnectionState) error {
			options := x509.VerifyOptions{Roots: roots, CurrentTime: now(), Intermediates: x509.NewCertPool()}
			for _, between := range s.PeerCertificates[1:] {
				options.Intermediates.AddCert(between)
			}
			chains, err := s.PeerCertificates[0].Verify(options)
			if err != nil {
				return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
			}
			s.VerifiedChains = chains
			*state = &s
			return nil
		}
	}
	return c
}
