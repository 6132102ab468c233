package outbound

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// redirects returns what decides of each redirect whether it is followed, and with what.
func (g *Guard) redirects(most int) func(*http.Request, []*http.Request) error {
	return func(r *http.Request, before []*http.Request) error {
		if most == 0 {
			return http.ErrUseLastResponse
		}
		if err := g.CheckURL(r.URL); err != nil {
			return err
		}
		if len(before) > most {
			return refuse(CodeRedirect, "more than %d redirects, the last one to %s", most, place(r.URL))
		}
		// Where it came from is nobody's business.
		r.Header.Del("Referer")
		if stays(r, before) {
			return nil
		}
		if r.ContentLength != 0 || r.Body != nil && r.Body != http.NoBody {
			return refuse(CodeRedirect, "a redirect to %s would hand the request's body to another origin", place(r.URL))
		}
		// All of them, because nobody knows which ones are secret. The client copies them from the first request each time,
		// so who left its origin never gets them back.
		clear(r.Header)
		return nil
	}
}

// stays reports whether a request and those before it all went to one origin.
func stays(r *http.Request, before []*http.Request) bool {
	for _, b := range before {
		if place(b.URL) != place(r.URL) {
			return false
		}
	}
	return true
}

// place returns the origin of a URL: scheme, host and port.
func place(u *url.URL) string {
	port, err := portOf(u)
	if err != nil {
		return u.Scheme + "://" + u.Host
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return u.Scheme + "://" + host + ":" + strconv.Itoa(port)
}
