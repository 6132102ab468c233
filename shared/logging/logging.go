// Package logging writes structured logs in the form that Google Cloud Logging understands: one JSON object
// a line with severity, message and time, and the request's trace, so that a request's lines stand together.
package logging

import (
	"context"
	"io"
	"log/slog"
	"strings"
)

// New returns a logger that writes JSON lines to w. project is the Google Cloud project of the traces; it
// may be empty.
func New(w io.Writer, level slog.Leveler, project string) *slog.Logger {
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

// WithTrace returns a context whose log lines carry the trace of a request, taken from its `traceparent`
// (W3C) or `X-Cloud-Trace-Context` header, whichever is given; malformed values are ignored.
func WithTrace(ctx context.Context, traceparent, cloudTrace string) context.Context {
	id := ""
	if parts := strings.Split(traceparent, "-"); len(parts) == 4 && len(parts[1]) == 32 {
		id = parts[1]
	} else if before, _, ok := strings.Cut(cloudTrace, "/"); ok && len(before) == 32 {
		id = before
	}
	if id == "" || strings.Trim(id, "0123456789abcdef") != "" {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, id)
}

// traced adds the context's trace to each record.
type traced struct {
	slog.Handler
	project string
}

func (t *traced) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := ctx.Value(traceKey{}).(string); ok {
		name := id
		if t.project != "" {
			name = "projects/" + t.project + "/traces/" + id
		}
		r.AddAttrs(slog.String("logging.googleapis.com/trace", name))
	}
	return t.Handler.Handle(ctx, r)
}

func (t *traced) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &traced{Handler: t.Handler.WithAttrs(attrs), project: t.project}
}

func (t *traced) WithGroup(name string) slog.Handler {
	return &traced{Handler: t.Handler.WithGroup(name), project: t.project}
}
