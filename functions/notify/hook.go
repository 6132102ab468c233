package notify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbound"
)

const (
	// callMost bounds a request to a receiver, from looking up its name to the status of its answer.
	callMost = 10 * time.Second
	// excerptMost is how many characters of a service's refusal are kept.
	excerptMost = 200
	// agent is how requests say who they are.
	agent = "Mesher/1.0 (+https://github.com/mesherhq/mesher)"
)

// hooks sends what is told to channels that take HTTP requests.
type hooks struct {
	client *http.Client
	links  links
}

func newHooks(g *outbound.Guard, l links) *hooks {
	return &hooks{client: g.Client(outbound.ClientOptions{Timeout: callMost}), links: l}
}

// call is one request to a receiver.
type call struct {
	url    string
	body   []byte
	header http.Header
}

// send tells a channel a story. An answer of 2xx within callMost means that it was told; what comes after the status does not
// matter. The error is a fault.Invalid when telling it again cannot help, and names nothing secret.
func (h *hooks) send(ctx context.Context, c alert.Channel, secrets alert.ChannelSecrets, s alert.Story) (status int, err error) {
	out, err := h.compose(ctx, c, secrets, s)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, callMost)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, out.url, bytes.NewReader(out.body))
	if err != nil {
		return 0, fault.New(fault.Invalid, "the channel's URL is not one")
	}
	r.GetBody = nil // a request that may have arrived is sent again only as a try of its own
	r.Header = out.header
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", agent)
	resp, err := h.client.Do(r)
	if err != nil {
		return 0, hide(failure(err), secrets)
	}
	defer resp.Body.Close()
	return resp.StatusCode, hide(answered(c.Kind, resp), secrets)
}

// compose returns the request that tells a story.
func (h *hooks) compose(ctx context.Context, c alert.Channel, secrets alert.ChannelSecrets, s alert.Story) (call, error) {
	out := call{url: secrets.URL, header: http.Header{}}
	m := h.links.words(s)
	var err error
	switch c.Kind {
	case alert.ChannelSlack:
		out.body, err = slackBody(m)
	case alert.ChannelDiscord:
		out.body, err = discordBody(m)
	case alert.ChannelPagerDuty:
		out.body, err = pagerDutyBody(m, s, secrets.RoutingKey)
	case alert.ChannelWebhook:
		out.body, err = webhookBody(s, h.links)
		h.sign(ctx, &out, secrets, s)
	default:
		err = fault.New(fault.Invalid, "a channel of kind %q takes no requests", c.Kind)
	}
	return out, err
}

// sign adds the headers of a webhook: the user's, which delivery it is, and that it comes from here. While a former secret
// is still good, there is a signature by each.
func (h *hooks) sign(ctx context.Context, c *call, secrets alert.ChannelSecrets, s alert.Story) {
	for _, header := range secrets.Headers {
		c.header.Set(header.Name, header.Value)
	}
	now := clock.Of(ctx)()
	keys := []string{secrets.Signing}
	if now.Before(secrets.FormerUntil) && secrets.Former != "" {
		keys = append(keys, secrets.Former)
	}
	at := strconv.FormatInt(now.Unix(), 10)
	signature := "t=" + at
	for _, key := range keys {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(at + "."))
		mac.Write(c.body)
		signature += ",v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	c.header.Set("Mesher-Signature", signature)
	c.header.Set("Mesher-Delivery", s.ID.String())
}

// answered says what an answer means.
func answered(kind alert.ChannelKind, resp *http.Response) error {
	code := resp.StatusCode
	switch {
	case code/100 == 2:
		return nil
	case code/100 == 3:
		return fault.New(fault.Invalid, "it answers %d, a redirect, which is not followed: enter the address that it leads to", code)
	case code == http.StatusRequestTimeout || code == http.StatusTooEarly || code == http.StatusTooManyRequests || code >= 500:
		return fault.New(fault.Unavailable, "it answers %d%s", code, excerpt(kind, resp)).After(retryAfterOf(resp))
	}
	return fault.New(fault.Invalid, "it answers %d%s", code, excerpt(kind, resp))
}

// excerpt returns what a service says of its refusal, which people look up. What others say is their own business, and could
// be anything.
func excerpt(kind alert.ChannelKind, resp *http.Response) string {
	if kind == alert.ChannelWebhook {
		return ""
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4*excerptMost)) // what was read is better than nothing
	said := []rune(oneLine(string(text)))
	if len(said) == 0 {
		return ""
	}
	return ": " + string(said[:min(len(said), excerptMost)])
}

// retryAfterOf returns how long a receiver asks to wait; 0: it does not say.
func retryAfterOf(resp *http.Response) time.Duration {
	asked := strings.TrimSpace(resp.Header.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(asked, 64); err == nil && seconds > 0 {
		return time.Duration(min(seconds, waitLongest.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(asked); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// failure says why there was no answer. The client's error names the URL, which is secret.
func failure(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	var network net.Error
	var dns *net.DNSError
	switch {
	case outbound.Refused(err):
		var f *fault.Error
		errors.As(err, &f) // it is one: Refused says so
		return fault.New(fault.Invalid, "it may not be reached: %s", f.Detail)
	case errors.As(err, &dns):
		return fault.New(fault.Unavailable, "its name could not be looked up: %s", cmp.Or(dns.Err, "no reason is known"))
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout():
		return fault.New(fault.Unavailable, "it did not answer within %s", callMost)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Unavailable, "it closed the connection without an answer")
	}
	return fault.New(fault.Unavailable, "it could not be reached: %s", err)
}

// hide takes everything that is secret out of an error.
func hide(err error, secrets alert.ChannelSecrets) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	out := *f
	out.Cause = nil
	for _, s := range secrets.All() {
		out.Detail = strings.ReplaceAll(out.Detail, s, "…")
	}
	return &out
}
