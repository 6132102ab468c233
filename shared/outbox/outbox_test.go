package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/local/pubsub"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/topic"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// bundle is a database as the functions see it, and a queue that remembers.
type bundle struct {
	db    *pgtest.Database
	pool  *pgxpool.Pool
	queue *memory
	log   *strings.Builder
	box   *outbox.Outbox
}

func setup(t *testing.T) *bundle {
	t.Helper()
	db := pgtest.New(t)
	b := &bundle{db: db, pool: db.Pool(t, pgtest.App), queue: new(memory), log: new(strings.Builder)}
	b.box = outbox.New(b.pool, b.queue, slog.New(slog.NewTextHandler(b.log, nil)))
	return b
}

// memory is a queue.
type memory struct {
	mu   sync.Mutex
	ids  []uuid.UUID
	err  error
	hang bool
}

func (m *memory) PublishID(ctx context.Context, id uuid.UUID) error {
	if m.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.ids = append(m.ids, id)
	return nil
}

// taken returns what was published since the last call, sorted.
func (m *memory) taken() []uuid.UUID {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := m.ids
	m.ids = nil
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) })
	return ids
}

// write stores a notification that was written some time ago.
func (b *bundle) write(t *testing.T, ago time.Duration) uuid.UUID {
	t.Helper()
	id, err := outbox.Write(t.Context(), b.pool, outbox.Notification{Template: outbox.PasswordReset, Recipient: "ada@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	b.age(t, id, ago)
	return id
}

func (b *bundle) age(t *testing.T, id uuid.UUID, ago time.Duration) {
	t.Helper()
	b.db.Exec(t, "update mesher.notifications set created_at = now() - interval '"+ago.String()+"' where id = '"+id.String()+"'")
}

func (b *bundle) row(t *testing.T, id uuid.UUID) (status string, attempts int, reason string, claimed, finished bool) {
	t.Helper()
	err := b.pool.QueryRow(t.Context(), `
		select status, attempts, coalesce(last_error, ''), claimed_until is not null, finished_at is not null
		from mesher.notifications where id = $1::uuid`, id).Scan(&status, &attempts, &reason, &claimed, &finished)
	if err != nil {
		t.Fatal(err)
	}
	return status, attempts, reason, claimed, finished
}

func (b *bundle) claim(t *testing.T, id uuid.UUID) (outbox.Delivery, outbox.Outcome) {
	t.Helper()
	d, outcome, err := outbox.Claim(t.Context(), b.pool, id)
	if err != nil {
		t.Fatal(err)
	}
	return d, outcome
}

func TestWrite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	t.Run("keeps what is to be told", func(t *testing.T) {
		t.Parallel()
		org, invitation := uuid.New(), uuid.New()
		id, err := outbox.Write(t.Context(), b.pool, outbox.Notification{
			OrganizationID: org, Template: outbox.Invitation, Recipient: "ada@example.com", Data: outbox.InvitationData{InvitationID: invitation},
		})
		if err != nil {
			t.Fatal(err)
		}
		if id.Version() != 7 {
			t.Errorf("the id is of version %d, want 7", id.Version())
		}
		d, outcome := b.claim(t, id)
		var data outbox.InvitationData
		if err := json.Unmarshal(d.Data, &data); err != nil {
			t.Fatal(err)
		}
		if outcome != outbox.Claimed || d.ID != id || d.OrganizationID != org || d.Template != outbox.Invitation ||
			d.Recipient != "ada@example.com" || data.InvitationID != invitation || d.Attempt != 1 || time.Since(d.CreatedAt) > time.Minute {
			t.Errorf("claimed %+v (%d) with %+v", d, outcome, data)
		}
	})
	t.Run("is nothing when its transaction is rolled back", func(t *testing.T) {
		t.Parallel()
		var id uuid.UUID
		no := errors.New("no")
		err := postgres.InTx(t.Context(), b.pool, func(tx postgres.Tx) (err error) {
			if id, err = outbox.Write(t.Context(), tx, outbox.Notification{Template: outbox.Registration, Recipient: "a@b"}); err != nil {
				return err
			}
			return no
		})
		if !errors.Is(err, no) {
			t.Fatal(err)
		}
		if d, outcome := b.claim(t, id); outcome != outbox.Over {
			t.Errorf("claimed %+v (%d)", d, outcome)
		}
	})
}

func TestClaim(t *testing.T) {
	t.Parallel()
	b := setup(t)
	t.Run("is given to one of many", func(t *testing.T) {
		t.Parallel()
		id := b.write(t, 0)
		outcomes := make([]outbox.Outcome, 20)
		var group sync.WaitGroup
		for i := range outcomes {
			group.Go(func() { _, outcomes[i] = b.claim(t, id) })
		}
		group.Wait()
		slices.Sort(outcomes)
		want := append(slices.Repeat([]outbox.Outcome{outbox.Busy}, 19), outbox.Claimed)
		if diff := cmp.Diff(want, outcomes); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
	t.Run("is over when it is finished", func(t *testing.T) {
		t.Parallel()
		for _, status := range []outbox.Status{outbox.Sent, outbox.Skipped, outbox.Failed} {
			id := b.write(t, 0)
			b.claim(t, id)
			if err := outbox.Finish(t.Context(), b.pool, id, status, "so it is"); err != nil {
				t.Fatal(err)
			}
			if err := outbox.Finish(t.Context(), b.pool, id, outbox.Failed, "too late"); err != nil {
				t.Fatal(err)
			}
			if err := outbox.PutOff(t.Context(), b.pool, outbox.Delivery{ID: id, Attempt: 1}, time.Now(), "too late"); err != nil {
				t.Fatal(err)
			}
			is, attempts, reason, claimed, finished := b.row(t, id)
			if is != string(status) || attempts != 1 || reason != "so it is" || claimed || !finished {
				t.Errorf("is %s after %d attempts, %q, claimed %t, finished %t", is, attempts, reason, claimed, finished)
			}
			if _, outcome := b.claim(t, id); outcome != outbox.Over {
				t.Errorf("%s: claimed again (%d)", status, outcome)
			}
		}
	})
	t.Run("is there again at its time when it is put off", func(t *testing.T) {
		t.Parallel()
		id := b.write(t, 0)
		d, _ := b.claim(t, id)
		if err := outbox.PutOff(t.Context(), b.pool, d, time.Now().Add(time.Hour), strings.Repeat("é", 600)+"\x00\xff"); err != nil {
			t.Fatal(err)
		}
		if _, _, reason, _, _ := b.row(t, id); reason != strings.Repeat("é", 500) {
			t.Errorf("the reason is %q", reason)
		}
		if _, outcome := b.claim(t, id); outcome != outbox.Early {
			t.Errorf("before its time: %d", outcome)
		}
		later := clock.With(t.Context(), func() time.Time { return time.Now().Add(time.Hour) })
		if d, outcome, err := outbox.Claim(later, b.pool, id); outcome != outbox.Claimed || d.Attempt != 2 || err != nil {
			t.Errorf("claimed %+v (%d), %v", d, outcome, err)
		}
	})
	t.Run("is not put off by who lost it", func(t *testing.T) {
		t.Parallel()
		id := b.write(t, 0)
		slow, _ := b.claim(t, id)
		b.db.Exec(t, "update mesher.notifications set claimed_until = now() - interval '1 second' where id = '"+id.String()+"'")
		b.claim(t, id)
		if err := outbox.PutOff(t.Context(), b.pool, slow, time.Now(), "too slow"); err != nil {
			t.Fatal(err)
		}
		if _, outcome := b.claim(t, id); outcome != outbox.Busy {
			t.Errorf("it is taken from who delivers it: %d", outcome)
		}
		if err := outbox.Settle(t.Context(), b.pool, slow, outbox.End{Status: outbox.Sent}); err != nil {
			t.Fatal(err)
		}
		if status, _, _, _, _ := b.row(t, id); status != "sent" {
			t.Errorf("who was slow has sent it all the same, and it is %s", status)
		}
	})
	t.Run("takes over from one who died", func(t *testing.T) {
		t.Parallel()
		id := b.write(t, 0)
		b.claim(t, id)
		b.db.Exec(t, "update mesher.notifications set claimed_until = claimed_until - interval '119 seconds' where id = '"+id.String()+"'")
		if _, outcome := b.claim(t, id); outcome != outbox.Busy {
			t.Errorf("within the time of the claim: %d", outcome)
		}
		b.db.Exec(t, "update mesher.notifications set claimed_until = claimed_until - interval '2 seconds' where id = '"+id.String()+"'")
		if d, outcome := b.claim(t, id); outcome != outbox.Claimed || d.Attempt != 2 {
			t.Errorf("after it: %+v (%d)", d, outcome)
		}
	})
}

func TestPublish(t *testing.T) {
	t.Parallel()
	t.Run("publishes, and sweeps now and then", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		old, young := b.write(t, 2*time.Minute), b.write(t, 0)
		b.box.Publish(t.Context(), young)
		want := []uuid.UUID{old, young}
		if diff := cmp.Diff(want, b.queue.taken()); diff != "" {
			t.Errorf("the first time (-want +got)\n%s", diff)
		}
		b.box.Publish(t.Context(), young)
		if diff := cmp.Diff([]uuid.UUID{young}, b.queue.taken()); diff != "" {
			t.Errorf("right after it (-want +got)\n%s", diff)
		}
	})
	t.Run("logs what the queue does not take, without addresses", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.queue.err = errors.New("the queue is away")
		id := b.write(t, 0)
		b.box.Publish(t.Context(), id)
		if log := b.log.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "the queue is away") || strings.Contains(log, "ada@") {
			t.Errorf("log: %s", log)
		}
		b.queue.err = nil
		b.age(t, id, 2*time.Minute)
		b.box.Publish(t.Context())
		if diff := cmp.Diff([]uuid.UUID{id}, b.queue.taken()); diff != "" {
			t.Errorf("when it is back (-want +got)\n%s", diff)
		}
	})
	t.Run("ends though the queue hangs", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.queue.hang = true
		b.box.Publish(t.Context(), b.write(t, 0))
		if !strings.Contains(b.log.String(), "deadline exceeded") {
			t.Errorf("log: %s", b.log)
		}
	})
	t.Run("goes on though the caller is gone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.write(t, 0)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b.box.Publish(ctx, id)
		if diff := cmp.Diff([]uuid.UUID{id}, b.queue.taken()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestSweep(t *testing.T) {
	t.Parallel()
	t.Run("takes what waits and nobody delivers", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		waits, released, died := b.write(t, time.Hour), b.write(t, time.Hour), b.write(t, time.Hour)
		claimed, sent := b.write(t, time.Hour), b.write(t, time.Hour)
		b.write(t, time.Minute)
		for _, id := range []uuid.UUID{released, died, claimed, sent} {
			b.claim(t, id)
		}
		if err := outbox.PutOff(t.Context(), b.pool, outbox.Delivery{ID: released, Attempt: 1}, time.Now(), "later"); err != nil {
			t.Fatal(err)
		}
		if err := outbox.Finish(t.Context(), b.pool, sent, outbox.Sent, ""); err != nil {
			t.Fatal(err)
		}
		b.db.Exec(t, "update mesher.notifications set claimed_until = now() - interval '1 second' where id = '"+died.String()+"'")
		for range 2 {
			if n, err := b.box.Sweep(t.Context(), 10*time.Minute); n != 3 || err != nil {
				t.Errorf("swept %d, %v", n, err)
			}
			if diff := cmp.Diff([]uuid.UUID{waits, released, died}, b.queue.taken()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if n, err := b.box.Sweep(t.Context(), 10*time.Minute); n != 0 || err != nil {
				t.Errorf("swept %d again at once, %v", n, err)
			}
			b.db.Exec(t, "update mesher.notifications set swept_at = swept_at - interval '11 minutes'")
		}
	})
	t.Run("takes what is put off once its time has come", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.write(t, time.Hour)
		d, _ := b.claim(t, id)
		if err := outbox.PutOff(t.Context(), b.pool, d, time.Now().Add(5*time.Minute), "later"); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			after time.Duration
			want  int
		}{{0, 0}, {4 * time.Minute, 0}, {5 * time.Minute, 1}, {5*time.Minute + 30*time.Second, 0}, {6*time.Minute + time.Second, 1}} {
			now := time.Now().Add(step.after)
			ctx := clock.With(t.Context(), func() time.Time { return now })
			if n, err := b.box.Sweep(ctx, time.Minute); n != step.want || err != nil {
				t.Errorf("after %s: swept %d, %v; want %d", step.after, n, err, step.want)
			}
		}
	})
	t.Run("takes a hundred, never those first that are put off", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.db.Exec(t, `insert into mesher.notifications (id, channel, template, recipient, attempts, created_at)
			select gen_random_uuid(), 'email', 'registration', 'a@b', 5, now() - interval '2 hours' from generate_series(1, 120)`)
		fresh := b.write(t, time.Hour)
		if n, err := b.box.Sweep(t.Context(), time.Minute); n != 100 || err != nil {
			t.Errorf("swept %d, %v", n, err)
		}
		if got := b.queue.taken(); !slices.Contains(got, fresh) {
			t.Error("the one that nobody tried is not among them")
		}
	})
	t.Run("says what it could not publish", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.queue.err = errors.New("the queue is away")
		b.write(t, time.Hour)
		if n, err := b.box.Sweep(t.Context(), time.Minute); n != 0 || !errors.Is(err, b.queue.err) {
			t.Errorf("swept %d, %v", n, err)
		}
	})
}

