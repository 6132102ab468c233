// Package logging writes structured logs in the form that Google Cloud Logging understands: one JSON object
// a line with severity, message and time, and the request's trace, so that a request's lines stand together.
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
)

// New returns a logger that writes JSON lines to w. project is the Google Cloud project of the traces; it
// may be empty.
func New(w io.Writer, level slog.Leveler, project string) *slog.Logger {
	return NewLate(w, level, func() string { return project })
}

// NewLate is New for who does not know the project yet: it is asked for with each line that belongs to a trace.
func NewLate(w io.Writer, level slog.Leveler, project func() string) *slog.Logger {
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: rename})
	return slog.New(&traced{Handler: h, project: project})
}

// rename gives the built-in attributes Cloud Logging's names.
// https://cloud.google.com/logging/docs/structured-logging
func rename(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.LevelKey:
		a.Key = "severity"
		if level, ok := a.Value.Any().(slog.Level); ok && level == slog.LevelWarn {
			a.Value = slog.StringValue("WARNING")
		}
	case slog.MessageKey:
		a.Key = "message"
	}
	return a
}

type traceKey struct{}

// span is where in which trace a request is.
type span struct {
	trace string // 32 hexadecimal digits
	id    string // 16 of them, or empty
}

// WithTrace returns a context whose log lines carry the trace of a request and its span, taken from its `traceparent`
// (W3C) or `X-Cloud-Trace-Context` header, whichever is given; malformed values are ignored.
func WithTrace(ctx context.Context, traceparent, cloudTrace string) context.Context {
	var s span
	if parts := strings.Split(traceparent, "-"); len(parts) == 4 && len(parts[1]) == 32 {
		s = span{parts[1], parts[2]}
	} else if trace, rest, ok := strings.Cut(cloudTrace, "/"); ok && len(trace) == 32 {
		s.trace = trace
		// Google writes the span in decimal here.
		number, _, _ := strings.Cut(rest, ";")
		if n, err := strconv.ParseUint(number, 10, 64); err == nil && n > 0 {
			s.id = fmt.Sprintf("%016x", n)
		}
	}
	if s.trace == "" || !hexadecimal(s.trace) {
		return ctx
	}
	if len(s.id) != 16 || !hexadecimal(s.id) {
		s.id = ""
	}
	return context.WithValue(ctx, traceKey{}, s)
}

func hexadecimal(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// traced adds the context's trace to each record.
type traced struct {
	slog.Handler
	project func() string
}

func (t *traced) Handle(ctx context.Context, r slog.Record) error {
	if s, ok := ctx.Value(traceKey{}).(span); ok {
		name := s.trace
		if project := t.project(); project != "" {
			name = "projects/" + project + "/traces/" + s.trace
		}
		r.AddAttrs(slog.String("logging.googleapis.com/trace", name))
		if s.id != "" {
			r.AddAttrs(slog.String("logging.googleapis.com/spanId", s.id))
		}
	}
	return t.Handler.Handle(ctx, r)
}

func (t *traced) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &traced{Handler: t.Handler.WithAttrs(attrs), project: t.project}
}

func (t *traced) WithGroup(name string) slog.Handler {
	return &traced{Handler: t.Handler.WithGroup(name), project: t.project}
}
