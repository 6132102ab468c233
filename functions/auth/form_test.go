package auth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// open opens a page as a link in a mail does.
func (b *bundle) open(t *testing.T, path, token string, o ...option) answer {
	t.Helper()
	return b.send(t, "GET", path+"?token="+url.QueryEscape(token), "", "", o...)
}

// submit sends a form as a browser does.
func (b *bundle) submit(t *testing.T, path string, form url.Values, o ...option) answer {
	t.Helper()
	browser := []option{header("Sec-Fetch-Site", "same-origin"), header("Origin", "null")}
	return b.send(t, "POST", path, "application/x-www-form-urlencoded", form.Encode(), append(browser, o...)...)
}

// fill fills the form of a page: hidden fields are sent as they are, those of values in their place.
func fill(t *testing.T, page answer, values map[string]string) (path string, form url.Values) {
	t.Helper()
	action := regexp.MustCompile(`<form method="post" action="([^"]+)">`).FindStringSubmatch(page.body)
	if action == nil {
		t.Fatalf("there is no form in %d %s", page.status, page.body)
	}
	form = url.Values{}
	for _, m := range regexp.MustCompile(`<input type="([a-z]+)"([^>]*)>`).FindAllStringSubmatch(page.body, -1) {
		name := attribute(m[2], "name")
		if m[1] == "hidden" {
			form.Set(name, html.UnescapeString(attribute(m[2], "value")))
			continue
		}
		if strings.HasSuffix(m[2], " readonly hidden") { // for the browser's own list of passwords
			form.Set(name, html.UnescapeString(attribute(m[2], "value")))
			continue
		}
		if id := attribute(m[2], "id"); !strings.Contains(page.body, `<label for="`+id+`">`) {
			t.Errorf("the field %s has no label", name)
		}
		if value, ok := values[name]; ok {
			form.Set(name, value)
			delete(values, name)
		}
	}
	for name := range values {
		t.Errorf("the form has no field %s: %s", name, page.body)
	}
	return action[1], form
}

func attribute(tag, name string) string {
	m := regexp.MustCompile(` ` + name + `="([^"]*)"`).FindStringSubmatch(tag)
	if m == nil {
		return ""
	}
	return m[1]
}

// says fails the test unless the page has the status and says something.
func (a answer) says(t *testing.T, status int, text string) answer {
	t.Helper()
	if a.status != status || !strings.Contains(a.body, text) || a.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("answer %d %s, want %d with %q", a.status, a.body, status, text)
	}
	return a
}

// state is all that Auth changes.
func (b *bundle) state(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, table := range []string{"users", "sessions", "one_time_tokens", "invitations", "memberships", "notifications", "throttles", "audit_log"} {
		out = append(out, b.texts(t, "select '"+table+" ' || r::text from mesher."+table+" r order by 1")...)
	}
	return out
}

// checkPage checks what is the same on all pages.
func checkPage(t *testing.T, a answer) {
	t.Helper()
	for _, want := range []string{"<!doctype html>", `<html lang="en">`, "<title>", "<h1>", "<main>", `name="viewport"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("%s is missing: %s", want, a.body)
		}
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(a.body)
	if style == nil {
		t.Fatal("there is no style")
	}
	sum := sha256.Sum256([]byte(style[1]))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	for name, want := range map[string]string{
		"Content-Security-Policy": policy, "Referrer-Policy": "same-origin", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for _, never := range []string{"<script", "style=", "http:", "https:", secret1, secret2} {
		if strings.Contains(a.body, never) {
			t.Errorf("%s is in the page: %s", never, a.body)
		}
	}
}
