package check

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	udpMost    = 1232 // bytes of an answer over UDP that pass every network (DNS Flag Day 2020)
	roundsMost = 2    // how often each server is asked: packets get lost
	chainMost  = 16   // how many CNAME records are followed
)

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// reply is what a name server answered.
type reply struct {
	code    dnsmessage.RCode
	records []string
}

var errMalformed = errors.New("the answer of the name server cannot be read")

// lookup asks the servers in turn until one answers. One that fails or refuses is passed over as long as there is another,
// and only silence is worth asking again.
func lookup(ctx context.Context, servers []string, dial dialer, q dnsmessage.Question) (reply, error) {
	var refusal reply
	err := errors.New("there is no name server")
	rounds := roundsMost * len(servers)
	for attempt := range rounds {
		var r reply
		r, err = within(ctx, rounds-attempt, func(ctx context.Context) (reply, error) {
			return ask(ctx, servers[attempt%len(servers)], dial, q)
		})
		switch {
		case err == nil && (r.code == dnsmessage.RCodeSuccess || r.code == dnsmessage.RCodeNameError):
			return r, nil
		case err == nil:
			refusal = r
		}
		silent := err != nil && timedOut(err)
		if ctx.Err() != nil || !silent && attempt+1 >= len(servers) {
			break
		}
	}
	if refusal.code != dnsmessage.RCodeSuccess {
		return refusal, nil
	}
	return reply{}, err
}

// within gives do its share of the time that is left.
func within(ctx context.Context, shares int, do func(context.Context) (reply, error)) (reply, error) {
	if ends, ok := ctx.Deadline(); ok {
		share, cancel := context.WithTimeout(ctx, time.Until(ends)/time.Duration(shares))
		defer cancel()
		ctx = share
	}
	return do(ctx)
}

// ask asks one server: over UDP, and over TCP when the answer does not fit.
func ask(ctx context.Context, server string, dial dialer, q dnsmessage.Question) (reply, error) {
	var id [2]byte
	_, _ = rand.Read(id[:]) // never fails
	question, err := pack(binary.BigEndian.Uint16(id[:]), q)
	if err != nil {
		return reply{}, err
	}
	for _, network := range []string{"udp", "tcp"} {
		message, truncated, err := exchange(ctx, network, server, dial, question, q)
		if err != nil {
			return reply{}, err
		}
		if !truncated {
			return read(message, q)
		}
	}
	return reply{}, errMalformed
}

func pack(id uint16, q dnsmessage.Question) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true})
	b.EnableCompression()
	var opt dnsmessage.ResourceHeader
	if err := errors.Join(
		b.StartQuestions(), b.Question(q),
		b.StartAdditionals(), opt.SetEDNS0(udpMost, dnsmessage.RCodeSuccess, false), b.OPTResource(opt, dnsmessage.OPTResource{}),
	); err != nil {
		return nil, fmt.Errorf("build a question: %w", err)
	}
	return b.Finish()
}

// exchange sends a question and returns its answer, and whether that was cut. Over UDP everything that is not the answer to
// just this question is passed over: anybody can send it.
func exchange(ctx context.Context, network, server string, dial dialer, question []byte, q dnsmessage.Question) ([]byte, bool, error) {
	conn, err := dial(ctx, network, server)
	if err != nil {
		return nil, false, err
	}
	defer conn.Close()
	defer bind(ctx, conn)()
	id, stream := binary.BigEndian.Uint16(question), network == "tcp"
	if stream {
		question = append(binary.BigEndian.AppendUint16(nil, uint16(len(question))), question...)
	}
	if _, err := conn.Write(question); err != nil {
		return nil, false, err
	}
	for {
		message, err := receive(conn, stream)
		if err != nil {
			return nil, false, err
		}
		truncated, ok := answers(message, id, q)
		switch {
		case ok:
			return message, truncated && !stream, nil
		case stream:
			return nil, false, errMalformed
		}
	}
}

func receive(conn net.Conn, stream bool) ([]byte, error) {
	if !stream {
		message := make([]byte, 4096)
		n, err := conn.Read(message)
		return message[:n], err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(conn, message)
	return message, err
}

// answers reports whether a message answers the question, and whether it was cut.
func answers(message []byte, id uint16, q dnsmessage.Question) (truncated, ok bool) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || h.ID != id || !h.Response {
		return false, false
	}
	got, err := p.Question()
	return h.Truncated, err == nil && got.Type == q.Type && got.Class == q.Class && strings.EqualFold(got.Name.String(), q.Name.String())
}

// read returns the records of the question's type, those behind CNAME records too.
func read(message []byte, q dnsmessage.Question) (reply, error) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || p.SkipAllQuestions() != nil {
		return reply{}, errMalformed
	}
	found, err := p.AllAnswers()
	if err != nil {
		return reply{}, errMalformed
	}
	out := reply{code: h.RCode}
	owner := plain(q.Name.String())
	for range chainMost {
		next := ""
		for _, a := range found {
			if a.Header.Class != dnsmessage.ClassINET || plain(a.Header.Name.String()) != owner {
				continue
			}
			if alias, ok := a.Body.(*dnsmessage.CNAMEResource); ok && q.Type != dnsmessage.TypeCNAME {
				next = plain(alias.CNAME.String())
			}
			if a.Header.Type == q.Type {
				out.records = append(out.records, record(a.Body))
			}
		}
		if len(out.records) > 0 || next == "" {
			break
		}
		owner = next
	}
	return out, nil
}

// record returns a record as it is shown and compared.
func record(body dnsmessage.ResourceBody) string {
	switch b := body.(type) {
	case *dnsmessage.AResource:
		return netip.AddrFrom4(b.A).String()
	case *dnsmessage.AAAAResource:
		return netip.AddrFrom16(b.AAAA).String()
	case *dnsmessage.CNAMEResource:
		return plain(b.CNAME.String())
	case *dnsmessage.NSResource:
		return plain(b.NS.String())
	case *dnsmessage.MXResource:
		return fmt.Sprintf("%d %s", b.Pref, plain(b.MX.String()))
	case *dnsmessage.TXTResource:
		return strings.Join(b.TXT, "")
	}
	return ""
}

// systemServers returns the machine's name servers.
func systemServers() []string {
	const usual = "127.0.0.1:53"
	f, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return []string{usual}
	}
	defer f.Close()
	var out []string
	lines := bufio.NewScanner(io.LimitReader(f, 64<<10))
	for lines.Scan() && len(out) < 3 {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if ip, err := netip.ParseAddr(fields[1]); err == nil {
			out = append(out, netip.AddrPortFrom(ip, 53).String())
		}
	}
	if out == nil {
		out = []string{usual}
	}
	return out
}
