package scrub_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/scrub"
)

func TestCompile_Errors(t *testing.T) {
	t.Parallel()
	many := func(n int, s string) []string { return strings.Split(strings.Repeat(s+" ", n-1)+s, " ") }
	for _, tt := range []struct {
		name, says string
		rules      scrub.Rules
	}{
		{"too many keys", "safe_keys has 101 entries", scrub.Rules{SafeKeys: many(101, "a")}},
		{"an empty key", "extra_keys[1]", scrub.Rules{ExtraKeys: []string{"a", ""}}},
		{"only a star", "extra_keys[0]", scrub.Rules{ExtraKeys: []string{"**"}}},
		{"a star within", "extra_keys[0]", scrub.Rules{ExtraKeys: []string{"a*b"}}},
		{"a long key", "extra_keys[0] has 101 bytes", scrub.Rules{ExtraKeys: []string{strings.Repeat("a", 101)}}},
		{"too many patterns", "extra_patterns has 21 entries", scrub.Rules{ExtraPatterns: many(21, "a")}},
		{"a long pattern", "extra_patterns[0] has 501 bytes", scrub.Rules{ExtraPatterns: []string{strings.Repeat("a", 501)}}},
		{"no pattern", "extra_patterns[0] is not a regular expression", scrub.Rules{ExtraPatterns: []string{"("}}},
		{"an empty match", "matches the empty text", scrub.Rules{ExtraPatterns: []string{"a*"}}},
		{"many repeats", "repeats too much", scrub.Rules{ExtraPatterns: []string{"a{999}b{999}c{999}"}}},
		{"too many paths", "remove has 51 entries", scrub.Rules{Remove: many(51, "extra.a")}},
		{"an empty part", "remove[0] has an empty part", scrub.Rules{Remove: []string{"extra..a"}}},
		{"an unknown root", "remove[0] must begin with one of tags", scrub.Rules{Remove: []string{"order.id"}}},
		{"all exceptions", "nothing to group", scrub.Rules{Remove: []string{"exception"}}},
		{"a long path", "at most 200 bytes", scrub.Rules{Remove: []string{"extra." + strings.Repeat("a", 200)}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := scrub.Compile(tt.rules)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
		})
	}
}

func TestRules_AreJSON(t *testing.T) {
	t.Parallel()
	want := scrub.Rules{
		Defaults: true, Emails: true, IPs: true, SafeKeys: []string{"a"}, ExtraKeys: []string{"b"}, ExtraPatterns: []string{"c"}, Remove: []string{"extra.d"},
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got scrub.Rules
	if err := json.Unmarshal(text, &got); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%s became %+v, %v", text, got, err)
	}
	if text, _ := json.Marshal(scrub.DefaultRules()); string(text) != `{"defaults":true}` {
		t.Errorf("the defaults are %s", text)
	}
}
