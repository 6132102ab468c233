package rest

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/mesherhq/mesher/shared/fault"
)

// bound limits how much r's body may be and how long it may take. The server lifts the deadline once the body is there as a
// whole, so that it does not end the request's context while the answer is made.
func bound(w http.ResponseWriter, r *http.Request, d time.Duration) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	// Where there is no connection, as in a benchmark, nothing is slow.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d))
	r.Body = http.MaxBytesReader(w, r.Body, bodyMost)
}

// prepare refuses requests whose form huma would not see through, and hands it a body that is there as a whole.
func (a *API) prepare(hc huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(hc)
	op := hc.Operation()
	ready, err := a.prepared(r, op)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	next(humago.NewContext(op, ready, w))
}

func (a *API) prepared(r *http.Request, op *huma.Operation) (*http.Request, error) {
	if err := checkQuery(r.URL.RawQuery, op); err != nil {
		return nil, err
	}
	if !storable(r.URL.Path) {
		return nil, fault.New(fault.Invalid, "the path holds a NUL character or is not UTF-8")
	}
	ready := r.WithContext(r.Context())
	ready.Header = maps.Clone(r.Header)
	// There is one form of answer, whatever the client would rather have; huma's own choice does not bear every header.
	ready.Header.Del("Accept")
	if op.RequestBody == nil {
		ready.Body = http.NoBody
		return ready, nil
	}
	body, err := readBody(r, a.bodyTime)
	if err != nil {
		return nil, err
	}
	ready.Header.Set("Content-Type", "application/json")
	ready.Body = body
	return ready, nil
}

// checkQuery refuses a query in which huma would overlook a part.
func checkQuery(raw string, op *huma.Operation) error {
	if raw == "" {
		return nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "the query is not percent-encoded as it should be")
	}
	for name, values := range query {
		if !storable(name) || slices.ContainsFunc(values, func(s string) bool { return !storable(s) }) {
			return fault.New(fault.Invalid, "the query holds a NUL character or is not UTF-8")
		}
		if len(values) > 1 && !exploded(op, name) {
			return fault.New(fault.Invalid, "query.%s: given more than once", clip(name, locationMost))
		}
	}
	return nil
}

func exploded(op *huma.Operation, name string) bool {
	return slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool {
		return p.In == "query" && p.Name == name && p.Explode != nil && *p.Explode
	})
}

// storable reports whether Postgres keeps s as a text.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// readBody reads the body of r as a whole.
func readBody(r *http.Request, d time.Duration) (io.ReadCloser, error) {
	over := fault.New(fault.TooLarge, "the body is over %d KiB", bodyMost>>10)
	if r.ContentLength > bodyMost {
		return nil, over
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, fault.New(fault.Unsupported, "send the body without a Content-Encoding")
	}
	body, err := io.ReadAll(r.Body)
	var most *http.MaxBytesError
	var slow net.Error
	switch {
	case errors.As(err, &most):
		return nil, over
	case errors.As(err, &slow) && slow.Timeout():
		return nil, fault.Wrap(err, fault.Invalid, "the body did not arrive within %s", d)
	case err != nil:
		return nil, fault.Wrap(err, fault.Invalid, "the body could not be read to its end")
	case len(body) > 0 && !isJSON(r.Header.Get("Content-Type")):
		return nil, fault.New(fault.Unsupported, "send the body as Content-Type: application/json")
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

// isJSON reports whether a body of the type is JSON; one without a type is taken for it.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// clip shortens a text for a message to so many bytes.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
