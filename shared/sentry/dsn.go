package sentry

import (
	"net/url"
	"strings"

	"github.com/mesherhq/mesher/shared/fault"
)

// AuthKey returns the public key in the X-Sentry-Auth header of a request, such as
//
//	Sentry sentry_version=7, sentry_client=sentry.go/0.50.0, sentry_key=3f2c
//
// The order does not matter, nor does the case of what is not the key, and "Sentry" may be absent.
func AuthKey(header string) (key string, ok bool) {
	header = strings.TrimSpace(header)
	if scheme, rest, found := strings.Cut(header, " "); found && strings.EqualFold(scheme, "sentry") {
		header = rest
	}
	for pair := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(pair, "=")
		if strings.EqualFold(strings.TrimSpace(name), "sentry_key") {
			key = strings.TrimSpace(value)
			return key, key != ""
		}
	}
	return "", false
}

// ParseDSN returns the public key and the project number of a DSN such as https://key@host/prefix/42. A secret,
// a query and a slash at the end are passed over. The error, of kind fault.Invalid, shows nothing of the DSN.
func ParseDSN(dsn string) (key, project string, err error) {
	u, err := url.Parse(strings.TrimSpace(dsn))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" { // err would show the secret
		return "", "", fault.New(fault.Invalid, "the DSN must be an address such as https://key@host/42")
	}
	if key = u.User.Username(); key == "" {
		return "", "", fault.New(fault.Invalid, "the DSN has no key: it must be an address such as https://key@host/42")
	}
	path := strings.TrimRight(u.Path, "/")
	project = path[strings.LastIndexByte(path, '/')+1:]
	if project == "" || strings.Trim(project, "0123456789") != "" {
		return "", "", fault.New(fault.Invalid, "the DSN must end with the number of the project, as in https://key@host/42")
	}
	return key, project, nil
}