// The message goes through a real Pub/Sub.
func TestOpen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, err := pubsub.Open(t.Context(), pubsub.Options{Path: filepath.Join(t.TempDir(), "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close(context.Background()) })
	var c outbox.Config
	err = env.Read(env.Map(map[string]string{"GOOGLE_CLOUD_PROJECT": "p", "PUBSUB_EMULATOR_HOST": q.Addr()}), &c)
	if err != nil {
		t.Fatal(err)
	}
	if err := pubsub.Declare(t.Context(), q.Addr(), "p", pubsub.Topology{Topic: "notifications", Subscription: "notify"}); err != nil {
		t.Fatal(err)
	}
	box, err := outbox.Open(t.Context(), c, b.pool, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	box.Publish(t.Context(), b.write(t, 0), b.write(t, 0))
	if got := q.Backlog("notify"); got != 2 {
		t.Errorf("%d messages wait, want 2", got)
	}
	if err := box.Close(); err != nil {
		t.Error(err)
	}
}

func TestMessageID(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	if got, err := outbox.MessageID(outbox.Message(id)); got != id || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	one := map[string]string{"schema": "1"}
	for name, m := range map[string]topic.Message{
		"another schema": {Data: outbox.Message(id).Data, Attributes: map[string]string{"schema": "2"}},
		"no schema":      {Data: outbox.Message(id).Data},
		"not JSON":       {Data: []byte("hello"), Attributes: one},
		"no id":          {Data: []byte("{}"), Attributes: one},
		"not an id":      {Data: []byte(`{"notification_id":"7"}`), Attributes: one},
	} {
		if got, err := outbox.MessageID(m); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %s, %v; want an Invalid fault", name, got, err)
		}
	}
}
