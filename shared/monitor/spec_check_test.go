package monitor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
)

// specs are monitors that are right, of each kind.
func specs() map[Kind]Spec {
	return map[Kind]Spec{
		HTTP: {Name: "web", Kind: HTTP, Secrets: Confidential{Headers: map[string]string{"Authorization": "Bearer x", "x-b": ""}}, Config: Config{HTTP: &HTTPConfig{
			URL: "https://example.com:8443/health?deep=1", Method: "POST", Body: `{"a":1}`, Redirects: 3, Statuses: []string{"200", "3xx", "500-503"},
			DegradedAfterMS: 500, DownAfterMS: 5000, ExpiryDays: 14,
			BodyText: []Condition{{Op: Contains, Value: "ok"}, {Op: Matches, Value: "^v[0-9]+"}, {Op: NotContains, Value: "error"}},
			JSON:     []Condition{{Name: "$.status", Op: Equals, Value: "up"}, {Name: "$.queue", Op: Less, Value: "1e3"}, {Name: "$.queue", Op: Greater, Value: "-1"}},
			Header:   []Condition{{Name: "Server", Op: Missing}, {Name: "X-Version", Op: Exists}},
		}}},
		TCP:       {Name: "tcp", Kind: TCP, Config: Config{TCP: &TCPConfig{Host: "mail.example.com", Port: 143, Send: "a\r\n", Expect: "OK", DegradedAfterMS: 100}}},
		DNS:       {Name: "dns", Kind: DNS, Config: Config{DNS: &DNSConfig{Name: "example.com", Type: "MX", Values: []string{"10 mx.example.com", "mx2.example.com"}, Server: "9.9.9.9:53"}}},
		TLS:       {Name: "tls", Kind: TLS, Config: Config{TLS: &TLSConfig{Host: "203.0.114.7", Port: 443, ServerName: "example.com"}}},
		Postgres:  {Name: "db", Kind: Postgres, Secrets: Confidential{URL: "postgres://probe:p%40ss@db.example.com/shop?sslmode=verify-full"}, Config: Config{Postgres: &PostgresConfig{Query: "select 1", Expect: "1"}}},
		Heartbeat: {Name: "job", Kind: Heartbeat, Config: Config{Heartbeat: &HeartbeatConfig{Cron: "0 3 29 2 *", Timezone: "Europe/Berlin", GraceS: 60, MaxRuntimeS: 600}}},
		Platform:  {Name: "own", Kind: Platform, Config: Config{Platform: &PlatformConfig{Part: PartQueue}}},
	}
}

// draft checks a spec as Create does, without a database.
func draft(t *testing.T, s Spec) (Monitor, error) {
	t.Helper()
	m := s.draft(uuid.New(), uuid.New(), noon)
	return m, keeper(t).complete(&m, s.Secrets, Config{}, Secrets{})
}

func TestSpec_IsTaken(t *testing.T) {
	t.Parallel()
	for kind, s := range specs() {
		m, err := draft(t, s)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if text := fmt.Sprintf("%+v", m.Config); strings.Contains(text, "Bearer") || strings.Contains(text, "p%40ss") {
			t.Errorf("%s shows a secret: %s", kind, text)
		}
	}
}

func TestSpec_UsualValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		spec                      Spec
		interval, timeout         int
		failures, of, recoveries  int
		giveFailures, giveOf, giv int
	}{
		{web(), 60, 10_000, 2, 3, 2, 0, 0, 0},
		{specs()[TLS], 3600, 10_000, 2, 3, 2, 0, 0, 0},
		{specs()[Heartbeat], 0, 10_000, 1, 1, 1, 0, 0, 0},
		{web(), 60, 10_000, 5, 5, 2, 5, 0, 0},
		{web(), 60, 10_000, 1, 1, 2, 0, 1, 0},
		{web(), 60, 10_000, 1, 3, 4, 1, 0, 4},
	} {
		tt.spec.Failures, tt.spec.FailuresOf, tt.spec.Recoveries = tt.giveFailures, tt.giveOf, tt.giv
		m, err := draft(t, tt.spec)
		must(t, err)
		if m.IntervalS != tt.interval || m.TimeoutMS != tt.timeout || m.Failures != tt.failures || m.FailuresOf != tt.of || m.Recoveries != tt.recoveries {
			t.Errorf("%s of %d, %d, %d: %d, %d, %d, %d, %d", m.Kind, tt.giveFailures, tt.giveOf, tt.giv, m.IntervalS, m.TimeoutMS, m.Failures, m.FailuresOf, m.Recoveries)
		}
	}
}

