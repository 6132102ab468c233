package ingest

import (
	"math"
	"net/http"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/sentry"
	"github.com/mesherhq/mesher/shared/tenant"
	"github.com/mesherhq/mesher/shared/web"
)

// reason is why a limit refuses events, as X-Sentry-Rate-Limits calls it.
type reason string

const (
	rateLimited reason = "rate"
	overQuota   reason = "quota"
)

// refusal is the answer to events that are more than a limit allows.
type refusal struct {
	bound  bound
	reason reason
	after  time.Duration
}

func newRefusal(b bound, why reason, after time.Duration) *refusal {
	return &refusal{bound: b, reason: why, after: max(after, time.Second)}
}

// fault returns what the client is told.
func (r *refusal) fault() *fault.Error {
	if r.reason == overQuota {
		return fault.New(fault.Limited, "the %s has used its budget of %d events this month; raise it, or wait for the next month",
			r.bound.scope, r.bound.budget).Named("over_quota").After(r.after)
	}
	name := string(r.bound.scope)
	if r.bound.scope == ofKey {
		name = "API key"
	}
	return fault.New(fault.Limited, "the %s may send %d events a minute and has done so; send the others later",
		name, r.bound.rate).Named("rate_limited").After(r.after)
}

// usage returns n events counted as what was refused.
func (r *refusal) usage(n int64) tenant.Usage {
	if r.reason == overQuota {
		return tenant.Usage{OverQuota: n}
	}
	return tenant.Usage{RateLimited: n}
}

// announce tells clients for how long to send no events, also in an answer that takes some of them. Sentry SDKs then go on
// with all that is not limited, such as sessions.
func (r *refusal) announce(h http.Header) {
	h.Set("Retry-After", web.RetryAfter(r.after))
	value := sentry.RateLimits(int(math.Ceil(r.after.Seconds())), limitedCategories(), string(r.bound.scope))
	h.Set("X-Sentry-Rate-Limits", value+":"+string(r.reason))
}

// limitedCategories are what X-Sentry-Rate-Limits calls the items that become events.
func limitedCategories() []string {
	var out []string
	for _, t := range sentry.Types() {
		if t.Action == sentry.Stored {
			out = append(out, t.Category)
		}
	}
	return out
}
