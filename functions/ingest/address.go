package ingest

import (
	"strconv"
	"strings"
)

// endpoint is one of the ways in.
type endpoint uint8

const (
	toNowhere  endpoint = iota
	toNative            // /v1/events: Mesher's own format
	toEnvelope          // /api/{number}/envelope/: what Sentry SDKs send
	toStore             // /api/{number}/store/: what old ones send
	toTunnel            // /tunnel, or anything below it: envelopes whose DSN is in their header
	toLogs              // /v1/logs: OpenTelemetry
	toTraces            // /v1/traces: OpenTelemetry
)

// Path is where the native API takes events.
const Path = "/v1/events"

const (
	logsPath   = "/v1/logs"
	tracesPath = "/v1/traces"
	tunnelPath = "/tunnel"
)

// address is what a path means. It is read by hand: a mux would redirect paths that are not quite in order, and SDKs
// follow with a GET and lose the body.
type address struct {
	to     endpoint
	number string // of the project, in digits; empty where the path has none
}

// addressOf reads a path. What stands before /api/ is the prefix of a DSN and means nothing; nor does a slash at the
// end.
func addressOf(path string) address {
	path = strings.TrimRight(path, "/")
	switch path {
	case Path:
		return address{to: toNative}
	case logsPath:
		return address{to: toLogs}
	case tracesPath:
		return address{to: toTraces}
	}
	rest, last := cutLast(path)
	rest, number := cutLast(strings.TrimRight(rest, "/"))
	_, api := cutLast(strings.TrimRight(rest, "/"))
	if api == "api" && isDigits(number) {
		switch last {
		case "envelope":
			return address{toEnvelope, number}
		case "store":
			return address{toStore, number}
		}
	}
	if strings.HasSuffix(path, tunnelPath) || strings.HasPrefix(path, tunnelPath+"/") {
		return address{to: toTunnel}
	}
	return address{}
}

// cutLast cuts a path at its last slash.
func cutLast(path string) (before, last string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", ""
	}
	return path[:i], path[i+1:]
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// isNumber reports whether digits are those of the project number.
func isNumber(digits string, number int64) bool {
	n, err := strconv.ParseInt(digits, 10, 64)
	return err == nil && n == number
}

// fromSentry reports whether the client is an SDK of Sentry.
func (to endpoint) fromSentry() bool { return to == toEnvelope || to == toStore || to == toTunnel }
