// Package event is the canonical event: its fields, limits, validation and line format.
//
// Decode reads the native format from outside and says what is wrong with it. AppendLine and DecodeLine carry
// an event over the queue as one line of JSON. Everything in an Event is fit for Postgres: valid UTF-8 without
// NUL, and JSON that json and jsonb accept.
package event

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// Level is how bad an event is. In an Event it is always one of the constants.
type Level string

// The levels, worst first.
const (
	Fatal   Level = "fatal"
	Error   Level = "error"
	Warning Level = "warning"
	Info    Level = "info"
	Debug   Level = "debug"
)

// ParseLevel returns the level named s, whatever its case. "warn" is warning and "critical" is fatal.
func ParseLevel(s string) (Level, bool) {
	switch level := Level(strings.ToLower(s)); level {
	case Fatal, Error, Warning, Info, Debug:
		return level, true
	case "warn":
		return Warning, true
	case "critical":
		return Fatal, true
	}
	return "", false
}

// Event is one event, validated and within its Limits.
//
// The []byte fields are clean compact JSON (see package rawjson). They are nil where nothing was sent, apart
// from Tags and Extra, and they alias the buffer of whoever decoded the event.
type Event struct {
	ID          uuid.UUID // version 7; its milliseconds equal ReceivedAt
	EventID     uuid.UUID // the client's id, by which duplicates are recognised; uuid.Nil until somebody sets it
	Fingerprint uuid.UUID // the group of events this one belongs to, set by package grouping
	Former      uuid.UUID // Fingerprint by the version of grouping before; uuid.Nil when there is none or it is the same

	ReceivedAt time.Time // when the server took it; UTC, whole milliseconds
	OccurredAt time.Time // when it happened by the client's clock; UTC, whole microseconds

	Level          Level
	Message        string
	ExceptionType  string // of the last entry of Exception
	ExceptionValue string // of the last entry of Exception
	Title          string // one line for people, set by package grouping; belongs to the issue
	Culprit        string // where it happened, set by package grouping
	Environment    string
	Release        string
	Platform       string
	Transaction    string
	ServerName     string
	Logger         string
	UserID         string
	TraceID        string // 32 lower-case hexadecimal digits

	Tags              []byte // object of strings; never nil
	Extra             []byte // object; never nil
	Exception         []byte // array of the chain, innermost first: the last entry was captured. Frames oldest first
	Threads           []byte // array of objects
	Breadcrumbs       []byte // array of objects, oldest first
	UserInfo          []byte // object
	Contexts          []byte // object
	Request           []byte // object
	SDK               []byte // object
	ClientFingerprint []byte // array of strings, as the client wants the event grouped
	Meta              []byte // object: what was trimmed, dropped or replaced in this event, and why
}

// NewID returns a random UUID of version 7 whose milliseconds are those of at.
func NewID(at time.Time) uuid.UUID {
	id := uuid.New() // brings the variant
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	id[6] = id[6]&0x0f | 0x70
	return id
}

// idMillis returns the milliseconds since the epoch that a UUID of version 7 was made at.
func idMillis(id uuid.UUID) int64 {
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return ms
}
