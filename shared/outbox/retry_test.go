package outbox_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
)

func TestRetry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	t.Run("of one that failed begins anew", func(t *testing.T) {
		t.Parallel()
		id := b.write(t, 100*time.Hour)
		b.claim(t, id)
		if err := outbox.Finish(t.Context(), b.pool, id, outbox.Failed, "no"); err != nil {
			t.Fatal(err)
		}
		if template, organization, err := outbox.Retry(t.Context(), b.pool, id); err != nil || template != outbox.PasswordReset || organization != uuid.Nil {
			t.Errorf("%s of %s, %v", template, organization, err)
		}
		if status, _, _, claimed, finished := b.row(t, id); status != "pending" || claimed || finished {
			t.Errorf("it is %s, claimed: %t, finished: %t", status, claimed, finished)
		}
		if d, outcome := b.claim(t, id); outcome != outbox.Claimed || d.Attempt != 2 || time.Since(d.CreatedAt) > time.Hour {
			t.Errorf("claimed %v: %+v", outcome, d)
		}
	})
	t.Run("of one that waits is allowed", func(t *testing.T) {
		t.Parallel()
		if _, _, err := outbox.Retry(t.Context(), b.pool, b.write(t, time.Hour)); err != nil {
			t.Error(err)
		}
	})
	t.Run("is refused", func(t *testing.T) {
		t.Parallel()
		sent, claimed := b.write(t, 0), b.write(t, 0)
		for _, id := range []uuid.UUID{sent, claimed} {
			b.claim(t, id)
		}
		if err := outbox.Finish(t.Context(), b.pool, sent, outbox.Sent, ""); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[uuid.UUID]fault.Kind{sent: fault.NotFound, uuid.New(): fault.NotFound, claimed: fault.Conflict} {
			if _, _, err := outbox.Retry(t.Context(), b.pool, id); !fault.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
		if status, _, _, _, _ := b.row(t, sent); status != "sent" {
			t.Errorf("one that was sent is %s", status)
		}
	})
}
