package web_test

import (
	"net/http"
	"testing"

	"github.com/mesherhq/mesher/shared/web"
)

func TestClientIP(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		hops    int
		remote  string
		headers []string
		want    string
	}{
		{"what clients claim counts for nothing without a proxy", 0, "192.0.2.1:80", []string{"6.6.6.6"}, "192.0.2.1"},
		{"what the proxy saw, behind what the client claims", 1, "192.0.2.1:80", []string{"6.6.6.6, 203.0.113.5"}, "203.0.113.5"},
		{"two proxies, in several headers", 2, "192.0.2.1:80", []string{"6.6.6.6, 203.0.113.5", "10.0.0.1"}, "203.0.113.5"},
		{"fewer parts than proxies", 2, "192.0.2.1:80", []string{"203.0.113.5"}, "192.0.2.1"},
		{"IPv6 with a port", 1, "192.0.2.1:80", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"IPv6 with a zone", 0, "[fe80::1%eth0]:80", nil, "fe80::1"},
		{"IPv4 as IPv6", 1, "192.0.2.1:80", []string{"::ffff:203.0.113.5"}, "203.0.113.5"},
		{"no address at all", 1, "@", []string{"garbage"}, "invalid IP"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{"X-Forwarded-For": tt.headers}}
			if got := web.ClientIP(r, tt.hops).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
