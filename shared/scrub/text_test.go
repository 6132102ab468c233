package scrub_test

import (
	"testing"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
	"github.com/mesherhq/mesher/shared/scrub"
)

// TestTexts gives each text as a message and as JSON. What is in «» is replaced.
func TestTexts(t *testing.T) {
	t.Parallel()
	s := scrubber(t, scrub.DefaultRules())
	for _, text := range texts {
		checkText(t, s, text)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	s := scrubber(t, scrub.Rules{Emails: true, IPs: true})
	for _, text := range []string{
		"mail to «ann@example.com» failed", "«ann.b+c@mail.example.co.uk», «b@x.io».", "<«ann@example.com»>", "mailto:«a_b@c.de»?subject=x",
		"«jürgen@müller.de» away", "a@b", "@example.com", "logo@2x.png", "pkg@1.2.3", "@scope/name@1.0.0", "user@localhost", "a@b.c", "a@ b.com",
		"from «192.0.2.1» to «10.0.0.255»:80", "1.2.3", "v1.2.3.4", "1.2.3.4.5", "256.1.1.1", "1.2.3.4x", "1.2.3.0004", "host=«127.0.0.1»",
		"peer [«2001:db8::1»]:443", "«fe80::1»", "«2001:0db8:85a3:0000:0000:8a2e:0370:7334» gone", "at 12:30:59", "std::vec::Vec", "a::b", "A::B::C",
		"aa:bb:cc:dd:ee:ff", "::", "main.go:12:34", "1:2:3:4", "password=hunter2 4111111111111111",
	} {
		checkText(t, s, text)
	}
	e := event.Event{UserInfo: []byte(`{"email":"root","ip_address":"host","id":"a@b.cd","email_verified":"x"}`), UserID: "a@b.cd"}
	s.Scrub(&e)
	if got, want := string(e.UserInfo), `{"email":"[Filtered]","ip_address":"[Filtered]","id":"[Filtered]","email_verified":"x"}`; got != want || e.UserID != scrub.Filtered {
		t.Errorf("user %s, id %s", got, e.UserID)
	}
	e = event.Event{UserInfo: []byte(`{"email":"a@b.cd","ip_address":"192.0.2.1"}`), Message: "a@b.cd 192.0.2.1"}
	scrubber(t, scrub.DefaultRules()).Scrub(&e)
	if e.Meta != nil {
		t.Errorf("addresses are scrubbed unasked: %s", e.Meta)
	}
}

// checkText fails unless s replaces in text what is in «», and nothing else.
func checkText(t *testing.T, s *scrub.Scrubber, text string) {
	t.Helper()
	in, want := "", ""
	within := false
	for _, r := range text {
		switch {
		case r == '«':
			within = true
			want += scrub.Filtered
		case r == '»':
			within = false
		case within:
			in += string(r)
		default:
			in += string(r)
			want += string(r)
		}
	}
	e := event.Event{Message: in, Extra: []byte(`{"x":` + string(rawjson.AppendString(nil, in)) + `}`)}
	s.Scrub(&e)
	if e.Message != want {
		t.Errorf("%q became\n%q, want\n%q", in, e.Message, want)
	}
	if got := rawjson.Unquote(rawjson.Lookup(e.Extra, "x")); got != want {
		t.Errorf("as JSON, %q became %q", in, got)
	}
	if (in == want) != (e.Meta == nil) {
		t.Errorf("meta %s of %q", e.Meta, in)
	}
	before := e
	e.Meta = nil
	if s.Scrub(&e); e.Message != before.Message || e.Meta != nil {
		t.Errorf("again, %q became %q", before.Message, e.Message)
	}
}

var texts = []string{
	// Query strings and forms.
	"GET /a?token=«abc»&x=1", "?x=1&api_key=«abc,d;e»#top", "a=1&password=«x»&b=2", "/cb#access_token=«abc»&state=1", "?author=ann&page=2",
	"?user%5Bpassword%5D=«x»&y", "?token=&x=1", "?page_count=3&session_count=4", "/a;jsessionid=«F00?x=1»", "?X-Amz-Signature=«ab12»", "?sig=«abc%3D»&se=2",
	"sig=abc", "?token=null", "https://x.example/reset?code=12&reset_token=«zz»",
	// Userinfo.
	"https://user:«pass»@host/p", "postgres://app:«s3cr3t»@db:5432/x?sslmode=on", "redis://:«p@ss»@h:6379", "https://git@github.com/a/b",
	"ssh://git@host", "https://«0a1b2c3d4e»@sentry.example/1", "amqp://u:«p/w#x»@host/v", "http://host:8080/@scope", "http://host:8080/a@b",
	"https://«sk12345678901234567:x»@h", "mongodb://u:«p»@h1:1,h2:2/db", "https://host/a:b@c", "http://[::1]:80/", "root:«pw»@tcp(127.0.0.1:3306)/db",
	"https://«key12345:»@h", "file:///a:b@c", "see http://a.example and mail b@c.example",
	// Pairs in prose, code and logs.
	"password=«hunter»", "password = «hunter2» next", "pwd: «hunter2»", "Password:«hunter2»", "password: required", "invalid password: must not be empty",
	"password is wrong", "token: unexpected EOF", "Unexpected token: }", "unexpected token = in expression", "invalid token :", "Unexpected token '<', \"<!DOCTYPE\"",
	"session: expired", "auth: failed", "session=«expired-not»", "pin: «1234»", "pin 1234", "if token == nil", "token != abc", "token => «abc123»",
	"a.token := «b12c3»", "token::Kind::Eof", "secret://path", "Error: secret: not found", "author=ann", "tokens=512 used", "token_count=5", "max_token=5",
	"Server=x;Password=«abc»;Database=y", "{user=bob, password=«abc», n=1}", "f(password=«abc», user=x)", "password=true", "password=nil", "secret=\"\"",
	"PASSWORD='«it is»' x", "secret=\"«a b c»\" rest", "secret=\"«cut off here", "api_key=`«abc»`", "--password=«abc» --verbose",
	"map[Authorization:«[Bearer abc]» Accept:[*/*]]", "headers={'Cookie': '«a=b»', 'Accept': 'x'}", ":password=>\"«abc»\"", "\"password\"=>\"«abc»\"",
	// JSON in text.
	`{"password":"«x»","b":1}`, `{"password":"«x \" y»","b":1}`, `x {"pin": «1234», "b": 1}`, `x {"auth":«{"a":[1,{}]}»,"b":1}`, `x {"cookies":«["a"]»}`,
	`{\"password\":\"«x»\",\"b\":1}`, `{\"password\":\"«x \\\" y»\",\"b\":1}`, `{\\\"password\\\":\\\"«x»\\\",\\\"b\\\":1}`, `{"token":null,"secret":true}`,
	`{"author":"x","tokens":12}`, `{"password":"«cut`, `{"auth":«{"cut`, `x {"secret":«12.5»}`,
	`[{"name":"password","value":"«S»"}]`, `[{"value":"«S»","name":"password"}]`, `{"pairs":[["password","«S»"]]}`, `[["pin","«abc»"]]`, `[["a", "b"], 1]`,
	`{"a":"{\"b\":[[\"password\",\"«S»\"]]}"}`, "[main] started", `["password"]`, "{ \"a\": [1, 2] }",
	// Headers.
	"Authorization: Bearer «abcdefgh1»", "authorization: Basic «dXNlcjpwYXNz»\r\nHost: x", "Authorization: token «abc123»", "Authorization: required",
	"curl -H 'Authorization: Bearer «x1y2z3w4»' https://h", "Cookie: «a=b; c=d»\nHost: x", "Set-Cookie: «sid=1; Path=/»", "cookie: missing", "X-Api-Key: «abc123»",
	"got Bearer «0123456789abcdef» here", "bearer authentication failed", "Bearer of bad news", "Basic «dXNlcjpwYXNz»", "basic authentication", "Basic understanding of it",
	"Basic YWJjZGVmZ2g=", "Bearer <token>",
	`Authorization: Digest «username="a", realm="b", response="c"»` + "\nHost: x", "Authorization: AWS4-HMAC-SHA256 «Credential=A/b, Signature=c»\r\nHost: x",
	"Authorization=Digest «a=b, c=d»", "auth: digest failed, try again",
	"/r?next=%2Fa%3Fpassword%3D«S»%26x%3D1&y=2", "password%3d«S» x", "author%3DS", "user%5Bpassword%5D%3D«S»", "token%3Dnull", "%3Dx",
	// Cards.
	"card «4111111111111111» declined", "«4111 1111 1111 1111»", "«4111-1111-1111-1111».", "«378282246310005»", "«3782 822463 10005»", "«30569309025904»",
	"«3056 930902 5904»", "«5555555555554444»", "«2223003122003222»", "«6011111111111117»", "«3530111333300000»", "«4222222222222»", "(«4111111111111111»)",
	"卡«4111111111111111»号", "n=«4111111111111111»,", "id 5 «4111 1111 1111 1111»", "4111111111111112", "4111 1111 1111 1112", "1111111111111111", "a4111111111111111",
	"4111111111111111a", "41111111111111111", "4111-1111 1111-1111", "0.4111111111111111", "4111111111111111.5", "4111111111111111-1", "1-4111111111111111",
	"1795305014123", "1795305014123456", "1795305014123456789", "9b2e7c1a-4000-4000-8000-000000000001", "41111111-1111-4111-8111-111111111111",
	"4111 1111", "2026-01-31 12:00:00", "4bf92f3577b34da6a3ce929d0e0e4736", "+49 30 1234567890", "4111_1111_1111_1111",
	// Social security numbers.
	"ssn «123-45-6789»", "«123-45-6789», «234-56-7890»", "000-12-3456", "666-12-3456", "912-12-3456", "123-00-6789", "123-45-0000", "1123-45-6789", "123-45-67890",
	"555-123-4567", "123-45-6789-1", "2026-12-3456",
	// Tokens.
	"jwt «eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_DEF-123» x", "«eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0»", "eyJhbGciOiJIUzI1NiJ9", "eyJ", "eyJx.y",
	"«AKIAIOSFODNN7EXAMPLE»", "xAKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPL", "AKIAIOSFODNN7EXAMPLES", "«ghp_0123456789abcdefghijABCDEFGHIJ012345»", "ghp_short",
	"«github_pat_0123456789abcdefghij_ABCDEF»", "«glpat-0123456789abcdefghij»", "«xoxb-1234567890-abcdefghij»", "xoxo-love", "«sk_live_0123456789abcdef»",
	"«rk_test_0123456789abcdef»", "pk_live_0123456789abcdef", "«AIzaSyA0123456789abcdefghijklmnopqrstuv»", "AIzawa", "«sk-ant-api03-0123456789abcdefABCDEF»", "sk-fading-circle-of-many-words",
	"«mshr_0123456789abcdefghijABCDEFGHIJ012345»", "«mshp_0123456789abcdefghijABCDEFGHIJ012345»", "«mshs_0123456789abcdefghijABCDEFGHIJ012345»",
	"«msho_0123456789abcdefghijABCDEFGHIJ012345»", "mshr_", "mshx_0123456789abcdefghijABCDEFGHIJ012345", "«npm_0123456789abcdefghijABCDEFGHIJ012345»",
	"https://«hooks.slack.com/services/T000/B000/XXXX»", "«ya29.a0123456789abcdefghij»", "«whsec_0123456789abcdefghij»",
	"«SG.0123456789abcdefghij12.0123456789abcdefghijABCDEFGHIJ0123456789abc»",
	"a\n«-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----»\nb", "«-----BEGIN PRIVATE KEY-----\nMIIEcutoff0", "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
	"«-----BEGIN PGP PRIVATE KEY BLOCK-----x-----END PGP PRIVATE KEY BLOCK-----»", "----------", "-----BEGIN ",
	// Innocent.
	"", "disk full", "query 123: deadlock detected after 12ms", "GET /cart 500ms", "TypeError: Cannot read properties of undefined (reading 'token')",
	"dial tcp 10.0.0.1:5432: connect: connection refused", "[Filtered]", "x [Filtered] y", "password=[Filtered]", "main.go:12: undefined: secretary", "a=b&c=d",
	"the author's passenger pinned a cookiecutter", "größe=12 straße: x",
}
