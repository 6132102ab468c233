package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/logging"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// bus is a Pub/Sub that keeps what is published, and can be stopped and told to hang.
type bus struct {
	pubsubpb.UnimplementedPublisherServer
	addr string

	mu       sync.Mutex
	server   *grpc.Server
	messages []*pubsubpb.PubsubMessage
	answer   func(ctx context.Context, project string) error
}

func newBus(t testing.TB) *bus {
	t.Helper()
	b := &bus{addr: "127.0.0.1:0"}
	b.start(t)
	t.Cleanup(b.stop)
	return b
}

func (b *bus) start(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addr = listener.Addr().String()
	b.server = grpc.NewServer(grpc.MaxRecvMsgSize(16 << 20))
	pubsubpb.RegisterPublisherServer(b.server, b)
	go func(s *grpc.Server) { _ = s.Serve(listener) }(b.server)
}

func (b *bus) stop() {
	b.mu.Lock()
	s := b.server
	b.mu.Unlock()
	s.Stop()
}

// say makes every publish answer what f returns; nil means success.
func (b *bus) say(f func(ctx context.Context, project string) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = f
}

func (b *bus) Publish(ctx context.Context, r *pubsubpb.PublishRequest) (*pubsubpb.PublishResponse, error) {
	b.mu.Lock()
	answer := b.answer
	b.mu.Unlock()
	if answer != nil {
		if err := answer(ctx, r.GetMessages()[0].GetAttributes()["project_id"]); err != nil {
			return nil, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for _, m := range r.GetMessages() {
		b.messages = append(b.messages, m)
		ids = append(ids, strconv.Itoa(len(b.messages)))
	}
	return &pubsubpb.PublishResponse{MessageIds: ids}, nil
}

// events returns all events that were published, by their id.
func (b *bus) events(t testing.TB) map[uuid.UUID]event.Event {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[uuid.UUID]event.Event{}
	for _, m := range b.messages {
		lines := unpack(t, m.GetData())
		if m.GetAttributes()["events"] != strconv.Itoa(len(lines)) {
			t.Errorf("a message of %d events says %s", len(lines), m.GetAttributes()["events"])
		}
		for _, l := range lines {
			var e event.Event
			if err := event.DecodeLine([]byte(l), &e); err != nil {
				t.Fatalf("line %q: %v", l, err)
			}
			out[e.ID] = e
		}
	}
	return out
}

// harness is Ingest on a socket, with a database and a Pub/Sub of its own.
type harness struct {
	*Function
	t       testing.TB
	server  *httptest.Server
	client  *http.Client
	bus     *bus
	db      *pgtest.Database
	project tenant.Project
	key     string
	log     *bytes.Buffer
}

// start starts Ingest with settings that differ from the defaults.
func start(t testing.TB, settings map[string]string) *harness {
	t.Helper()
	h := &harness{t: t, bus: newBus(t), db: pgtest.New(t)}
	all := map[string]string{
		"DATABASE_URL": h.db.URL(pgtest.Ingest), "DATABASE_INSECURE": "true", "DATABASE_CONNECT_TIMEOUT": "10s",
		"GOOGLE_CLOUD_PROJECT": "test", "PUBSUB_EMULATOR_HOST": h.bus.addr,
	}
	maps.Copy(all, settings)
	h.log = new(bytes.Buffer)
	built, err := Build(t.Context(), env.Map(all), logging.New(&lockedWriter{w: h.log}, nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	f, ok := built.(*Function)
	if !ok {
		t.Fatalf("Build returned %T", built)
	}
	h.Function = f
	h.server = httptest.NewServer(f)
	transport := &http.Transport{MaxIdleConnsPerHost: 2000}
	h.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		h.server.Close()
		transport.CloseIdleConnections()
		if held := f.shares.whole.Held(); held != 0 {
			t.Errorf("%d bytes of the budget are not given back", held)
		}
		f.Close(context.Background())
		if strings.Contains(h.log.String(), h.key) {
			t.Error("the API key is logged")
		}
	})
	h.project, h.key = h.newProject("shop")
	return h
}

// newProject stores a project and a key to it.
func (h *harness) newProject(slug string) (tenant.Project, string) {
	h.t.Helper()
	admin := h.db.Pool(h.t, pgtest.Admin)
	o, err := tenant.EnsureOrganization(h.t.Context(), admin, "Acme", "acme")
	if err != nil {
		h.t.Fatal(err)
	}
	p, err := tenant.EnsureProject(h.t.Context(), admin, o.ID, slug, slug)
	if err != nil {
		h.t.Fatal(err)
	}
	key, err := tenant.EnsureKey(h.t.Context(), admin, p.ID, "test", "")
	if err != nil {
		h.t.Fatal(err)
	}
	return p, key
}

// lockedWriter is a writer for several goroutines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// answer is what Ingest answered: either kind.
type answer struct {
	Status   int
	Header   http.Header
	Accepted []accepted `json:"accepted"`
	Rejected []rejected `json:"rejected"`
	Type     string     `json:"type"`
	Title    string     `json:"title"`
	Code     string     `json:"code"`
	Detail   string     `json:"detail"`
	Number   int        `json:"status"`
}

// send sends a request and checks the form of the answer.
func (h *harness) send(method, path string, body io.Reader, headers ...string) answer {
	h.t.Helper()
	a, err := h.try(method, path, body, headers...)
	if err != nil {
		h.t.Error(err)
	}
	return a
}

func (h *harness) try(method, path string, body io.Reader, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.server.URL+path, body)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{Status: resp.StatusCode, Header: resp.Header}
	if err := json.Unmarshal(raw, &a); err != nil {
		return a, fmt.Errorf("status %d with no JSON: %w: %.200s", resp.StatusCode, err, raw)
	}
	kind := "application/json"
	if resp.StatusCode != http.StatusAccepted {
		kind = "application/problem+json"
		if a.Type != "about:blank" || a.Title != http.StatusText(a.Status) || a.Number != a.Status || a.Code == "" || a.Detail == "" {
			return a, fmt.Errorf("not a problem: %s", raw)
		}
	}
	if got := resp.Header.Get("Content-Type"); got != kind {
		return a, fmt.Errorf("status %d of type %s", a.Status, got)
	}
	if a.Status == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "" {
		return a, fmt.Errorf("503 without Retry-After: %s", raw)
	}
	return a, nil
}

// post sends events with the harness's key.
func (h *harness) post(body string, headers ...string) answer {
	h.t.Helper()
	return h.send(http.MethodPost, Path, strings.NewReader(body), append([]string{"X-Mesher-Key", h.key}, headers...)...)
}

const good = `{"message":"disk full","level":"error","timestamp":"2026-01-31T12:00:00Z"}`

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func statusPermissionDenied() error { return status.Error(codes.PermissionDenied, "permission denied") }
