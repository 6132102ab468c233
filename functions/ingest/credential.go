package ingest

import (
	"net/http"
	"strings"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/sentry"
)

// requestKey returns the API key of a request, from the places where clients may put it. An Authorization header that is
// no bearer token may be meant for a proxy on the way, and matters only where there is no key elsewhere.
func requestKey(r *http.Request) (string, error) {
	if key := r.Header.Get("X-Mesher-Key"); key != "" {
		return key, nil
	}
	if key, ok := sentry.AuthKey(r.Header.Get("X-Sentry-Auth")); ok {
		return key, nil
	}
	auth := r.Header.Get("Authorization")
	if scheme, key, ok := strings.Cut(auth, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(key), nil
	}
	if r.URL.RawQuery != "" {
		query := r.URL.Query()
		if key := query.Get("sentry_key"); key != "" {
			return key, nil
		}
		if key := query.Get("api_key"); key != "" {
			return key, nil
		}
	}
	switch {
	case auth != "":
		return "", fault.New(fault.Unauthenticated, "the Authorization header must be: Bearer <API key>")
	case r.Header.Get("X-Sentry-Auth") != "":
		return "", fault.New(fault.Unauthenticated, "the X-Sentry-Auth header must hold sentry_key=<API key>")
	}
	return "", fault.New(fault.Unauthenticated, "no API key; send it in the header X-Mesher-Key, as Authorization: "+
		"Bearer <key>, as sentry_key in the header X-Sentry-Auth, or as ?sentry_key= or ?api_key=")
}
