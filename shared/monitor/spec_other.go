package monitor

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func (c *TCPConfig) check(timeout int, guard Guard) error {
	return first(
		checkHost("host", c.Host, guard),
		checkPort("port", c.Port, guard),
		checkText("send", c.Send, sendMost),
		checkText("expect", c.Expect, textMost),
		checkDegraded("degraded_after_ms", c.DegradedAfterMS, timeout),
	)
}

func (c *TLSConfig) check(guard Guard) error {
	if c.ServerName != "" && !hostname(c.ServerName) {
		return invalid("server_name", "%q is not the name of a host", clip(c.ServerName))
	}
	if c.DegradedDays < 0 || c.DegradedDays > certificateMost {
		return invalid("degraded_days", "%d is not from 1 to %d, the longest that a certificate is valid", c.DegradedDays, certificateMost)
	}
	return first(checkHost("host", c.Host, guard), checkPort("port", c.Port, guard))
}

// recordTypes are those that a monitor can ask for.
var recordTypes = [...]string{"A", "AAAA", "CNAME", "MX", "NS", "TXT"}

func (c *DNSConfig) check(guard Guard) error {
	switch {
	case c.Name == "":
		return invalid("name", "is missing")
	case !hostname(c.Name):
		return invalid("name", "%q is not a name that can be looked up", clip(c.Name))
	case !slices.Contains(recordTypes[:], c.Type):
		return invalid("type", "%q is none of %s", clip(c.Type), strings.Join(recordTypes[:], ", "))
	case len(c.Values) > valuesMost:
		return invalid("values", "%d values; at most %d are allowed", len(c.Values), valuesMost)
	case c.Type == "CNAME" && len(c.Values) > 1:
		return invalid("values", "a name has one CNAME record at most, so two values could never both be there")
	}
	for i, value := range c.Values {
		if why := c.impossible(value); why != "" {
			return invalid("values", "%q %s, so it could never be among the %s records", clip(value), why, c.Type)
		}
		if slices.Contains(c.Values[:i], value) {
			return invalid("values", "%q stands there twice", clip(value))
		}
	}
	if c.Server != "" {
		return checkAddress("server", c.Server, guard)
	}
	return nil
}

// impossible says why a value is none of the record's type; "": it is one.
func (c *DNSConfig) impossible(value string) string {
	switch c.Type {
	case "A":
		if a, err := netip.ParseAddr(value); err != nil || !a.Is4() {
			return "is not an IPv4 address"
		}
	case "AAAA":
		if a, err := netip.ParseAddr(value); err != nil || !a.Is6() || a.Zone() != "" {
			return "is not an IPv6 address"
		}
	case "MX":
		preference, host, both := strings.Cut(value, " ")
		if !both {
			host = preference
		} else if n, err := strconv.Atoi(preference); err != nil || n < 0 || n > 65535 {
			return "does not begin with a preference from 0 to 65535"
		}
		if !hostname(host) {
			return "does not name a mail server"
		}
	case "CNAME", "NS":
		if !hostname(value) {
			return "is not the name of a host"
		}
	case "TXT":
		if value == "" || checkText("", value, textMost) != nil {
			return "is empty or too long"
		}
	}
	return ""
}

func (c *PostgresConfig) check(timeout int) error {
	return first(
		checkText("query", c.Query, queryMost),
		checkText("expect", c.Expect, textMost),
		checkDegraded("degraded_after_ms", c.DegradedAfterMS, timeout),
	)
}

func (c *PlatformConfig) check() error {
	if !slices.Contains(Parts(), c.Part) {
		return invalid("part", "there is no part %q; it is one of database, queue, dead_letters, partitions and scheduler", clip(string(c.Part)))
	}
	return nil
}

// Parts returns the parts of the installation.
func Parts() []Part {
	return []Part{PartDatabase, PartQueue, PartDeadLetters, PartPartitions, PartScheduler}
}
