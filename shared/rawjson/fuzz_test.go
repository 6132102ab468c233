package rawjson_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// seeds are texts near every decision the cleaner takes.
var seeds = []string{
	`{"a":[1,2.5e-3,-0,"x"],"b":{"c":null,"d":true}}`, ` [ { } , [ ] , "" ] `, `"\u0000\ud800\udfff\ud83d\ude00\uD83Dx"`,
	"\"\xff\xc3\xa9\xed\xa0\x80\"", `1e400000`, `-12.5E+1001`, `{"a":1,"a":2}`, `"\\u0000\/\b\f\n\r\t\""`, `01`, `1.`, `[1,]`, `{"a":}`,
	`"12345678\`, `"1234567\u12`, "\"tab\t\"", `nul`, `tru e`, "\ufeff{}", `{"\u0061":"\u00e9"}`, `[[[[[[[[]]]]]]]]`,
}

func FuzzClean(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, n, replaced, err := rawjson.Clean(nil, in, 1000, unlimited)
		whole := err == nil && len(bytes.Trim(in[n:], " \t\r\n")) == 0
		if valid := json.Valid(in); valid != whole {
			t.Fatalf("Clean accepts %v (%v), encoding/json %v: %q", whole, err, valid, in)
		}
		if err != nil {
			return
		}
		if !json.Valid(out) || !utf8.Valid(out) || bytes.ContainsAny(out, "\n\r\x00") {
			t.Fatalf("not clean: %q", out)
		}
		if refused(out) {
			t.Fatalf("Postgres would refuse %q", out)
		}
		if replaced == 0 && !bytes.Contains(in, []byte(`\`)) && string(out) != compact(t, in[:n]) {
			t.Fatalf("Clean(%q) = %q, want the compact form", in, out)
		}
		if len(out) > 3*len(in) {
			t.Fatalf("%d bytes became %d", len(in), len(out))
		}
		if exact, _, _, err := rawjson.Clean([]byte("x"), in, 1000, len(out)); err != nil || string(exact[1:]) != string(out) {
			t.Fatalf("Clean(%q) within %d bytes = %q, %v", in, len(out), exact, err)
		}
		if _, _, _, err := rawjson.Clean([]byte("x"), in, 1000, len(out)-1); err == nil {
			t.Fatalf("Clean(%q) within %d bytes: no error", in, len(out)-1)
		}
		if again, _, more, err := rawjson.Clean(nil, out, 1000, unlimited); err != nil || more != 0 || !bytes.Equal(again, out) {
			t.Fatalf("not idempotent: %q then %q", out, again)
		}
		if err := rawjson.Check(out, 1000); err != nil {
			t.Fatalf("Check(%q) = %v", out, err)
		}
		if (rawjson.Check(in, 1000) == nil) != bytes.Equal(in, out) {
			t.Fatalf("Check and Clean differ about %q", in)
		}
		sameMeaning(t, in[:n], out)
	})
}

// refused reports whether an escape of NUL or of a lone surrogate is in text, by spelling all pairs out.
func refused(text []byte) bool {
	s := strings.ToLower(strings.ReplaceAll(string(text), `\\`, ""))
	for len(s) >= 6 {
		i := strings.Index(s, `\u`)
		if i < 0 {
			return false
		}
		s = s[i:]
		high := s[2] == 'd' && strings.IndexByte("89ab", s[3]) >= 0
		low := s[2] == 'd' && strings.IndexByte("cdef", s[3]) >= 0
		switch {
		case high && len(s) >= 12 && s[6:9] == `\ud` && strings.IndexByte("cdef", s[9]) >= 0:
			s = s[12:]
		case high, low, s[:6] == `\u0000`:
			return true
		default:
			s = s[6:]
		}
	}
	return false
}

// sameMeaning fails unless both texts unmarshal to the same value once numbers that were quoted and NUL are
// replaced in the first as well.
func sameMeaning(t *testing.T, in, out []byte) {
	t.Helper()
	if a, b := decoded(t, in), decoded(t, out); !reflect.DeepEqual(a, b) {
		t.Fatalf("%q means %v, %q means %v", in, a, out, b)
	}
}

func decoded(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return withoutNUL(v)
}

func withoutNUL(v any) any {
	clean := func(s string) string { return strings.ReplaceAll(s, "\x00", "\ufffd") }
	switch v := v.(type) {
	case string:
		return clean(v)
	case json.Number:
		return v.String()
	case []any:
		for i := range v {
			v[i] = withoutNUL(v[i])
		}
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, value := range v {
			m[clean(key)] = withoutNUL(value)
		}
		return m
	}
	return v
}

func FuzzWalk(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		walk(in) // walkers trust their input, but must not panic whatever it is
		out, _, _, err := rawjson.Clean(nil, in, 1000, unlimited)
		if err != nil {
			return
		}
		if got, want := walk(out), decoded(t, out); !reflect.DeepEqual(got, want) {
			t.Fatalf("walked %v, encoding/json has %v, in %q", got, want, out)
		}
	})
}

// walk builds a tree by the walkers alone, as decoded does by encoding/json.
func walk(raw []byte) any {
	switch rawjson.KindOf(raw) {
	case rawjson.ObjectKind:
		m := map[string]any{}
		for key, value := range rawjson.Object(raw) {
			m[rawjson.Unquote(key)] = walk(value)
		}
		return m
	case rawjson.ArrayKind:
		list := []any{}
		for _, value := range rawjson.Array(raw) {
			list = append(list, walk(value))
		}
		return list
	case rawjson.String:
		if size := rawjson.StringSize(rawjson.Unquote(raw)); size > len(raw) && rawjson.Check(raw, 1) == nil {
			panic("a string grew: " + string(raw))
		}
		return rawjson.Unquote(raw)
	case rawjson.Bool:
		return raw[0] == 't'
	case rawjson.Null, rawjson.Invalid:
		return nil
	}
	return string(raw)
}

func FuzzAppendString(f *testing.F) {
	f.Add("plain")
	f.Add("\x00\xff\"\\\n\u2028\U0001f600")
	f.Fuzz(func(t *testing.T, s string) {
		quoted := rawjson.AppendString(nil, s)
		if err := rawjson.Check(quoted, 1); err != nil {
			t.Fatalf("%q is not clean: %v", quoted, err)
		}
		if got := rawjson.StringSize(s); got != len(quoted) {
			t.Fatalf("StringSize(%q) = %d, want %d", s, got, len(quoted))
		}
		if again := rawjson.AppendString(nil, rawjson.Unquote(quoted)); len(again) > len(quoted) {
			t.Fatalf("%q became %q", quoted, again)
		}
		var want string
		if err := json.Unmarshal(quoted, &want); err != nil {
			t.Fatal(err)
		}
		if got := rawjson.Unquote(quoted); got != want {
			t.Fatalf("Unquote(%q) = %q, want %q", quoted, got, want)
		}
		if utf8.ValidString(s) && !strings.Contains(s, "\x00") && want != s {
			t.Fatalf("%q became %q", s, want)
		}
	})
}
