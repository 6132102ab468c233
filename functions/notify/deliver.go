package notify

import (
	"context"
	"regexp"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
)

// settlePause is the time between two tries to note the end of a delivery.
const settlePause = 250 * time.Millisecond

// deliver delivers one notification. It returns nil when its message needs no other delivery.
func (f *Function) deliver(ctx context.Context, id uuid.UUID) error {
	// A delivery that has begun is ended whether or not the queue waits for it: half a delivery may be a mail
	// that nobody knows of.
	whole := context.WithoutCancel(ctx)
	if err := f.begin(ctx); err != nil {
		return err
	}
	defer func() { <-f.slots }()
	ctx, cancel := context.WithTimeout(whole, deliverMost)
	defer cancel()
	d, outcome, err := outbox.Claim(ctx, f.pool, id)
	switch {
	case err != nil:
		return fault.Wrap(err, fault.Unavailable, "the notification could not be claimed now")
	case outcome == outbox.Busy:
		return fault.New(fault.Unavailable, "the notification is being delivered already").After(retryAfter)
	case outcome == outbox.Over:
		return nil
	}
	skipped, err := f.tell(ctx, d)
	return f.settle(whole, d, skipped, err)
}

// begin waits until one more notification may be delivered. Nothing is claimed and no token issued before.
func (f *Function) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, waitMost)
	defer cancel()
	select {
	case f.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "too many notifications are being delivered").After(retryAfter)
	}
}

// tell makes the mail and hands it over, or returns why there is nothing to tell.
func (f *Function) tell(ctx context.Context, d outbox.Delivery) (skipped string, err error) {
	l, skipped, err := f.writer.write(ctx, d)
	if err != nil || skipped != "" {
		return skipped, err
	}
	return "", f.mailer.send(ctx, l)
}

// settle notes what came of a delivery.
func (f *Function) settle(ctx context.Context, d outbox.Delivery, skipped string, failure error) error {
	ctx, cancel := context.WithTimeout(ctx, settleMost)
	defer cancel()
	if failure == nil {
		status := outbox.Sent
		if skipped != "" {
			status = outbox.Skipped
		}
		return persist(ctx, func() error { return outbox.Finish(ctx, f.pool, d.ID, status, skipped) })
	}
	reason := scrub(failure.Error())
	old := f.now().Sub(d.CreatedAt) > giveUp
	if fault.KindOf(failure).Ack() || old {
		f.log.ErrorContext(ctx, "a notification cannot be delivered and is given up",
			"notification", d.ID, "template", d.Template, "attempts", d.Attempt, "error", reason)
		return persist(ctx, func() error { return outbox.Finish(ctx, f.pool, d.ID, outbox.Failed, reason) })
	}
	f.log.WarnContext(ctx, "a notification is not delivered and is tried again",
		"notification", d.ID, "template", d.Template, "attempt", d.Attempt, "error", reason)
	err := persist(ctx, func() error { return outbox.Release(ctx, f.pool, d.ID, reason) })
	if err != nil {
		f.log.WarnContext(ctx, "a notification is not released and waits for its claim to end", "notification", d.ID, "error", err)
	}
	if fault.KindOf(failure) != fault.Internal {
		return failure
	}
	return fault.Wrap(failure, fault.Unavailable, "the notification could not be delivered now")
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
	tokenLike   = regexp.MustCompile(`msho_\w*`)
	addressLike = regexp.MustCompile(`[^\s<>"',;:]+@[^\s<>"',;]+`)
)

// scrub takes tokens and addresses out of a text for logs and the outbox.
func scrub(text string) string {
	return addressLike.ReplaceAllString(tokenLike.ReplaceAllString(text, "…"), "…")
}
