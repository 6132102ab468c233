// Package dnstest is a name server for tests, which answers what the test wants: other addresses each time, none at all,
// answers to questions that nobody asked. Only _test.go files import it.
package dnstest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Query is a question that the server was asked.
type Query struct {
	dnsmessage.Question
	ID  uint16
	N   int // how many were asked before
	TCP bool
}

// Handler answers a question with any number of messages, over TCP with the first of them. None is silence.
type Handler func(Query) []*dnsmessage.Message

// Server is a name server on 127.0.0.1, over UDP and TCP.
type Server struct {
	Addr   string
	t      testing.TB
	handle Handler
	asked  atomic.Int64
}

// Serve starts a server, which ends with the test.
func Serve(t testing.TB, handle Handler) *Server {
	t.Helper()
	s := &Server{t: t, handle: handle}
	var config net.ListenConfig
	stream, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Addr = stream.Addr().String()
	packets, err := config.ListenPacket(t.Context(), "udp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Close(); _ = packets.Close() })
	go s.packets(packets)
	go s.streams(stream)
	return s
}

// Asked returns how many questions there were.
func (s *Server) Asked() int { return int(s.asked.Load()) }

// Resolver returns one that asks only this server.
func (s *Server) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Addr)
	}}
}

func (s *Server) packets(conn net.PacketConn) {
	buffer := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		for _, m := range s.answer(buffer[:n], false) {
			_, _ = conn.WriteTo(m, from)
		}
	}
}

func (s *Server) streams(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go s.stream(conn)
	}
}

func (s *Server) stream(conn net.Conn) {
	defer conn.Close()
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return
	}
	question := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, question); err != nil {
		return
	}
	for _, m := range s.answer(question, true) {
		_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
		return
	}
	_, _ = io.Copy(io.Discard, conn) // silence, until the other side gives up
}

func (s *Server) answer(question []byte, tcp bool) [][]byte {
	var p dnsmessage.Parser
	h, err := p.Start(question)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	var out [][]byte
	for _, m := range s.handle(Query{Question: q, ID: h.ID, N: int(s.asked.Add(1) - 1), TCP: tcp}) {
		packed, err := m.Pack()
		if err != nil {
			s.t.Errorf("dnstest: %v", err)
			continue
		}
		out = append(out, packed)
	}
	return out
}

// Reply returns an answer with records written as "A 127.0.0.1", "AAAA ::1", "CNAME a.example", "MX 10 a.example", "NS a.example"
// or "TXT some text". What follows a CNAME belongs to the name that it names; of addresses only those of the question's type
// are kept.
func (q Query) Reply(code dnsmessage.RCode, records ...string) *dnsmessage.Message {
	m := &dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.ID, Response: true, RecursionAvailable: true, RCode: code},
		Questions: []dnsmessage.Question{q.Question},
	}
	owner := q.Name
	for _, text := range records {
		body, kind := parse(text)
		if (kind == dnsmessage.TypeA || kind == dnsmessage.TypeAAAA) && kind != q.Type {
			continue
		}
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: owner, Type: kind, Class: dnsmessage.ClassINET},
			Body:   body,
		})
		if alias, ok := body.(*dnsmessage.CNAMEResource); ok {
			owner = alias.CNAME
		}
	}
	return m
}

// Success is Reply without an error, as a handler returns it.
func (q Query) Success(records ...string) []*dnsmessage.Message {
	return []*dnsmessage.Message{q.Reply(dnsmessage.RCodeSuccess, records...)}
}

// Failure is an answer without records, as a handler returns it.
func (q Query) Failure(code dnsmessage.RCode) []*dnsmessage.Message {
	return []*dnsmessage.Message{q.Reply(code)}
}

func parse(text string) (dnsmessage.ResourceBody, dnsmessage.Type) {
	kind, rest, _ := strings.Cut(text, " ")
	switch kind {
	case "A":
		return &dnsmessage.AResource{A: netip.MustParseAddr(rest).As4()}, dnsmessage.TypeA
	case "AAAA":
		return &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(rest).As16()}, dnsmessage.TypeAAAA
	case "CNAME":
		return &dnsmessage.CNAMEResource{CNAME: name(rest)}, dnsmessage.TypeCNAME
	case "NS":
		return &dnsmessage.NSResource{NS: name(rest)}, dnsmessage.TypeNS
	case "TXT":
		return &dnsmessage.TXTResource{TXT: []string{rest}}, dnsmessage.TypeTXT
	case "MX":
		var m dnsmessage.MXResource
		var host string
		if _, err := fmt.Sscan(rest, &m.Pref, &host); err != nil {
			panic("dnstest: " + text + ": " + err.Error())
		}
		m.MX = name(host)
		return &m, dnsmessage.TypeMX
	}
	panic("dnstest: unknown record " + text)
}

func name(s string) dnsmessage.Name { return dnsmessage.MustNewName(strings.TrimSuffix(s, ".") + ".") }
