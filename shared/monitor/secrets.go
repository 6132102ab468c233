package monitor

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/secret"
)

// Confidential is what of a monitor can be written and never read.
type Confidential struct {
	Headers map[string]string `json:"headers,omitempty" doc:"of http: names and values of headers that are sent"`
	URL     string            `json:"url,omitempty" maxLength:"2000" doc:"of postgres: the connection string, postgres://user:password@host:port/database?sslmode=verify-full"`
}

func (c Confidential) empty() bool { return c.Headers == nil && c.URL == "" }

// Open returns what is kept sealed of a monitor.
func (m *Monitor) Open(sealer *secret.Sealer) (Secrets, error) {
	var s Secrets
	if m.sealed == nil {
		return s, nil
	}
	text, err := sealer.Open(m.sealed, m.ID[:])
	if err != nil {
		return s, fmt.Errorf("open the secrets of monitor %s: %w", m.ID, err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("read the secrets of monitor %s: %w", m.ID, err)
	}
	return s, nil
}

// seal keeps secrets in the monitor.
func (m *Monitor) seal(sealer *secret.Sealer, s Secrets) error {
	m.sealed = nil
	if len(s.Headers) == 0 && s.URL == "" {
		return nil
	}
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the secrets of a monitor: %w", err)
	}
	m.sealed, err = sealer.Seal(text, m.ID[:])
	return err
}

// arrange makes the configuration and the secrets of a monitor fit together: what it was given, and for what it was not what
// it had before. Of what is confidential the configuration shows the names.
func (m *Monitor) arrange(given Confidential, had Config, kept Secrets, guard Guard) (Secrets, error) {
	switch m.Kind {
	case HTTP:
		if given.URL != "" {
			return Secrets{}, invalid("secrets.url", "is of a postgres monitor; leave it out")
		}
		headers, err := m.Config.HTTP.arrange(given.Headers, had.HTTP, kept.Headers)
		return Secrets{Headers: headers}, err
	case Postgres:
		if given.Headers != nil {
			return Secrets{}, invalid("secrets.headers", "are of an http monitor; leave them out")
		}
		if given.URL == "" {
			given.URL = kept.URL
		}
		address, err := databaseAddress(given.URL, guard)
		if err != nil {
			return Secrets{}, err
		}
		if a := m.Config.Postgres.Address; a != "" && a != address {
			return Secrets{}, invalid("config.postgres.address", "follows from secrets.url; leave it out, or give the URL as well")
		}
		m.Config.Postgres.Address = address
		return Secrets{URL: given.URL}, nil
	case TCP, DNS, TLS, Heartbeat, Platform:
	}
	if !given.empty() {
		return Secrets{}, invalid("secrets", "a %s monitor has none; leave them out", m.Kind)
	}
	return Secrets{}, nil
}

// arrange returns the values of the headers, in the order of their names.
func (c *HTTPConfig) arrange(given map[string]string, had *HTTPConfig, kept []string) ([]string, error) {
	if given != nil {
		names := slices.Sorted(maps.Keys(given))
		if c.Headers != nil && !sameNames(c.Headers, names) {
			return nil, invalid("config.http.headers", "are not the names of secrets.headers; leave them out")
		}
		c.Headers = names
		values := make([]string, len(names))
		for i, name := range names {
			values[i] = given[name]
		}
		return values, nil
	}
	if had == nil {
		had = new(HTTPConfig)
	}
	if c.Headers == nil {
		c.Headers = had.Headers
	}
	if len(c.Headers) > 0 && origin(c.URL) != origin(had.URL) && len(kept) > 0 {
		return nil, invalid("config.http.url", "is of another server, which must not get the headers that were given for %s; send secrets.headers again, or {} for none",
			origin(had.URL))
	}
	values := make([]string, len(c.Headers))
	for i, name := range c.Headers {
		n := slices.IndexFunc(had.Headers, func(other string) bool { return strings.EqualFold(other, name) })
		if n < 0 || n >= len(kept) {
			return nil, invalid("config.http.headers", "nothing is known of %q; give names with their values in secrets.headers", clip(name))
		}
		values[i] = kept[n]
	}
	return values, nil
}

func sameNames(a, b []string) bool {
	lower := func(names []string) []string {
		out := make([]string, len(names))
		for i, name := range names {
			out[i] = strings.ToLower(name)
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(lower(a), lower(b))
}

// origin returns scheme and host of a URL.
func origin(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// databaseAddress checks a connection string and returns what of it may be shown. An error repeats nothing of it.
func databaseAddress(text string, guard Guard) (string, error) {
	const field, form = "secrets.url", "postgres://user:password@host:port/database?sslmode=verify-full"
	if text == "" {
		return "", invalid(field, "is missing: give %s", form)
	}
	if err := checkText(field, text, urlMost); err != nil {
		return "", err
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "postgres" && u.Scheme != "postgresql":
		return "", invalid(field, "is not of the form %s, with special characters in the password percent-encoded", form)
	case u.Hostname() == "" || strings.Contains(u.Host, ","):
		return "", invalid(field, "does not name exactly one host")
	case u.User.Username() == "":
		return "", invalid(field, "names no user")
	}
	for name, values := range u.Query() {
		if name != "sslmode" || len(values) != 1 || !slices.Contains([]string{"disable", "require", "verify-ca", "verify-full"}, values[0]) {
			return "", invalid(field, "of the parameters only sslmode is taken, which is disable, require, verify-ca or verify-full")
		}
	}
	if err := checkHost(field, u.Hostname(), guard); err != nil {
		return "", err
	}
	address := u.Host
	if u.Port() == "" {
		address = strings.TrimSuffix(u.Host, ":") + ":5432"
	} else if err := checkAddress(field, u.Host, nil); err != nil {
		return "", invalid(field, "has no port from 1 to 65535")
	}
	return address + "/" + strings.Trim(u.Path, "/"), nil
}

// reason returns what may be shown of an error.
func reason(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Detail
	}
	return err.Error()
}
