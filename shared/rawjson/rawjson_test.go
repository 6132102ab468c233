package rawjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// unlimited is how many bytes of clean text most tests allow.
const unlimited = 1 << 30

func TestClean(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("7", 401)
	tests := []struct {
		name, in, want string
		replaced       int
	}{
		{"drops white space outside strings", " { \"a b\" : [ 1 ,\n2 ] ,\t\"c\" : { } }\r\n", `{"a b":[1,2],"c":{}}`, 0},
		{"copies compact text as it is", `{"a":[true,false,null,-1.5e+3,"é\n"]}`, `{"a":[true,false,null,-1.5e+3,"é\n"]}`, 0},
		{"reads one value only", `{"a":1} {"a":2}`, `{"a":1}`, 0},
		{"keeps keys that occur twice", `{"a":1,"a":2}`, `{"a":1,"a":2}`, 0},
		{"keeps a surrogate pair", `"\ud83d\uDE00"`, `"\ud83d\uDE00"`, 0},
		{"writes plainly what needs no escape", `"\u0061\/\u003C\u0022\u005c\u007f\u00e9"`, `"a/<\u0022\u005c\u007f\u00e9"`, 0},
		{"replaces an escaped NUL", `"a\u0000b"`, `"a\ufffdb"`, 1},
		{"replaces NUL in a key", `{"\u0000":0}`, `{"\ufffd":0}`, 1},
		{"leaves an escaped backslash before u0000", `"\\u0000"`, `"\\u0000"`, 0},
		{"replaces lone surrogates", `"\ud800 \uDFFF \ud83d\ud83d\ude00 \ud83dx"`, `"\ufffd \ufffd \ufffd\ud83d\ude00 \ufffdx"`, 4},
		{"replaces invalid UTF-8 byte by byte", "\"a\xff\xc3(\xed\xa0\x80\"", "\"a\ufffd\ufffd(\ufffd\ufffd\ufffd\"", 5},
		{"keeps U+FFFD that was sent", "\"\ufffd\"", "\"\ufffd\"", 0},
		{"quotes a number of too many digits", long, `"` + long + `"`, 1},
		{"quotes a number with a huge exponent", `[1e400000,-1E-1001,1e1000]`, `["1e400000","-1E-1001",1e1000]`, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, n, replaced, err := rawjson.Clean([]byte("x"), []byte(tt.in), 10, unlimited)
			if err != nil || string(got) != "x"+tt.want || replaced != tt.replaced {
				t.Errorf("Clean(%q) = %q, replaced %d, %v; want %q, replaced %d", tt.in, got, replaced, err, "x"+tt.want, tt.replaced)
			}
			if rest := strings.TrimSpace(tt.in[n:]); rest != "" && rest[0] != '{' {
				t.Errorf("Clean(%q) left %q", tt.in, rest)
			}
			if err := rawjson.Check(got[1:], 10); err != nil {
				t.Errorf("Check(%q) = %v, want nil", got[1:], err)
			}
		})
	}
}

func TestCleanRefusesWhatBecomesTooLong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		most     int
		ok       bool
	}{
		{"copied text at the limit", `[1,2]`, 5, true},
		{"copied text above it", `[1,2]`, 4, false},
		{"replaced text at the limit", "\"\xff\xff\"", 8, true},
		{"replaced text above it", "\"\xff\xff\"", 7, false},
		{"text that shrinks to the limit", `[ 1 , 2 ]`, 5, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _, _, err := rawjson.Clean([]byte("before"), []byte(tt.in), 3, tt.most)
			var syntax *rawjson.SyntaxError
			if (err == nil) != tt.ok || !tt.ok && (!errors.As(err, &syntax) || syntax.Msg != rawjson.TooLong || string(got) != "before") {
				t.Errorf("Clean(%q) = %q, %v", tt.in, got, err)
			}
		})
	}
}

func TestCleanSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{``, "unexpected end: expected a value (at byte 0)"},
		{`{`, "unexpected end: expected a key in double quotes (at byte 1)"},
		{`{"a"`, "unexpected end: expected ':' after a key (at byte 4)"},
		{`{"a":1`, "unexpected end: expected ',' or '}' after a value in an object (at byte 6)"},
		{`{"a":1 "b":2}`, "expected ',' or '}' after a value in an object (at byte 7)"},
		{`{"a":1,}`, "expected a key in double quotes (at byte 7)"},
		{`{a:1}`, "expected a key in double quotes (at byte 1)"},
		{`{"a" 1}`, "expected ':' after a key (at byte 5)"},
		{`[1,]`, "expected a value (at byte 3)"},
		{`[1 2]`, "expected ',' or ']' after a value in an array (at byte 3)"},
		{`['a']`, "strings need double quotes (at byte 1)"},
		{`"abc`, "unexpected end: unterminated string (at byte 0)"},
		{`"abc\`, "unexpected end: unterminated string (at byte 5)"},
		{"\"a\nb\"", "a control character in a string must be escaped (at byte 2)"},
		{`"\x41"`, `unknown escape in a string: a backslash is written \\ (at byte 1)`},
		{`"\u12g4"`, `\u needs four hexadecimal digits (at byte 1)`},
		{`01`, "a number may not begin with 0 (at byte 0)"},
		{`-`, "unexpected end: expected a digit after '-' (at byte 1)"},
		{`1.x`, "expected a digit after '.' (at byte 2)"},
		{`1e+`, "unexpected end: expected a digit in the exponent (at byte 3)"},
		{`True`, "expected a value (at byte 0)"},
		{`nil`, "expected a value: a word other than true, false and null needs double quotes (at byte 0)"},
		{`[[[[1]]]]`, "nested too deeply (at byte 3)"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			_, _, _, err := rawjson.Clean(nil, []byte(tt.in), 3, unlimited)
			var syntax *rawjson.SyntaxError
			if !errors.As(err, &syntax) || syntax.Error() != tt.want {
				t.Errorf("Clean(%q) error = %v, want %s", tt.in, err, tt.want)
			}
		})
	}
}

func TestCheckRefusesWhatCleanWouldChange(t *testing.T) {
	t.Parallel()
	for _, in := range []string{` 1`, `1 `, `{"a": 1}`, `"\u0000"`, `"\uD800"`, "\"\xff\"", `1e9999`, `"\/"`, `"\u0041"`, `1 2`, `{`, ``} {
		if err := rawjson.Check([]byte(in), 10); err == nil {
			t.Errorf("Check(%q) = nil, want an error", in)
		}
	}
}

func TestAppendString(t *testing.T) {
	t.Parallel()
	in := "\b\f\v a\"b\\c\n\t\r\x00\x1f\x7f é \xff\xe2\x82 \U0001f600 \u2028"
	want := `"\b\f\u000b a\"b\\c\n\t\r` + "\ufffd" + `\u001f` + "\x7f é \ufffd\ufffd\ufffd \U0001f600 \u2028" + `"`
	for _, got := range [][]byte{rawjson.AppendString(nil, in), rawjson.AppendString(nil, []byte(in))} {
		if string(got) != want {
			t.Errorf("AppendString = %q, want %q", got, want)
		}
		if err := rawjson.Check(got, 1); err != nil {
			t.Errorf("Check(%q) = %v", got, err)
		}
	}
}

func TestUnquote(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{`"plain"`, "plain"},
		{`plain`, "plain"},
		{`""`, ""},
		{``, ""},
		{`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t"},
		{`"\u00e9\ud83d\ude00\ufffd"`, "é\U0001f600\ufffd"},
		{`\"key\"`, `"key"`},
	}
	for _, tt := range tests {
		if got := rawjson.Unquote([]byte(tt.in)); got != tt.want {
			t.Errorf("Unquote(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestWalkersStopEarly(t *testing.T) {
	t.Parallel()
	var seen []string
	for key := range rawjson.Object([]byte(`{"a":[{"}":"]"}],"b":"\"","c":3}`)) {
		if seen = append(seen, string(key)); len(seen) == 2 {
			break
		}
	}
	for i := range rawjson.Array([]byte(`[1,[2,"]"],3]`)) {
		if i == 1 {
			break
		}
		seen = append(seen, "element")
	}
	if got := strings.Join(seen, " "); got != "a b element" {
		t.Errorf("walked %q", got)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	object := []byte(`{"a":1,"b":{"a":2},"a":[3]}`)
	for name, want := range map[string]string{"a": "[3]", "b": `{"a":2}`, "c": ""} {
		if got := string(rawjson.Lookup(object, name)); got != want {
			t.Errorf("Lookup(%q) = %q, want %q", name, got, want)
		}
	}
	if got := rawjson.Lookup([]byte(`[1]`), "a"); got != nil {
		t.Errorf("Lookup in an array = %q", got)
	}
}

// Not parallel: allocations of other tests would count.
func TestNothingAllocates(t *testing.T) {
	text := []byte(`{"a":[1,2,{"b":"c"}],"d":{"e":null}}`)
	dst := make([]byte, 0, 100)
	count := 0
	allocs := testing.AllocsPerRun(100, func() {
		out, _, _, _ := rawjson.Clean(dst, text, 10, unlimited)
		for _, value := range rawjson.Object(out) {
			for range rawjson.Array(value) {
				count++
			}
		}
		if rawjson.Check(out, 10) != nil {
			count = -1
		}
	})
	if allocs != 0 || count <= 0 {
		t.Errorf("%v allocations, count %d", allocs, count)
	}
}

// compact is what encoding/json makes of text, for comparison.
func compact(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
