package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/local"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/topic"
)

// publishMost is how long a command waits for the queue. Credentials of Google may have to be looked for first.
const publishMost = 10 * time.Second

// publish has Notify deliver a notification that is committed.
type publish func(ctx context.Context, notification uuid.UUID) error

// queueOf returns how to publish with the settings of a deployment, or of the platform on this machine; nil when there is
// neither.
func queueOf(lookup env.Lookup) publish {
	set := func(name string) bool { v, ok := lookup(name); return ok && v != "" }
	if !set("DATABASE_URL") {
		info, err := local.ReadInfo(home())
		if err != nil {
			return nil
		}
		queue, known := info.Queue()
		if !known {
			return nil
		}
		lookup = queue
	} else if !set("GOOGLE_CLOUD_PROJECT") {
		return nil
	}
	return func(ctx context.Context, notification uuid.UUID) error {
		var cfg outbox.Config
		if err := env.Read(lookup, &cfg); err != nil {
			return fmt.Errorf("read the settings of the queue: %w", err)
		}
		p, err := topic.Open(ctx, cfg.Queue, cfg.Topic)
		if err != nil {
			return fmt.Errorf("open the queue: %w", err)
		}
		defer p.Close()
		if _, err := p.Publish(ctx, outbox.Message(notification)); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		return nil
	}
}

// say publishes that a mail is to be delivered, and returns what becomes of it. It is no failure of the command when the
// queue is away: the mail is written, and swept later.
func (p publish) say(ctx context.Context, mail uuid.UUID) string {
	const later = "it goes out with the next login or mail, once it is a minute old; -link prints a link instead."
	if p == nil {
		return "The mail is written. GOOGLE_CLOUD_PROJECT is not set here, so nobody is told of it: " + later
	}
	ctx, cancel := context.WithTimeout(ctx, publishMost)
	defer cancel()
	if err := p(ctx, mail); err != nil {
		return "The mail is written, but the queue cannot be told (" + printable(err.Error()) + "): " + later
	}
	return "The mail is on its way."
}
