package notify

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/outbox"
)

// trouble is a server that answers a command with text.
func trouble(command, text string) func(*mailServer) {
	return func(s *mailServer) {
		s.answer = func(c string) string {
			if c == command {
				return text
			}
			return ""
		}
	}
}

func TestServer_InTrouble(t *testing.T) {
	t.Parallel()
	const failed, later = "failed after 1", "pending after 1"
	for _, tt := range []struct {
		name, command, answer string
		want                  string
	}{
		{"an unknown mailbox", "RCPT", "550 5.1.1 nobody is called ada@example.com", failed},
		{"a mailbox that takes nothing", "RCPT", "554 no", failed},
		{"a mail it does not like", ".", "554 5.7.1 https://a.example/?token=msho_Secret0 looks bad", failed},
		{"a mail that is too large", "DATA", "552 too much", failed},
		{"a mailbox that is full", "RCPT", "452 4.2.2 later", later},
		{"greylisting", "RCPT", "451 4.7.1 come again", later},
		{"a mail it cannot take now", ".", "451 no room", later},
		{"too much work", "CONNECT", "421 busy", later},
		{"no service", "CONNECT", "554 go away", later},
		{"a sender it does not like", "MAIL", "550 5.7.1 not yours", later},
		{"a missing login", "RCPT", "530 5.7.0 log in first", later},
		{"nonsense", "MAIL", "hello", later},
		{"silence at the start", "CONNECT", hang, later},
		{"silence in between", "RCPT", hang, later},
		{"silence at the end", ".", hang, later},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, s := setup(t), serveMail(t, "", trouble(tt.command, tt.answer))
			f := b.function(t, b.config(s.addr))
			if m := f.mailer.(*server); tt.answer == hang {
				m.most = 300 * time.Millisecond
			}
			id := b.write(t, outbox.PasswordChanged, "ada@example.com", nil)
			// What is tried again waits in the outbox: a message that came back would slow down all others.
			if code := push(t, serve(t, f), id); code != http.StatusNoContent {
				t.Errorf("status %d", code)
			}
			reason := b.want(t, id, tt.want)
			log := b.log.String()
			said := map[string]string{
				failed: `level=ERROR msg="a notification cannot be delivered and is given up"`,
				later:  `level=WARN msg="a notification is not delivered and is tried again"`,
			}[tt.want] + " notification=" + id.String() + " template=password_changed attempt"
			if strings.Count(log, said) != 1 || reason == "" {
				t.Errorf("reason %q, log %s; want %s", reason, log, said)
			}
			for _, secret := range []string{"msho_", "Secret0", "ada@example.com"} {
				if strings.Contains(reason+log, secret) {
					t.Errorf("%s is in the log or the table: %s\n%s", secret, reason, log)
				}
			}
		})
	}
	t.Run("silence after the mail was taken is none", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t), serveMail(t, "", trouble("QUIT", hang))
		f := b.function(t, b.config(s.addr))
		f.mailer.(*server).most = 2 * time.Second
		id := b.write(t, outbox.PasswordChanged, "ada@example.com", nil)
		if code := push(t, serve(t, f), id); code != http.StatusNoContent {
			t.Errorf("status %d", code)
		}
		b.want(t, id, "sent after 1")
		s.one(t)
	})
	t.Run("for three days is given up", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t), serveMail(t, "", trouble("RCPT", "451 later"))
		id := b.write(t, outbox.PasswordChanged, "ada@example.com", nil)
		b.db.Exec(t, "update mesher.notifications set created_at = now() - interval '73 hours'")
		if code := push(t, b.mailing(t, s), id); code != http.StatusNoContent {
			t.Errorf("status %d", code)
		}
		b.want(t, id, "failed after 1")
	})
}

func TestServer_IsSlow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := serveMail(t, "", func(s *mailServer) {
		s.answer = func(string) string {
			<-time.After(50 * time.Millisecond)
			return ""
		}
	})
	id := b.write(t, outbox.PasswordChanged, "ada@example.com", nil)
	if code := push(t, b.mailing(t, s), id); code != http.StatusNoContent {
		t.Errorf("status %d", code)
	}
	b.want(t, id, "sent after 1")
	s.one(t)
}

