// Package ingest takes events from SDKs over HTTP, checks and normalises them, decides which issue each one
// belongs to, and answers 202 once they are published.
//
// Read it along the path of one event: ServeHTTP → keys (who may write) → web.Body → intake (decode, group, one
// line an event) → batch (one message for all that arrive together) → publisher.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/batch"
	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
	"github.com/mesherhq/mesher/shared/topic"
	"github.com/mesherhq/mesher/shared/web"
)

// Path is where the native API takes events.
const Path = "/v1/events"

// busy is how long a client is asked to wait when its events could not be published.
const busy = 5 * time.Second

// Function is the deployed function.
type Function struct {
	cfg     Config
	log     *slog.Logger
	pool    *postgres.Pool
	topic   *topic.Publisher
	keys    *keys
	usage   *usage
	shares  *shares
	decoder sync.Pool // of *event.Decoder: they keep their buffers
	batcher *batch.Batcher[uuid.UUID, line]
	now     func() time.Time
}

// Build makes the function from its settings, as boot calls it.
func Build(ctx context.Context, lookup env.Lookup, log *slog.Logger) (boot.Handler, error) {
	var cfg Config
	if err := env.Read(lookup, &cfg); err != nil {
		return nil, err
	}
	return New(ctx, cfg, log)
}

// New returns the function. Nothing is connected yet.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*Function, error) {
	cfg.Database.Application = "mesher ingest"
	pool, err := postgres.Open(ctx, cfg.Database)
	if err != nil {
		return nil, err
	}
	pub, err := topic.Open(ctx, cfg.Queue, cfg.Topic)
	if err != nil {
		pool.Close()
		return nil, err
	}
	p, err := newPublisher(pub.Publish, cfg.Shards)
	if err != nil {
		pool.Close()
		return nil, errors.Join(err, pub.Close())
	}
	f := &Function{
		cfg: cfg, log: log, pool: pool, topic: pub,
		keys:   newKeys(lookups(pool)),
		usage:  newUsage(pool, log),
		shares: newShares(web.NewBudget(cfg.Memory), cfg.Memory/shareOf),
		now:    time.Now,
	}
	f.batcher = batch.New(batch.Config{
		Linger: cfg.Linger, Pause: cfg.Pause,
		MaxCount: messageEvents, MaxBytes: messageRaw,
		BufferCount: cfg.BufferEvents, BufferBytes: cfg.BufferBytes, BufferCallers: max(cfg.Concurrency/4, 1),
		Stuck:   time.Second,
		Attempt: max(cfg.PublishTimeout/3, time.Second), Patience: cfg.PublishTimeout,
		Retry:   func(err error) bool { return fault.Is(err, fault.Unavailable) },
		Backoff: 50 * time.Millisecond, BackoffMax: time.Second,
	}, p.flush)
	return f, nil
}

// Health reports nothing: Ingest works on remembered keys while the database is away, and says itself when
// it cannot publish.
func (f *Function) Health(context.Context) error { return nil }

// Close reports the counts that are left and closes the connections.
func (f *Function) Close(ctx context.Context) {
	f.usage.flush(ctx)
	f.pool.Close()
	if err := f.topic.Close(); err != nil {
		f.log.WarnContext(ctx, "closing the Pub/Sub connection", "error", err)
	}
}

// ServeHTTP takes events at Path.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	web.Handler(f.log, f.serve).ServeHTTP(w, r)
}

func (f *Function) serve(w http.ResponseWriter, r *http.Request) error {
	if strings.TrimSuffix(r.URL.Path, "/") != Path {
		return fault.New(fault.NotFound, "nothing is here; send events to POST %s", Path)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return fault.New(fault.Method, "use POST to send events to %s", Path)
	}
	return f.native(w, r)
}

// native takes events in Mesher's own format.
func (f *Function) native(w http.ResponseWriter, r *http.Request) error {
	key, err := requestKey(r)
	if err != nil {
		return err
	}
	idempotency := r.Header.Get("Idempotency-Key")
	if len(idempotency) > idempotencyMost {
		return fault.New(fault.Invalid, "the Idempotency-Key has %d bytes; at most %d are allowed", len(idempotency), idempotencyMost)
	}
	access, err := f.keys.access(r.Context(), key)
	if err != nil {
		return err
	}
	now := f.now().UTC()
	reported := f.usage.start(r.Context(), now)
	defer reported()

	if f.batcher.Full(access.ProjectID) {
		f.usage.add(access, tenant.Usage{Dropped: 1}, now) // at least: the body is not read
		return fault.New(fault.Unavailable, "the project sends faster than its events can be published; none of this request was taken").After(busy)
	}
	lease, release := f.shares.lease(access.ProjectID)
	defer release()
	body, err := f.body(w, r, lease)
	if err != nil {
		return err
	}
	in := &intake{access: access, now: now, idempotency: idempotency}
	if err := f.read(in, body, lease); err != nil {
		return err
	}
	// What was made of the body is held while it waits to be published, not the body.
	lease.Give(int64(cap(body)))
	in.settle(f.batcher.Do(access.ProjectID, in.items))
	f.usage.add(access, in.usage, now)
	reported()
	return in.answer(w)
}

// body reads a request's body. A client that sends it too slowly is cut off: it would hold memory that others
// need.
func (f *Function) body(w http.ResponseWriter, r *http.Request, lease *web.Lease) ([]byte, error) {
	conn := http.NewResponseController(w)
	if err := conn.SetReadDeadline(time.Now().Add(f.cfg.BodyTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, fmt.Errorf("bound the time to read a body: %w", err)
	}
	// The next request on this connection has its own time. If this fails, so will the connection.
	defer func() { _ = conn.SetReadDeadline(time.Time{}) }()
	return web.Body(r, web.BodyLimits{Wire: f.cfg.MaxBody, Decoded: f.cfg.MaxDecompressed}, lease)
}

// read decodes a body with a decoder of the pool.
func (f *Function) read(in *intake, body []byte, lease *web.Lease) error {
	d, ok := f.decoder.Get().(*event.Decoder)
	if !ok {
		d = event.NewDecoder(event.DefaultLimits())
	}
	defer f.decoder.Put(d)
	in.decoder = d
	return in.read(body, f.cfg.MaxEvents, lease)
}

// requestKey returns the API key of a request, from the places where clients may put it.
func requestKey(r *http.Request) (string, error) {
	if key := r.Header.Get("X-Mesher-Key"); key != "" {
		return key, nil
	}
	if auth := r.Header.Get("Authorization"); auth != "" {
		scheme, key, ok := strings.Cut(auth, " ")
		if !ok || !strings.EqualFold(scheme, "Bearer") {
			return "", fault.New(fault.Unauthenticated, "the Authorization header must be: Bearer <API key>")
		}
		return strings.TrimSpace(key), nil
	}
	if key := r.URL.Query().Get("api_key"); key != "" {
		return key, nil
	}
	return "", fault.New(fault.Unauthenticated,
		"no API key; send it in the header X-Mesher-Key, as Authorization: Bearer <key>, or as ?api_key=")
}

// dropped turns the batcher's refusal into what the client is told.
func dropped(err error) *fault.Error {
	if errors.Is(err, batch.ErrDropped) {
		return fault.New(fault.Unavailable, "the project sends faster than its events can be published; they were dropped").After(busy)
	}
	return fault.Wrap(err, fault.Unavailable, "the events could not be published; send them again").After(busy)
}
