package check

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/mesherhq/mesher/shared/monitor"
)

// BenchmarkHTTP compares a check with a bare client that does the same: a connection of its own, the whole body.
func BenchmarkHTTP(b *testing.B) {
	s := serve(b, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"status":"ok"}`) })
	a := newAuthority(b)
	secure := serveTLS(b, a.issue(b), s.Config.Handler.ServeHTTP)
	c := checker(b, settings(), Options{Roots: a.roots})
	for _, url := range []string{s.URL, secure.URL} {
		scheme := url[:len(url)-len("://127.0.0.1:12345")]
		b.Run(scheme+"/net/http", func(b *testing.B) {
			for b.Loop() {
				t := &http.Transport{DisableKeepAlives: true}
				t.TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
				t.TLSClientConfig.RootCAs = a.roots
				ctx, cancel := context.WithTimeout(b.Context(), patient)
				r, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
				resp, err := (&http.Client{Transport: t}).Do(r)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				cancel()
			}
		})
		b.Run(scheme+"/check", func(b *testing.B) {
			config := monitor.Config{HTTP: &monitor.HTTPConfig{URL: url}}
			for b.Loop() {
				if got := c.Run(b.Context(), monitor.HTTP, config, monitor.Secrets{}, patient); got.Status != monitor.Healthy {
					b.Fatal(got)
				}
			}
		})
		b.Run(scheme+"/check with conditions", func(b *testing.B) {
			h := &monitor.HTTPConfig{URL: url, ExpiryDays: 14, BodyText: []monitor.Condition{{Op: monitor.Matches, Value: `"ok"`}}}
			jsonStatus(h)
			h.ExpiryDays = 0
			for b.Loop() {
				if got := c.Run(b.Context(), monitor.HTTP, monitor.Config{HTTP: h}, monitor.Secrets{}, patient); got.Status != monitor.Healthy {
					b.Fatal(got)
				}
			}
		})
	}
}
