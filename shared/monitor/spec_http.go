package monitor

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mesherhq/mesher/shared/outbound"
)

// methods are those that a monitor may use.
var methods = [...]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// check checks the request and what is expected of its answer. values are those of the headers, in their order.
func (c *HTTPConfig) check(timeout int, values []string, guard Guard) error {
	return first(
		c.checkURL(guard),
		c.checkMethod(),
		c.checkHeaders(values),
		checkText("body", c.Body, bodyMost),
		c.checkStatuses(),
		c.checkThresholds(timeout),
		c.checkConditions(),
	)
}

func (c *HTTPConfig) checkURL(guard Guard) error {
	if err := checkText("url", c.URL, urlMost); err != nil {
		return err
	}
	u, err := url.Parse(c.URL)
	switch {
	case c.URL == "":
		return invalid("url", "is missing")
	case err != nil:
		return invalid("url", "is not a URL such as https://example.com/health")
	case u.Scheme != "http" && u.Scheme != "https":
		return invalid("url", "begins neither with http:// nor with https://")
	case u.User != nil:
		return invalid("url", "holds a user or password, which everybody could read; send them as the header Authorization, in secrets.headers")
	case u.Fragment != "":
		return invalid("url", "has a part after #, which is never sent; leave it out")
	case u.Hostname() == "":
		return invalid("url", "names no host")
	}
	if port, err := strconv.Atoi(u.Port()); strings.HasSuffix(u.Host, ":") || u.Port() != "" && (err != nil || port < 1 || port > 65535) {
		return invalid("url", "has no port from 1 to 65535 after the colon")
	}
	if err := checkHost("url", u.Hostname(), guard); err != nil || guard == nil {
		return err
	}
	if err := guard.CheckURL(u); err != nil {
		return invalid("url", "%s", reason(err))
	}
	return nil
}

func (c *HTTPConfig) checkMethod() error {
	switch {
	case !slices.Contains(methods[:], c.Method):
		return invalid("method", "%q is none of %s", clip(c.Method), strings.Join(methods[:], ", "))
	case c.Method == http.MethodHead && c.Body != "":
		return invalid("body", "a HEAD request has none; use another method, or leave the body out")
	case c.Method == http.MethodHead && len(c.BodyText)+len(c.JSON) > 0:
		return invalid("method", "the answer to HEAD has no body, so conditions of the body could never be met; use GET")
	case c.Redirects < 0 || c.Redirects > redirectsMost:
		return invalid("redirects", "%d is not from 0 to %d", c.Redirects, redirectsMost)
	}
	return nil
}

func (c *HTTPConfig) checkHeaders(values []string) error {
	if len(c.Headers) > headersMost {
		return invalid("headers", "%d headers; at most %d are allowed", len(c.Headers), headersMost)
	}
	for i, name := range c.Headers {
		switch {
		case !headerToken(name):
			return invalid("headers", "%q is not the name of a header", clip(name))
		case slices.ContainsFunc(c.Headers[:i], func(other string) bool { return strings.EqualFold(other, name) }):
			return invalid("headers", "%s stands there twice", name)
		case len(values[i]) > headerMost:
			return invalid("headers", "the value of %s has %d bytes; at most %d are allowed", name, len(values[i]), headerMost)
		}
		if err := outbound.CheckHeader(name, values[i]); err != nil {
			return invalid("headers", "%s", reason(err))
		}
	}
	return nil
}

// headerToken reports whether s can be the name of a header.
func headerToken(s string) bool {
	return s != "" && len(s) <= 200 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~") == ""
}

// followed are the statuses after which a client goes elsewhere.
var followed = [...]int{301, 302, 303, 307, 308}

func (c *HTTPConfig) checkStatuses() error {
	if len(c.Statuses) > valuesMost {
		return invalid("statuses", "%d entries; at most %d are allowed", len(c.Statuses), valuesMost)
	}
	seen, body := len(c.Statuses) == 0, len(c.Statuses) == 0
	for _, text := range c.Statuses {
		from, to, ok := StatusRange(text)
		if !ok {
			return invalid("statuses", "%q is neither a status from 200 to 599 such as 200, nor all of a class such as 2xx, nor a range such as 200-299", clip(text))
		}
		for s := from; s <= to; s++ {
			seen = seen || c.Redirects == 0 || !slices.Contains(followed[:], s)
			body = body || s != http.StatusNoContent && s != http.StatusResetContent && s != http.StatusNotModified
		}
	}
	switch {
	case !seen:
		return invalid("statuses", "only redirects are expected, but up to %d are followed, so none would be seen; set redirects to 0", c.Redirects)
	case !body && len(c.JSON) > 0:
		return invalid("statuses", "an answer of these statuses has no body, so json_conditions could never be met")
	case !body && slices.ContainsFunc(c.BodyText, Condition.needsText):
		return invalid("statuses", "an answer of these statuses has no body, so body_conditions could never be met")
	}
	return nil
}

// StatusRange reads an entry of HTTPConfig.Statuses: the first and the last status that it allows.
func StatusRange(text string) (from, to int, ok bool) {
	if class, is := strings.CutSuffix(text, "xx"); is {
		n, err := strconv.Atoi(class)
		return n * 100, n*100 + 99, err == nil && len(class) == 1 && n >= 2 && n <= 5
	}
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		last = first
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	return from, to, err1 == nil && err2 == nil && len(first) == 3 && len(last) == 3 && from >= 200 && from <= to && to <= 599
}

func (c *HTTPConfig) checkThresholds(timeout int) error {
	switch {
	case c.DownAfterMS < 0 || c.DownAfterMS > timeout:
		return invalid("down_after_ms", "%d is not from 1 to the timeout of %d milliseconds; 0: never", c.DownAfterMS, timeout)
	case c.DownAfterMS > 0 && c.DegradedAfterMS >= c.DownAfterMS:
		return invalid("degraded_after_ms", "%d is not below down_after_ms, which is %d", c.DegradedAfterMS, c.DownAfterMS)
	case c.ExpiryDays < 0 || c.ExpiryDays > certificateMost:
		return invalid("certificate_days", "%d is not from 1 to %d, the longest that a certificate is valid; 0: it is not looked at", c.ExpiryDays, certificateMost)
	case c.ExpiryDays > 0 && strings.HasPrefix(strings.ToLower(c.URL), "http://"):
		return invalid("certificate_days", "an http:// URL has no certificate, so this could never be met; use https://, or leave it out")
	}
	return checkDegraded("degraded_after_ms", c.DegradedAfterMS, timeout)
}
