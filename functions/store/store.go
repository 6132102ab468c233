// Package store writes events from the queue into Postgres: each exactly once, counted exactly once.
//
// Read it along the path of one message: serve → decode (in parallel, while another transaction runs) → batch
// (messages of one project that wait go into one transaction) → write → transact → begin → choose → plan (what is
// written besides rows: counters, releases, tags, users, statuses, counts by the minute, alerts) → commit. A message is acknowledged only after
// the commit that holds its events, or after it was put into dead_letters because it can never be stored. What an
// instance knows to be written is in its memory, which only saves work.
package store

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/klauspost/compress/zstd"

	"github.com/mesherhq/mesher/shared/batch"
	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/topic"
	"github.com/mesherhq/mesher/shared/web"
)

// Function is the deployed function.
type Function struct {
	log     *slog.Logger
	pool    *pgxpool.Pool
	writer  *writer
	zstd    *zstd.Decoder
	budget  *web.Budget
	timeout time.Duration
	batcher *batch.Batcher[uuid.UUID, *parcel]
}

// Build makes the function from its settings, as boot calls it.
func Build(ctx context.Context, lookup env.Lookup, log *slog.Logger) (boot.Handler, error) {
	var cfg Config
	if err := env.Read(lookup, &cfg); err != nil {
		return nil, err
	}
	return New(ctx, cfg, log)
}

// New returns the function, which lives in the time of clock.Of(ctx). Nothing is connected yet.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*Function, error) {
	cfg.Database.PoolSize = max(cfg.Database.PoolSize, int32(cfg.Slots)+spareConnections)
	cfg.Database.Application = "mesher store"
	pool, err := postgres.Open(ctx, cfg.Database)
	if err != nil {
		return nil, err
	}
	out, err := outbox.Open(ctx, cfg.Outbox, pool, log)
	if err != nil {
		pool.Close()
		return nil, err
	}
	z, err := newDecoder()
	if err != nil {
		_ = out.Close() // the error before it counts
		pool.Close()
		return nil, err
	}
	f := &Function{
		log: log, pool: pool, zstd: z, budget: web.NewBudget(cfg.Memory), timeout: cfg.Timeout,
		writer: &writer{pool: pool, log: log, now: clock.Of(ctx), memory: newMemory(), outbox: out},
	}
	f.batcher = batch.New(batch.Config{
		MaxCount: cfg.Rows, MaxBytes: rawMost,
		// Every waiting message holds memory of the budget already, which bounds them by bytes.
		BufferCount: cfg.Rows * cfg.Waiting, BufferBytes: int(cfg.Memory), BufferCallers: cfg.Waiting,
		Slots: cfg.Slots, SlotHold: slotHold,
		Attempt: cfg.Timeout,
	}, f.writer.flush)
	return f, nil
}

// Health reports whether the database answers.
func (f *Function) Health(ctx context.Context) error { return postgres.Health(ctx, f.pool) }

// Close closes the connections.
func (f *Function) Close(ctx context.Context) {
	if err := f.writer.outbox.Close(); err != nil {
		f.log.WarnContext(ctx, "the connection to the queue did not close", "error", err)
	}
	f.pool.Close()
}

// ServeHTTP takes the push requests of the subscription, on any path. Called by: the queue. A 2xx answer
// acknowledges the message; anything else has it delivered again.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	web.Handler(f.log, f.serve).ServeHTTP(w, r)
}

func (f *Function) serve(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return fault.New(fault.Method, "Store takes push requests of Pub/Sub, by POST")
	}
	lease := f.budget.NewLease()
	defer lease.Release()
	body, err := web.Body(r, web.BodyLimits{Wire: pushMost, Decoded: pushMost}, lease)
	if err != nil {
		return err
	}
	m, err := topic.DecodePush(body)
	if err != nil {
		return err
	}
	if err := f.store(r.Context(), m, lease); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// store stores one message's events. It returns nil when the message needs no other delivery.
func (f *Function) store(ctx context.Context, m topic.Message, lease *web.Lease) error {
	p, err := decode(f.zstd, m, lease, f.writer.memory)
	switch {
	case fault.Is(err, fault.Invalid):
		ctx, cancel := context.WithTimeout(ctx, f.timeout)
		defer cancel()
		return unavailable(f.writer.discard(ctx, m, err))
	case err != nil:
		return err
	}
	errs := f.batcher.Do(p.project, []batch.Item[*parcel]{{Value: p, Count: len(p.rows), Bytes: len(m.Data)}})
	if errs == nil {
		return nil
	}
	return unavailable(errs[0])
}

// unavailable keeps an error that says its kind; any other is one that a redelivery may get past.
func unavailable(err error) error {
	if err == nil || fault.KindOf(err) != fault.Internal {
		return err
	}
	return fault.Wrap(err, fault.Unavailable, "the events could not be stored now")
}
