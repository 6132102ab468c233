package monitor

import (
	"math"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/mesherhq/mesher/shared/expect"
)

// checkConditions checks all conditions of an answer, and that those of the same thing do not contradict each other.
func (c *HTTPConfig) checkConditions() error {
	for _, group := range []struct {
		field string
		of    []Condition
		name  func(string) (key string, one bool, err error)
	}{
		{"body_conditions", c.BodyText, bodyName},
		{"json_conditions", c.JSON, pathName},
		{"header_conditions", c.Header, headerName},
	} {
		if len(group.of) > conditionsMost {
			return invalid(group.field, "%d conditions; at most %d are allowed", len(group.of), conditionsMost)
		}
		same := map[string][]Condition{}
		for i, condition := range group.of {
			key, one, err := group.name(condition.Name)
			if err = first(err, condition.check()); err != nil {
				return at(err, "%s[%d]", group.field, i)
			}
			for _, other := range same[key] {
				// Of several values each condition may mean another one, but for what must hold of all.
				if !one && !condition.ofAll() && !other.ofAll() {
					continue
				}
				if why := contradict(condition, other); why != "" {
					return at(invalid("", "%s, so it could never be healthy", why), "%s[%d]", group.field, i)
				}
			}
			same[key] = append(same[key], condition)
		}
	}
	return nil
}

// bodyName returns what the conditions of a body are about: all of the same text.
func bodyName(name string) (string, bool, error) {
	if name != "" {
		return "", false, invalid("name", "a condition of the body has no name; use json_conditions to look into it")
	}
	return "", true, nil
}

// pathName returns what a path is called, and whether it leads to one value at most.
func pathName(name string) (string, bool, error) {
	if err := checkText("name", name, textMost); err != nil {
		return "", false, err
	}
	path, err := expect.Path(name)
	if err != nil {
		return "", false, invalid("name", "%q: %s", clip(name), reason(err))
	}
	return path.String(), path.Query().Singular() != nil, nil
}

func headerName(name string) (string, bool, error) {
	if !headerToken(name) {
		return "", false, invalid("name", "%q is not the name of a header", clip(name))
	}
	return textproto.CanonicalMIMEHeaderKey(name), false, nil // it may come several times
}

func (c Condition) check() error {
	if err := checkText("value", c.Value, textMost); err != nil {
		return err
	}
	switch c.Op {
	case Exists, Missing:
		if c.Value != "" {
			return invalid("value", "%s compares with nothing; leave the value out", c.Op)
		}
	case Equals, NotEquals:
	case Contains, NotContains:
		if c.Value == "" {
			return invalid("value", "is missing: every text contains an empty one")
		}
	case Matches:
		if _, err := expect.Pattern(c.Value); err != nil {
			return invalid("value", "%s", reason(err))
		}
	case Greater, Less:
		if _, err := number(c.Value); err != nil {
			return invalid("value", "%q is not a number", clip(c.Value))
		}
	default:
		return invalid("op", "there is no operator %q; it is one of equals, not_equals, contains, not_contains, matches, greater, less, exists and missing",
			clip(string(c.Op)))
	}
	return nil
}

func number(text string) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err == nil && (math.IsNaN(n) || math.IsInf(n, 0)) {
		err = strconv.ErrRange
	}
	return n, err
}

// needsText reports whether no empty text meets the condition.
func (c Condition) needsText() bool {
	switch c.Op {
	case Missing, NotEquals, NotContains:
		return false
	case Equals:
		return c.Value != ""
	case Matches:
		re, err := expect.Pattern(c.Value)
		return err == nil && !re.MatchString("")
	case Contains, Greater, Less, Exists:
	}
	return true
}

// contradict says why two conditions of the same thing can never both be met; "": they can, as far as is known.
func contradict(a, b Condition) string {
	switch {
	case a.Op == Missing && b.needsValue():
		return "it is to be missing, and to be there as well"
	case b.Op == Missing && a.needsValue():
		return "it is to be missing, and to be there as well"
	case a.Op == Equals && !b.allows(a.Value):
		return "what equals " + strconv.Quote(clip(a.Value)) + " is refused by the condition " + b.shown()
	case b.Op == Equals && !a.allows(b.Value):
		return "what equals " + strconv.Quote(clip(b.Value)) + " is refused by the condition " + a.shown()
	case a.Op == Contains && b.Op == NotContains && strings.Contains(a.Value, b.Value),
		b.Op == Contains && a.Op == NotContains && strings.Contains(b.Value, a.Value):
		return "what contains the one text contains the other one too"
	case a.Op == Greater && b.Op == Less && !between(a.Value, b.Value), b.Op == Greater && a.Op == Less && !between(b.Value, a.Value):
		return "no number is greater than the one and less than the other"
	}
	return ""
}

// ofAll reports whether every value has to meet the condition, where there are several; of the others one is enough.
func (c Condition) ofAll() bool { return c.Op == NotEquals || c.Op == NotContains || c.Op == Missing }

// needsValue reports whether what is missing cannot meet the condition.
func (c Condition) needsValue() bool {
	return c.Op != Missing && c.Op != NotEquals && c.Op != NotContains
}

// allows reports whether a value meets the condition.
func (c Condition) allows(value string) bool {
	switch c.Op {
	case Equals:
		return value == c.Value
	case NotEquals:
		return value != c.Value
	case Contains:
		return strings.Contains(value, c.Value)
	case NotContains:
		return !strings.Contains(value, c.Value)
	case Matches:
		re, err := expect.Pattern(c.Value)
		return err == nil && re.MatchString(value)
	case Greater, Less:
		n, err := number(value)
		limit, _ := number(c.Value) // was checked
		return err == nil && (c.Op == Greater && n > limit || c.Op == Less && n < limit)
	case Missing:
		return false
	case Exists:
	}
	return true
}

func (c Condition) shown() string {
	if c.Value == "" {
		return string(c.Op)
	}
	return string(c.Op) + " " + strconv.Quote(clip(c.Value))
}

// between reports whether there is a number above the one and below the other.
func between(above, below string) bool {
	low, _ := number(above) // were checked
	high, _ := number(below)
	return low < high
}
