package ingest

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/mesherhq/mesher/shared/fault"
)

// preflightAge is how long a browser remembers the answer to a preflight, in seconds: one hour.
const preflightAge = "3600"

// exposed are the headers of an answer that an SDK in a browser may read. Without them it would not know for how long it
// is to send nothing.
const exposed = "X-Sentry-Rate-Limits, Retry-After, X-Sentry-Error"

// mayAsk are the headers that a request from a page may have besides the simple ones.
var mayAsk = [...]string{
	"accept", "accept-language", "authorization", "baggage", "cache-control", "content-encoding", "content-language",
	"content-type", "idempotency-key", "sentry-trace", "traceparent", "tracestate", "user-agent", "x-mesher-key",
	"x-requested-with", "x-sentry-auth",
}

// crossOrigin lets the page that a request comes from read the answer, whatever it will be. No page gets to send credentials
// of the browser: a key is part of the request.
func crossOrigin(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return
	}
	h := w.Header()
	h.Set("Vary", "Origin")
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", exposed)
}

// preflight answers OPTIONS, by which a browser asks before it sends what is no simple request. There is no key in it, so
// every page is answered; whether it may send is found out when it does.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Access-Control-Request-Headers")
	h.Set("Allow", "OPTIONS, POST")
	h.Set("Access-Control-Allow-Methods", http.MethodPost)
	if names := allowedHeaders(r.Header.Values("Access-Control-Request-Headers")); names != "" {
		h.Set("Access-Control-Allow-Headers", names)
	}
	h.Set("Access-Control-Max-Age", preflightAge)
	w.WriteHeader(http.StatusNoContent)
}

// allowedHeaders returns those of the asked-for names that a request may have.
func allowedHeaders(asked []string) string {
	var names []string
	for _, list := range asked {
		for name := range strings.SplitSeq(list, ",") {
			name = strings.ToLower(textproto.TrimString(name))
			if slices.Contains(mayAsk[:], name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, ", ")
}

// checkOrigin refuses a request from a page that the project does not take events from. One without an Origin comes from
// no page.
func checkOrigin(allowed []string, origin string) error {
	if origin == "" || originAllowed(allowed, origin) {
		return nil
	}
	return fault.New(fault.Forbidden, "the project takes no events from pages of this origin; add it to the project's allowed origins")
}

// originAllowed reports whether one of the allowed origins is origin. None at all allow every origin. They look like
// https://app.example.com or http://localhost:3000; https://*.example.com is all subdomains of example.com, at any depth,
// but not example.com itself. Scheme and port must agree.
func originAllowed(allowed []string, origin string) bool {
	if len(allowed) == 0 {
		return true
	}
	origin = normalOrigin(origin)
	for _, a := range allowed {
		if a == origin {
			return true
		}
		scheme, domain, wild := strings.Cut(a, "*.")
		rest, same := strings.CutPrefix(origin, scheme)
		sub, under := strings.CutSuffix(rest, "."+domain)
		if wild && same && under && sub != "" && strings.Trim(sub, hostCharacters) == "" {
			return true
		}
	}
	return false
}

// hostCharacters are all that stands in the name of a host, after normalOrigin.
const hostCharacters = "abcdefghijklmnopqrstuvwxyz0123456789-."

// normalOrigin returns origin as a project's allowed origins are kept: in lower case, without the usual port.
func normalOrigin(origin string) string {
	origin = strings.ToLower(origin)
	if rest, ok := strings.CutSuffix(origin, ":443"); ok && strings.HasPrefix(origin, "https://") {
		return rest
	}
	if rest, ok := strings.CutSuffix(origin, ":80"); ok && strings.HasPrefix(origin, "http://") {
		return rest
	}
	return origin
}
