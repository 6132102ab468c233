package check

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/outbound"
)

// answer is what a request was answered.
type answer struct {
	status int
	header http.Header
	body   []byte               // no more than what is read of it
	whole  bool                 // there is no more
	tls    *tls.ConnectionState // nil: it came in plain text
	unread string               // the encoding of a body that cannot be read
}

// http makes a request and compares its answer with what is expected. What is wrong is looked for in the order in which
// somebody would look into it: no answer, the status, the conditions, the time, the certificate.
func (l *look) http(ctx context.Context, c *monitor.HTTPConfig) finding {
	a, f := l.ask(ctx, c)
	if f.status != monitor.Healthy {
		return f
	}
	took := l.paced(c.DegradedAfterMS, c.DownAfterMS)
	if f = statusOf(a, c.Statuses); f.status == monitor.Healthy {
		f = l.conditions(ctx, a, c)
	}
	if f.status == monitor.Healthy {
		f = took
	}
	if a.tls == nil {
		return f
	}
	// Looked at in any case, because that notes when it expires.
	v := l.valid(a.tls, c.ExpiryDays)
	if f.status == monitor.Healthy && c.ExpiryDays > 0 {
		return v
	}
	return f
}

// ask makes the request; the finding is healthy when there is an answer to look at.
func (l *look) ask(ctx context.Context, c *monitor.HTTPConfig) (answer, finding) {
	var state *tls.ConnectionState
	client := l.guard.Client(outbound.ClientOptions{
		Timeout:   outbound.TimeoutMost, // ctx ends earlier
		Redirects: c.Redirects, Roots: l.options.Roots, Now: l.now,
		Check: func(s tls.ConnectionState) error { state = &s; return nil },
	})
	request, f := l.request(ctx, c)
	if f.status != monitor.Healthy {
		return answer{}, f
	}
	// Since the look began, of the last request where there are redirects. The client's goroutines set them.
	var connected, first atomic.Int64
	request = request.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { connected.Store(int64(l.elapsed())) },
		GotFirstResponseByte: func() { first.Store(int64(l.elapsed())) },
	}))
	resp, err := client.Do(request)
	if resp != nil {
		l.details.HTTPStatus = resp.StatusCode
		l.details.FirstByteMS = milliseconds(time.Duration(first.Load() - connected.Load()))
	}
	if err != nil {
		return answer{}, l.failed(err, monitor.CodeProtocol, "what the server answered is not HTTP")
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header, unread: resp.Header.Get("Content-Encoding")}
	if strings.EqualFold(a.unread, "identity") {
		a.unread = ""
	}
	if resp.Request.URL.Scheme == "https" {
		a.tls = state
	}
	a.body, err = io.ReadAll(resp.Body)
	a.whole = err == nil
	if err != nil && fault.CodeOf(err) != outbound.CodeTooLarge {
		return a, l.failed(err, monitor.CodeProtocol, "the body could not be read")
	}
	return a, healthy()
}

// request builds the request with the headers' secret values.
func (l *look) request(ctx context.Context, c *monitor.HTTPConfig) (*http.Request, finding) {
	if len(l.secrets.Headers) != len(c.Headers) {
		return nil, down(monitor.CodeConfiguration, "the values of the headers are missing: set them again")
	}
	var body io.Reader
	if c.Body != "" {
		body = strings.NewReader(c.Body)
	}
	r, err := http.NewRequestWithContext(ctx, cmp.Or(c.Method, http.MethodGet), c.URL, body)
	if err != nil {
		return nil, down(monitor.CodeConfiguration, "the URL or the method is not valid")
	}
	for i, name := range c.Headers {
		if err := outbound.CheckHeader(name, l.secrets.Headers[i]); err != nil {
			return nil, down(monitor.CodeRefusedHeader, "%s", detail(err))
		}
		r.Header.Add(name, l.secrets.Headers[i])
	}
	r.URL.Fragment = ""
	return r, healthy()
}
