package sentry_test

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/sentry"
)

func TestAuthKey(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Sentry sentry_version=7, sentry_client=sentry.go/0.50.0, sentry_key=mshr_1":                                "mshr_1",
		"Sentry sentry_key=abc, sentry_version=7, sentry_client=sentry.python/1.9.10":                               "abc",
		"Sentry sentry_version=5, sentry_client=raven-ruby/3.1.2, sentry_timestamp=1, sentry_key=a,sentry_secret=s": "a",
		"sentry  SENTRY_KEY = abc ,sentry_version=7":                                                                "abc",
		"sentry_key=abc":          "abc",
		"sentry_key=a-b.c~d":      "a-b.c~d",
		"Sentry sentry_secret=s":  "",
		"Sentry sentry_key=, a=b": "",
		"":                        "",
		"Bearer abc":              "",
		"Sentry xsentry_key=abc":  "",
	} {
		if key, ok := sentry.AuthKey(header); key != want || ok != (want != "") {
			t.Errorf("AuthKey(%q) = %q, %v, want %q", header, key, ok, want)
		}
	}
}

func TestParseDSN(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string][2]string{
		"https://mshr_KEY@errors.example.com/42":               {"mshr_KEY", "42"},
		"http://key:secret@127.0.0.1:8080/9223372036854775807": {"key", "9223372036854775807"},
		"https://key:@host/a/b-c/1":                            {"key", "1"},
		"https://key@host/1/":                                  {"key", "1"},
		"https://key@host/1?x=2":                               {"key", "1"},
		" https://a%2Bb@host/0 ":                               {"a+b", "0"},
	} {
		if key, project, err := sentry.ParseDSN(dsn); err != nil || key != want[0] || project != want[1] {
			t.Errorf("ParseDSN(%q) = %q, %q, %v", dsn, key, project, err)
		}
	}
	for _, dsn := range []string{
		"", "hunter2", "https://host/1", "https://:hunter2@host/1", "https://hunter2@host", "https://hunter2@host/", "https://hunter2@host/my-proj",
		"https://hunter2@host/1abc", "https://hunter2%zz@host/1", "ftp://hunter2@host/1", "https://hunter2@ho st/1", "https://hunter2@/1",
	} {
		_, _, err := sentry.ParseDSN(dsn)
		if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ParseDSN(%q): error %v", dsn, err)
		}
	}
}

// packed returns text as raven sends it.
func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func TestDecodeStore(t *testing.T) {
	t.Parallel()
	raven := packed(t, `{"message":"x"}`)
	var lines []string
	for part := range slices.Chunk([]byte(raven), 8) {
		lines = append(lines, string(part))
	}
	for name, body := range map[string]string{
		"JSON":                  `{"message":"x"}`,
		"JSON with white space": "\ufeff\n {\"message\":\"x\"} \n",
		"base64 of zlib":        raven,
		"base64 in lines":       strings.Join(lines, "\r\n") + "\n",
		"base64 not padded":     strings.TrimRight(raven, "="),
		"base64 for addresses":  strings.NewReplacer("+", "-", "/", "_").Replace(raven),
		"base64 of JSON":        base64.StdEncoding.EncodeToString([]byte(`{"message":"x"}`)),
	} {
		if out, err := sentry.DecodeStore([]byte(body), 100); err != nil || string(out) != `{"message":"x"}` {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
	long := `{"a":"` + strings.Repeat("x", 1<<20) + `"}`
	damaged, err := base64.StdEncoding.DecodeString(raven)
	if err != nil {
		t.Fatal(err)
	}
	damaged[len(damaged)-1]++
	for _, test := range []struct {
		name, body string
		kind       fault.Kind
	}{
		{"nothing", "", fault.Invalid},
		{"white space", " \n", fault.Invalid},
		{"an array", "[]", fault.Invalid},
		{"no base64", "a=b&c=d", fault.Invalid},
		{"base64 of nothing known", "AAAA", fault.Invalid},
		{"half of the data", raven[:len(raven)/2/4*4], fault.Invalid},
		{"a wrong checksum", base64.StdEncoding.EncodeToString(damaged), fault.Invalid},
		{"JSON too long", `{"a":"` + strings.Repeat("x", 100) + `"}`, fault.TooLarge},
		{"base64 of JSON too long", base64.StdEncoding.EncodeToString([]byte(`{"a":"` + strings.Repeat("x", 100) + `"}`)), fault.TooLarge},
		{"zlib too long", packed(t, long), fault.TooLarge},
		{"zlib too long by one byte", packed(t, `{"a":"`+strings.Repeat("x", 93)+`"}`), fault.TooLarge},
	} {
		if out, err := sentry.DecodeStore([]byte(test.body), 100); !fault.Is(err, test.kind) || out != nil {
			t.Errorf("%s: %.20q, %v, want %s", test.name, out, err, test.kind)
		}
	}
	if out, err := sentry.DecodeStore([]byte(packed(t, long)), int64(len(long))); err != nil || string(out) != long {
		t.Errorf("an event as long as the limit: %v", err)
	}
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		seconds    int
		categories []string
		want       string
	}{
		{60, []string{"error"}, "60:error:project"},
		{60, []string{"error", "feedback"}, "60:error;feedback:project"},
		{0, nil, "0::project"},
		{-5, []string{"error"}, "0:error:project"},
	} {
		if got := sentry.RateLimits(test.seconds, test.categories, "project"); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

func TestTypes(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, row := range sentry.Types() {
		if seen[row.Name] || row.Category == "" || row.Doc == "" || sentry.TypeOf(row.Name) != row {
			t.Errorf("%+v", row)
		}
		seen[row.Name] = true
		if stored := row.Name == "event" || row.Name == "feedback"; stored != (row.Action == sentry.Stored) {
			t.Errorf("%s is %s", row.Name, row.Action)
		}
	}
	// What real SDKs were seen to send.
	for name := range strings.FieldsSeq("event transaction session sessions client_report attachment check_in log span " +
		"trace_metric feedback replay_event replay_recording") {
		if !seen[name] {
			t.Errorf("no row for %s", name)
		}
	}
	if row := sentry.TypeOf("hologram"); row.Name != "hologram" || row.Action != sentry.Counted || row.Category == "" {
		t.Errorf("%+v", row)
	}
	sentry.Types()[0].Name = "changed"
	if sentry.Types()[0].Name == "changed" {
		t.Error("Types hands out its own table")
	}
}
