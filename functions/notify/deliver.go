package notify

import (
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
)

// settlePause is the time between two tries to note the end of a delivery.
const settlePause = 250 * time.Millisecond

// deliver delivers one notification. It returns nil when its message needs no other delivery: what has to be tried again is
// put off in the outbox, not in the queue, whose pauses are everybody's.
func (f *Function) deliver(ctx context.Context, id uuid.UUID) error {
	// A delivery that has begun is ended whether or not the queue waits for it: half a delivery may be a mail
	// that nobody knows of.
	whole := context.WithoutCancel(ctx)
	route, err := outbox.RouteOf(ctx, f.pool, id)
	switch {
	case err != nil:
		return fault.Wrap(err, fault.Unavailable, "the notification could not be looked up now")
	case route.Channel == "":
		return nil
	}
	leave, ok, err := f.begin(ctx, route)
	switch {
	case err != nil:
		return err
	case !ok:
		return f.delay(ctx, id)
	}
	defer leave()
	ctx, cancel := context.WithTimeout(whole, deliverMost)
	defer cancel()
	d, outcome, err := outbox.Claim(ctx, f.pool, id)
	switch {
	case err != nil:
		return fault.Wrap(err, fault.Unavailable, "the notification could not be claimed now")
	case outcome == outbox.Busy:
		return fault.New(fault.Unavailable, "the notification is being delivered already").After(retryAfter)
	case outcome != outbox.Claimed:
		return nil
	}
	return f.settle(whole, d, f.tell(ctx, d))
}

// delay puts a notification off whose channel is busy.
func (f *Function) delay(ctx context.Context, id uuid.UUID) error {
	if err := outbox.Delay(ctx, f.pool, id, clock.Of(ctx)().Add(laneBusy)); err != nil {
		return fault.Wrap(err, fault.Unavailable, "the notification could not be put off")
	}
	return nil
}

// begin waits until one more notification may be delivered there, and returns what has to be called afterwards; false: its
// channel is busy. Nothing is claimed and no token issued before.
func (f *Function) begin(ctx context.Context, to outbox.Route) (leave func(), ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, waitMost)
	defer cancel()
	if to.ChannelID == uuid.Nil || to.ParentID != uuid.Nil {
		leave, err = take(ctx, f.mails)
		return leave, err == nil, err
	}
	out, ok := f.lanes.enter(ctx, to.ChannelID)
	if !ok {
		return nil, false, nil
	}
	done, err := take(ctx, f.calls)
	if err != nil {
		out()
		return nil, false, err
	}
	return func() { done(); out() }, true, nil
}

// take waits for one of the slots until ctx ends.
func take(ctx context.Context, slots chan struct{}) (leave func(), err error) {
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, fault.New(fault.Unavailable, "too many notifications are being delivered").After(retryAfter)
	}
}

// told is what came of telling. Its zero value is that it was told.
type told struct {
	err      error         // an error whose kind is acknowledged (fault.Kind.Ack) is for good, any other may pass
	skipped  string        // why there is nothing to tell
	wait     time.Duration // how long it has to wait for another notification
	done     bool          // what became of it is noted already
	combined bool
	publish  []uuid.UUID
	try      *outbox.Try
}

// tell makes a claimed notification known to whom it is for.
func (f *Function) tell(ctx context.Context, d outbox.Delivery) told {
	if d.ChannelID != uuid.Nil {
		return f.tellChannel(ctx, d)
	}
	l, skipped, err := f.writer.write(ctx, d)
	if err == nil && skipped == "" {
		err = f.mailer.send(ctx, l)
	}
	return told{skipped: skipped, err: err}
}

// settle notes what came of a delivery.
func (f *Function) settle(ctx context.Context, d outbox.Delivery, t told) error {
	ctx, cancel := context.WithTimeout(ctx, settleMost)
	defer cancel()
	if len(t.publish) > 0 {
		defer f.outbox.Publish(ctx, t.publish...)
	}
	if t.done {
		return nil
	}
	end, now := f.end(ctx, d, t), clock.Of(ctx)()
	if end.Status == outbox.Pending && end.Again.IsZero() {
		end.Again = now
	}
	return persist(ctx, func() error { return outbox.Settle(ctx, f.pool, d, end) })
}

// end decides what is to become of a notification.
func (f *Function) end(ctx context.Context, d outbox.Delivery, t told) outbox.End {
	end, now := outbox.End{Try: t.try, Combined: t.combined}, clock.Of(ctx)()
	switch {
	case t.wait > 0:
		end.Status, end.Reason, end.Again = outbox.Pending, "it waits for the news before it", now.Add(t.wait)
		return end
	case t.skipped != "":
		end.Status, end.Reason = outbox.Skipped, t.skipped
		return end
	case t.err == nil:
		end.Status = outbox.Sent
		return end
	}
	end.Reason = scrub(t.err.Error())
	attributes := []any{"notification", d.ID, "template", d.Template, "attempt", d.Attempt, "error", end.Reason}
	if fault.KindOf(t.err).Ack() || late(d, now) {
		f.log.ErrorContext(ctx, "a notification cannot be delivered and is given up", attributes...)
		end.Status = outbox.Failed
		return end
	}
	f.log.WarnContext(ctx, "a notification is not delivered and is tried again", attributes...)
	var asked *fault.Error
	end.Status, end.Again = outbox.Pending, now.Add(pauseAfter(d.Attempt, 0))
	if errors.As(t.err, &asked) {
		end.Again = now.Add(pauseAfter(d.Attempt, asked.RetryAfter))
	}
	return end
}

// persist writes what became of a delivery, again and again until the database takes or refuses it or ctx ends.
func persist(ctx context.Context, write func() error) error {
	for {
		err := write()
		if err == nil {
			return nil
		}
		if !postgres.Transient(err) || !pause(ctx) {
			return fault.Wrap(err, fault.Unavailable, "what became of the notification could not be noted")
		}
	}
}

// pause waits for settlePause and reports whether ctx is still running then.
func pause(ctx context.Context) bool {
	t := time.NewTimer(settlePause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A mail server may repeat anything of a mail in its answer. What a link's token looks like and every address is
// taken out of it.
var (
	tokenLike   = regexp.MustCompile(`msh[a-z]_\w*`)
	addressLike = regexp.MustCompile(`[^\s<>"',;:]+@[^\s<>"',;]+`)
)

// scrub takes tokens and addresses out of a text for logs and the outbox.
func scrub(text string) string {
	return addressLike.ReplaceAllString(tokenLike.ReplaceAllString(text, "…"), "…")
}
