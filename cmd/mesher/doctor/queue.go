package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/topic"
)

const (
	// storeTime is what Store takes for a message at most (STORE_TIMEOUT); pushed again sooner, it would work twice.
	storeTime = 25 * time.Second
	// attemptsLeast is how often a message is tried before it is given up: fewer are used up by a short outage.
	attemptsLeast = 20
	queueFix      = "terraform apply; what was changed by hand in Google's console is put right by it"
)

// queue looks at the topics and the subscriptions that deliver them.
func queue(ctx context.Context, e *exam) (out []Finding) {
	if e.Queue == nil {
		return []Finding{{Level: Unknown, What: "it is not known where the topics are", Fix: "set GOOGLE_CLOUD_PROJECT, and log in: gcloud auth application-default login"}}
	}
	for _, r := range e.Routes {
		d, err := topic.Look(ctx, *e.Queue, r.Topic, r.Subscription)
		switch {
		case fault.Is(err, fault.NotConfigured):
			out = append(out, Finding{Level: Unknown, What: explain(err), Fix: "correct GOOGLE_CLOUD_PROJECT, or log in: gcloud auth application-default login"})
		case err != nil:
			out = append(out, Finding{Level: Unknown, What: r.Topic + ": " + explain(err), Fix: "is there a way to Pub/Sub from here, and may these credentials look?"})
		default:
			out = append(out, delivery(r, d, e.Queue.EmulatorHost != "")...)
		}
	}
	return out
}

// delivery says what is wrong with how a topic is delivered. A local Pub/Sub signs nothing and forgets nothing.
func delivery(r Route, d topic.Delivery, local bool) (out []Finding) {
	add := func(level Level, format string, args ...any) {
		out = append(out, Finding{Level: level, What: r.Subscription + " " + fmt.Sprintf(format, args...), Fix: queueFix})
	}
	switch {
	case !d.Topic:
		return []Finding{{Level: Wrong, What: "there is no topic " + r.Topic, Fix: queueFix}}
	case !d.Subscription:
		return []Finding{{Level: Wrong, What: "the topic " + r.Topic + " has no subscription " + r.Subscription, Fix: queueFix}}
	}
	if d.Detached {
		add(Wrong, "is detached: it delivers nothing any more")
	}
	if !d.Ordered {
		add(Wrong, "keeps no order: that cannot be changed, it has to be made anew")
	}
	if !d.Pushed {
		add(Wrong, "pushes nowhere")
	}
	if !d.Signed && !local {
		add(Wrong, "pushes without a token, so that the function refuses it, or is open to anybody")
	}
	if d.Filtered {
		add(Wrong, "has a filter: messages that it leaves out are lost")
	}
	if d.AckDeadline <= storeTime {
		add(Wrong, "gives %s to answer, which must be more than %s", d.AckDeadline, storeTime)
	}
	if d.Expires != 0 && !local {
		add(Wrong, "is deleted after %s without traffic", d.Expires)
	}
	if d.MaxBackoff == 0 {
		add(Warning, "has no retry policy: a failed message is pushed again at once")
	}
	switch {
	case d.DeadLetter == "":
		add(Wrong, "has no dead-letter policy: one message that always fails holds up its project for good")
	case !d.Held:
		add(Wrong, "gives messages up to %s, which has no subscription: they are lost", d.DeadLetter)
	case d.Attempts < attemptsLeast:
		add(Warning, "gives a message up after %d attempts, which a short outage uses up", d.Attempts)
	}
	if len(out) == 0 {
		return ok(fmt.Sprintf("%s delivers %s in order, and gives up after %d attempts", r.Subscription, r.Topic, d.Attempts))
	}
	return out
}
