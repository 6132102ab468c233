package ingest

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/otlp"
	"github.com/mesherhq/mesher/shared/web"
)

// signal is one of the exports of OpenTelemetry.
type signal struct {
	name otlp.Signal
	read func(body []byte, contentType string) (*otlp.Request, error)
	item string // what of it that is no event is counted as
}

func logSignal() signal   { return signal{otlp.LogSignal, otlp.Logs, "otlp_log"} }
func traceSignal() signal { return signal{otlp.TraceSignal, otlp.Traces, "otlp_span"} }

// export takes an export of OpenTelemetry. Failures are answered in the encoding of the request, as its exporters read
// them, unless that is not understood.
func (f *Function) export(w http.ResponseWriter, r *http.Request, s signal) error {
	contentType := r.Header.Get("Content-Type")
	if _, err := s.read(nil, contentType); fault.Is(err, fault.Unsupported) {
		return err
	}
	answer, err := f.readExport(w, r, s, contentType)
	if err == nil {
		writeExport(w, contentType, http.StatusOK, answer)
		return nil
	}
	var e *fault.Error
	if !errors.As(err, &e) {
		return err
	}
	web.LogFailure(r.Context(), f.log, r.Method, r.URL.Path, err)
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", web.RetryAfter(e.RetryAfter))
	}
	writeExport(w, contentType, fault.KindOf(err).Status(), otlp.ErrorResponse(contentType, e.Detail))
	return nil
}

// writeExport answers in the encoding of the request.
func writeExport(w http.ResponseWriter, contentType string, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", otlp.ResponseType(contentType))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // protobuf or JSON, and said to be: no browser makes a page of it
}

// readExport publishes the events of an export and returns the answer.
func (f *Function) readExport(w http.ResponseWriter, r *http.Request, s signal, contentType string) ([]byte, error) {
	var left leftOut
	in, err := f.receive(w, r, "", func(in *intake, body []byte) (err error) {
		left, err = in.readExport(s, body, contentType)
		return err
	})
	if err != nil {
		return nil, err
	}
	if n := len(in.rejected); n > 0 {
		left.count += n
		left.reason = cmp.Or(left.reason, in.rejected[0].Error)
	}
	switch {
	case in.failure != nil:
		// An exporter sends all of it again. What is published already has the same ids then, and is stored once.
		return nil, in.failure
	case left.count > 0:
		return otlp.PartialResponse(contentType, left.count, left.reason, s.name), nil
	}
	return otlp.EmptyResponse(contentType), nil
}

// leftOut is what of an export was not taken.
type leftOut struct {
	count  int
	reason string
}

// readExport makes items of the records that are events, and counts the others. It returns what could not even be read.
func (in *intake) readExport(s signal, body []byte, contentType string) (left leftOut, err error) {
	work := cleanSize(body, contentType)
	if err := in.lease.Take(work); err != nil {
		return left, err
	}
	defer in.lease.Give(work)
	q, err := s.read(body, contentType)
	if err != nil {
		return left, err
	}
	index, others := 0, int64(0)
	for record := range q.Records() {
		if !record.IsEvent(in.access.OTLPSeverity) {
			others++
			continue
		}
		in.tools.native = record.AppendNative(in.tools.native[:0], in.now)
		if err := in.readClean(index, 0); err != nil {
			return left, err
		}
		index++
	}
	if others > 0 {
		in.other(s.item, others)
	}
	if n, reason := q.Rejected(); n > 0 {
		in.usage.Rejected += int64(n)
		left = leftOut{n, reason}
	}
	return left, nil
}

// cleanSize returns how many bytes reading a body takes besides it: JSON is cleaned first, whereby what is not UTF-8
// becomes up to three times as long.
func cleanSize(body []byte, contentType string) int64 {
	switch {
	case otlp.ResponseType(contentType) != otlp.JSONType:
		return 0
	case utf8.Valid(body):
		return int64(len(body))
	}
	return 3 * int64(len(body))
}
