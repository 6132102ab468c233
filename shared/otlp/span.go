package otlp

import "encoding/hex"

// span is what surrounds the exceptions of a span.
type span struct {
	raw             []byte
	traceID, spanID []byte
	parent          []byte
	name            []byte
	start, end      uint64
	kind, status    uint64
	statusMessage   []byte
	attributes      []attribute
	dropped         uint64
	events          [][]byte
	picked          picked
	tags            []tag
	json            []byte // for extra
	digest          []byte // of raw, for the identities of the exceptions
}

// spanRecords yields the exceptions of a span. It returns false when the loop is to end.
func (q *Request) spanRecords(raw []byte, yield func(*Record) bool) bool {
	r := &q.reader
	r.reset()
	q.readSpan(raw)
	if r.broken {
		q.reject("a span is malformed")
		return true
	}
	reason, exceptions, arena, nested := "", 0, len(r.arena), len(r.nested)
	for i, event := range q.span.events {
		r.broken, r.arena, r.nested = false, r.arena[:arena], r.nested[:nested]
		if !q.readEvent(event, i) {
			if r.broken {
				reason = "an event of a span is malformed"
			}
			continue
		}
		if exceptions++; exceptions > MaxEvents {
			reason = "a span has more than 128 exceptions: the later ones are left out"
			break
		}
		if q.exceptions++; q.exceptions > MaxRecords {
			reason = "an export may hold 10000 exceptions: send smaller batches"
			break
		}
		if exceptions == 1 {
			q.span.finish()
			q.inherit()
		}
		if !yield(&q.record) {
			return false
		}
	}
	if reason != "" {
		q.reject(reason)
	}
	return true
}

// readSpan reads a span apart from its events.
func (q *Request) readSpan(raw []byte) {
	r, s := &q.reader, &q.span
	*s = span{raw: raw, attributes: s.attributes[:0], events: s.events[:0], tags: s.tags[:0], json: s.json[:0]}
	for f := range r.fields(raw, spanShape) {
		switch f.number {
		case 1:
			s.traceID = f.bytes
		case 2:
			s.spanID = f.bytes
		case 4:
			s.parent = f.bytes
		case 5:
			s.name = f.bytes
		case 6:
			s.kind = f.bits
		case 7:
			s.start = f.bits
		case 8:
			s.end = f.bits
		case 9:
			if a := r.attribute(f.bytes); len(s.attributes) < MaxAttributes {
				s.attributes = append(s.attributes, a)
			} else {
				s.dropped++
			}
		case 10:
			s.dropped += f.bits & 0xffffffff
		case 11:
			s.events = append(s.events, f.bytes)
		case 15:
			s.readStatus(r, f.bytes)
		}
	}
}

// readStatus reads the status of a span.
func (s *span) readStatus(r *reader, raw []byte) {
	for f := range r.fields(raw, statusShape) {
		if f.number == 2 {
			s.statusMessage = f.bytes
		} else {
			s.status = f.bits
		}
	}
}

// readEvent reads an event of the span into q.record, and reports whether it is a well-formed exception.
func (q *Request) readEvent(raw []byte, index int) bool {
	r, rec := &q.reader, &q.record
	rec.reset(raw)
	rec.span, rec.index = &q.span, index
	rec.traceID, rec.spanID, rec.observed = q.span.traceID, q.span.spanID, q.span.end
	for f := range r.fields(raw, eventShape) {
		switch f.number {
		case 1:
			rec.at = f.bits
		case 2:
			rec.eventName = f.bytes
		case 3:
			rec.add(r.attribute(f.bytes))
		case 4:
			rec.dropped += f.bits & 0xffffffff
		}
	}
	rec.pick()
	q.inherit()
	return !r.broken && string(rec.eventName) == "exception"
}

// inherit gives the record what its span knows and it does not.
func (q *Request) inherit() {
	for s := firstInherited; s < slots; s++ {
		if q.record.picked[s] == nil {
			q.record.picked[s] = q.span.picked[s]
		}
	}
}

// Names of the numbers in a span.
var (
	kindNames   = [...]string{"", "internal", "server", "client", "producer", "consumer"}
	statusNames = [...]string{"", "ok", "error"}
)

// finish works out what each exception of the span repeats of it.
func (s *span) finish() {
	s.digest = sum(s.raw)
	for i := range s.attributes {
		a := &s.attributes[i]
		at := slotOf(a.key)
		if at != noSlot {
			s.picked[at] = &a.value
		}
		if len(s.tags) < MaxTags && at.isTag() && a.value.isTag() && len(a.key) > 0 {
			s.tags = append(s.tags, newTag(a))
		}
	}
	w := objectWriter{dst: append(s.json, '{')}
	w.text("name", clip(s.name))
	w.text("kind", nameOf(kindNames[:], s.kind))
	w.text("status", nameOf(statusNames[:], s.status))
	w.text("status_message", clip(s.statusMessage))
	w.id("parent_span_id", s.parent, 8)
	if s.end > s.start && s.start > 0 {
		w.number("duration_ns", s.end-s.start)
	}
	var left uint64
	w.dst, left = appendAttributes(appendKey(w.dst, "attributes"), s.attributes, MaxInherited, nil)
	if left += s.dropped; left > 0 {
		w.number("dropped_attributes_count", left)
	}
	s.json = append(w.dst, '}')
}

// nameOf returns the name of a number, if it has one.
func nameOf(names []string, number uint64) string {
	if number < uint64(len(names)) {
		return names[number]
	}
	return ""
}

// hexID returns an id of that many bytes in hexadecimal digits, or "" if it is not one.
func hexID(id []byte, size int) string {
	zero := true
	for _, b := range id {
		zero = zero && b == 0
	}
	if len(id) != size || zero {
		return ""
	}
	return hex.EncodeToString(id)
}