// refusals are monitors that are wrong in one thing, and what is said of it.
func refusals() []struct {
	name string
	kind Kind
	make func(*Spec)
	says []string
} {
	type r = struct {
		name string
		kind Kind
		make func(*Spec)
		says []string
	}
	http := func(name string, change func(*HTTPConfig), says ...string) r {
		return r{name, HTTP, func(s *Spec) { change(s.Config.HTTP) }, says}
	}
	conditions := func(name, field string, list []Condition, says ...string) r {
		return http(name, func(c *HTTPConfig) {
			switch field {
			case "body":
				c.BodyText = list
			case "json":
				c.JSON = list
			default:
				c.Header = list
			}
		}, append(says, "config.http."+field+"_conditions[")...)
	}
	spec := func(name string, kind Kind, change func(*Spec), says ...string) r { return r{name, kind, change, says} }
	beat := func(name string, change func(*HeartbeatConfig), says ...string) r {
		return r{name, Heartbeat, func(s *Spec) { change(s.Config.Heartbeat) }, says}
	}
	dns := func(name, kind string, values []string, says ...string) r {
		return r{name, DNS, func(s *Spec) { s.Config.DNS.Type, s.Config.DNS.Values = kind, values }, append(says, "config.dns.values")}
	}
	url := func(name, text string, says ...string) r {
		return r{name, Postgres, func(s *Spec) { s.Secrets.URL = text }, append(says, "secrets.url")}
	}
	mute := func(name string, w Mute, says ...string) r {
		return r{name, TCP, func(s *Spec) { s.Mute = []Mute{w} }, append(says, "mute[0]")}
	}
	return []r{
		spec("no name", TCP, func(s *Spec) { s.Name = "" }, "name", "empty"),
		spec("a long name", TCP, func(s *Spec) { s.Name = strings.Repeat("é", 201) }, "name", "201"),
		spec("a name that cannot be shown", TCP, func(s *Spec) { s.Name = "a\x00" }, "name"),
		spec("no kind", TCP, func(s *Spec) { s.Kind = "" }, "kind", "http, tcp"),
		spec("an unknown kind", TCP, func(s *Spec) { s.Kind = "icmp" }, "kind", `"icmp"`),
		spec("no configuration", TCP, func(s *Spec) { s.Config = Config{} }, "config.tcp is missing"),
		spec("another kind's configuration", TCP, func(s *Spec) { s.Config = specs()[DNS].Config }, "config.tcp", "found dns"),
		spec("two configurations", TCP, func(s *Spec) { s.Config.DNS = specs()[DNS].Config.DNS }, "found tcp, dns"),
		spec("a short interval", TCP, func(s *Spec) { s.IntervalS = 59 }, "interval_s: 59", "60 to 86400"),
		spec("a long interval", TCP, func(s *Spec) { s.IntervalS = 86_401 }, "interval_s", "86400"),
		spec("a heartbeat's long interval", Heartbeat, func(s *Spec) {
			s.Config.Heartbeat.Cron = ""
			s.Config.Heartbeat.Timezone = ""
			s.IntervalS = 31_622_401
		}, "interval_s", "31622400"),
		spec("a negative interval", TCP, func(s *Spec) { s.IntervalS = -60 }, "interval_s"),
		spec("interval and cron", Heartbeat, func(s *Spec) { s.IntervalS = 60 }, "interval_s", "cron"),
		spec("a short timeout", TCP, func(s *Spec) { s.TimeoutMS = 99 }, "timeout_ms: 99"),
		spec("a long timeout", TCP, func(s *Spec) { s.TimeoutMS = 30_001 }, "timeout_ms", "below the interval"),
		spec("no failures", TCP, func(s *Spec) { s.Failures = -1 }, "failures: -1"),
		spec("more failures than looks", TCP, func(s *Spec) { s.Failures, s.FailuresOf = 4, 3 }, "failures: 4", "failures_of, which is 3"),
		spec("of too many looks", TCP, func(s *Spec) { s.FailuresOf = 21 }, "failures_of: 21"),
		spec("of negative looks", TCP, func(s *Spec) { s.FailuresOf = -1 }, "failures_of: -1"),
		spec("too many recoveries", TCP, func(s *Spec) { s.Recoveries = 21 }, "recoveries: 21"),
		spec("negative recoveries", TCP, func(s *Spec) { s.Recoveries = -1 }, "recoveries: -1"),
		spec("a slug of no heartbeat", TCP, func(s *Spec) { s.Slug = "a" }, "slug"),
		spec("a slug without a project", Heartbeat, func(s *Spec) { s.Slug = "a" }, "slug", "project_id"),
		spec("a slug that no check-in finds", Heartbeat, func(s *Spec) { s.Slug, s.ProjectID = "My Job", uuid.New() }, "slug", `"my-job"`),
		spec("a project's platform", Platform, func(s *Spec) { s.ProjectID = uuid.New() }, "project_id"),
		spec("secrets of no kind", TCP, func(s *Spec) { s.Secrets.URL = "x" }, "secrets"),
		spec("headers of a database", Postgres, func(s *Spec) { s.Secrets.Headers = map[string]string{} }, "secrets.headers"),
		spec("a database of a website", HTTP, func(s *Spec) { s.Secrets.URL = "x" }, "secrets.url"),

		mute("a window of nothing", Mute{}, "until", "disable"),
		mute("both kinds of window", Mute{Until: noon, Days: []string{"mon"}}, "once", "weekly"),
		mute("a window that ends before it begins", Mute{Since: noon, Until: noon}, "until", "after since"),
		mute("a far year", Mute{Until: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}, "until"),
		mute("no days", Mute{From: "01:00", To: "02:00"}, "days", "sun, mon"),
		mute("an unknown day", Mute{Days: []string{"Monday"}, From: "01:00", To: "02:00"}, "days", `"Monday"`),
		mute("a day twice", Mute{Days: []string{"mon", "mon"}, From: "01:00", To: "02:00"}, "days", "twice"),
		mute("no time", Mute{Days: []string{"mon"}, To: "02:00"}, "from"),
		mute("no such time", Mute{Days: []string{"mon"}, From: "01:00", To: "24:00"}, "to"),
		mute("a short form of a time", Mute{Days: []string{"mon"}, From: "1:00", To: "02:00"}, "from"),
		mute("no such zone", Mute{Days: []string{"mon"}, From: "01:00", To: "02:00", Timezone: "Mars/Base"}, "timezone", "Mars/Base"),
		mute("the machine's zone", Mute{Days: []string{"mon"}, From: "01:00", To: "02:00", Timezone: "Local"}, "timezone"),
		spec("too many windows", TCP, func(s *Spec) { s.Mute = slices.Repeat([]Mute{{Until: noon}}, 21) }, "mute: 21"),

		http("no URL", func(c *HTTPConfig) { c.URL = "" }, "config.http.url", "missing"),
		http("a URL of nothing", func(c *HTTPConfig) { c.URL = "https://" }, "config.http.url", "no host"),
		http("another scheme", func(c *HTTPConfig) { c.URL = "file:///etc/passwd" }, "config.http.url", "https://"),
		http("a URL that is none", func(c *HTTPConfig) { c.URL = "https://exa mple.com/\x7f" }, "config.http.url"),
		http("a password in the URL", func(c *HTTPConfig) { c.URL = "https://u:p@example.com" }, "config.http.url", "secrets.headers"),
		http("a fragment", func(c *HTTPConfig) { c.URL = "https://example.com/#a" }, "config.http.url", "#"),
		http("no such port", func(c *HTTPConfig) { c.URL = "https://example.com:70000" }, "config.http.url", "port"),
		http("a port of mail", func(c *HTTPConfig) { c.URL = "http://example.com:25"; c.ExpiryDays = 0 }, "config.http.url", "refused"),
		http("a long URL", func(c *HTTPConfig) { c.URL = "https://example.com/" + strings.Repeat("a", 2000) }, "config.http.url", "2000"),
		http("a loopback address", func(c *HTTPConfig) { c.URL = "https://127.0.0.1/" }, "config.http.url", "refused"),
		http("a private address in v6", func(c *HTTPConfig) { c.URL = "https://[fd00::1]/" }, "config.http.url", "refused"),
		http("the metadata server", func(c *HTTPConfig) { c.URL = "http://metadata.google.internal/"; c.ExpiryDays = 0 }, "config.http.url", "refused"),
		http("an odd spelling of an address", func(c *HTTPConfig) { c.URL = "https://2130706433/" }, "config.http.url"),
		http("an unknown method", func(c *HTTPConfig) { c.Method = "TRACE" }, "config.http.method", "OPTIONS"),
		http("HEAD with a body", func(c *HTTPConfig) { c.Method = "HEAD" }, "config.http.body", "HEAD"),
		http("HEAD with conditions of the body", func(c *HTTPConfig) { c.Method, c.Body = "HEAD", "" }, "config.http.method", "could never be met"),
		http("too many redirects", func(c *HTTPConfig) { c.Redirects = 11 }, "config.http.redirects: 11"),
		http("negative redirects", func(c *HTTPConfig) { c.Redirects = -1 }, "config.http.redirects: -1"),
		http("a large body", func(c *HTTPConfig) { c.Body = strings.Repeat("a", 16<<10+1) }, "config.http.body"),
		http("a body with a NUL", func(c *HTTPConfig) { c.Body = "\x00" }, "config.http.body", "NUL"),
		http("names of other headers", func(c *HTTPConfig) { c.Headers = []string{"X-Other"} }, "config.http.headers"),
		spec("a header that is none", HTTP, func(s *Spec) { s.Secrets.Headers["a b"] = "" }, "config.http.headers", `"a b"`),
		spec("a header that is set anyway", HTTP, func(s *Spec) { s.Secrets.Headers["host"] = "x" }, "config.http.headers"),
		spec("a header of the metadata server", HTTP, func(s *Spec) { s.Secrets.Headers["Metadata-Flavor"] = "Google" }, "config.http.headers"),
		spec("a header twice", HTTP, func(s *Spec) { s.Secrets.Headers["X-B"] = "x" }, "config.http.headers", "twice"),
		spec("a header of two lines", HTTP, func(s *Spec) { s.Secrets.Headers["X-A"] = "a\r\nHost: b" }, "config.http.headers"),
		spec("a long header", HTTP, func(s *Spec) { s.Secrets.Headers["X-A"] = strings.Repeat("a", 4097) }, "config.http.headers", "4096"),
		spec("too many headers", HTTP, func(s *Spec) {
			for i := range 30 {
				s.Secrets.Headers[fmt.Sprint("X-", i)] = ""
			}
		}, "config.http.headers: 32"),
		spec("headers without values", HTTP, func(s *Spec) { s.Secrets.Headers = nil; s.Config.HTTP.Headers = []string{"X-A"} }, "config.http.headers", "secrets.headers"),
		http("no such status", func(c *HTTPConfig) { c.Statuses = []string{"600"} }, "config.http.statuses", `"600"`),
		http("a status that is none", func(c *HTTPConfig) { c.Statuses = []string{"ok"} }, "config.http.statuses", "2xx"),
		http("a status that never ends", func(c *HTTPConfig) { c.Statuses = []string{"1xx"} }, "config.http.statuses"),
		http("a range that goes down", func(c *HTTPConfig) { c.Statuses = []string{"299-200"} }, "config.http.statuses"),
		http("too many statuses", func(c *HTTPConfig) { c.Statuses = slices.Repeat([]string{"200"}, 21) }, "config.http.statuses: 21"),
		http("redirects that are followed", func(c *HTTPConfig) { c.Statuses = []string{"301", "307-308"} }, "config.http.statuses", "set redirects to 0"),
		http("JSON of an answer without a body", func(c *HTTPConfig) { c.Statuses, c.BodyText = []string{"204"}, nil }, "config.http.statuses", "json_conditions"),
		http("text of an answer without a body", func(c *HTTPConfig) { c.Statuses, c.JSON = []string{"204", "304"}, nil }, "config.http.statuses", "body_conditions"),
		http("degraded only after it is down", func(c *HTTPConfig) { c.DegradedAfterMS = 5000 }, "config.http.degraded_after_ms", "down_after_ms, which is 5000"),
		http("degraded only after the timeout", func(c *HTTPConfig) { c.DegradedAfterMS, c.DownAfterMS = 10_000, 0 }, "config.http.degraded_after_ms", "timeout of 10000"),
		http("down only after the timeout", func(c *HTTPConfig) { c.DownAfterMS = 10_001 }, "config.http.down_after_ms", "timeout of 10000"),
		http("down at once", func(c *HTTPConfig) { c.DownAfterMS = -1 }, "config.http.down_after_ms"),
		http("degraded at once", func(c *HTTPConfig) { c.DegradedAfterMS = -1 }, "config.http.degraded_after_ms"),
		http("a certificate of plain HTTP", func(c *HTTPConfig) { c.URL = "http://example.com" }, "config.http.certificate_days", "could never be met"),
		http("a certificate for longer than any", func(c *HTTPConfig) { c.ExpiryDays = 398 }, "config.http.certificate_days", "397"),

		conditions("a named condition of the body", "body", []Condition{{Name: "a", Op: Exists}}, "name"),
		conditions("no operator", "body", []Condition{{Value: "a"}}, "op", "not_equals"),
		conditions("an unknown operator", "body", []Condition{{Op: "like", Value: "a"}}, "op", `"like"`),
		conditions("a value of none", "body", []Condition{{Op: Exists, Value: "a"}}, "value", "exists"),
		conditions("nothing to contain", "body", []Condition{{Op: Contains}}, "value"),
		conditions("a pattern that is none", "body", []Condition{{Op: Matches, Value: "("}}, "value"),
		conditions("a pattern that RE2 has not", "body", []Condition{{Op: Matches, Value: "(?=a)"}}, "value"),
		conditions("no number", "body", []Condition{{Op: Greater, Value: "many"}}, "value", `"many"`),
		conditions("a number that is none", "body", []Condition{{Op: Less, Value: "NaN"}}, "value"),
		conditions("a long value", "body", []Condition{{Op: Equals, Value: strings.Repeat("a", 1001)}}, "value", "1000"),
		http("too many conditions", func(c *HTTPConfig) { c.BodyText = slices.Repeat([]Condition{{Op: Exists}}, 21) }, "config.http.body_conditions: 21"),
		conditions("no path", "json", []Condition{{Op: Exists}}, "name"),
		conditions("a path that is none", "json", []Condition{{Name: "status", Op: Exists}}, "name"),
		conditions("no header", "header", []Condition{{Op: Exists}}, "name"),
		conditions("a header that is none", "header", []Condition{{Name: "a:b", Op: Exists}}, "name"),
		conditions("equal to two things", "body", []Condition{{Op: Equals, Value: "a"}, {Op: Equals, Value: "b"}}, "never be healthy"),
		conditions("equal and not", "json", []Condition{{Name: "$.a", Op: Equals, Value: "a"}, {Name: "$['a']", Op: NotEquals, Value: "a"}}, "never be healthy", "not_equals"),
		conditions("not equal and equal", "header", []Condition{{Name: "Server", Op: NotEquals, Value: "a"}, {Name: "server", Op: Equals, Value: "a"}}, "never be healthy"),
		conditions("equal without what it contains", "body", []Condition{{Op: Equals, Value: "ab"}, {Op: NotContains, Value: "b"}}, "never be healthy"),
		conditions("equal without what it must contain", "body", []Condition{{Op: Contains, Value: "c"}, {Op: Equals, Value: "ab"}}, "never be healthy"),
		conditions("equal against a pattern", "json", []Condition{{Name: "$.v", Op: Matches, Value: "^v"}, {Name: "$.v", Op: Equals, Value: "1"}}, "never be healthy"),
		conditions("contains and does not", "header", []Condition{{Name: "A", Op: Contains, Value: "abc"}, {Name: "A", Op: NotContains, Value: "b"}}, "never be healthy"),
		conditions("greater and less", "json", []Condition{{Name: "$.n", Op: Greater, Value: "5"}, {Name: "$.n", Op: Less, Value: "3"}}, "never be healthy"),
		conditions("between the same", "json", []Condition{{Name: "$.n", Op: Less, Value: "5"}, {Name: "$.n", Op: Greater, Value: "5.0"}}, "never be healthy"),
		conditions("equal and too small", "json", []Condition{{Name: "$.n", Op: Greater, Value: "5"}, {Name: "$.n", Op: Equals, Value: "5"}}, "never be healthy"),
		conditions("there and missing", "header", []Condition{{Name: "A", Op: Exists}, {Name: "a", Op: Missing}}, "never be healthy"),
		conditions("missing and long", "json", []Condition{{Name: "$.a", Op: Missing}, {Name: "$.a", Op: Contains, Value: "a"}}, "never be healthy"),
		http("a large configuration", func(c *HTTPConfig) {
			c.Body = strings.Repeat("é", 8<<10)
			c.BodyText = slices.Repeat([]Condition{{Op: Contains, Value: strings.Repeat("é", 999)}}, 20)
		}, "config", "32768"),

		spec("no host", TCP, func(s *Spec) { s.Config.TCP.Host = "" }, "config.tcp.host", "missing"),
		spec("a host that is none", TCP, func(s *Spec) { s.Config.TCP.Host = "exa mple" }, "config.tcp.host"),
		spec("a host with a port", TCP, func(s *Spec) { s.Config.TCP.Host = "example.com:80" }, "config.tcp.host"),
		spec("a private host", TCP, func(s *Spec) { s.Config.TCP.Host = "10.0.0.1" }, "config.tcp.host", "refused"),
		spec("no port", TCP, func(s *Spec) { s.Config.TCP.Port = 0 }, "config.tcp.port: 0"),
		spec("no such port", TCP, func(s *Spec) { s.Config.TCP.Port = 65536 }, "config.tcp.port"),
		spec("the port of mail", TCP, func(s *Spec) { s.Config.TCP.Port = 25 }, "config.tcp.port", "refused"),
		spec("much to send", TCP, func(s *Spec) { s.Config.TCP.Send = strings.Repeat("a", 4097) }, "config.tcp.send"),
		spec("much to expect", TCP, func(s *Spec) { s.Config.TCP.Expect = strings.Repeat("a", 1001) }, "config.tcp.expect"),
		spec("slow only after the timeout", TCP, func(s *Spec) { s.Config.TCP.DegradedAfterMS = 10_000 }, "config.tcp.degraded_after_ms"),

		spec("no name to look up", DNS, func(s *Spec) { s.Config.DNS.Name = "" }, "config.dns.name"),
		spec("a name that is none", DNS, func(s *Spec) { s.Config.DNS.Name = "a..b" }, "config.dns.name"),
		spec("an unknown type", DNS, func(s *Spec) { s.Config.DNS.Type = "SOA" }, "config.dns.type", "CNAME"),
		spec("a name server without a port", DNS, func(s *Spec) { s.Config.DNS.Server = "9.9.9.9" }, "config.dns.server", "host:port"),
		spec("a name server with no port", DNS, func(s *Spec) { s.Config.DNS.Server = "9.9.9.9:dns" }, "config.dns.server"),
		spec("an inner name server", DNS, func(s *Spec) { s.Config.DNS.Server = "169.254.169.254:53" }, "config.dns.server", "refused"),
		dns("an IPv6 address as A", "A", []string{"2001:db8::1"}, "never be among the A records"),
		dns("a name as A", "A", []string{"example.com"}, "never"),
		dns("an IPv4 address as AAAA", "AAAA", []string{"192.0.2.1"}, "never be among the AAAA records"),
		dns("a mapped address as AAAA with a zone", "AAAA", []string{"fe80::1%eth0"}, "never"),
		dns("two CNAMEs", "CNAME", []string{"a.example.com", "b.example.com"}, "one CNAME"),
		dns("an address as NS", "NS", []string{"192.0.2.1"}, "never"),
		dns("a preference that is none", "MX", []string{"high mx.example.com"}, "preference"),
		dns("a mail server that is none", "MX", []string{"10 -"}, "mail server"),
		dns("no text", "TXT", []string{""}, "never"),
		dns("a value twice", "TXT", []string{"a", "a"}, "twice"),
		dns("too many values", "TXT", slices.Repeat([]string{"a"}, 21), "21"),

		spec("no TLS host", TLS, func(s *Spec) { s.Config.TLS.Host = "" }, "config.tls.host"),
		spec("no TLS port", TLS, func(s *Spec) { s.Config.TLS.Port = -1 }, "config.tls.port"),
		spec("a server name that is none", TLS, func(s *Spec) { s.Config.TLS.ServerName = "192.0.2.1" }, "config.tls.server_name"),
		spec("more days than a certificate has", TLS, func(s *Spec) { s.Config.TLS.DegradedDays = 398 }, "config.tls.degraded_days"),
		spec("negative days", TLS, func(s *Spec) { s.Config.TLS.DegradedDays = -1 }, "config.tls.degraded_days"),

		url("no database", "", "missing", "postgres://user"),
		url("another scheme of a database", "mysql://u:p@db.example.com/a"),
		url("no host of a database", "postgres://u:p@/a", "host"),
		url("two hosts of a database", "postgres://u:p@a.example.com,b.example.com/a", "host"),
		url("no user of a database", "postgres://db.example.com/a", "user"),
		url("a file of this machine", "postgres://u:p@db.example.com/a?sslrootcert=/etc/passwd", "sslmode"),
		url("no such sslmode", "postgres://u:p@db.example.com/a?sslmode=prefer", "sslmode"),
		url("a private database", "postgres://u:p@10.0.0.1/a", "refused"),
		url("no such port of a database", "postgres://u:p@db.example.com:0/a", "port"),
		spec("an address that does not follow", Postgres, func(s *Spec) { s.Config.Postgres.Address = "other:5432/a" }, "config.postgres.address"),
		spec("a long query", Postgres, func(s *Spec) { s.Config.Postgres.Query = strings.Repeat("a", 2001) }, "config.postgres.query"),
		spec("a long result", Postgres, func(s *Spec) { s.Config.Postgres.Expect = strings.Repeat("a", 1001) }, "config.postgres.expect"),
		spec("slow only after the timeout of a database", Postgres, func(s *Spec) { s.Config.Postgres.DegradedAfterMS = 10_001 }, "config.postgres.degraded_after_ms"),

		beat("a cron expression that is none", func(c *HeartbeatConfig) { c.Cron = "3 o'clock" }, "config.heartbeat.cron", "five fields"),
		beat("a very long cron expression", func(c *HeartbeatConfig) { c.Cron = strings.Repeat("0,", 128) + "0 * * * *" }, "config.heartbeat.cron", "256"),
		beat("a minute that is none", func(c *HeartbeatConfig) { c.Cron = "61 * * * *" }, "config.heartbeat.cron", "minute 0-59"),
		beat("seconds", func(c *HeartbeatConfig) { c.Cron = "0 0 3 * * *" }, "config.heartbeat.cron"),
		beat("a zone within", func(c *HeartbeatConfig) { c.Cron = "TZ=UTC 0 3 * * *" }, "config.heartbeat.cron", "timezone"),
		beat("an interval within", func(c *HeartbeatConfig) { c.Cron = "@every 5m" }, "config.heartbeat.cron", "interval_s"),
		beat("30 February", func(c *HeartbeatConfig) { c.Cron = "0 3 30 2 *" }, "config.heartbeat.cron", "never"),
		beat("31 June", func(c *HeartbeatConfig) { c.Cron = "0 3 31 6 *" }, "config.heartbeat.cron", "never"),
		beat("no such zone of a job", func(c *HeartbeatConfig) { c.Timezone = "CET/Nowhere" }, "config.heartbeat.timezone", "Europe/Berlin"),
		beat("a zone without cron", func(c *HeartbeatConfig) { c.Cron = "" }, "config.heartbeat.timezone"),
		beat("a long grace", func(c *HeartbeatConfig) { c.GraceS = 7*86400 + 1 }, "config.heartbeat.grace_s"),
		beat("a negative grace", func(c *HeartbeatConfig) { c.GraceS = -1 }, "config.heartbeat.grace_s"),
		beat("a long run", func(c *HeartbeatConfig) { c.MaxRuntimeS = 30*86400 + 1 }, "config.heartbeat.max_runtime_s"),
		beat("a negative run", func(c *HeartbeatConfig) { c.MaxRuntimeS = -1 }, "config.heartbeat.max_runtime_s"),
		spec("no part", Platform, func(s *Spec) { s.Config.Platform.Part = "" }, "config.platform.part", "dead_letters"),
	}
}

