package notify

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
)

// tellChannel tells a channel, or one of the members whom it writes to, what a notification is about.
func (f *Function) tellChannel(ctx context.Context, d outbox.Delivery) told {
	c, secrets, err := f.channels.Open(ctx, f.pool, d.ChannelID)
	switch {
	case fault.Is(err, fault.NotFound):
		return told{skipped: "the channel is gone"}
	case err != nil:
		return told{err: err}
	case !c.Enabled && d.Template != outbox.Test:
		return told{skipped: "the channel is switched off"}
	}
	now := clock.Of(ctx)()
	turn, err := alert.TakeTurn(ctx, f.pool, d, now)
	t := told{err: err, skipped: turn.Skip, wait: turn.Wait, done: turn.Folded, publish: turn.Publish, combined: turn.Combined}
	if err != nil || !turn.Deliver {
		return t
	}
	if c.Kind == alert.ChannelEmail && d.ParentID == uuid.Nil {
		return f.fanOut(ctx, d, c, t)
	}
	story, err := alert.Tell(ctx, f.pool, d, c)
	if err != nil {
		t.err = err
		return t
	}
	story.Combined = turn.Combined
	t.try = &outbox.Try{Attempt: d.Attempt, StartedAt: now}
	began := time.Now()
	if c.Kind == alert.ChannelEmail {
		t.skipped, t.err = f.mail(ctx, d, c, story)
	} else {
		t.try.HTTPStatus, t.err = f.hooks.send(ctx, c, secrets, story)
	}
	t.try.Took = time.Since(began)
	if t.skipped != "" {
		t.try = nil
	}
	return t
}

// fanOut has an e-mail channel's members written to, each by a mail that is a notification of its own: one mailbox in trouble
// does not keep the others from reading it, and none gets it twice.
func (f *Function) fanOut(ctx context.Context, d outbox.Delivery, c alert.Channel, t told) told {
	if len(c.Addresses) == 0 {
		t.skipped = "none of the channel's people is a member any more"
		return t
	}
	ids, err := alert.FanOut(ctx, f.pool, d, c, clock.Of(ctx)())
	if err != nil {
		t.err = err
		return t
	}
	t.done, t.publish = true, append(t.publish, ids...)
	return t
}

// mail writes to one member of an e-mail channel, who may have left since.
func (f *Function) mail(ctx context.Context, d outbox.Delivery, c alert.Channel, s alert.Story) (skipped string, err error) {
	reads := false
	for _, address := range c.Addresses {
		reads = reads || strings.EqualFold(address, d.Recipient)
	}
	if !reads {
		return "the channel does not write to this address any more", nil
	}
	l := letter{id: d.ID, to: d.Recipient, kind: mailKind(s)}
	if err := f.writer.texts[l.kind].fill(&l, page{Site: f.writer.base, message: f.links.words(s).inMail()}); err != nil {
		return "", err
	}
	return "", f.mailer.send(ctx, l)
}
