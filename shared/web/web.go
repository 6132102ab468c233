// Package web is the edge of every HTTP function: it adapts handlers that return errors, answers problems in
// the form of RFC 9457, recovers panics, and reads bodies within limits.
package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/logging"
)

// Problem is an error that adds fields of its own to the problem answer, such as the list of what was
// rejected.
type Problem struct {
	Err   error
	Extra map[string]any
}

// Error returns the text of the error that the problem explains.
func (p *Problem) Error() string { return p.Err.Error() }

// Unwrap returns the error that the problem explains.
func (p *Problem) Unwrap() error { return p.Err }

// HandlerFunc is an HTTP handler that returns its failure instead of answering it. It must not have written
// to w when it returns an error.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// Handler adapts f: it answers errors as problems, logs what an operator should see, and turns a panic into
// a 500 that takes no other request down.
func Handler(log *slog.Logger, f HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := logging.WithTrace(r.Context(), r.Header.Get("Traceparent"), r.Header.Get("X-Cloud-Trace-Context"))
		r = r.WithContext(ctx)
		err := guard(f, w, r)
		if err == nil {
			return
		}
		if errors.Is(err, http.ErrAbortHandler) {
			panic(http.ErrAbortHandler)
		}
		LogFailure(ctx, log, r.Method, r.URL.Path, err)
		Fail(w, err)
	})
}

// guard calls f and turns a panic into an error with its stack.
func guard(f HandlerFunc, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			err = http.ErrAbortHandler
		default:
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f(w, r)
}

// secrets are tokens of ours in a path, as the URL of a heartbeat has one.
var secrets = regexp.MustCompile(`(msh[a-z]_)[0-9A-Za-z]+`)

// LogFailure writes one line a failed request, with what else the caller knows. The query is left out: it may hold a key.
// So is the text of an error that is the client's own, which may repeat what the client sent; the client was told it. Who
// limits clients logs that: they can cause any number of refusals.
func LogFailure(ctx context.Context, log *slog.Logger, method, path string, err error, more ...slog.Attr) {
	kind := fault.KindOf(err)
	level := kind.Level()
	attrs := []slog.Attr{
		slog.String("method", method), slog.String("path", secrets.ReplaceAllString(path, "$1…")),
		slog.Int("status", kind.Status()), slog.String("code", fault.CodeOf(err)),
	}
	if level > slog.LevelInfo {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	log.LogAttrs(ctx, level, "request failed", append(attrs, more...)...)
}

// Fail answers err as application/problem+json (RFC 9457) with the stable field `code`. The cause of an
// error is never shown.
func Fail(w http.ResponseWriter, err error) {
	kind := fault.KindOf(err)
	body := map[string]any{}
	var p *Problem
	if errors.As(err, &p) {
		maps.Copy(body, p.Extra)
	}
	detail := "something went wrong on our side; it is logged"
	var e *fault.Error
	if errors.As(err, &e) {
		detail = e.Detail
		if e.RetryAfter > 0 {
			w.Header().Set("Retry-After", RetryAfter(e.RetryAfter))
		}
	}
	body["type"] = "about:blank"
	body["title"] = http.StatusText(kind.Status())
	body["status"] = kind.Status()
	body["code"] = fault.CodeOf(err)
	body["detail"] = detail
	write(w, "application/problem+json", kind.Status(), body)
}

// JSON answers v.
func JSON(w http.ResponseWriter, status int, v any) error {
	write(w, "application/json", status, v)
	return nil
}

// write encodes v first, so that a value that cannot be encoded is a clean 500. An error of writing is a
// client that went away; nobody is left to be told.
func write(w http.ResponseWriter, contentType string, status int, v any) {
	b, err := encode(v)
	if err != nil {
		http.Error(w, "the answer cannot be encoded", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// encode writes JSON as people read it in a terminal: <, > and & as they are. No page includes what is answered.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// RetryAfter formats d as the header of that name holds it: whole seconds, rounded up, at least 1.
func RetryAfter(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}
