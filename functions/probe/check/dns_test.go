package check

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/outbound/dnstest"
)

// resolve looks at a name by the server, as one that the monitor names.
func resolve(t testing.TB, s *dnstest.Server, name, kind string, values ...string) monitor.Look {
	t.Helper()
	config := monitor.Config{DNS: &monitor.DNSConfig{Name: name, Type: kind, Values: values, Server: s.Addr}}
	return usual(t).Run(t.Context(), monitor.DNS, config, monitor.Secrets{}, patient)
}

func TestDNSRecords(t *testing.T) {
	t.Parallel()
	zone := map[string][]string{
		"A":     {"A 93.184.215.14", "A 10.0.0.1"},
		"AAAA":  {"AAAA 2606:4700::1", "AAAA ::ffff:127.0.0.1"},
		"CNAME": {"CNAME Target.Example"},
		"MX":    {"MX 10 Mail.Example", "MX 20 other.example"},
		"NS":    {"NS ns1.example", "NS ns2.example"},
		"TXT":   {"TXT v=spf1 -all", "TXT Case Matters"},
	}
	s := dnstest.Serve(t, func(q dnstest.Query) []*dnsmessage.Message {
		kind := strings.TrimPrefix(q.Type.String(), "Type")
		if strings.HasPrefix(q.Name.String(), "alias.") && kind != "CNAME" {
			return q.Success(append([]string{"CNAME middle.example", "CNAME end.example"}, zone[kind]...)...)
		}
		return q.Success(zone[kind]...)
	})
	for _, x := range []struct {
		kind    string
		values  []string
		records []string
		code    string
	}{
		{"A", nil, []string{"93.184.215.14", "10.0.0.1"}, monitor.CodeOK},
		{"a", []string{"93.184.215.14"}, []string{"93.184.215.14", "10.0.0.1"}, monitor.CodeOK},
		{"A", []string{"10.0.0.1", "93.184.215.14"}, []string{"93.184.215.14", "10.0.0.1"}, monitor.CodeOK},
		{"A", []string{"93.184.215.14", "1.2.3.4"}, []string{"93.184.215.14", "10.0.0.1"}, monitor.CodeRecords},
		{"AAAA", []string{"2606:4700:0:0::0001"}, []string{"2606:4700::1", "::ffff:127.0.0.1"}, monitor.CodeOK},
		{"CNAME", []string{"target.example."}, []string{"target.example"}, monitor.CodeOK},
		{"MX", []string{"mail.EXAMPLE"}, []string{"10 mail.example", "20 other.example"}, monitor.CodeOK},
		{"MX", []string{"10 mail.example"}, []string{"10 mail.example", "20 other.example"}, monitor.CodeOK},
		{"MX", []string{"20 mail.example"}, []string{"10 mail.example", "20 other.example"}, monitor.CodeRecords},
		{"NS", []string{"ns2.example"}, []string{"ns1.example", "ns2.example"}, monitor.CodeOK},
		{"TXT", []string{"v=spf1 -all"}, []string{"v=spf1 -all", "Case Matters"}, monitor.CodeOK},
		{"TXT", []string{"case matters"}, []string{"v=spf1 -all", "Case Matters"}, monitor.CodeRecords},
	} {
		for _, name := range []string{"service.example", "alias.example"} {
			got := resolve(t, s, name, x.kind, x.values...)
			if got.Details.Code != x.code || !slices.Equal(got.Details.Records, x.records) || got.Details.DNSMS <= 0 {
				t.Errorf("%s %s %v: got %s (%s), records %v", name, x.kind, x.values, got.Details.Code, got.Details.Error, got.Details.Records)
			}
		}
	}
	want(t, resolve(t, s, "service.example", "SRV"), monitor.Down, monitor.CodeConfiguration)
	want(t, resolve(t, s, "127.1", "A"), monitor.Down, monitor.CodeRefusedAddress)
	want(t, resolve(t, s, "db.internal", "A"), monitor.Down, monitor.CodeRefusedAddress)
}

