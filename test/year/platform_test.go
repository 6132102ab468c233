package year_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"

	"github.com/mesherhq/mesher/functions/ingest"
	"github.com/mesherhq/mesher/functions/partitions"
	"github.com/mesherhq/mesher/functions/retention"
	"github.com/mesherhq/mesher/functions/store"
	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
	"github.com/mesherhq/mesher/shared/topic"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// patience bounds every wait for something that has to come.
const patience = 60 * time.Second

// platform is the functions that keep events, each behind a server of its own, with a queue between them, in a time that the
// test sets.
type platform struct {
	db      *pgtest.Database
	admin   *pgxpool.Pool
	app     *pgxpool.Pool
	now     atomic.Int64 // nanoseconds since 1970
	queue   *queue
	client  *http.Client
	ingest  string
	urls    map[string]string // of jobs, by name
	errors  *errorLog
	org     tenant.Organization
	project tenant.Project
	key     string
}

func newPlatform(t *testing.T, start time.Time) *platform {
	t.Helper()
	p := &platform{db: pgtest.New(t), errors: &errorLog{}, client: &http.Client{Timeout: patience}}
	p.admin, p.app = p.db.Pool(t, pgtest.Admin), p.db.Pool(t, pgtest.App)
	p.set(start)
	p.queue = newQueue(t, p.client)
	p.queue.to = p.serve(t, store.Build, pgtest.Store)
	p.ingest = p.serve(t, ingest.Build, pgtest.Ingest)
	p.urls = map[string]string{
		"partitions": p.serve(t, partitions.Build, pgtest.Store),
		"retention":  p.serve(t, retention.Build, pgtest.Store),
	}
	var err error
	if p.org, err = tenant.EnsureOrganization(t.Context(), p.admin, "Acme", "acme"); err != nil {
		t.Fatal(err)
	}
	p.project, p.key = p.newProject(t, "shop", 30)
	return p
}

func (p *platform) newProject(t *testing.T, slug string, days int) (tenant.Project, string) {
	t.Helper()
	project, err := tenant.EnsureProject(t.Context(), p.admin, p.org.ID, slug, slug)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := tenant.ChangeProject(t.Context(), p.admin, project.ID, tenant.ProjectChange{RetentionDays: &days}); err != nil {
		t.Fatal(err)
	}
	key, err := tenant.EnsureKey(t.Context(), p.admin, project.ID, "test", "")
	if err != nil {
		t.Fatal(err)
	}
	return project, key
}

func (p *platform) set(at time.Time)   { p.now.Store(at.UnixNano()) }
func (p *platform) clock() time.Time   { return time.Unix(0, p.now.Load()).UTC() }
func (p *platform) today() time.Time   { return p.clock().Truncate(24 * time.Hour) }
func dayOf(id uuid.UUID) (d time.Time) { return timeOf(id).Truncate(24 * time.Hour) }

// timeOf returns when an event was received, which its id begins with.
func timeOf(id uuid.UUID) time.Time {
	sec, nsec := id.Time().UnixTime()
	return time.Unix(sec, nsec).UTC()
}

// serve builds a function as it is deployed and returns its address.
func (p *platform) serve(t *testing.T, build boot.Build, role pgtest.Role) string {
	t.Helper()
	settings := map[string]string{
		"DATABASE_URL": p.db.URL(role), "DATABASE_INSECURE": "true", "DATABASE_CONNECT_TIMEOUT": "30s",
		"GOOGLE_CLOUD_PROJECT": "test", "PUBSUB_EMULATOR_HOST": p.queue.addr,
	}
	f, err := build(clock.With(t.Context(), p.clock), env.Map(settings), slog.New(p.errors))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(f)
	t.Cleanup(func() {
		server.Close()
		f.Close(context.Background())
	})
	return server.URL
}

// post sends a body and reads the answer, which must be of status want.
func (p *platform) post(ctx context.Context, url, key string, body []byte, want int, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("X-Mesher-Key", key)
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var raw bytes.Buffer
	if _, err := raw.ReadFrom(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != want {
		return fmt.Errorf("answered %d: %s", resp.StatusCode, raw.Bytes())
	}
	if err := json.Unmarshal(raw.Bytes(), answer); err != nil {
		return fmt.Errorf("answered %s: %w", raw.Bytes(), err)
	}
	return nil
}

// number returns the one number that a query gives.
func (p *platform) number(t *testing.T, sql string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := p.admin.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// errorLog keeps what functions log at level ERROR.
type errorLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *errorLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }

func (l *errorLog) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, text)
	return nil
}

func (l *errorLog) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *errorLog) WithGroup(string) slog.Handler      { return l }

// queue is a Pub/Sub that pushes each message until it is acknowledged.
type queue struct {
	pubsubpb.UnimplementedPublisherServer
	addr   string
	to     string
	client *http.Client
	lose   atomic.Int64 // every so many messages one is lost; 0: none

	waiting   sync.WaitGroup
	published atomic.Int64
	again     atomic.Int64 // deliveries that were not acknowledged
	slowest   atomic.Int64 // delivery, in nanoseconds
	slots     chan struct{}
}

func newQueue(t *testing.T, client *http.Client) *queue {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	q := &queue{addr: listener.Addr().String(), client: client, slots: make(chan struct{}, 16)}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(16 << 20))
	pubsubpb.RegisterPublisherServer(server, q)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return q
}

// Publish implements pubsubpb.PublisherServer.
func (q *queue) Publish(_ context.Context, r *pubsubpb.PublishRequest) (*pubsubpb.PublishResponse, error) {
	var ids []string
	for _, m := range r.GetMessages() {
		n := q.published.Add(1)
		ids = append(ids, strconv.FormatInt(n, 10))
		if lose := q.lose.Load(); lose > 0 && n%lose == 0 {
			continue
		}
		push := topic.EncodePush(topic.Message{
			ID: ids[len(ids)-1], Data: m.GetData(), Attributes: m.GetAttributes(), OrderingKey: m.GetOrderingKey(), DeliveryAttempt: 1,
			Subscription: "projects/test/subscriptions/store",
		})
		q.waiting.Go(func() { q.deliver(push) })
	}
	return &pubsubpb.PublishResponse{MessageIds: ids}, nil
}

func (q *queue) deliver(push []byte) {
	q.slots <- struct{}{}
	defer func() { <-q.slots }()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		began := time.Now()
		resp, err := q.client.Post(q.to, "application/json", bytes.NewReader(push))
		if err == nil {
			resp.Body.Close()
		}
		if took := int64(time.Since(began)); took > q.slowest.Load() {
			q.slowest.Store(took)
		}
		if err == nil && resp.StatusCode == http.StatusNoContent {
			return
		}
		q.again.Add(1)
	}
}
