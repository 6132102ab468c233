package notify

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
)

// mailServer is a mail server on loopback.
type mailServer struct {
	addr     string
	cert     *tls.Config // of STARTTLS; nil: not offered
	implicit bool        // TLS from the first byte
	login    string      // user:password that it asks for; empty: it does not
	// answer returns what a command is answered with, "" for what is usual, hang for nothing at all.
	answer func(command string) string

	t        testing.TB
	listener net.Listener
	done     chan struct{}
	mu       sync.Mutex
	mails    []received
	said     []string // commands, without the arguments of AUTH
}

const hang = "hang"

// received is a mail that a server took.
type received struct {
	from, to string
	data     []byte
}

// serveMail starts a mail server, on a free port unless addr is given.
func serveMail(t testing.TB, addr string, change ...func(*mailServer)) *mailServer {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	s := &mailServer{t: t, done: make(chan struct{}), answer: func(string) string { return "" }}
	for _, c := range change {
		c(s)
	}
	var err error
	if s.listener, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	s.addr = s.listener.Addr().String()
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		close(s.done)
		s.listener.Close()
		conns.Wait()
	})
	return s
}

// got returns the mails that the server took.
func (s *mailServer) got() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.mails...)
}

// heard reports whether a client said the command.
func (s *mailServer) heard(command string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.said {
		if c == command {
			return true
		}
	}
	return false
}

// one returns the one mail that the server took.
func (s *mailServer) one(t testing.TB) parsed {
	t.Helper()
	mails := s.got()
	if len(mails) != 1 {
		t.Fatalf("%d mails were sent, want 1", len(mails))
	}
	return parseMail(t, mails[0].data)
}

func (s *mailServer) serve(conn net.Conn) {
	defer conn.Close()
	stop := make(chan struct{})
	defer close(stop)
	go func() { // a test that ends cuts its connections
		select {
		case <-s.done:
			conn.Close()
		case <-stop:
		}
	}()
	if s.implicit {
		conn = tls.Server(conn, s.cert)
	}
	session := &session{mailServer: s, conn: conn, in: bufio.NewReader(conn), encrypted: s.implicit}
	if session.reply("CONNECT", "220 test ESMTP") {
		for session.command() {
		}
	}
}

type session struct {
	*mailServer
	conn      net.Conn
	in        *bufio.Reader
	encrypted bool
	mail      received
}

// reply answers a command and reports whether the session goes on.
func (s *session) reply(command, usual string) bool {
	s.mu.Lock()
	s.said = append(s.said, command)
	s.mu.Unlock()
	text := s.answer(command)
	if text == hang {
		_, _ = io.Copy(io.Discard, s.in) // until the client gives up
		return false
	}
	if text == "" {
		text = usual
	}
	_, err := fmt.Fprintf(s.conn, "%s\r\n", text)
	return err == nil && text == usual || text[0] == '4' || text[0] == '5'
}

func (s *session) command() bool {
	line, err := s.in.ReadString('\n')
	if err != nil {
		return false
	}
	line = strings.TrimRight(line, "\r\n")
	name, rest, _ := strings.Cut(line, " ")
	switch name = strings.ToUpper(name); name {
	case "EHLO":
		offer := "250-test"
		if s.cert != nil && !s.encrypted {
			offer += "\r\n250-STARTTLS"
		}
		if s.login != "" {
			offer += "\r\n250-AUTH LOGIN PLAIN"
		}
		return s.reply(name, offer+"\r\n250 8BITMIME")
	case "STARTTLS":
		if !s.reply(name, "220 go on") {
			return false
		}
		s.conn = tls.Server(s.conn, s.cert)
		s.in, s.encrypted = bufio.NewReader(s.conn), true
		return true
	case "AUTH":
		user, password, _ := strings.Cut(s.login, ":")
		if rest == "PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)) {
			return s.reply(name, "235 welcome")
		}
		return s.reply(name, "535 5.7.8 no such login: "+rest)
	case "MAIL":
		s.mail = received{from: between(rest, "<", ">")}
		return s.reply(name, "250 ok")
	case "RCPT":
		s.mail.to = between(rest, "<", ">")
		return s.reply(name, "250 ok")
	case "DATA":
		return s.data()
	case "QUIT":
		s.reply(name, "221 bye")
		return false
	}
	return s.reply(name, "250 ok")
}

func (s *session) data() bool {
	if !s.reply("DATA", "354 go on") {
		return false
	}
	if text := s.answer("DATA"); text != "" {
		return true
	}
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		s.mail.data = append(s.mail.data, strings.TrimPrefix(line, ".")...)
	}
	if s.answer(".") == "" {
		s.mu.Lock()
		s.mails = append(s.mails, s.mail)
		s.mu.Unlock()
	}
	return s.reply(".", "250 taken")
}

func between(s, start, end string) string {
	_, s, _ = strings.Cut(s, start)
	s, _, _ = strings.Cut(s, end)
	return s
}

// certificate returns what a server on 127.0.0.1 shows, and who trusts it.
func certificate(t testing.TB) (*tls.Config, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, roots
}

// parsed is a mail as its reader sees it.
type parsed struct {
	header     mail.Header
	subject    string
	text, html string
}

func parseMail(t testing.TB, data []byte) parsed {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	out := parsed{header: m.Header, subject: subject}
	media, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || media != "multipart/alternative" {
		t.Fatalf("content type %q, %v", media, err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for _, into := range []*string{&out.text, &out.html} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		*into = strings.ReplaceAll(string(content), "\r\n", "\n")
	}
	return out
}
