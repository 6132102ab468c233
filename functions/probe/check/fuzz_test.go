package check

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/mesherhq/mesher/shared/outbound/dnstest"
)

// FuzzDNS reads answers that nobody checked: none may stop the program, or have more reported than may be.
func FuzzDNS(f *testing.F) {
	q := dnsmessage.Question{Name: dnsmessage.MustNewName("service.example."), Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET}
	for _, records := range [][]string{{}, {"TXT a"}, {"CNAME b.example", "TXT a"}, {"CNAME service.example"}, {"MX 1 a.example", "NS a.example"}} {
		message, err := dnstest.Query{Question: q, ID: 7}.Reply(dnsmessage.RCodeSuccess, records...).Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		if _, ok := answers(message, 7, q); !ok {
			return
		}
		r, err := read(message, q)
		if err != nil {
			return
		}
		if got := shown(r.records); len(got) > recordsMost {
			t.Errorf("%d records are reported", len(got))
		}
	})
}

// FuzzInspected feeds what a database may send, in parts, to what reads along: it must hand on every byte, and see a wish for
// too many rounds whatever the parts are.
func FuzzInspected(f *testing.F) {
	f.Add([]byte(letIn), 1)
	f.Add([]byte(notice+letIn), 3)
	f.Add([]byte("R\x00\x00\x00\x17\x00\x00\x00\x0br=a,s=b,i=9999999"), 2)
	f.Add([]byte("R\x7f\xff\xff\xff\x00"), 5)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		whole, err := inspectAll(data, max(len(data), 1))
		parts, err2 := inspectAll(data, size%16+16)
		if err == nil != (err2 == nil) || err == nil && !bytes.Equal(whole, parts) {
			t.Errorf("whole: %q, %v; in parts: %q, %v", whole, err, parts, err2)
		}
		if err == nil && !bytes.Equal(whole, data) {
			t.Errorf("got %q, want %q", whole, data)
		}
		if err == nil && asks(data) {
			t.Errorf("%q asks for too many rounds", data)
		}
	})
}

// asks reports the same in the simplest way.
func asks(data []byte) bool {
	for len(data) >= headSize {
		size := max(int(binary.BigEndian.Uint32(data[1:])), 4) + 1
		if size > len(data) {
			return false
		}
		if data[0] == authentication && rounds(data[headSize:size]) > scramMost {
			return true
		}
		data = data[size:]
	}
	return false
}

// fed is a connection from which data is read in parts.
type fed struct {
	net.Conn
	data []byte
	size int
}

func (f *fed) Read(p []byte) (int, error) {
	n := copy(p, f.data[:min(f.size, len(f.data))])
	f.data = f.data[n:]
	return n, nil
}

func inspectAll(data []byte, size int) ([]byte, error) {
	from := &fed{data: data, size: size}
	c := &inspected{Conn: from, wire: &wire{}}
	var out []byte
	buffer := make([]byte, max(size, 1))
	for len(from.data) > 0 {
		n, err := c.Read(buffer)
		if err != nil {
			return out, err
		}
		out = append(out, buffer[:n]...)
	}
	return out, nil
}

// FuzzTarget reads connection strings: what passes names one host over TCP, and no error repeats the password.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{
		"postgres://me:hunter2@host:5432/db?sslmode=require", "postgresql://me@[::1]/db", "postgres://me:hunter2@/tmp/db", "host=a", "postgres://a:b@c,d/e",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseTarget(text)
		if err != nil {
			if u, parsed := url.Parse(text); parsed == nil {
				if password, ok := u.User.Password(); ok && len(password) > 12 && strings.Contains(err.Error(), password) {
					t.Errorf("%v", err)
				}
			}
			return
		}
		if got.host == "" || got.user == "" || got.port == 0 || strings.ContainsAny(got.host, "/,@") {
			t.Errorf("%q: got %+v", text, got)
		}
	})
}
