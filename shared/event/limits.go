package event

import (
	"fmt"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
)

// Limits bounds an event. Lengths of text are in characters, so a limit means the same in every script.
// Only EventBytes and Depth refuse an event; everything else is cut down to its limit and noted in Meta. That
// LineBytes follows from them is checked as well.
type Limits struct {
	EventBytes int // JSON text of one event, bytes
	Depth      int // nested arrays and objects; at most 500

	Message        int
	ExceptionType  int
	ExceptionValue int // of the column; the exception itself keeps the whole value
	Environment    int
	Release        int
	Transaction    int
	ServerName     int
	Logger         int
	Platform       int
	UserID         int

	TagKey   int
	TagValue int
	Tags     int // entries

	Fingerprint     int // parts
	FingerprintPart int
	Exceptions      int // entries of a chain
	Frames          int // of one stack trace
	Breadcrumbs     int // the newest are kept
	Threads         int
	UnknownFields   int // names of unknown top-level fields, which go into extra; extra itself has no such limit

	Ahead time.Duration // how far the client's clock may run ahead before Meta says so
	Age   time.Duration // how old an event may be before Meta says so
}

// DefaultLimits returns the limits of the hosted platform. EventBytes is 1 MiB (1,048,576).
func DefaultLimits() Limits {
	return Limits{
		EventBytes: 1 << 20, Depth: 100,
		Message: 8192, ExceptionType: 500, ExceptionValue: 8192,
		Environment: 64, Release: 250, Transaction: 500, ServerName: 200, Logger: 200, Platform: 64, UserID: 200,
		TagKey: 200, TagValue: 200, Tags: 200,
		Fingerprint: 32, FingerprintPart: 200,
		Exceptions: 50, Frames: 250, Breadcrumbs: 100, Threads: 200, UnknownFields: 1000,
		Ahead: 5 * time.Minute, Age: 30 * 24 * time.Hour,
	}
}

// Limit is a row of Table.
type Limit struct {
	Name, Value, Doc string
}

// Table returns the limits in words, for documentation.
func (l Limits) Table() []Limit {
	row := func(name string, n int, unit, doc string) Limit {
		return Limit{Name: name, Value: fmt.Sprintf("%d %s", n, unit), Doc: doc}
	}
	const cut = "cut"
	return []Limit{
		row("event", l.EventBytes, "bytes", "JSON text of one event; a larger one is refused"),
		row("nesting", l.Depth, "levels", "arrays and objects within each other; deeper is refused"),
		row("message", l.Message, "characters", cut),
		row("exception type", l.ExceptionType, "characters", cut),
		row("exception value", l.ExceptionValue, "characters", "cut for search and lists; the exception keeps it whole"),
		row("environment", l.Environment, "characters", cut),
		row("release", l.Release, "characters", cut),
		row("transaction", l.Transaction, "characters", cut),
		row("server_name", l.ServerName, "characters", cut),
		row("logger", l.Logger, "characters", cut),
		row("platform", l.Platform, "characters", cut),
		row("user.id", l.UserID, "characters", cut),
		row("tag key", l.TagKey, "characters", cut),
		row("tag value", l.TagValue, "characters", cut),
		row("tags", l.Tags, "entries", "later ones are dropped"),
		row("fingerprint", l.Fingerprint, "parts", "later ones are dropped"),
		row("fingerprint part", l.FingerprintPart, "characters", cut),
		row("exception", l.Exceptions, "entries of a chain", "the middle is dropped"),
		row("frames", l.Frames, "per stack trace", "the middle is dropped"),
		row("breadcrumbs", l.Breadcrumbs, "entries", "the oldest are dropped"),
		row("threads", l.Threads, "entries", "later ones are dropped"),
		row("unknown top-level fields", l.UnknownFields, "names", "later ones are dropped"),
		row("clock ahead", int(l.Ahead.Minutes()), "minutes", "the timestamp is kept, the event filed under when it was received"),
		row("age", int(l.Age.Hours()/24), "days", "the timestamp is kept, the event filed under when it was received"),
	}
}

// fits refuses a text above the size limit.
func (l *Limits) fits(size int) error {
	if size <= l.EventBytes {
		return nil
	}
	return fault.New(fault.TooLarge, "the event has %d bytes, the limit is %d", size, l.EventBytes)
}

// lineOverhead is what the line of an event within DefaultLimits is longer than its clean text, at most: the
// texts that stand in it twice, with six bytes for each character (54 KB), the notes of Meta (43 KB), and what
// others set.
const lineOverhead = 128 << 10

// setByOthers is the part of lineOverhead that Decode leaves to who sets Environment, Title and Culprit.
const setByOthers = 8 << 10

// LineBytes returns how long the line of an event within the limits can be, without its newline: EventBytes and
// 128 KiB. Decode refuses an event that would make a longer one. A smaller event of n bytes makes at most 3n
// and 128 KiB, since each byte that is not UTF-8 becomes the three of U+FFFD; nearly all make about n. LineSize
// tells what one event makes.
func (l Limits) LineBytes() int { return l.EventBytes + lineOverhead }

// lineFits refuses an event with a line of that size.
func (l *Limits) lineFits(size int) error {
	if most := l.LineBytes() - setByOthers; size > most {
		return fault.New(fault.TooLarge, "the event has %d bytes in the form it is stored in, the limit is %d", size, most)
	}
	return nil
}