func TestDNSFailures(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		handle dnstest.Handler
		code   string
		text   string
	}{
		"no such name":   {func(q dnstest.Query) []*dnsmessage.Message { return q.Failure(dnsmessage.RCodeNameError) }, monitor.CodeDNSNotFound, "NXDOMAIN"},
		"no such record": {func(q dnstest.Query) []*dnsmessage.Message { return q.Success() }, monitor.CodeDNSNoRecords, "no A record"},
		"another record": {func(q dnstest.Query) []*dnsmessage.Message { return q.Success("TXT a") }, monitor.CodeDNSNoRecords, "no A record"},
		"server failed":  {func(q dnstest.Query) []*dnsmessage.Message { return q.Failure(dnsmessage.RCodeServerFailure) }, monitor.CodeDNS, "SERVFAIL"},
		"refused":        {func(q dnstest.Query) []*dnsmessage.Message { return q.Failure(dnsmessage.RCodeRefused) }, monitor.CodeDNS, "REFUSED"},
		"silence":        {func(dnstest.Query) []*dnsmessage.Message { return nil }, monitor.CodeTimeout, "no name server answered"},
		"another id": {func(q dnstest.Query) []*dnsmessage.Message {
			q.ID++
			return q.Success("A 93.184.215.14")
		}, monitor.CodeTimeout, ""},
		"another question": {func(q dnstest.Query) []*dnsmessage.Message {
			q.Name = dnsmessage.MustNewName("evil.example.")
			return q.Success("A 93.184.215.14")
		}, monitor.CodeTimeout, ""},
		"no answer but a question": {func(q dnstest.Query) []*dnsmessage.Message {
			m := q.Reply(dnsmessage.RCodeSuccess, "A 93.184.215.14")
			m.Response = false
			return []*dnsmessage.Message{m}
		}, monitor.CodeTimeout, ""},
		"an alias without an end": {func(q dnstest.Query) []*dnsmessage.Message {
			return q.Success("CNAME a.example", "CNAME service.example", "CNAME a.example")
		}, monitor.CodeDNSNoRecords, ""},
		"records of others": {func(q dnstest.Query) []*dnsmessage.Message {
			m := q.Reply(dnsmessage.RCodeSuccess, "A 93.184.215.14")
			m.Answers[0].Header.Name = dnsmessage.MustNewName("evil.example.")
			return []*dnsmessage.Message{m}
		}, monitor.CodeDNSNoRecords, ""},
		"cut off for ever": {func(q dnstest.Query) []*dnsmessage.Message {
			if q.TCP {
				return nil
			}
			m := q.Reply(dnsmessage.RCodeSuccess)
			m.Truncated = true
			return []*dnsmessage.Message{m}
		}, monitor.CodeTimeout, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := dnstest.Serve(t, x.handle)
			timeout := patient
			if x.code == monitor.CodeTimeout {
				timeout = brief
			}
			config := monitor.Config{DNS: &monitor.DNSConfig{Name: "service.example", Type: "A", Server: s.Addr}}
			want(t, usual(t).Run(t.Context(), monitor.DNS, config, monitor.Secrets{}, timeout), monitor.Down, x.code, x.text)
		})
	}
}

func TestDNSPassesWrongAnswersOver(t *testing.T) {
	t.Parallel()
	s := dnstest.Serve(t, func(q dnstest.Query) []*dnsmessage.Message {
		forged := q
		forged.ID++
		return append(forged.Success("A 6.6.6.6"), q.Success("A 93.184.215.14")...)
	})
	got := resolve(t, s, "service.example", "A")
	want(t, got, monitor.Healthy, monitor.CodeOK)
	if !slices.Equal(got.Details.Records, []string{"93.184.215.14"}) {
		t.Errorf("got %v", got.Details.Records)
	}
}

func TestDNSOverTCP(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("TXT %03d %s", i, strings.Repeat("x", 200)))
	}
	s := dnstest.Serve(t, func(q dnstest.Query) []*dnsmessage.Message {
		if q.TCP {
			return q.Success(many...)
		}
		m := q.Reply(dnsmessage.RCodeSuccess)
		m.Truncated = true
		return []*dnsmessage.Message{m}
	})
	got := resolve(t, s, "service.example", "TXT", strings.TrimPrefix(many[199], "TXT "))
	want(t, got, monitor.Healthy, monitor.CodeOK)
	if len(got.Details.Records) != recordsMost {
		t.Errorf("%d records are reported, want %d", len(got.Details.Records), recordsMost)
	}
}

// TestDNSAsksTheSystem asks name servers that are the operator's: what they know of inner networks is not shown.
func TestDNSAsksTheSystem(t *testing.T) {
	t.Parallel()
	inner := dnstest.Serve(t, func(q dnstest.Query) []*dnsmessage.Message { return q.Success("A 93.184.215.14", "A 10.20.30.40") })
	public := dnstest.Serve(t, func(q dnstest.Query) []*dnsmessage.Message { return q.Success("A 93.184.215.14") })
	failing := dnstest.Serve(t, func(q dnstest.Query) []*dnsmessage.Message { return q.Failure(dnsmessage.RCodeServerFailure) })
	silent := dnstest.Serve(t, func(dnstest.Query) []*dnsmessage.Message { return nil })
	lost := dnstest.Serve(t, func(q dnstest.Query) []*dnsmessage.Message {
		if q.N == 0 {
			return nil
		}
		return q.Success("A 93.184.215.14")
	})
	for name, x := range map[string]struct {
		servers []*dnstest.Server
		status  monitor.Status
		code    string
	}{
		"public":               {[]*dnstest.Server{public}, monitor.Healthy, monitor.CodeOK},
		"inner":                {[]*dnstest.Server{inner}, monitor.Down, monitor.CodeRefusedAddress},
		"failing, then public": {[]*dnstest.Server{failing, public}, monitor.Healthy, monitor.CodeOK},
		"silent, then public":  {[]*dnstest.Server{silent, public}, monitor.Healthy, monitor.CodeOK},
		"failing":              {[]*dnstest.Server{failing, failing}, monitor.Down, monitor.CodeDNS},
		"a lost packet":        {[]*dnstest.Server{lost}, monitor.Healthy, monitor.CodeOK},
		"none":                 {[]*dnstest.Server{}, monitor.Down, monitor.CodeDNS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers := []string{}
			for _, s := range x.servers {
				servers = append(servers, s.Addr)
			}
			c := checker(t, settingsOf(""), Options{NameServers: servers})
			config := monitor.Config{DNS: &monitor.DNSConfig{Name: "service.example", Type: "A"}}
			got := c.Run(t.Context(), monitor.DNS, config, monitor.Secrets{}, 2*brief)
			want(t, got, x.status, x.code)
			if text := fmt.Sprintf("%+v", got); strings.Contains(text, "10.20.30.40") {
				t.Errorf("an inner address is shown: %s", text)
			}
		})
	}
}

// TestNamesThatLeadInside looks at names over every kind, whose server answers what must not be reached.
func TestNamesThatLeadInside(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 100)
	_, port := hostPort(t, listen(t, func(net.Conn) { reached <- struct{}{} }))
	for name, handle := range map[string]dnstest.Handler{
		"rebound": func(q dnstest.Query) []*dnsmessage.Message {
			if q.N < 2 {
				return q.Success("A 93.184.215.14")
			}
			return q.Success("A 127.0.0.1")
		},
		"alias": func(q dnstest.Query) []*dnsmessage.Message {
			return q.Success("CNAME metadata.google.internal", "A 169.254.169.254")
		},
		"mapped": func(q dnstest.Query) []*dnsmessage.Message { return q.Success("AAAA ::ffff:127.0.0.1") },
	} {
		dns := dnstest.Serve(t, handle)
		config := settingsOf("")
		config.Resolver = dns.Resolver()
		c := checker(t, config, Options{})
		if name == "rebound" { // when the monitor was made the name was public
			if _, err := c.guard.Lookup(t.Context(), "inside.example"); err != nil {
				t.Fatal(err)
			}
		}
		at := place("inside.example", port)
		for kind, config := range map[monitor.Kind]monitor.Config{
			monitor.HTTP:     {HTTP: &monitor.HTTPConfig{URL: "http://" + at + "/"}},
			monitor.TCP:      {TCP: &monitor.TCPConfig{Host: "inside.example", Port: port}},
			monitor.TLS:      {TLS: &monitor.TLSConfig{Host: "inside.example", Port: port}},
			monitor.DNS:      {DNS: &monitor.DNSConfig{Name: "a.example", Type: "A", Server: at}},
			monitor.Postgres: {Postgres: &monitor.PostgresConfig{}},
		} {
			got := c.Run(t.Context(), kind, config, monitor.Secrets{URL: "postgres://me@" + at + "/db"}, patient)
			if got.Details.Code != monitor.CodeRefusedAddress {
				t.Errorf("%s %s: got %s (%s)", name, kind, got.Details.Code, got.Details.Error)
			}
			if got.Details.DNSMS <= 0 {
				t.Errorf("%s %s: the lookup was not measured", name, kind)
			}
		}
	}
	if len(reached) > 0 {
		t.Error("the service was reached")
	}
}

// TestNamesThatDoNotResolve looks at a service whose name server fails.
func TestNamesThatDoNotResolve(t *testing.T) {
	t.Parallel()
	for code, x := range map[string]dnstest.Handler{
		monitor.CodeDNSNotFound: func(q dnstest.Query) []*dnsmessage.Message { return q.Failure(dnsmessage.RCodeNameError) },
		monitor.CodeDNS:         func(q dnstest.Query) []*dnsmessage.Message { return q.Failure(dnsmessage.RCodeServerFailure) },
		monitor.CodeTimeout:     func(dnstest.Query) []*dnsmessage.Message { return nil },
	} {
		dns := dnstest.Serve(t, x)
		config := settings()
		config.Resolver = dns.Resolver()
		c := checker(t, config, Options{})
		timeout := patient
		if code == monitor.CodeTimeout {
			timeout = brief
		}
		h := monitor.Config{HTTP: &monitor.HTTPConfig{URL: "http://service.example/"}}
		want(t, c.Run(t.Context(), monitor.HTTP, h, monitor.Secrets{}, timeout), monitor.Down, code)
	}
}
