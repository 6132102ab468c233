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
		{"took 12ms, then 3.5 s", "took <duration>, then <duration>"},
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
		{"version 1.2.3", "version <version>"},
		{"mail to a.b+c@mail.example.com failed", "mail to <email> failed"},
		{"GET https://example.com/a?b=1: 404", "GET <url>: <num>"},
		{"see http://example.com.", "see <url>."},
		{"since 2026-01-31", "since <date>"},
		{"since 2026-01-31T12:00:00.123Z", "since <date>"},
		{"since 2026/01/31 12:00:00 +0", "since <date> +<num>"},
		{"at 12:00:59.5", "at <date>"},
		{`key "user:42" not found`, "key <str> not found"},
		{"no attribute 'name'", "no attribute 'name'"},
		{"can't open, won't retry", "can't open, won't retry"},
		{`unclosed "text`, `unclosed "text`},
		{`escaped "a \" b" end`, "escaped <str> end"},
		{"white \t\n  space", "white space"},
		{"größe 5µs", "größe <duration>"},
		{"a@b is no address", "a@b is no address"},
		{"-", "-"},
		{"- 1", "- <num>"},
		{"order ord_9f3kZ2 of job 01HF3Q4Z8N6T7V9W0X1Y2Z3A4B", "order ord_<id> of job <id>"},
		{"id 9b2e7c1a000040008000000000000000 and {9b2e7c1a-0000-4000-8000-00000000000a}", "id <uuid> and <uuid>"},
		{"pod web-7d9c5b6f4-x2x9z in zone eu-west-1", "pod web-<pod> in zone eu-west-<num>"},
		{"from ::1, fe80::1%eth0 and [2001:db8::1]:443", "from <ip>, <ip> and <ip>"},
		{"from 00:1b:44:11:3a:b7", "from <mac>"},
		{"std::vector stays, so does a::b", "std::vector stays, so does a::b"},
		{"waited 3m20s, PT5S, 2h, 1.5s and 4 seconds", "waited <duration>, <duration>, <duration>, <duration> and <duration>"},
		{"12 MB, 3.5GiB and 812 bytes of 12 files", "<size>, <size> and <size> of <num> files"},
		{"on 21.11.2026, Nov 20, 2026 and Sat, 21 Nov 2026 10:00:01 GMT", "on <date>, <date> and <date>"},
		{"may fail on Monday", "may fail on Monday"},
		{"open /var/lib/x/a.csv or C:\\x\\a.csv", "open <path> or <path>"},
		{"GET /api/orders/8812 failed", "GET /api/orders/<num> failed"},
		{"HTTP 404, status=502, status code 500, HTTP/2, HTTP/1.1", "HTTP 404, status=502, status code 500, HTTP/2, HTTP/1.<num>"},
		{"ORA-00942, SQLSTATE[42P01], SQLSTATE 23505, TS2304, E1234", "ORA-00942, SQLSTATE[42P01], SQLSTATE 23505, TS2304, E1234"},
		{"ECONNRESET, ERR_HTTP2_X, errno 111, WSA error 10054, 0x80004005", "ECONNRESET, ERR_HTTP2_X, errno 111, WSA error 10054, 0x80004005"},
		{"x86_64, utf8mb4, arm64, s3, ipv6, Base64, oauth2, v1beta1", "x86_64, utf8mb4, arm64, s3, ipv6, Base64, oauth2, v1beta1"},
		{"SKU-99812 and SKU12345", "SKU-<num> and SKU<num>"},
		{`column "email" of relation "users"`, `column "email" of relation "users"`},
		{"Key (email)=(a b) exists", "Key (email)=(<str>) exists"},
		{"com.acme.Foo@1a2b3c", "com.acme.Foo@<hex>"},
		{"token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.dBjftJeZ", "token <token>"},
		{"host ip-10-0-1-23.eu-west-1.compute.internal", "host <host>"},
		{"in com.acme.shop.Cart", "in com.acme.shop.Cart"},
		{"total 1,200.00 of 3", "total <num> of <num>"},
		{"#PID<0.812.0>", "<pid>"},
		{"s3://bucket/a/b.pdf and arn:aws:s3:::x/y", "<url> and <arn>"},
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

func BenchmarkNormalise(b *testing.B) {
	message := strings.Repeat("order 12345 of user a@example.com failed after 12ms: 'card declined' (see https://example.com/e/9) ", 3)
	var dst []byte
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		dst = appendNormalised(dst[:0], message)
	}
}
