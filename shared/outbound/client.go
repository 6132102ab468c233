package outbound

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"time"
)

// Limits of requests.
const (
	// TimeoutDefault and TimeoutMost are of a request as a whole: redirects and reading the body are part of it.
	TimeoutDefault = 10 * time.Second
	TimeoutMost    = 60 * time.Second
	// BodyDefault and BodyMost are how many bytes of an answer's body are read, after decompression.
	BodyDefault = 64 << 10
	BodyMost    = 1 << 20
	// RedirectsMost is how many redirects can be followed at most.
	RedirectsMost = 10
	// headersMost is how many bytes of an answer's headers are read.
	headersMost = 64 << 10
)

// userAgent is who asks, where a request does not say otherwise.
const userAgent = "Mesher/1.0"

// ClientOptions are how requests are made. The zero value is fine.
type ClientOptions struct {
	Timeout   time.Duration                   // of a request as a whole; 0: TimeoutDefault, at most TimeoutMost
	Redirects int                             // how many are followed, at most RedirectsMost; 0: the redirect is the answer
	Body      int64                           // bytes that are read of a body; 0: BodyDefault, at most BodyMost
	Roots     *x509.CertPool                  // authorities that are trusted; nil: the system's
	Now       func() time.Time                // of certificates; nil: the system's
	Check     func(tls.ConnectionState) error // asked after each handshake; may be nil
}

// Client returns a client for addresses that users chose. Each request has a connection of its own over HTTP/1.1, without a
// proxy; an answer says nothing of TLS (Response.TLS), which Check is told. Requests to what CheckURL refuses, and with headers that CheckHeader refuses, fail; so does the reading of a body
// beyond the limit, with a fault of code CodeTooLarge. A redirect is checked like the request, and at another origin gets
// neither the request's headers nor its body.
func (g *Guard) Client(o ClientOptions) *http.Client {
	secure := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots, Time: o.Now, VerifyConnection: o.Check}
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return silence(g.DialContext(requestOf(ctx), network, address))
		},
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := g.DialTLS(requestOf(ctx), network, address, secure)
			return silence(conn, err)
		},
		DisableKeepAlives:      true,
		DisableCompression:     true, // see limit
		MaxResponseHeaderBytes: headersMost,
		Protocols:              &http.Protocols{},
	}
	t.Protocols.SetHTTP1(true)
	return &http.Client{
		Transport:     &transport{guard: g, next: t, body: min(cmp.Or(o.Body, BodyDefault), BodyMost)},
		CheckRedirect: g.redirects(min(o.Redirects, RedirectsMost)),
		Timeout:       min(cmp.Or(o.Timeout, TimeoutDefault), TimeoutMost),
	}
}

// transport checks every request, the first one and those of redirects.
type transport struct {
	guard *Guard
	next  http.RoundTripper
	body  int64
}

// RoundTrip makes one request.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.check(r); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	r = r.Clone(withRequest(r.Context())) // a transport does not change what it was given
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", userAgent)
	}
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	limit(resp, t.body)
	return resp, nil
}

type requestKey struct{}

// withRequest and requestOf hand a request's context to what connects for it. The one that net/http hands on does not end with
// the request, and a connection that a server holds up would outlive it.
func withRequest(ctx context.Context) context.Context {
	return context.WithValue(ctx, requestKey{}, ctx)
}

func requestOf(ctx context.Context) context.Context {
	if own, ok := ctx.Value(requestKey{}).(context.Context); ok {
		return own
	}
	return ctx
}

func (t *transport) check(r *http.Request) error {
	if err := t.guard.CheckURL(r.URL); err != nil {
		return err
	}
	if r.Host != "" && r.Host != r.URL.Host {
		return CheckHeader("Host", r.Host)
	}
	for name, values := range r.Header {
		for _, value := range values {
			if err := CheckHeader(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}
