package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/fault"
)

func TestCutRecords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		want       []string
	}{
		{"one object", `{"a":1}`, []string{`{"a":1}`}},
		{"one object over several lines", "\n{\n \"a\": [1,\n 2]\n}\n", []string{"{\n \"a\": [1,\n 2]\n}"}},
		{"after a byte order mark", "\xef\xbb\xbf {}", []string{"{}"}},
		{"an array", `[{"a":1}, {"b":[2,"]"]} ,{}]`, []string{`{"a":1}`, `{"b":[2,"]"]}`, `{}`}},
		{"an array of one", " [\n{}\n]\n", []string{"{}"}},
		{"an array of what is no event", `[1,"a,]",null,[],[[1],2]]`, []string{"1", `"a,]"`, "null", "[]", "[[1],2]"}},
		{"one object a line", "{\"a\":1}\n{\"b\":2}\n", []string{`{"a":1}`, `{"b":2}`}},
		{"with Windows line ends and blank lines", "{\"a\":1}\r\n\r\n  {\"b\":2}\r\n", []string{`{"a":1}`, `{"b":2}`}},
		{"objects over several lines each", "{\n\"a\":1}\n{\n\"b\":2\n}", []string{"{\n\"a\":1}", "{\n\"b\":2\n}"}},
		{"objects without anything between", `{"a":1}{"b":2}`, []string{`{"a":1}`, `{"b":2}`}},
		{"objects with blanks between", "{\"a\":1} {\"b\":2}\t \r{}", []string{`{"a":1}`, `{"b":2}`, "{}"}},
		{"brackets and quotes inside of strings", `{"a":"}\"{","b\\":"\\"}{}`, []string{`{"a":"}\"{","b\\":"\\"}`, `{}`}},
		{"a line that is no JSON", "{\"a\":1}\nnonsense\n{\"b\":2}", []string{`{"a":1}`, "nonsense", `{"b":2}`}},
		{"a line that does not end", "{\"a\":\n{\"b\":2}\n{\"c\":3}\n", []string{`{"a":`, `{"b":2}`, `{"c":3}`}},
		{"a string that does not end", "{\"a\":\"x\n{\"b\":2}\n", []string{`{"a":"x`, `{"b":2}`}},
		{"something behind an object", "{\"a\":1} x\n{\"b\":2}", []string{`{"a":1} x`, `{"b":2}`}},
		{"one object that is cut off", "{\"a\":\n [1,", []string{"{\"a\":\n [1,"}},
		{"a closing bracket", "}\n{}", []string{"}", "{}"}},
		{"scalars", "1\n\"a\"\ntrue", []string{"1", `"a"`, "true"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := cutRecords([]byte(tt.body), 1000)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, asText(got)); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

func asText(records [][]byte) []string {
	var out []string
	for _, r := range records {
		out = append(out, string(r))
	}
	return out
}

func TestCutRecords_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		body, want string
		kind       fault.Kind
	}{
		{"", "the body is empty", fault.Invalid},
		{" \r\n\t", "the body is empty", fault.Invalid},
		{"\xef\xbb\xbf", "the body is empty", fault.Invalid},
		{"[]", "the array is empty", fault.Invalid},
		{"[", "cut off before its ] (at byte 1)", fault.Invalid},
		{"[{}", "cut off before its ] (at byte 3)", fault.Invalid},
		{"[{},", "cut off before its ] (at byte 4)", fault.Invalid},
		{`[{}`, "cut off before its ]", fault.Invalid},
		{`[{"a":1`, "an element of the array does not end (at byte 1)", fault.Invalid},
		{`[{} {}]`, "a comma or ] is missing after an element (at byte 4)", fault.Invalid},
		{`[{}] {}`, "something follows the array (at byte 5)", fault.Invalid},
		{`[,{}]`, "at byte 1", fault.Invalid},
		{strings.Repeat("{}\n", 4), "more than 3 events", fault.TooLarge},
		{"[{},{},{},{}]", "more than 3 events", fault.TooLarge},
	} {
		_, err := cutRecords([]byte(tt.body), 3)
		if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.20q: %v, want %s", tt.body, err, tt.want)
		}
	}
	for _, body := range []string{"[{},{},{}]", "{}\n{}\n{}\n"} {
		if got, err := cutRecords([]byte(body), 3); err != nil || len(got) != 3 {
			t.Errorf("%q: %d records, %v", body, len(got), err)
		}
	}
}

// TestCutRecords_TakesLinearTime would not end in the test's time if the time grew faster than the body.
func TestCutRecords_TakesLinearTime(t *testing.T) {
	t.Parallel()
	parts := []string{
		"{\n", "{", "[", "}", "]", "\"", "\\", "{\"", "{\"a\":\"", "[{}", "{}", "{} ", "{}\n", "{}x", "{}x\n", "[],", "1,", "1\n",
		"\"a\" ", "{\"a\":[\n", "\n", " \n{", "[\"", "{\"\\\n",
	}
	for _, part := range parts {
		small := bytes.Repeat([]byte(part), 1_000_000/len(part))
		_, _ = cutRecords(small, math.MaxInt)
		_, _ = cutRecords(append([]byte("["), small...), math.MaxInt)
	}
	for _, part := range parts[:8] {
		_, _ = cutRecords(bytes.Repeat([]byte(part), 32_000_000/len(part)), 1000)
	}
}

// elements returns the elements of a body that is one valid array, or false.
func elements(body []byte) ([]string, bool) {
	var raw []json.RawMessage
	if json.Unmarshal(body, &raw) != nil || raw == nil {
		return nil, false
	}
	out := []string{}
	for _, r := range raw {
		out = append(out, string(r))
	}
	return out, true
}

// objects returns the objects of a body that holds valid objects one after another, or false.
func objects(body []byte) ([]string, bool) {
	var out []string
	for d := json.NewDecoder(bytes.NewReader(body)); ; {
		var raw json.RawMessage
		err := d.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return out, out != nil
		}
		if err != nil || raw[0] != '{' {
			return nil, false
		}
		out = append(out, string(raw))
	}
}

func FuzzCutRecords(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "[{},1]", "{\"a\":\"\\\"\"}\n{}", "{\n{}\n", "[[1,2],\"]\"]", "{}{} {}\r\n{}", "{\"a\":\n{\"b\":2}\n", "\xef\xbb\xbf[1]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		const most = 50
		got, err := cutRecords(body, most)
		var known *fault.Error
		if err != nil && !errors.As(err, &known) {
			t.Errorf("an error without a kind: %v", err)
		}
		if len(got) > most {
			t.Errorf("%d records", len(got))
		}
		at := 0
		for _, r := range got {
			i := bytes.Index(body[at:], r)
			if len(r) == 0 || i < 0 {
				t.Fatalf("record %q is not in the body, or out of order", r)
			}
			at += i + len(r)
		}
		want, ok := elements(body)
		if !ok {
			want, ok = objects(body)
		}
		if !ok || len(want) == 0 || len(want) > most {
			return
		}
		if diff := cmp.Diff(want, asText(got)); diff != "" || err != nil {
			t.Errorf("valid values (-want +got): %v\n%s", err, diff)
		}
	})
}

func BenchmarkCutRecords(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			body := bytes.Repeat(append(bytes.TrimSpace([]byte(`{"message":"`+strings.Repeat("x", 2400)+`","level":"error"}`)), '\n'), n)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cutRecords(body, 1000); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
