package rest_test

import (
	"strings"
	"testing"
)

// A line of a request that failed leads to its caller, by ids.
func TestFailures_NameTheCaller(t *testing.T) {
	t.Parallel()
	s := setup(t)
	bearer := []string{"Authorization", "Bearer " + s.session}
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		named                    bool
	}{
		{"by a handler", "POST", "/api/v1/things", `{"name":"fails"}`, bearer, true},
		{"before one is called", "GET", "/api/v1/things?limit=0", "", bearer, true},
		{"of nobody", "GET", "/api/v1/fail/other", "", nil, false},
	} {
		before := len(s.log.String())
		if a := s.send(t, tt.method, tt.path, tt.body, tt.headers...); a.StatusCode < 400 {
			t.Fatalf("%s: %d %s", tt.name, a.StatusCode, a.text)
		}
		line := s.log.String()[before:]
		if named := strings.Contains(line, `"user":"`+s.user.ID.String()+`","credential":"`+s.who.Credential.String()+`"`); named != tt.named {
			t.Errorf("%s: the caller is named: %t, want %t, in %s", tt.name, named, tt.named, line)
		}
		if strings.Contains(line, s.user.Email) || strings.Contains(line, s.session) {
			t.Errorf("%s: the address or the credential itself is logged: %s", tt.name, line)
		}
	}
}
