package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/local/pubsub"
)

func TestPublish_SaysWhatBecomesOfAMail(t *testing.T) {
	t.Parallel()
	away := publish(func(context.Context, uuid.UUID) error { return errors.New("gone \x1b[31m") })
	there := publish(func(context.Context, uuid.UUID) error { return nil })
	contains(t, away.say(t.Context(), "The mail", uuid.New()), "cannot be told", "goes out with the next run", `gone \x1b`)
	contains(t, there.say(t.Context(), "The notification", uuid.New()), "The notification is on its way")
	contains(t, publish(nil).say(t.Context(), "The mail", uuid.New()), "GOOGLE_CLOUD_PROJECT is not set", "The mail is written")
}

func TestQueueOf_FollowsTheDatabase(t *testing.T) {
	t.Parallel()
	if queueOf(env.Map(map[string]string{"DATABASE_URL": "x", "PUBSUB_EMULATOR_HOST": "h:1"})) != nil {
		t.Error("a deployment's mail is published without its project")
	}
	queue, err := pubsub.Open(t.Context(), pubsub.Options{Path: filepath.Join(t.TempDir(), "messages.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = queue.Close(context.Background()) })
	settings := map[string]string{"DATABASE_URL": "x", "GOOGLE_CLOUD_PROJECT": "p", "PUBSUB_EMULATOR_HOST": queue.Addr()}
	if err := pubsub.Declare(t.Context(), queue.Addr(), "p", pubsub.Topology{
		Topic: "notifications", Subscription: "notify", Endpoint: "http://127.0.0.1:1/",
	}); err != nil {
		t.Fatal(err)
	}
	if err := queueOf(env.Map(settings))(t.Context(), uuid.New()); err != nil {
		t.Errorf("publish with the settings of a deployment: %v", err)
	}
	settings["NOTIFICATIONS_TOPIC"] = "elsewhere"
	if err := queueOf(env.Map(settings))(t.Context(), uuid.New()); err == nil {
		t.Error("a message to a topic that there is not is published")
	}
}

// The mail of an invitation arrives, though nobody else uses the platform.
func TestProgram_InvitesByMail(t *testing.T) {
	t.Parallel()
	p := start(t, newHome(t))
	out, code := runProgram(t, p.home, "users", "invite", "zoe@example.com", "-organization", "local")
	if code != 0 {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	contains(t, out, "zoe@example.com is invited to local as member", "The mail is on its way")
	u := &person{p: p, secrets: vault{}}
	u.mailed(t, "invitation", "zoe@example.com")
}
