package notify

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"net/mail"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/mesherhq/mesher/shared/fault"
)

// security is how a connection to a mail server is protected.
type security uint8

const (
	startTLS security = iota // encrypted before anything is said that matters, or not at all
	implicitTLS
	noTLS
)

// server hands mails to a mail server, on a connection for each.
type server struct {
	host           string
	port           int
	user, password string // empty: no login
	security       security
	roots          *x509.CertPool // nil: the system's
	from           *mail.Address
	log            *slog.Logger
	hidden         *strings.Replacer // takes the password out of texts
	most           time.Duration     // for one mail, from the connection to the last answer
}

// newServer reads SMTP_URL. No error repeats it: it holds the password.
func newServer(address string, from *mail.Address, log *slog.Logger) (*server, error) {
	s := &server{from: from, log: log, most: sendMost}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.Opaque != "" || u.Fragment != "" {
		return nil, fault.New(fault.NotConfigured, "SMTP_URL is not the address of a mail server: "+
			"expected smtp://user:password@host:587 or smtps://user:password@host:465, with special characters percent-encoded")
	}
	s.host = u.Hostname()
	if err := s.secure(u); err != nil {
		return nil, err
	}
	if port := u.Port(); port != "" {
		if s.port, err = strconv.Atoi(port); err != nil || s.port < 1 || s.port > 65535 {
			return nil, fault.New(fault.NotConfigured, "the port of SMTP_URL is not a number from 1 to 65535")
		}
	}
	s.user = u.User.Username()
	s.password, _ = u.User.Password()
	if (s.user == "") != (s.password == "") {
		return nil, fault.New(fault.NotConfigured, "SMTP_URL needs a user and a password, or neither")
	}
	s.hidden = hiding(s.user, s.password)
	return s, nil
}

// secure reads how connections are protected, and the usual port.
func (s *server) secure(u *url.URL) error {
	query := u.Query()
	mode := query.Get("tls")
	query.Del("tls")
	switch {
	case len(query) > 0:
		return fault.New(fault.NotConfigured, "SMTP_URL has a parameter other than tls")
	case u.Scheme == "smtps" && mode == "":
		s.security, s.port = implicitTLS, 465
	case u.Scheme == "smtp" && (mode == "none" || mode == "" && loopback(s.host)):
		s.security, s.port = noTLS, 587
	case u.Scheme == "smtp" && (mode == "" || mode == "starttls"):
		s.security, s.port = startTLS, 587
	case u.Scheme == "smtp":
		return fault.New(fault.NotConfigured, "the parameter tls of SMTP_URL is neither none nor starttls")
	default:
		return fault.New(fault.NotConfigured, "SMTP_URL begins neither with smtp:// nor with smtps:// (which takes no parameter tls)")
	}
	return nil
}

// loopback reports whether a connection to host stays on this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// hiding returns what takes the password out of a text, in the forms in which it is said to a server.
func hiding(user, password string) *strings.Replacer {
	if password == "" {
		return strings.NewReplacer()
	}
	return strings.NewReplacer(
		password, "…",
		base64.StdEncoding.EncodeToString([]byte(password)), "…",
		base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)), "…")
}

func (s *server) send(ctx context.Context, l letter) error {
	m, err := compose(l, s.from, time.Now())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.most)
	defer cancel()
	if err := s.hand(ctx, m); err != nil {
		return s.explain(err)
	}
	s.log.InfoContext(ctx, "a mail is sent", "template", l.kind, "notification", l.id)
	return nil
}

// refusals are the answers to a recipient that are about the sender or the login all the same: a matter for the
// operator, after which the mail can be delivered.
var refusals = []int{503, 530, 534, 535, 538}

// explain says what a failure means: a fault.Invalid when the server will not take this mail for this recipient
// however often it is asked, a fault.Unavailable otherwise.
func (s *server) explain(err error) error {
	cause := errors.New(s.hidden.Replace(scrub(err.Error())))
	var refused *gomail.SendError
	if errors.As(err, &refused) && refused.ErrorCode() >= 500 && !slices.Contains(refusals, refused.ErrorCode()) {
		switch refused.Reason {
		case gomail.ErrSMTPRcptTo, gomail.ErrSMTPData, gomail.ErrSMTPDataClose:
			return fault.Wrap(cause, fault.Invalid, "the mail server refuses the mail for good")
		}
	}
	var answer *textproto.Error
	if refused == nil && errors.As(err, &answer) {
		// An answer to the greeting or the login. Of what it says, the code is all that cannot hold a secret.
		cause = errors.New("it answers " + strconv.Itoa(answer.Code) + " to the connection or the login")
	}
	return fault.Wrap(cause, fault.Unavailable, "the mail server does not take the mail now")
}
