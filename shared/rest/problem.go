package rest

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/web"
)

// Problem is the body of every error (RFC 9457).
type Problem struct {
	Type   string  `json:"type" doc:"always about:blank"`
	Title  string  `json:"title" doc:"the status in words"`
	Status int     `json:"status"`
	Code   string  `json:"code" example:"not_found" doc:"what programs tell errors by; stable"`
	Detail string  `json:"detail" doc:"what is wrong and how to fix it, for people"`
	Errors []Wrong `json:"errors,omitempty" doc:"what is wrong with each field"`

	retryAfter time.Duration
}

// Wrong is what is wrong with one part of a request.
type Wrong struct {
	Location string `json:"location" example:"body.name"`
	Message  string `json:"message"`
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status, for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the media type of problems in place of the usual one, for huma.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders returns the headers of the answer, for huma.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", web.RetryAfter(p.retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", challenge)
	}
	return h
}

// challenge says how to authenticate, as a 401 has to.
const challenge = `Bearer realm="mesher"`

// install guards what is said once for all of huma, which keeps it in variables of its package.
var install sync.Once //nolint:gochecknoglobals // guards variables that are global in huma

func useProblems() {
	install.Do(func() {
		huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
			return newProblem(status, message, errs)
		}
		huma.NewErrorWithContext = func(hc huma.Context, status int, message string, errs ...error) huma.StatusError {
			return refused(hc.Context(), newProblem(status, message, errs), errs)
		}
		useMessages()
		// The decoder would take NAME for name after only name was validated.
		huma.ValidateStrictCasing = true
	})
}

// codes are the errors that huma itself finds in a request.
var codes = map[int]fault.Kind{
	http.StatusBadRequest:          fault.Invalid,
	http.StatusUnprocessableEntity: fault.Invalid,
}

// wrongMost is how many things of a request are said to be wrong. A client can make any number of mistakes, and the answer
// should not grow with them.
const wrongMost = 10

// Bytes of what is said to be wrong, and of where. Messages are ours; the longest lists what a value may be.
const locationMost, messageMost = 100, 2000

// newProblem makes a problem of what huma found. Values are left out: one may be a password.
func newProblem(status int, message string, errs []error) *Problem {
	kind := codes[status]
	p := problem(kind, kind.String(), message)
	if kind == fault.Internal {
		p.Detail = internal
		return p
	}
	for _, err := range errs {
		var d *huma.ErrorDetail
		if errors.As(err, &d) {
			p.Errors = append(p.Errors, Wrong{clip(d.Location, locationMost), clip(reworded(d.Message), messageMost)})
		}
	}
	// huma finds some in the order of a map.
	slices.SortStableFunc(p.Errors, func(a, b Wrong) int { return cmp.Compare(a.Location, b.Location) })
	p.Errors = p.Errors[:min(len(p.Errors), wrongMost)]
	if p.Errors != nil {
		said := make([]string, len(p.Errors))
		for i, wrong := range p.Errors {
			said[i] = wrong.Location + ": " + wrong.Message
		}
		p.Detail = strings.Join(said, "; ")
	}
	return p
}

const internal = "something went wrong on our side; it is logged"

func problem(kind fault.Kind, code, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(kind.Status()), Status: kind.Status(), Code: code, Detail: detail}
}

// refused logs a problem that huma found, as every other is.
func refused(ctx context.Context, p *Problem, errs []error) *Problem {
	c := callOf(ctx)
	web.LogFailure(ctx, c.log, c.method, c.path, fault.Wrap(errors.Join(errs...), codes[p.Status], "%s", p.Detail), c.caller()...)
	return p
}

// caller names who calls in the log, by ids only: an address is personal data. There is none before a caller is known.
func (c *call) caller() []slog.Attr {
	if c.who.User.ID == uuid.Nil {
		return nil
	}
	return []slog.Attr{slog.String("user", c.who.User.ID.String()), slog.String("credential", c.who.Credential.String())}
}

// refuse turns a handler's error into the problem that is answered, and logs what an operator should see.
func refuse(ctx context.Context, err error) *Problem {
	err = busy(err)
	c := callOf(ctx)
	web.LogFailure(ctx, c.log, c.method, c.path, err, c.caller()...)
	p := problem(fault.KindOf(err), fault.CodeOf(err), internal)
	var e *fault.Error
	if errors.As(err, &e) {
		p.Detail, p.retryAfter = e.Detail, e.RetryAfter
	}
	return p
}

// fail answers an error that is found before a handler is called.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	web.Handler(a.options.Log, func(w http.ResponseWriter, _ *http.Request) error {
		if fault.Is(err, fault.Unauthenticated) {
			w.Header().Set("WWW-Authenticate", challenge)
		}
		return err
	}).ServeHTTP(w, r)
}

// busyWait is how long a client is asked to wait for a database that is busy or restarting.
const busyWait = time.Second

// busy says of an error that nobody classified whether the database may get over it.
func busy(err error) error {
	if fault.KindOf(err) == fault.Internal && postgres.Transient(err) {
		return fault.Wrap(err, fault.Unavailable, "the database is busy or away; try again").After(busyWait)
	}
	return err
}
