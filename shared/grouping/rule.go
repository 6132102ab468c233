package grouping

import (
	"unicode/utf8"

	"github.com/mesherhq/mesher/shared/fault"
)

// Limits of the rules of a project. Lengths are in characters.
const (
	MostRules     = 200
	MostMatchers  = 10 // of one rule
	MostParts     = 32 // of one fingerprint
	LongestText   = 500
	longestTested = 2048 // bytes of a value that a pattern is held against
)

// Rule says how the events that it matches are grouped. Fingerprint and Title may hold placeholders, with or
// without spaces within the braces:
//
//	{{ default }}                  the parts the event has without rules; only as a whole part
//	{{ type }}                     type of the exception that was captured
//	{{ value }}, {{ message }}     its value, or the message; normalised in a fingerprint
//	{{ function }}, {{ module }}   of the innermost in-app frame; normalised in a fingerprint
//	{{ transaction }}, {{ level }}, {{ logger }}, {{ release }}, {{ environment }}, {{ platform }}
//	{{ tags.name }}                a tag
//
// What an event does not have becomes "<no type>", "<no release>" and so on. Other placeholders stay text. The same
// placeholders work in the fingerprint that a client sends.
type Rule struct {
	Matchers    []Matcher `json:"matchers"` // all must match
	Fingerprint []string  `json:"fingerprint"`
	Title       string    `json:"title,omitempty"` // of the issues; empty: the usual title
}

// Matcher holds one field of an event against a pattern, in which * stands for any text and ? for one character.
// The whole value must match; capitals count. Fields:
//
//	type, value          of one and the same exception of the chain; value is also held against the message
//	message              the same as value
//	path, function, module   of one and the same frame; in a path \ counts as /
//	logger, level, release, environment, platform, transaction
//	tags.name            a tag
type Matcher struct {
	Field   string `json:"field"`
	Pattern string `json:"pattern"`
}

// Rules are the rules of a project, ready for use. They are safe for concurrent use. A nil *Rules has none.
type Rules struct{ rules []rule }

// rule is a Rule with its patterns parsed.
type rule struct {
	Rule
	index    int
	matchers []matcher
}

// CompileRules checks rules and makes them ready for use, in their order: the first that matches an event decides.
// An error is a *fault.Error of kind Invalid that names the rule, counted from 1.
func CompileRules(rules []Rule) (*Rules, error) {
	if len(rules) > MostRules {
		return nil, fault.New(fault.Invalid, "%d rules, at most %d are possible", len(rules), MostRules)
	}
	compiled := &Rules{rules: make([]rule, 0, len(rules))}
	for i, r := range rules {
		c := rule{Rule: r, index: i}
		if err := c.check(i + 1); err != nil {
			return nil, err
		}
		compiled.rules = append(compiled.rules, c)
	}
	return compiled, nil
}

// check checks rule number n and parses its matchers.
func (r *rule) check(n int) error {
	switch {
	case len(r.Matchers) == 0:
		return fault.New(fault.Invalid, "rule %d needs a matcher; one with the pattern * matches every event that has the field", n)
	case len(r.Matchers) > MostMatchers:
		return fault.New(fault.Invalid, "rule %d has %d matchers, at most %d are possible", n, len(r.Matchers), MostMatchers)
	case len(r.Fingerprint) == 0:
		return fault.New(fault.Invalid, `rule %d needs a fingerprint; ["{{ default }}"] keeps the usual one`, n)
	case len(r.Fingerprint) > MostParts:
		return fault.New(fault.Invalid, "the fingerprint of rule %d has %d parts, at most %d are possible", n, len(r.Fingerprint), MostParts)
	case !fits(r.Title):
		return fault.New(fault.Invalid, "the title of rule %d is not text of at most %d characters", n, LongestText)
	}
	for i, part := range r.Fingerprint {
		if part == "" || !fits(part) {
			return fault.New(fault.Invalid, "part %d of the fingerprint of rule %d is not text of 1 to %d characters", i+1, n, LongestText)
		}
	}
	for i, m := range r.Matchers {
		parsed, ok := parseMatcher(m)
		if !ok {
			return fault.New(fault.Invalid, "matcher %d of rule %d is for an unknown field %.60q; fields are %s", i+1, n, m.Field, fieldNames)
		}
		if m.Pattern == "" || !fits(m.Pattern) {
			return fault.New(fault.Invalid, "the pattern of matcher %d of rule %d is not text of 1 to %d characters", i+1, n, LongestText)
		}
		r.matchers = append(r.matchers, parsed)
	}
	return nil
}

// fits reports whether s is text within the limit, without the byte that ends a part.
func fits(s string) bool {
	for i := range len(s) {
		if s[i] == 0 {
			return false
		}
	}
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= LongestText
}