// The password leaves this machine only encrypted, and only to the right server.
func TestServer_Security(t *testing.T) {
	t.Parallel()
	const login = "mesher:hunter2:%/"
	cert, roots := certificate(t)
	offers := func(s *mailServer) { s.cert, s.login = cert, login }
	implicit := func(s *mailServer) { s.cert, s.login, s.implicit = cert, login, true }
	plain := func(s *mailServer) { s.login = login }
	for _, tt := range []struct {
		name, scheme, query string
		server              func(*mailServer)
		trusted             bool
		password            string
		sent                bool
		heard               string // what the client says
		silent              string // what the client must not say
	}{
		{"STARTTLS", "smtp", "?tls=starttls", offers, true, "hunter2:%/", true, "STARTTLS", ""},
		{"STARTTLS with a stranger", "smtp", "?tls=starttls", offers, false, "hunter2:%/", false, "STARTTLS", "AUTH"},
		{"STARTTLS that is not offered", "smtp", "?tls=starttls", plain, true, "hunter2:%/", false, "EHLO", "AUTH"},
		{"TLS from the start", "smtps", "", implicit, true, "hunter2:%/", true, "AUTH", "STARTTLS"},
		{"TLS from the start with a stranger", "smtps", "", implicit, false, "hunter2:%/", false, "", "EHLO"},
		{"nothing on this machine", "smtp", "", plain, true, "hunter2:%/", true, "AUTH", "STARTTLS"},
		{"nothing because it is asked for", "smtp", "?tls=none", offers, true, "hunter2:%/", true, "AUTH", "STARTTLS"},
		{"a wrong password", "smtp", "", plain, true, "hunter3", false, "AUTH", "MAIL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, s := setup(t), serveMail(t, "", tt.server)
			cfg := b.config(s.addr)
			cfg.SMTPURL = tt.scheme + "://" + url.UserPassword("mesher", tt.password).String() + "@" + s.addr + tt.query
			f := b.function(t, cfg)
			if tt.trusted {
				f.mailer.(*server).roots = roots
			}
			id := b.write(t, outbox.PasswordChanged, "ada@example.com", nil)
			code := push(t, serve(t, f), id)
			if state, _ := b.state(t, id); code != http.StatusNoContent || (state == "sent after 1") != tt.sent || len(s.got()) == 1 != tt.sent {
				t.Errorf("status %d, %s, %d mails: %s", code, state, len(s.got()), b.log)
			}
			if tt.heard != "" && !s.heard(tt.heard) || tt.silent != "" && s.heard(tt.silent) {
				t.Errorf("the client said %v", s.said)
			}
			_, reason := b.state(t, id)
			for _, secret := range []string{"hunter", "aHVudGVy", "bWVzaGVy", "AG1lc2hlcg"} {
				if strings.Contains(b.log.String()+reason, secret) {
					t.Errorf("the password is in the log or the table: %s\n%s", reason, b.log)
				}
			}
		})
	}
}

// An address that is not this machine's is never spoken to without encryption unless the operator says so.
func TestNewServer(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]server{
		"smtp://mail.example.com":                   {host: "mail.example.com", port: 587, security: startTLS},
		"smtp://mail.example.com:25?tls=none":       {host: "mail.example.com", port: 25, security: noTLS},
		"smtp://mail.example.com?tls=starttls":      {host: "mail.example.com", port: 587, security: startTLS},
		"smtps://mail.example.com":                  {host: "mail.example.com", port: 465, security: implicitTLS},
		"smtp://localhost:1025":                     {host: "localhost", port: 1025, security: noTLS},
		"smtp://[::1]:1025":                         {host: "::1", port: 1025, security: noTLS},
		"smtp://localhost.example.com":              {host: "localhost.example.com", port: 587, security: startTLS},
		"smtp://a%40b:c%2Fd@mail.example.com:2525/": {host: "mail.example.com", port: 2525, security: startTLS, user: "a@b", password: "c/d"},
		"smtps://a:b%3Fc@mail.example.com:4465":     {host: "mail.example.com", port: 4465, security: implicitTLS, user: "a", password: "b?c"},
	} {
		s, err := newServer(address, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		got := server{host: s.host, port: s.port, security: s.security, user: s.user, password: s.password}
		if got != want {
			t.Errorf("%s: %+v, want %+v", address, got, want)
		}
	}
}
