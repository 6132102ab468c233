package notify

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// quitMost is how long a server may take to say goodbye. The mail is its own by then.
const quitMost = 2 * time.Second

// hand connects, hands over one message and disconnects, all before ctx ends. nil means that the server has taken it.
func (s *server) hand(ctx context.Context, m *gomail.Msg) error {
	var conn net.Conn
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		var err error
		conn, err = s.dial(ctx, network, address)
		return conn, err
	}
	client, err := gomail.NewClient(s.host, s.options(dial)...)
	if err != nil {
		return err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if conn != nil {
		defer conn.Close() // also after a failed greeting, of which the library keeps nothing to close
	}
	if err != nil {
		return err
	}
	if err := client.SendWithSMTPClient(session, m); err != nil && !m.IsDelivered() {
		return err
	}
	// Whatever happens now, the mail is delivered.
	if session.UpdateDeadline(quitMost) == nil {
		_ = session.Quit()
	}
	return nil
}

// options returns how the library is to speak to the server.
func (s *server) options(dial gomail.DialContextFunc) []gomail.Option {
	options := []gomail.Option{
		gomail.WithPort(s.port), gomail.WithTimeout(s.most), gomail.WithTLSConfig(s.tls()), gomail.WithDialContextFunc(dial),
		// One message on a fresh connection needs neither.
		gomail.WithoutNoop(), gomail.WithoutRset(),
		// Addresses are ASCII, and not every server behind this one takes UTF-8.
		gomail.WithoutSMTPUTF8(),
	}
	plain := []gomail.SMTPAuthType{gomail.SMTPAuthPlain, gomail.SMTPAuthLogin}
	switch s.security {
	case startTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case implicitTLS:
		options = append(options, gomail.WithSSL())
	case noTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
		plain = []gomail.SMTPAuthType{gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc} // as the operator asked
	}
	if s.user == "" {
		return options
	}
	return append(options, gomail.WithUsername(s.user), gomail.WithPassword(s.password),
		gomail.WithOpportunisticSMTPAuth(append([]gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthCramMD5}, plain...)...))
}

func (s *server) tls() *tls.Config {
	return &tls.Config{ServerName: s.host, RootCAs: s.roots, MinVersion: tls.VersionTLS12}
}

// dial connects. The library moves a connection's deadline with each step, but not beyond that of ctx.
func (s *server) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	until, _ := ctx.Deadline()
	bounded := &boundedConn{Conn: raw, until: until}
	if s.security != implicitTLS {
		return bounded, nil
	}
	encrypted := tls.Client(bounded, s.tls())
	if err := encrypted.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return encrypted, nil
}

// boundedConn is a connection whose deadline cannot be moved beyond until.
type boundedConn struct {
	net.Conn
	until time.Time
}

// SetDeadline sets the deadline, or until if that is earlier.
func (c *boundedConn) SetDeadline(t time.Time) error {
	if t.IsZero() || t.After(c.until) {
		t = c.until
	}
	return c.Conn.SetDeadline(t)
}
