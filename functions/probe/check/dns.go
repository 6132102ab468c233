package check

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/mesherhq/mesher/shared/monitor"
)

// recordTypes are those that can be asked for.
var recordTypes = map[string]dnsmessage.Type{
	"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "CNAME": dnsmessage.TypeCNAME,
	"MX": dnsmessage.TypeMX, "NS": dnsmessage.TypeNS, "TXT": dnsmessage.TypeTXT,
}

// dns looks a name up and compares its records with the expected ones. The package net is not asked, because it does not
// tell a name that does not exist from one without such a record, nor a failing server from a refusing one.
func (l *look) dns(ctx context.Context, c *monitor.DNSConfig) finding {
	kind, ok := recordTypes[strings.ToUpper(c.Type)]
	if !ok {
		return down(monitor.CodeConfiguration, "%.20q is none of A, AAAA, CNAME, MX, NS and TXT", c.Type)
	}
	if err := l.guard.CheckHost(c.Name); err != nil {
		return l.failed(err, monitor.CodeConfiguration, "the name cannot be looked up")
	}
	name, err := dnsmessage.NewName(strings.TrimSuffix(c.Name, ".") + ".")
	if err != nil {
		return down(monitor.CodeConfiguration, "the name is too long")
	}
	servers, dial := l.servers(c.Server)
	began := time.Now()
	r, err := lookup(ctx, servers, dial, dnsmessage.Question{Name: name, Type: kind, Class: dnsmessage.ClassINET})
	l.details.DNSMS = milliseconds(time.Since(began))
	if err != nil {
		if timedOut(err) {
			return down(monitor.CodeTimeout, "no name server answered within %s", l.timeout.Round(time.Millisecond))
		}
		return l.failed(err, monitor.CodeDNS, "the name server's answer cannot be read")
	}
	return l.records(c, kind, r)
}

// servers returns which name servers are asked, and how they are reached: one that a user chose like everything users chose.
func (l *look) servers(chosen string) ([]string, dialer) {
	if chosen != "" {
		return []string{chosen}, l.guard.DialContext
	}
	known := l.options.NameServers
	if known == nil {
		known = systemServers()
	}
	return known, (&net.Dialer{}).DialContext
}

// records compares an answer with what is expected.
func (l *look) records(c *monitor.DNSConfig, kind dnsmessage.Type, r reply) finding {
	switch r.code {
	case dnsmessage.RCodeSuccess:
	case dnsmessage.RCodeNameError:
		return down(monitor.CodeDNSNotFound, "the name does not exist (NXDOMAIN)")
	default:
		return down(monitor.CodeDNS, "the name server answered %s", rcode(r.code))
	}
	if len(r.records) == 0 {
		return down(monitor.CodeDNSNoRecords, "the name has no %s record", strings.ToUpper(c.Type))
	}
	// The system's servers may know the names of a network of the operator's, whose addresses are none of a user's business.
	if c.Server == "" {
		for _, record := range r.records {
			ip, err := netip.ParseAddr(record)
			if err == nil && (kind == dnsmessage.TypeA || kind == dnsmessage.TypeAAAA) && l.guard.CheckAddr(ip) != nil {
				return down(monitor.CodeRefusedAddress,
					"the name leads to an address that must not be reached, which is not shown; name a public server, such as 8.8.8.8:53, to see it")
			}
		}
	}
	l.details.Records = shown(r.records)
	for _, value := range c.Values {
		if !slices.ContainsFunc(r.records, func(record string) bool { return same(kind, record, value) }) {
			return down(monitor.CodeRecords, "%q is not among the %d %s records", clip(value), len(r.records), strings.ToUpper(c.Type))
		}
	}
	return l.paced(0, 0)
}

// shown returns as many records, and as much of each, as is reported.
func shown(records []string) []string {
	out := slices.Clone(records[:min(len(records), recordsMost)])
	for i, r := range out {
		out[i] = strings.ToValidUTF8(r[:min(len(r), recordMost)], "\uFFFD")
	}
	return out
}

// same reports whether a record is the expected one. The preference of a mail server counts where one is expected.
func same(kind dnsmessage.Type, record, value string) bool {
	switch kind {
	case dnsmessage.TypeA, dnsmessage.TypeAAAA:
		ip, err := netip.ParseAddr(strings.TrimSpace(value))
		return err == nil && ip.String() == record
	case dnsmessage.TypeTXT:
		return record == value
	case dnsmessage.TypeMX:
		fields := strings.Fields(value)
		if len(fields) == 2 {
			if n, err := strconv.Atoi(fields[0]); err == nil {
				return fmt.Sprintf("%d %s", n, plain(fields[1])) == record
			}
		}
		_, host, _ := strings.Cut(record, " ")
		return host == plain(value)
	default:
		return record == plain(value)
	}
}

// plain returns a name as records spell it here: in lower case, without the dot of the root.
func plain(name string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
}

// rcode returns what a name server's refusal is commonly called.
func rcode(code dnsmessage.RCode) string {
	switch code {
	case dnsmessage.RCodeFormatError:
		return "FORMERR: it does not understand the question"
	case dnsmessage.RCodeServerFailure:
		return "SERVFAIL: it failed, or the name's own servers did"
	case dnsmessage.RCodeNotImplemented:
		return "NOTIMP: it does not know how"
	case dnsmessage.RCodeRefused:
		return "REFUSED: it does not answer questions from here, or of this name"
	}
	return fmt.Sprintf("code %d", code)
}