func TestSpec_IsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range refusals() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := specs()[tt.kind]
			s.Config = s.Config.clone()
			tt.make(&s)
			_, err := draft(t, s)
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("got %v, want a refusal", err)
			}
			for _, text := range tt.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("it says %q, without %q", err, text)
				}
			}
			if strings.Contains(err.Error(), "p%40ss") || strings.Contains(err.Error(), "Bearer") {
				t.Errorf("it repeats a secret: %s", err)
			}
		})
	}
}

// Several values may meet conditions that one could not.
func TestSpec_OfSeveralValues(t *testing.T) {
	t.Parallel()
	for name, list := range map[string][]Condition{
		"paths to several values": {{Name: "$..a", Op: Equals, Value: "1"}, {Name: "$..a", Op: Equals, Value: "2"}},
		"different paths":         {{Name: "$.a", Op: Equals, Value: "1"}, {Name: "$.b", Op: NotEquals, Value: "1"}},
		"what can be":             {{Name: "$.a", Op: Greater, Value: "1"}, {Name: "$.a", Op: Less, Value: "1.5"}, {Name: "$.a", Op: NotEquals, Value: "1.2"}},
		"missing or another":      {{Name: "$.a", Op: Missing}, {Name: "$.a", Op: NotEquals, Value: "1"}},
	} {
		s := specs()[HTTP]
		s.Config.HTTP.JSON = list
		if _, err := draft(t, s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := specs()[HTTP]
	s.Config.HTTP.Header = []Condition{{Name: "Set-Cookie", Op: Contains, Value: "a="}, {Name: "set-cookie", Op: Equals, Value: "b=1"}}
	if _, err := draft(t, s); err != nil {
		t.Errorf("a header that comes twice: %v", err)
	}
}
