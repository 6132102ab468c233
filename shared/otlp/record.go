package otlp

import (
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
)

// Record is a log record, or an exception that a span recorded.
type Record struct {
	request  *Request
	resource *resource
	scope    *scope
	span     *span  // nil for a log record
	raw      []byte // in the encoding of the request
	index    int    // of the event in its span
	id       uuid.UUID

	at, observed uint64 // nanoseconds since the epoch, or 0
	number       int    // the severity as sent
	severityText []byte
	eventName    []byte
	body         value
	flags        uint64
	traceID      []byte
	spanID       []byte
	attributes   []attribute
	dropped      uint64
	picked       picked
}

// readLog reads a log record into q.record and reports whether it is well-formed.
func (q *Request) readLog(raw []byte) bool {
	r, rec := &q.reader, &q.record
	r.reset()
	rec.reset(raw)
	for f := range r.fields(raw, logShape) {
		switch f.number {
		case 1:
			rec.at = f.bits
		case 2:
			rec.number = severityNumber(f.bits)
		case 3:
			rec.severityText = f.bytes
		case 5:
			rec.body = r.value(f.bytes)
		case 6:
			rec.add(r.attribute(f.bytes))
		case 7:
			rec.dropped += f.bits & 0xffffffff
		case 8:
			rec.flags = f.bits & 0xff
		case 9:
			rec.traceID = f.bytes
		case 10:
			rec.spanID = f.bytes
		case 11:
			rec.observed = f.bits
		case 12:
			rec.eventName = f.bytes
		}
	}
	rec.pick()
	return !r.broken
}

// reset forgets the previous record, but not what surrounds it.
func (rec *Record) reset(raw []byte) {
	*rec = Record{request: rec.request, resource: rec.resource, scope: rec.scope, attributes: rec.attributes[:0], raw: raw}
}

// add adds an attribute, up to the limit.
func (rec *Record) add(a attribute) {
	if len(rec.attributes) < MaxAttributes {
		rec.attributes = append(rec.attributes, a)
	} else {
		rec.dropped++
	}
}

// pick finds the attributes that have a meaning.
func (rec *Record) pick() {
	for i := range rec.attributes {
		a := &rec.attributes[i]
		if s := slotOf(a.key); s != noSlot {
			rec.picked[s] = &a.value
		}
	}
}

// severityNumber returns a severity number, or 0 for none.
func severityNumber(bits uint64) int {
	if bits > severityMost {
		return 0
	}
	return int(bits)
}

// IsEvent reports whether the record becomes an event: because it carries an exception, or is as severe as
// least, one of the Severity constants.
func (rec *Record) IsEvent(least int) bool {
	return rec.isException() || rec.severity() >= least
}

// isException reports whether the record carries an exception.
func (rec *Record) isException() bool {
	return rec.span != nil || rec.has(exceptionType) || rec.has(exceptionMessage) || rec.has(exceptionStack)
}

// has reports whether an attribute is there and not an empty string.
func (rec *Record) has(s slot) bool {
	v := rec.picked[s]
	return v != nil && v.kind != absentValue && (v.kind != stringValue || len(v.bytes) > 0)
}

// severity returns the severity number of the record: as sent, else by its name, else error for an exception and
// info for anything else.
func (rec *Record) severity() int {
	if rec.number > 0 {
		return rec.number
	}
	if number := severityOf(string(rec.severityText)); number > 0 {
		return number
	}
	if rec.isException() {
		return SeverityError
	}
	return SeverityInfo
}

// Level returns the level of the event that the record becomes.
func (rec *Record) Level() event.Level { return levelOf(rec.severity()) }

// occurred returns when the record happened by the sender's clock, or else when it was received.
func (rec *Record) occurred(receivedAt time.Time) time.Time {
	at := rec.at
	if at == 0 {
		at = rec.observed
	}
	if at == 0 {
		return receivedAt.UTC()
	}
	return time.Unix(int64(at/1e9), int64(at%1e9)).UTC()
}
