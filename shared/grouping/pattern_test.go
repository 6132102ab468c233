package grouping

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzPattern compares patterns with regular expressions that mean the same.
func FuzzPattern(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("*", "")
	f.Add("ö?*?", "öab")
	f.Add("*a?*a", "aaaa")
	f.Add("a**b", "ab")
	f.Add("*?", "é")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(text) || len(pattern) > 500 {
			return
		}
		expression := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
		want := text != "" && regexp.MustCompile(`\A(?s:`+expression+`)\z`).MatchString(text)
		if got := parsePattern(pattern).matches(text); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, text, got, want)
		}
	})
}
