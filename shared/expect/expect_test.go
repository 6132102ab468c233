package expect

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/fault"
)

func TestPattern(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"ok", "^v[0-9]+\\.[0-9]+$", "(?i)healthy|fine", "\\d{1,100}", "[^a]*", "(a|b){10}", "\\p{L}+", "(?:a?){100}", strings.Repeat("a", 200)} {
		if _, err := Pattern(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{
		"", "(", "a{1001}", "(a{100}){100}", "((a{30}){30}){30}", strings.Repeat("a", 201), strings.Repeat("a", 1001), "(?:x{500}y{500})", "a{201,}",
		"(a|bc){100}", "(?:a?){101}", "(?=a)", "\\1",
	} {
		if _, err := Pattern(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: got %v, want invalid", text, err)
		}
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"$":                               `[{"a":[1,2,{"b":"x"}],"c":"a,..*","n":{"name":"db","up":true}}]`,
		"$.a":                             "[[1,2,{\"b\":\"x\"}]]",
		"$.a[0]":                          "[1]",
		"$.a[-1].b":                       `["x"]`,
		"$.a[0:2]":                        "[1,2]",
		"$..b":                            `["x"]`,
		"$['c']":                          `["a,..*"]`,
		"$[?@.name == 'db'].up":           "[true]",
		"$[?@ == 'a,..*']":                `["a,..*"]`,
		"$[?length(@.name) == 2]":         `[{"name":"db","up":true}]`,
		"$.n[?@ == 'say \\'..\\' twice']": "[]",
		"$.none":                          "[]",
	} {
		path, err := Path(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var document any
		if err := json.Unmarshal([]byte(`{"a":[1,2,{"b":"x"}],"c":"a,..*","n":{"name":"db","up":true}}`), &document); err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal([]any(path.Select(document)))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s (%v), want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "status", "$.", "$[", "$..*..*", "$..[*]..a", "$[0,0]", "$[0,0][0,0][0,0]", "$['a','b']", "$[?@..a]", "$[?@.*]", "$[?$..a == 1]",
		"$[?@[?@.a]]", "$[?match(@.a, 'b')]", "$[?search(@.a, $.b)]", "$[?@[0:9]]", "$[?count(@..*) > 1]", "$[?value(@..a) == 1]",
		"$" + strings.Repeat(".a", 500),
	} {
		if _, err := Path(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v, want invalid", text, err)
		}
	}
}

// FuzzPath looks for paths whose cost is not in proportion to the document.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"$", "$..a", "$[?@.a == 1]", "$..[?@ > 1]", "$.a[0:5:2]", "$..*", "$[*][*]", "$[?@['a','b']]"} {
		f.Add(s)
	}
	var wide any
	document := "[" + strings.Repeat(`[1,{"a":[2,3]}],`, 40) + "0]"
	if err := json.Unmarshal([]byte(document), &wide); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path, err := Path(text)
		if err != nil {
			return
		}
		if n := len(path.Select(wide)); n > len(document) {
			t.Errorf("%q finds %d values in a document of %d bytes", text, n, len(document))
		}
	})
}
