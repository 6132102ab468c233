package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/topic"
)

const (
	// publishBudget is how long a request that has done its work may still wait for the queue.
	publishBudget = 2 * time.Second
	// sweepEvery is how often one instance looks for what others left behind, and sweepAge how long they are given.
	sweepEvery = 30 * time.Second
	sweepAge   = time.Minute
	// sweepMost bounds the notifications of one sweep.
	sweepMost = 100
	// publishersMost is how many messages are on their way at a time.
	publishersMost = 10
)

// Config holds the settings of an Outbox.
type Config struct {
	Queue topic.Config
	Topic string `env:"NOTIFICATIONS_TOPIC" envDefault:"notifications" doc:"Pub/Sub topic that tells Notify what to deliver"`
}

// Publisher publishes that a notification is to be delivered.
type Publisher interface {
	PublishID(ctx context.Context, id uuid.UUID) error
}

// Outbox publishes what was written. It is safe for concurrent use.
type Outbox struct {
	db    DB
	queue Publisher
	log   *slog.Logger
	now   func() time.Time
	close func() error

	mu    sync.Mutex
	swept time.Time
}

// New returns an Outbox that publishes to p.
func New(db DB, p Publisher, log *slog.Logger) *Outbox {
	return &Outbox{db: db, queue: p, log: log, now: time.Now, close: func() error { return nil }}
}

// Open returns an Outbox that publishes to the topic of c, with the errors of topic.Open. Nothing is connected yet.
func Open(ctx context.Context, c Config, db DB, log *slog.Logger) (*Outbox, error) {
	p, err := topic.Open(ctx, c.Queue, c.Topic)
	if err != nil {
		return nil, err
	}
	o := New(db, queue{p}, log)
	o.close = p.Close
	return o, nil
}

// Close ends the connection to the queue.
func (o *Outbox) Close() error { return o.close() }

// Publish publishes notifications that are committed. It takes 2 s at most and never fails: what could not be published is
// logged and swept later, by this instance's next Publish or by Notify. At most every 30 s it sweeps, too, what is older
// than a minute; without ids that is all it does.
func (o *Outbox) Publish(ctx context.Context, ids ...uuid.UUID) {
	// What is committed is to be told, even if who asked for it has gone away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishBudget)
	defer cancel()
	if n, err := o.publish(ctx, ids); err != nil {
		o.log.WarnContext(ctx, "notifications are not published and swept later", "missing", len(ids)-n, "ids", ids, "error", err)
		return // the queue is away: a sweep would only wait for it
	}
	if !o.due() {
		return
	}
	n, err := o.Sweep(ctx, sweepAge)
	if err != nil {
		o.log.WarnContext(ctx, "notifications left behind are not swept", "published", n, "error", err)
	} else if n > 0 {
		o.log.InfoContext(ctx, "notifications left behind are published again", "published", n)
	}
}

// due reports whether this instance is to sweep now, and notes that it does.
func (o *Outbox) due() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	if now.Sub(o.swept) < sweepEvery {
		return false
	}
	o.swept = now
	return true
}

// Sweep publishes what is due: notifications that were put off or are digests, once their time has come, and again what has
// been pending for longer than age and nobody is delivering. It publishes at most 100 and returns how many; call it again
// while it returns as many. What nobody has tried to deliver comes first, then the oldest: mails that a server keeps
// putting off must not stand in the way of those that it never saw. However many sweep, a notification is published
// again once per age, so that a long outage does not fill the queue.
func (o *Outbox) Sweep(ctx context.Context, age time.Duration) (int, error) {
	ids, err := o.leftBehind(ctx, age)
	if err != nil {
		return 0, err
	}
	return o.publish(ctx, ids)
}

func (o *Outbox) leftBehind(ctx context.Context, age time.Duration) ([]uuid.UUID, error) {
	rows, err := o.db.Query(ctx, `
		update mesher.notifications set swept_at = $3::timestamptz where id in (
			select id from mesher.notifications
			where status = 'pending' and (claimed_until is null or claimed_until < now())
				and case
					when not_before is null or swept_at >= not_before
						then coalesce(swept_at, created_at) < $3::timestamptz - $1::bigint * interval '1 microsecond'
					else not_before <= $3::timestamptz
				end
			order by attempts, created_at limit $2::integer for update skip locked)
		returning id`, age.Microseconds(), sweepMost, clock.Of(ctx)())
	if err != nil {
		return nil, fmt.Errorf("look for pending notifications: %w", err)
	}
	defer rows.Close()
	var ids []uuid.UUID
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read a pending notification's id: %w", err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look for pending notifications: %w", err)
	}
	return ids, nil
}

// publish publishes ids, several at a time, and returns how many of them. The first failure ends it.
func (o *Outbox) publish(ctx context.Context, ids []uuid.UUID) (int, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(publishersMost)
	var n atomic.Int64
	for _, id := range ids {
		group.Go(func() error {
			if err := o.queue.PublishID(ctx, id); err != nil {
				return err
			}
			n.Add(1)
			return nil
		})
	}
	err := group.Wait()
	return int(n.Load()), err
}
