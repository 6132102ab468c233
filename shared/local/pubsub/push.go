package pubsub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/mesherhq/mesher/shared/topic"
)

// The service's backoff where a subscription has no retry policy.
const (
	defaultMinBackoff = 100 * time.Millisecond
	defaultMaxBackoff = time.Minute
)

// drainLimit is how much of an answer's body is read so that its connection can be used again.
const drainLimit = 64 << 10

// newPushClient returns a client for endpoints on this machine: no proxy, no redirects, as many idle connections
// as there can be pushes.
func newPushClient(outstanding int) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConnsPerHost: 2 * outstanding, // twice for duplicates sent at once
			IdleConnTimeout:     time.Minute,
			DisableCompression:  true,
			WriteBufferSize:     64 << 10,
		},
	}
}

// deliver pushes the message of d and settles it.
func (s *subscription) deliver(d delivery) {
	err := s.push(d)
	switch {
	case err == nil && chance(s.srv.opts.Duplicates.AfterAck):
		s.again(d.lane)
	case err == nil:
		s.acked(d.lane)
	case s.srv.alive.Err() != nil:
		// The server ends; the message stays for the next run.
	default:
		if d.attempt == 1 { // later ones would only repeat it
			s.srv.opts.Logger.Warn("push failed, it is tried again", "subscription", s.name,
				"message_id", messageID(d.seq), "ordering_key", d.lane.key, "error", err)
		}
		s.failed(d)
	}
}

// push posts the message of d, and returns nil when it was acknowledged within the deadline.
func (s *subscription) push(d delivery) error {
	m, err := s.srv.disk.message(s.name, d.seq)
	if err != nil {
		return fmt.Errorf("read the message: %w", err)
	}
	out := topic.Message{
		Data: m.GetData(), Attributes: m.GetAttributes(), OrderingKey: m.GetOrderingKey(), ID: m.GetMessageId(),
		PublishTime: m.GetPublishTime().AsTime(), Subscription: s.name,
	}
	if d.conf.GetDeadLetterPolicy() != nil {
		out.DeliveryAttempt = d.attempt
	}
	body := topic.EncodePush(out)
	if !chance(s.srv.opts.Duplicates.AtOnce) {
		return s.post(d.conf, body)
	}
	twin := make(chan error, 1)
	go func() { twin <- s.post(d.conf, body) }()
	// One acknowledgement is enough, as it is at the service.
	first, second := s.post(d.conf, body), <-twin
	if second == nil {
		return nil
	}
	return first
}

// post sends one request. The acknowledgement deadline is its time limit.
func (s *subscription) post(conf *pubsubpb.Subscription, body []byte) error {
	deadline := time.Duration(conf.GetAckDeadlineSeconds()) * time.Second
	ctx, cancel := context.WithTimeout(s.srv.alive, deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, conf.GetPushConfig().GetPushEndpoint(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.srv.client.Do(req)
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err // not the URL: it may hold a token, and the error is logged
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, drainLimit))
	switch resp.StatusCode {
	// The service takes 102 too; net/http never returns one, it waits for the final answer.
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		return err // a body that breaks off is not an answer
	default:
		return fmt.Errorf("the endpoint answered %s", resp.Status)
	}
}

// pause returns how long to wait after the given number of failed deliveries: the minimum backoff of the
// subscription's policy, doubled with each, up to the maximum.
func pause(conf *pubsubpb.Subscription, attempts int) time.Duration {
	shortest, longest := defaultMinBackoff, defaultMaxBackoff
	if p := conf.GetRetryPolicy(); p != nil {
		shortest, longest = 10*time.Second, 600*time.Second // the service's defaults for a policy
		if p.GetMinimumBackoff() != nil {
			shortest = p.GetMinimumBackoff().AsDuration()
		}
		if p.GetMaximumBackoff() != nil {
			longest = p.GetMaximumBackoff().AsDuration()
		}
	}
	for range attempts - 1 {
		if shortest >= longest {
			break
		}
		shortest *= 2
	}
	return min(shortest, longest)
}

// chance is true with probability p.
func chance(p float64) bool { return p > 0 && rand.Float64() < p }
