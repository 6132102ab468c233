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

// say publishes that a notification, which is called what, is to be delivered, and returns what becomes of it. It is no
// failure of the command when the queue is away: it is written, and swept by Alerts.
func (p publish) say(ctx context.Context, what string, id uuid.UUID) string {
	const later = "it goes out with the next run of the job alerts, once it is a minute old."
	if p == nil {
		return what + " is written. GOOGLE_CLOUD_PROJECT is not set here, so nobody is told of it: " + later
	}
	ctx, cancel := context.WithTimeout(ctx, publishMost)
	defer cancel()
	if err := p(ctx, id); err != nil {
		return what + " is written, but the queue cannot be told (" + printable(err.Error()) + "): " + later
	}
	return what + " is on its way."
}
