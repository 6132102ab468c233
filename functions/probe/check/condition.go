package check

import (
	"context"
	"math"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mesherhq/mesher/shared/expect"
	"github.com/mesherhq/mesher/shared/monitor"
)

// statusOf compares the status with the expected ones: "200", "2xx" or "200-299"; none: 2xx.
func statusOf(a answer, expected []string) finding {
	if len(expected) == 0 {
		expected = []string{"2xx"}
	}
	for _, text := range expected {
		from, to, ok := statuses(text)
		if !ok {
			return down(monitor.CodeConfiguration, "%.20q is no status, class such as 2xx or range such as 200-299", text)
		}
		if a.status >= from && a.status <= to {
			return healthy()
		}
	}
	return down(monitor.CodeStatus, "the status is %d, expected %s", a.status, strings.Join(expected, ", "))
}

func statuses(text string) (from, to int, ok bool) {
	if class, is := strings.CutSuffix(text, "xx"); is {
		n, err := strconv.Atoi(class)
		return n * 100, n*100 + 99, err == nil && n >= 1 && n <= 5
	}
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		last = first
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	return from, to, err1 == nil && err2 == nil && from <= to
}

// conditions compares headers and body with what is expected of them. One takes a third of a second at worst, so that the time is
// looked at before each.
func (l *look) conditions(ctx context.Context, a answer, c *monitor.HTTPConfig) finding {
	for _, condition := range c.Header {
		if ctx.Err() != nil {
			return l.late()
		}
		values := a.header.Values(condition.Name)
		if f := l.meets(monitor.CodeHeader, "the header "+condition.Name, condition, values, !confidential(condition.Name)); f.status != monitor.Healthy {
			return f
		}
	}
	if len(c.BodyText)+len(c.JSON) == 0 {
		return healthy()
	}
	if a.unread != "" {
		return down(monitor.CodeEncoding, "the body is compressed as %s, which is not read, although nobody asked for it", clip(a.unread))
	}
	for _, condition := range c.BodyText {
		if ctx.Err() != nil {
			return l.late()
		}
		var text []string
		if len(a.body) > 0 {
			text = []string{string(a.body)}
		}
		// Nothing of the body is shown: what it holds beside what was looked for is nobody's business.
		if f := l.meets(monitor.CodeBody, "the body", condition, text, false); f.status != monitor.Healthy {
			return f
		}
	}
	if len(c.JSON) == 0 {
		return healthy()
	}
	return l.json(ctx, a, c.JSON)
}

// meets says whether the values of something meet a condition. One that says what is not there is met by all of them, the
// others by one of them. A value is shown when there is one and it is not secret.
func (l *look) meets(code, what string, c monitor.Condition, values []string, show bool) finding {
	holds, err := compile(c)
	if err != "" {
		return down(monitor.CodeConfiguration, "%s: %s", what, err)
	}
	met := slices.ContainsFunc(values, holds)
	switch c.Op {
	case monitor.Missing:
		met = len(values) == 0
	case monitor.NotEquals, monitor.NotContains:
		met = !slices.ContainsFunc(values, func(v string) bool { return !holds(v) })
	default:
	}
	if met {
		return healthy()
	}
	found := "is missing"
	switch {
	case len(values) > 1:
		found = "has " + strconv.Itoa(len(values)) + " values, none of them right"
	case len(values) == 1 && show && !l.reveals(values[0]):
		found = "is " + strconv.Quote(clip(values[0]))
	case len(values) == 1:
		found = "is something else"
	}
	wanted := strings.ReplaceAll(string(c.Op), "_", " ")
	if c.Value != "" {
		wanted += " " + strconv.Quote(clip(c.Value))
	}
	return down(code, "%s %s, expected: %s", what, found, wanted)
}

// compile returns what decides of one value, or what is wrong with the condition.
func compile(c monitor.Condition) (holds func(string) bool, wrong string) {
	switch c.Op {
	case monitor.Exists, monitor.Missing:
		return func(string) bool { return true }, ""
	case monitor.Equals:
		return func(v string) bool { return v == c.Value }, ""
	case monitor.NotEquals:
		return func(v string) bool { return v != c.Value }, ""
	case monitor.Contains:
		return func(v string) bool { return strings.Contains(v, c.Value) }, ""
	case monitor.NotContains:
		return func(v string) bool { return !strings.Contains(v, c.Value) }, ""
	case monitor.Matches:
		var pattern *regexp.Regexp
		pattern, err := expect.Pattern(c.Value)
		if err != nil {
			return nil, detail(err)
		}
		return pattern.MatchString, ""
	case monitor.Greater, monitor.Less:
		limit, ok := number(c.Value)
		if !ok {
			return nil, strconv.Quote(clip(c.Value)) + " is no number to compare with"
		}
		return func(v string) bool {
			n, ok := number(v)
			return ok && (c.Op == monitor.Greater && n > limit || c.Op == monitor.Less && n < limit)
		}, ""
	}
	return nil, "there is no operator " + strconv.Quote(clip(string(c.Op)))
}

func number(s string) (float64, bool) {
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// confidential reports headers whose values are never shown.
func confidential(name string) bool {
	name = strings.ToLower(textproto.TrimString(name))
	for _, word := range []string{"cookie", "auth", "token", "secret", "key", "session", "password", "signature", "location"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// reveals reports whether a value holds something of what was sent as a secret: a server may send back what it got.
func (l *look) reveals(value string) bool {
	for _, secret := range l.secrets.Headers {
		for _, part := range append(strings.Fields(secret), secret) {
			if part != "" && strings.Contains(value, part) || len(value) >= 4 && strings.Contains(part, value) {
				return true
			}
		}
	}
	return false
}

// clip shortens what is shown.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if runes := []rune(s[:min(len(s), 4*excerptMost)]); len(runes) > excerptMost {
		return strings.ToValidUTF8(string(runes[:excerptMost]), "") + "…"
	}
	return s
}
