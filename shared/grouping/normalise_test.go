package grouping

import (
	"strings"
	"testing"
)

func TestNormalise(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"", ""},
		{"disk full", "disk full"},
		{"took 12ms, then 3.5 s", "took <num>ms, then <num> s"},
		{"balance is -5 of 10", "balance is <num> of <num>"},
		{"range 3-5", "range <num>-<num>"},
		{"the 3rd try of 5", "the <num>rd try of <num>"},
		{"worker-12 lost", "worker-<num> lost"},
		{"user12345 not found", "user<num> not found"},
		{"utf8 and sha256 stay, so does ipv4", "utf8 and sha256 stay, so does ipv4"},
		{"id 9b2e7c1a-0000-4000-8000-00000000000a gone", "id <uuid> gone"},
		{"id a000ffff-0000-4000-8000-00000000000A gone", "id <uuid> gone"},
		{"at 0xDEADbeef", "at <hex>"},
		{"commit 3f2c9a5 and deadbee1", "commit <hex> and <hex>"},
		{"defaced facade", "defaced facade"},
		{"from 10.0.0.1 to 192.168.1.20:8080", "from <ip> to <ip>"},
		{"version 1.2.3", "version <num>.<num>"},
		{"mail to a.b+c@mail.example.com failed", "mail to <email> failed"},
		{"GET https://example.com/a?b=1: 404", "GET <url>: <num>"},
		{"see http://example.com.", "see <url>."},
		{"since 2026-01-31", "since <date>"},
		{"since 2026-01-31T12:00:00.123Z", "since <date>"},
		{"since 2026/01/31 12:00:00 +0", "since <date> +<num>"},
		{"at 12:00:59.5", "at <date>"},
		{`key "user:42" not found`, "key <str> not found"},
		{"no attribute 'name'", "no attribute <str>"},
		{"can't open, won't retry", "can't open, won't retry"},
		{`unclosed "text`, `unclosed "text`},
		{`escaped "a \" b" end`, "escaped <str> end"},
		{"white \t\n  space", "white space"},
		{"größe 5µs", "größe <num>µs"},
		{"a@b is no address", "a@b is no address"},
		{"-", "-"},
		{"- 1", "- <num>"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			if got := string(appendNormalised(nil, tt.in)); got != tt.want {
				t.Errorf("normalised %q to %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"main.run.func1", "main.run.func"},
		{"main.run.func1.2", "main.run.func."},
		{"main.run.func12.1.3", "main.run.func.."},
		{"lambda$read$0", "lambda$read$"},
		{"Main$1", "Main$"},
		{"<Run>b__0_1", "<Run>b___"},
		{"Foo$$Lambda$14/0x00007f3a.run", "Foo$$Lambda$/.run"},
		{"example.com/shop/v2.(*Store).Find", "example.com/shop/v2.(*Store).Find"},
		{"md5.Sum", "md5.Sum"},
		{"base64", "base64"},
	}
	for _, tt := range tests {
		if got := string(appendName(nil, []byte(`"`+tt.in+`"`))); got != tt.want {
			t.Errorf("name %q became %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"shop/payments.py", "shop/payments.py"},
		{"app:///main.3f2c9a51.js?v=7", "app:///main.#.js"},
		{"chunk-0123456789abcdef.js", "chunk-#.js"},
		{"v8/facade.cc", "v8/facade.cc"},
	}
	for _, tt := range tests {
		if got := string(appendFile(nil, []byte(`"`+tt.in+`"`))); got != tt.want {
			t.Errorf("file %q became %q, want %q", tt.in, got, tt.want)
		}
	}
	for in, want := range map[string]string{
		`"/srv/build17/shop/main.go"`: "shop/main.go",
		`"C:\\work\\shop\\main.cs"`:   `shop\\main.cs`,
		`"main.go"`:                   `"main.go"`,
	} {
		if got := string(lastSegments([]byte(in))); got != want {
			t.Errorf("last segments of %s are %s, want %s", in, got, want)
		}
	}
}

func BenchmarkNormalise(b *testing.B) {
	message := strings.Repeat("order 12345 of user a@example.com failed after 12ms: 'card declined' (see https://example.com/e/9) ", 3)
	var dst []byte
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		dst = appendNormalised(dst[:0], message)
	}
}
