// Package ingest takes events from SDKs over HTTP, checks and normalises them, decides which issue each one
// belongs to, and answers 2xx once they are published.
//
// Read it along the path of one event: ServeHTTP → addressOf (which format) → admit (who may write) → web.Body → native,
// envelope, store, tunnel or export (cut the body into events and decode them) → intake.take (scrub, group, one line an
// event) → batch (one message for all that arrive together) → publisher.
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
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/grouping"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
	"github.com/mesherhq/mesher/shared/topic"
	"github.com/mesherhq/mesher/shared/web"
)

// busy is how long a client is asked to wait when its events could not be published.
const busy = 5 * time.Second

// Function is the deployed function.
type Function struct {
	cfg       Config
	log       *slog.Logger
	pool      *postgres.Pool
	topic     *topic.Publisher
	keys      *keys
	limits    *limits
	usage     *usage
	shares    *shares
	scrubbing *compiled[*scrubbing]
	grouping  *compiled[*grouping.Rules]
	tools     sync.Pool // of *tools
	batcher   *batch.Batcher[uuid.UUID, line]
	checkIns  *batch.Batcher[uuid.UUID, monitor.CheckIn]
	beats     *beats
	now       clock.Clock
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
	now := clock.Of(ctx)
	f := &Function{
		cfg: cfg, log: log, pool: pool, topic: pub,
		keys:      newKeys(lookups(pool), now),
		limits:    newLimits(),
		shares:    newShares(web.NewBudget(cfg.Memory), cfg.Memory/shareOf),
		scrubbing: newCompiled(log, compileScrubbing),
		grouping:  newCompiled(log, compileGrouping),
		now:       now,
	}
	f.usage = newUsage(pool, log, f.limits)
	f.batcher = batch.New(batch.Config{
		Linger: cfg.Linger, Pause: cfg.Pause,
		MaxCount: messageEvents, MaxBytes: messageRaw,
		BufferCount: cfg.BufferEvents, BufferBytes: cfg.BufferBytes, BufferCallers: max(cfg.Concurrency/4, 1),
		Stuck:   time.Second,
		Attempt: max(cfg.PublishTimeout/3, time.Second), Patience: cfg.PublishTimeout,
		Retry:   func(err error) bool { return fault.Is(err, fault.Unavailable) },
		Backoff: 50 * time.Millisecond, BackoffMax: time.Second,
	}, p.flush)
	f.checkIns = newCheckIns(pool, cfg)
	f.beats = newBeats(pool, cfg)
	return f, nil
}

// Health reports nothing: Ingest works on remembered keys while the database is away, and says itself when
// it cannot publish.
func (f *Function) Health(context.Context) error { return nil }

// Close reports the counts that are left and closes the connections.
func (f *Function) Close(ctx context.Context) {
	f.usage.flush(ctx, f.now())
	f.pool.Close()
	if err := f.topic.Close(); err != nil {
		f.log.WarnContext(ctx, "closing the Pub/Sub connection", "error", err)
	}
}

// ServeHTTP takes events in every format, at any path that addressOf knows.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, HeartbeatPath); ok {
		f.heartbeat(w, r, rest)
		return
	}
	web.Handler(f.log, f.serve).ServeHTTP(w, r)
}

func (f *Function) serve(w http.ResponseWriter, r *http.Request) error {
	crossOrigin(w, r)
	at := addressOf(r.URL.Path)
	switch {
	case at.to == toNowhere:
		return fault.New(fault.NotFound, "nothing is here; send events to POST %s, /api/{project number}/envelope/, %s or %s",
			Path, logsPath, tracesPath)
	case r.Method == http.MethodOptions:
		preflight(w, r)
		return nil
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "OPTIONS, POST")
		return fault.New(fault.Method, "use POST to send events")
	}
	err := f.take(w, r, at)
	if err != nil && at.to.fromSentry() {
		sentryError(w.Header(), err)
	}
	return err
}

// take has a request answered by the endpoint that it is for.
func (f *Function) take(w http.ResponseWriter, r *http.Request, at address) error {
	switch at.to {
	case toEnvelope:
		return f.envelope(w, r, at.number)
	case toStore:
		return f.store(w, r, at.number)
	case toTunnel:
		return f.tunnel(w, r)
	case toLogs:
		return f.export(w, r, logSignal())
	case toTraces:
		return f.export(w, r, traceSignal())
	}
	return f.native(w, r)
}

// admit returns what the key of a request opens. Number is that of the project in the request's path; empty: there is
// none.
func (f *Function) admit(r *http.Request, number string) (tenant.Access, error) {
	key, err := requestKey(r)
	if err != nil {
		return tenant.Access{}, err
	}
	return f.admitKey(r, key, number)
}

func (f *Function) admitKey(r *http.Request, key, number string) (tenant.Access, error) {
	access, err := f.keys.access(r.Context(), key)
	if err != nil {
		return tenant.Access{}, err
	}
	if number != "" && !isNumber(number, access.ProjectNumber) {
		return tenant.Access{}, fault.New(fault.Forbidden, "the API key is not of the project that the address names; use the DSN as the project shows it")
	}
	return access, checkOrigin(access.AllowedOrigins, r.Header.Get("Origin"))
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

// dropped turns the batcher's refusal into what the client is told.
func dropped(err error) *fault.Error {
	if errors.Is(err, batch.ErrDropped) {
		return fault.New(fault.Unavailable, "the project sends faster than its events can be published; they were dropped").After(busy)
	}
	return fault.Wrap(err, fault.Unavailable, "the events could not be published; send them again").After(busy)
}
