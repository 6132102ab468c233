package notify

import (
	"bytes"
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/local/pubsub"
	"github.com/mesherhq/mesher/shared/outbound"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/secret"
	"github.com/mesherhq/mesher/shared/topic"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// patience bounds every wait for something that has to come.
const patience = 60 * time.Second

// base is AUTH_URL in these tests.
const base = "https://auth.example.com/people"

// bundle is a database as the functions see it, and what was logged.
type bundle struct {
	db   *pgtest.Database
	pool *pgxpool.Pool
	log  *lines
}

func setup(t testing.TB) *bundle {
	t.Helper()
	db := pgtest.New(t)
	return &bundle{db: db, pool: db.Pool(t, pgtest.App), log: new(lines)}
}

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// config is the settings of a function that mails through a server at address, or writes to files when it is a path.
func (b *bundle) config(address string) Config { return configOf(b.db.URL(pgtest.App), address) }

func configOf(database, address string) Config {
	c := Config{
		Database: postgres.Config{
			URL: database, PoolSize: 4, IdleTimeout: time.Minute, ConnectTimeout: 5 * time.Second, Insecure: true,
		},
		Outbox: outbox.Config{Queue: topic.Config{Project: "p", EmulatorHost: "127.0.0.1:1"}, Topic: "notifications"},
		Channels: alert.ChannelConfig{
			Seal:     secret.SealConfig{Keys: base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))},
			Outbound: outbound.Config{Allow: "127.0.0.0/8"}, Hosts: "127.0.0.1",
		},
		AlertURL: "https://mesher.example.com/{organization_id}/{project_id}/alerts/{alert_id}",
		APIURL:   "https://api.example.com",
		AuthURL:  base + "/", From: "Mesher <mesher@example.com>",
	}
	if strings.HasPrefix(address, "/") {
		c.MailDir = address
	} else {
		c.SMTPURL = "smtp://" + address
	}
	return c
}

// function returns an instance as it is deployed.
func (b *bundle) function(t testing.TB, cfg Config) *Function {
	t.Helper()
	f, err := New(t.Context(), cfg, slog.New(slog.NewTextHandler(b.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if held := f.budget.Held(); held != 0 {
			t.Errorf("%d bytes of the memory budget are not given back", held)
		}
		f.Close(context.Background())
	})
	return f
}

// serve serves an instance and returns its URL.
func serve(t testing.TB, f *Function) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

// mailing returns the URL of an instance that mails through s.
func (b *bundle) mailing(t testing.TB, s *mailServer) string {
	t.Helper()
	return serve(t, b.function(t, b.config(s.addr)))
}

// push delivers the message of a notification and returns the answer's status.
func push(t testing.TB, url string, id uuid.UUID) int {
	t.Helper()
	return post(t, url, topic.EncodePush(outbox.Message(id))).StatusCode
}

func post(t testing.TB, url string, body []byte) *http.Response {
	t.Helper()
	resp, err := http.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// write puts a notification into the outbox.
func (b *bundle) write(t testing.TB, template outbox.Template, to string, data any) uuid.UUID {
	t.Helper()
	id, err := outbox.Write(t.Context(), b.pool, outbox.Notification{Template: template, Recipient: to, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// user makes a user.
func (b *bundle) user(t testing.TB, email string, verified bool) account.User {
	t.Helper()
	u, created, err := account.CreateUser(t.Context(), b.pool, account.NewUser{Email: email, Name: "Ada", Verified: verified})
	if err != nil || !created {
		t.Fatalf("create a user: %t, %v", created, err)
	}
	return u
}

// state returns what became of a notification: its status, how often it was tried, and why.
func (b *bundle) state(t testing.TB, id uuid.UUID) (state, reason string) {
	t.Helper()
	var (
		status   string
		attempts int
		claimed  bool
	)
	err := b.pool.QueryRow(t.Context(), `
		select status, attempts, coalesce(last_error, ''), claimed_until is not null
		from mesher.notifications where id = $1::uuid`, id).Scan(&status, &attempts, &reason, &claimed)
	if err != nil {
		t.Fatal(err)
	}
	state = fmt.Sprintf("%s after %d", status, attempts)
	if claimed {
		state += ", claimed"
	}
	return state, reason
}

// want compares what became of a notification.
func (b *bundle) want(t testing.TB, id uuid.UUID, want string) (reason string) {
	t.Helper()
	got, reason := b.state(t, id)
	if got != want {
		t.Errorf("the notification is %s (%s), want %s", got, reason, want)
	}
	return reason
}

// wait waits for a condition.
func wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited for: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// openQueue starts a Pub/Sub that pushes notifications to url.
func openQueue(t testing.TB, url string) *pubsub.Server {
	t.Helper()
	q, err := pubsub.Open(t.Context(), pubsub.Options{Path: filepath.Join(t.TempDir(), "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close(context.Background()) })
	declare(t, q, url)
	return q
}

func declare(t testing.TB, q *pubsub.Server, url string) {
	t.Helper()
	err := pubsub.Declare(t.Context(), q.Addr(), "p", pubsub.Topology{
		Topic: "notifications", Subscription: "notify", Endpoint: url, MinBackoff: 20 * time.Millisecond, MaxBackoff: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
}

var linkLike = regexp.MustCompile(`https://\S+\?token=(msho_\w+)`)

// link returns the one link of a mail, without its token, and the token. Text and HTML have the same.
func link(t testing.TB, m parsed) (path, token string) {
	t.Helper()
	in := linkLike.FindAllStringSubmatch(m.text, -1)
	if len(in) != 1 {
		t.Fatalf("%d links in\n%s", len(in), m.text)
	}
	if n := strings.Count(m.html, in[0][0]); n != 2 {
		t.Errorf("the link stands %d times in the HTML, want 2:\n%s", n, m.html)
	}
	return strings.TrimSuffix(in[0][0], "?token="+in[0][1]), in[0][1]
}

var update = flag.Bool("update", false, "rewrite the golden files")
