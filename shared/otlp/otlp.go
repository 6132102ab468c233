// Package otlp reads the log and trace exports of OpenTelemetry, in protobuf and JSON, and writes their
// records as events in the native format.
//
// Logs and Traces check an export as a whole; Request.Records then reads one record at a time, so that memory
// does not grow with their number. What a record becomes is written by AppendNative, for event.Decoder to take.
package otlp

import (
	"bytes"
	"iter"
	"mime"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// Limits of one export. What is over MaxRecords is rejected; of the rest what is over is left out, and counted
// in the event.
const (
	MaxRecords    = 10_000  // log records, spans, or exceptions of spans of one request
	MaxEvents     = 128     // exceptions of one span
	MaxAttributes = 1_000   // of one record, resource, scope or span
	MaxNesting    = 64      // arrays and maps within each other in one value
	MaxInherited  = 8 << 10 // bytes of JSON that each event repeats of its resource, and as many of scope and span
)

// jsonDepth is how deep the JSON of an export may be nested: a level of a value takes up to four.
const jsonDepth = 4*MaxNesting + 64

// Signal is what an export carries.
type Signal uint8

// The signals that are understood.
const (
	LogSignal Signal = iota
	TraceSignal
)

// Request is one export. It serves one goroutine at a time.
type Request struct {
	signal Signal
	body   []byte // protobuf, or clean JSON
	reader reader
	record Record
	span   span
	seen   map[uuid.UUID]int // how often each identity came

	exceptions int // of spans, so far
	rejected   int
	reason     string
}

// Logs reads an ExportLogsServiceRequest. The request aliases body.
//
// Every error is a *fault.Error whose detail says what to fix: Unsupported for a content type other than
// protobuf and JSON, Invalid for a body that is broken outside of its records.
func Logs(body []byte, contentType string) (*Request, error) {
	return open(body, contentType, LogSignal)
}

// Traces is Logs for an ExportTraceServiceRequest. Its records are the exceptions that spans recorded.
func Traces(body []byte, contentType string) (*Request, error) {
	return open(body, contentType, TraceSignal)
}

func open(body []byte, contentType string, signal Signal) (*Request, error) {
	inJSON, err := isJSON(contentType)
	if err != nil {
		return nil, err
	}
	q := &Request{signal: signal, body: body, reader: reader{json: inJSON}, seen: make(map[uuid.UUID]int)}
	if inJSON {
		clean, n, _, err := rawjson.Clean(make([]byte, 0, len(body)), body, jsonDepth, 3*len(body))
		if err != nil {
			return nil, fault.New(fault.Invalid, "the export is not valid JSON: %s", err)
		}
		if len(bytes.TrimLeft(body[n:], " \t\r\n")) > 0 || rawjson.KindOf(clean) != rawjson.ObjectKind {
			return nil, fault.New(fault.Invalid, "the export must be one JSON object")
		}
		q.body = clean
	}
	q.check()
	if q.reader.broken {
		return nil, fault.New(fault.Invalid, "the export is broken outside of its records: it must be %s in the encoding that Content-Type names",
			[...]string{"an ExportLogsServiceRequest", "an ExportTraceServiceRequest"}[signal])
	}
	return q, nil
}

// check reads the whole export but not its records, and leaves in q.reader.broken whether it could.
func (q *Request) check() {
	for range q.items() {
		continue
	}
}

// isJSON tells the two encodings apart.
func isJSON(contentType string) (bool, error) {
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && media == "application/json":
		return true, nil
	case err == nil && (media == "application/x-protobuf" || media == "application/protobuf"):
		return false, nil
	}
	return false, fault.New(fault.Unsupported, "Content-Type must be application/x-protobuf or application/json, not %q", contentType)
}

// item is a log record or span with what surrounds it, in the encoding of the request.
type item struct{ group, scope, raw []byte }

// items yields the records as they came.
func (q *Request) items() iter.Seq[item] {
	r := &q.reader
	return func(yield func(item) bool) {
		for group := range r.fields(q.body, exportShapes[q.signal]) {
			for scope := range r.fields(group.bytes, groupShapes[q.signal]) {
				if scope.number != groupScopes {
					continue
				}
				for record := range r.fields(scope.bytes, scopeShapes[q.signal]) {
					if record.number == scopeRecords && !yield(item{group.bytes, scope.bytes, record.bytes}) {
						return
					}
				}
			}
		}
	}
}

// Records yields the log records, or the exceptions that spans recorded, one after another. A record is valid
// until the next one. Broken records are left out, and counted.
func (q *Request) Records() iter.Seq[*Record] {
	return func(yield func(*Record) bool) {
		q.exceptions, q.rejected, q.reason = 0, 0, ""
		clear(q.seen)
		q.record = Record{request: q, attributes: q.record.attributes}
		var before item
		count := 0
		for it := range q.items() {
			if count++; count > MaxRecords {
				q.reject("an export may hold 10000 records: send smaller batches")
				continue
			}
			if !same(it.group, before.group) {
				q.record.resource = q.readResource(it.group)
			}
			if !same(it.scope, before.scope) {
				q.record.scope = q.readScope(it)
			}
			before = it
			if q.signal == TraceSignal {
				if !q.spanRecords(it.raw, yield) {
					return
				}
			} else if !q.readLog(it.raw) {
				q.reject("a log record is malformed")
			} else if !yield(&q.record) {
				return
			}
		}
	}
}

// same reports whether two slices are the same memory.
func same(a, b []byte) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}

// reject counts a record that is left out.
func (q *Request) reject(reason string) {
	q.rejected++
	q.reason = reason
}

// Rejected returns how many log records or spans were left out by the last loop over Records, and the last
// reason, in words for the sender.
func (q *Request) Rejected() (count int, reason string) { return q.rejected, q.reason }
