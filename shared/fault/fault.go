// Package fault names the kinds of things that go wrong and what each one means to whoever is waiting:
// the HTTP status of a caller, the acknowledgement of a queue, the level of a log line.
//
// Code that meets an error wraps it in a kind once, where it knows what the error means; everything above
// passes it on, and one adapter at the edge (package web) decides what is answered and logged. An error
// without a kind is Internal: its text goes to the log and never to a client.
package fault

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Kind says what an error means to the one who caused it.
type Kind uint8

// The kinds. The zero value is Internal, so that an error nobody classified is never shown to a client.
const (
	Internal        Kind = iota // a bug or an unforeseen failure; the cause is logged, not shown
	Invalid                     // the request or message is wrong and stays wrong when sent again
	Unauthenticated             // no credential, or one that is not valid
	Forbidden                   // a valid credential that may not do this
	NotFound                    // nothing under that name or path
	Method                      // the path exists, the method does not
	Conflict                    // the state does not allow it now
	TooLarge                    // over a size limit
	Unsupported                 // a content type or encoding that is not understood
	Limited                     // over a rate limit or quota
	Unavailable                 // a dependency is down or busy; the same request works later
	NotConfigured               // a setting is missing or wrong; the operator has to act
)

// row is what a kind means at every edge.
type row struct {
	code   string
	status int
	ack    bool
	level  slog.Level
}

// table is the one place that maps kinds to answers. Ack says whether a queue message that failed this way
// is acknowledged: true where sending it again cannot help. Clients' own errors are logged at debug level only:
// anybody can cause any number of them, and the platform's request log counts them.
var table = [...]row{
	Internal:        {"internal", http.StatusInternalServerError, false, slog.LevelError},
	Invalid:         {"invalid", http.StatusBadRequest, true, slog.LevelDebug},
	Unauthenticated: {"unauthenticated", http.StatusUnauthorized, true, slog.LevelDebug},
	Forbidden:       {"forbidden", http.StatusForbidden, true, slog.LevelDebug},
	NotFound:        {"not_found", http.StatusNotFound, true, slog.LevelDebug},
	Method:          {"method_not_allowed", http.StatusMethodNotAllowed, true, slog.LevelDebug},
	Conflict:        {"conflict", http.StatusConflict, true, slog.LevelDebug},
	TooLarge:        {"too_large", http.StatusRequestEntityTooLarge, true, slog.LevelDebug},
	Unsupported:     {"unsupported", http.StatusUnsupportedMediaType, true, slog.LevelDebug},
	Limited:         {"limited", http.StatusTooManyRequests, false, slog.LevelDebug},
	Unavailable:     {"unavailable", http.StatusServiceUnavailable, false, slog.LevelWarn},
	NotConfigured:   {"not_configured", http.StatusServiceUnavailable, false, slog.LevelError},
}

// String returns the kind's stable code, as it stands in the `code` field of a problem answer.
func (k Kind) String() string { return table[k].code }

// Status returns the HTTP status that answers this kind.
func (k Kind) Status() int { return table[k].status }

// Ack reports whether a queue message that failed this way is acknowledged, because a redelivery cannot help.
func (k Kind) Ack() bool { return table[k].ack }

// Level returns the level a failure of this kind is logged at.
func (k Kind) Level() slog.Level { return table[k].level }

// Error is an error of a known kind. Detail is written for the client and says what to fix; Cause is for
// the log only.
type Error struct {
	Kind       Kind
	Detail     string
	Code       string        // what programs tell the error by; empty: the kind's code
	RetryAfter time.Duration // when set, the client is told to wait this long (rounded up to seconds)
	Cause      error
}

// Error returns the detail followed by the cause, for logs.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Detail
	}
	return e.Detail + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// New returns an error of the given kind with a detail for the client.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// Wrap returns an error of the given kind with a detail for the client and a cause for the log.
func Wrap(cause error, kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...), Cause: cause}
}

// After returns a copy of e that tells the client to wait for d before it tries again.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Named returns a copy of e with a stable code of its own, for errors that a program treats unlike others of the kind.
func (e *Error) Named(code string) *Error {
	c := *e
	c.Code = code
	return &c
}

// CodeOf returns the stable code of err: its own, or its kind's.
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Code != "" {
		return e.Code
	}
	return KindOf(err).String()
}

// KindOf returns the kind of the outermost Error in err's chain, or Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is of the given kind. It is false for nil.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }
