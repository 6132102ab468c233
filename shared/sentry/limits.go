package sentry

import (
	"strconv"
	"strings"
)

// RateLimits returns a value of the header X-Sentry-Rate-Limits: for that many seconds the client is to send
// nothing of the categories, as in
//
//	60:error;transaction:project
//
// No category at all means everything, sessions and check-ins included, which is rarely meant. The scope says
// whom the limit is of: organization, project or key. Several values are joined by ", ".
func RateLimits(seconds int, categories []string, scope string) string {
	return strconv.Itoa(max(seconds, 0)) + ":" + strings.Join(categories, ";") + ":" + scope
}
