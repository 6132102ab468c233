package expect

import (
	"encoding/json"
	"strings"
	"testing"
)

// BenchmarkWorst measures what the limits leave to a pattern and to a path that are meant to cost.
func BenchmarkWorst(b *testing.B) {
	text := strings.Repeat("a", 64<<10)
	for _, pattern := range []string{"(?:a?){99}b", "(a|aa|a?a){20}$x", "[a-z]*[a-z]*[a-z]*[a-z]*[a-z]*[a-z]*b", "(?:a*)*b", "a{190}b", "((a*)(a*)(a*)){19}b"} {
		b.Run(pattern, func(b *testing.B) {
			re, err := Pattern(pattern)
			if err != nil {
				b.Skip(err)
			}
			for b.Loop() {
				if re.MatchString(text) {
					b.Fatal("it matches")
				}
			}
		})
	}
	deep := strings.Repeat("[", 99) + strings.Repeat("1,", 32<<10) + "1" + strings.Repeat("]", 99)
	wide := "[" + strings.Repeat(`{"a":{"b":1}},`, 4600) + "0]"
	for name, document := range map[string]string{"deep": deep, "wide": wide} {
		var v any
		if err := json.Unmarshal([]byte(document), &v); err != nil {
			b.Fatal(err)
		}
		for _, expression := range []string{"$..*", "$..[?@.a.b == 1]", "$..[?length(@) > 3]"} {
			b.Run(name+" "+expression, func(b *testing.B) {
				path, err := Path(expression)
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					path.Select(v)
				}
			})
		}
	}
}
