package account_test

import (
	"net/mail"
	"strings"
	"testing"
	"unicode"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
)

// longest is an address of 254 characters, the most that there may be.
var longest = strings.Repeat("l", 64) + "@" + strings.Repeat(strings.Repeat("d", 62)+".", 3)[:186] + "e." + "c"

func TestNormalEmail(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("d", 63)
	for _, tt := range []struct{ name, in, want string }{
		{name: "plain", in: "anna@example.com", want: "anna@example.com"},
		{name: "keeps case", in: "Anna.B@Example.COM", want: "Anna.B@Example.COM"},
		{name: "spaces around it", in: " \t anna@example.com\r\n", want: "anna@example.com"},
		{name: "tag", in: "anna+mesher@example.com", want: "anna+mesher@example.com"},
		{name: "apostrophe", in: "o'neil@example.com", want: "o'neil@example.com"},
		{name: "digits", in: "1@2.example3", want: "1@2.example3"},
		{name: "international domain as ASCII", in: "a@xn--bcher-kva.example", want: "a@xn--bcher-kva.example"},
		{name: "longest parts", in: strings.Repeat("l", 64) + "@" + label + ".com", want: strings.Repeat("l", 64) + "@" + label + ".com"},

		{name: "empty"},
		{name: "blank", in: "  "},
		{name: "no @", in: "anna"},
		{name: "two @", in: "anna@b@example.com"},
		{name: "nothing before the @", in: "@example.com"},
		{name: "nothing behind the @", in: "anna@"},
		{name: "no dot in the domain", in: "anna@gmail"},
		{name: "dot at the start", in: ".anna@example.com"},
		{name: "dot at the end", in: "anna.@example.com"},
		{name: "two dots", in: "an..na@example.com"},
		{name: "dot at the domain's start", in: "anna@.example.com"},
		{name: "dot at the domain's end", in: "anna@example.com."},
		{name: "two dots in the domain", in: "anna@example..com"},
		{name: "hyphen at a label's start", in: "anna@-example.com"},
		{name: "hyphen at a label's end", in: "anna@example-.com"},
		{name: "underscore in the domain", in: "anna@exa_mple.com"},
		{name: "IP address", in: "anna@192.0.2.1"},
		{name: "IP literal", in: "anna@[192.0.2.1]"},
		{name: "name", in: "Anna <anna@example.com>"},
		{name: "angle brackets", in: "<anna@example.com>"},
		{name: "comment", in: "anna(x)@example.com"},
		{name: "quoted", in: `"anna"@example.com`},
		{name: "quoted space", in: `"an na"@example.com`},
		{name: "space", in: "an na@example.com"},
		{name: "list", in: "anna@example.com,bert@example.com"},
		{name: "header", in: "anna@example.com\r\nBcc: bert@example.com"},
		{name: "line break", in: "an\nna@example.com"},
		{name: "NUL", in: "anna\x00@example.com"},
		{name: "letter beyond ASCII", in: "änna@example.com"},
		{name: "domain beyond ASCII", in: "anna@exämple.com"},
		{name: "looks like ASCII", in: "аnna@example.com"}, // the first letter is Cyrillic
		{name: "half a character", in: "anna\xc3@example.com"},
		{name: "back quote", in: "an`na@example.com"},
		{name: "long local part", in: strings.Repeat("l", 65) + "@example.com"},
		{name: "long label", in: "anna@" + label + "d.com"},
		{name: "too long", in: strings.Repeat("l", 64) + "@" + strings.Repeat("d.", 100) + "com"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := account.NormalEmail(tt.in)
			if tt.want == "" {
				wantFault(t, err, fault.Invalid, "e-mail address")
			} else {
				must(t, err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("the longest", func(t *testing.T) {
		t.Parallel()
		if len(longest) != 254 {
			t.Fatalf("the test's longest address has %d characters", len(longest))
		}
		if got, err := account.NormalEmail(longest); got != longest {
			t.Errorf("got %q, %v", got, err)
		}
		_, err := account.NormalEmail(longest + "m")
		wantFault(t, err, fault.Invalid, "254")
	})
}

func FuzzNormalEmail(f *testing.F) {
	for _, s := range []string{
		"anna@example.com", " o'neil+x@example.co.uk ", `"a b"@example.com`, "a@b@c.de", "Anna <a@example.com>", "=?utf-8?q?a?=@example.com",
		"a@example.com\r\nBcc: b@example.com", "a,b@example.com", "ä@example.com", longest, "a@1.2", "a@[::1]", "a(b)@example.com",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := account.NormalEmail(s)
		if err != nil {
			if !fault.Is(err, fault.Invalid) || got != "" {
				t.Fatalf("%q, %v", got, err)
			}
			return
		}
		if got != strings.TrimSpace(s) || len(got) > 254 || strings.Count(got, "@") != 1 {
			t.Fatalf("accepted %q as %q", s, got)
		}
		bad := func(r rune) bool {
			return r > unicode.MaxASCII || unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune("\"`,;:<>()[]\\", r)
		}
		if strings.ContainsFunc(got, bad) {
			t.Fatalf("accepted %q", got)
		}
		parsed, err := mail.ParseAddress(got)
		if err != nil || parsed.Address != got || parsed.Name != "" {
			t.Fatalf("net/mail reads %q as %+v, %v", got, parsed, err)
		}
		if again, err := account.NormalEmail(got); again != got || err != nil {
			t.Fatalf("a second time it is %q, %v", again, err)
		}
	})
}
