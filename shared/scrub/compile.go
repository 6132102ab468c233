package scrub

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mesherhq/mesher/shared/fault"
)

// What Rules may hold: each entry costs time for each event.
const (
	mostKeys       = 100
	longestKey     = 100 // bytes
	mostPatterns   = 20
	longestPattern = 500  // bytes
	mostProgram    = 2000 // instructions of a compiled pattern: a{1000} is short to write
	mostPaths      = 50
	longestPath    = 200 // bytes
)

// Compile checks rules. An error is a fault.Invalid that says which entry is wrong and how to right it.
func Compile(rules Rules) (*Policy, error) {
	p := &Policy{defaults: rules.Defaults, emails: rules.Emails, ips: rules.IPs}
	var err error
	if p.safe, err = globs("safe_keys", rules.SafeKeys); err != nil {
		return nil, err
	}
	if p.extra, err = globs("extra_keys", rules.ExtraKeys); err != nil {
		return nil, err
	}
	if err := p.compilePatterns(rules.ExtraPatterns); err != nil {
		return nil, err
	}
	if err := p.compilePaths(rules.Remove); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Policy) compilePatterns(patterns []string) error {
	if len(patterns) > mostPatterns {
		return fault.New(fault.Invalid, "extra_patterns has %d entries, the limit is %d", len(patterns), mostPatterns)
	}
	for i, pattern := range patterns {
		if len(pattern) > longestPattern {
			return fault.New(fault.Invalid, "extra_patterns[%d] has %d bytes, the limit is %d", i, len(pattern), longestPattern)
		}
		re, err := regexp.Compile(pattern)
		if err != nil {
			return fault.New(fault.Invalid, "extra_patterns[%d] is not a regular expression of RE2: %s", i, err)
		}
		if re.MatchString("") {
			return fault.New(fault.Invalid, "extra_patterns[%d] matches the empty text, and so every text; ask for at least one character", i)
		}
		if programSize(pattern) > mostProgram {
			return fault.New(fault.Invalid, "extra_patterns[%d] repeats too much; lower the counts in its braces", i)
		}
		p.patterns = append(p.patterns, re)
	}
	return nil
}

// programSize returns how many instructions a valid pattern compiles to: the time of a match is that times the
// length of the text.
func programSize(pattern string) int {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0
	}
	return len(program.Inst)
}

// roots are the parts of an event that a path can begin with.
var roots = [...]string{
	"tags", "extra", "exception", "threads", "breadcrumbs", "user", "contexts", "request", "sdk",
	"transaction", "server_name", "logger",
}

func (p *Policy) compilePaths(paths []string) error {
	if len(paths) > mostPaths {
		return fault.New(fault.Invalid, "remove has %d entries, the limit is %d", len(paths), mostPaths)
	}
	for i, path := range paths {
		if len(path) > longestPath || !utf8.ValidString(path) {
			return fault.New(fault.Invalid, "remove[%d] must be valid UTF-8 of at most %d bytes", i, longestPath)
		}
		lower := asciiLower(path)
		parts := strings.Split(lower, ".")
		if slices.Contains(parts, "") {
			return fault.New(fault.Invalid, "remove[%d] has an empty part; write a path such as request.cookies", i)
		}
		if !slices.Contains(roots[:], parts[0]) {
			return fault.New(fault.Invalid, "remove[%d] must begin with one of %s; a field of your own is under extra",
				i, strings.Join(roots[:], ", "))
		}
		if lower == "exception" {
			return fault.New(fault.Invalid, "remove[%d] would leave nothing to group events by; name a part, such as exception.value", i)
		}
		p.remove, p.shown = append(p.remove, lower), append(p.shown, path)
	}
	return nil
}

// glob is the name of a key in lower case, with any text before or after it.
type glob struct {
	text        string
	before, aft bool
}

func globs(field string, keys []string) ([]glob, error) {
	if len(keys) > mostKeys {
		return nil, fault.New(fault.Invalid, "%s has %d entries, the limit is %d", field, len(keys), mostKeys)
	}
	var list []glob
	for i, key := range keys {
		if len(key) > longestKey {
			return nil, fault.New(fault.Invalid, "%s[%d] has %d bytes, the limit is %d", field, i, len(key), longestKey)
		}
		var g glob
		g.text, g.before = strings.CutPrefix(asciiLower(key), "*")
		g.text, g.aft = strings.CutSuffix(g.text, "*")
		if g.text == "" || strings.Contains(g.text, "*") {
			return nil, fault.New(fault.Invalid, "%s[%d] must be the name of a key, with * at its start or end only, not %q", field, i, key)
		}
		list = append(list, g)
	}
	return list, nil
}

// matches reports whether the glob stands for a key in lower case.
func (g *glob) matches(key string) bool {
	switch {
	case g.before && g.aft:
		return strings.Contains(key, g.text)
	case g.before:
		return strings.HasSuffix(key, g.text)
	case g.aft:
		return strings.HasPrefix(key, g.text)
	}
	return key == g.text
}

// asciiLower lowers the letters that the keys of secrets consist of, and keeps the length.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c-'A' < 26 {
			b[i] = c | 0x20
		}
	}
	return string(b)
}
