package auth_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/functions/auth"
	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/rest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// Passwords that are long and uncommon enough.
const (
	secret1 = "violet-kettle-9-harbour"
	secret2 = "mossy.trumpet.41.ladder"
	secret3 = "quartz+penguin+77+anvil"
)

// cheap are the parameters that cost the least of those that are allowed.
var cheap = account.PasswordConfig{Memory: 7168, Iterations: 5, Parallelism: 1, Concurrency: 4}

// bundle is a database with an instance of Auth on it, served over HTTP.
type bundle struct {
	db         *pgtest.Database
	admin, app *pgxpool.Pool
	url        string
	queue      *queue
	statements *tracer
	logs       *logs
	sessions   account.SessionConfig
	conns      int32
}

func setup(t *testing.T, change ...func(*auth.Config)) *bundle {
	t.Helper()
	return newBundle(t, 4, change...)
}

// newBundle is setup with a number of connections.
func newBundle(t *testing.T, conns int32, change ...func(*auth.Config)) *bundle {
	t.Helper()
	db := pgtest.New(t)
	b := &bundle{db: db, conns: conns, admin: db.Pool(t, pgtest.Admin), queue: new(queue), statements: new(tracer), logs: new(logs)}
	b.sessions = account.SessionConfig{Idle: 168 * time.Hour, Lifetime: 720 * time.Hour}
	b.app = b.traced(t)
	b.url = b.serve(t, change...)
	return b
}

// serve starts another instance and returns its address.
func (b *bundle) serve(t *testing.T, change ...func(*auth.Config)) string {
	t.Helper()
	cfg := auth.Config{Config: rest.Config{Sessions: b.sessions, Hops: 1}, Passwords: cheap, Registration: auth.Open}
	for _, c := range change {
		c(&cfg)
	}
	log := slog.New(slog.NewJSONHandler(b.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f, err := auth.Compose(cfg, b.app, outbox.New(b.app, b.queue, log), log)
	must(t, err)
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

// traced returns a pool that notes every statement.
func (b *bundle) traced(t *testing.T) *pgxpool.Pool {
	t.Helper()
	c := b.db.Pool(t, pgtest.App).Config()
	c.ConnConfig.Tracer, c.MaxConns = b.statements, b.conns
	pool, err := pgxpool.NewWithConfig(t.Context(), c)
	must(t, err)
	t.Cleanup(func() {
		if n := pool.Stat().AcquiredConns(); n != 0 {
			t.Errorf("%d connections are not given back", n)
		}
		pool.Close()
	})
	return pool
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// code is the code of a problem.
func (a answer) code(t *testing.T) string {
	t.Helper()
	return decode[struct{ Code string }](t, a).Code
}

func decode[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%d %q: %v", a.status, a.body, err)
	}
	return v
}

// want fails the test unless the answer has the status and, for a problem, the code.
func (a answer) want(t *testing.T, status int, code string) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("answer %d %s, want %d %s", a.status, a.body, status, code)
	}
	if code != "" {
		if got := a.code(t); got != code {
			t.Fatalf("code %q (%s), want %q", got, a.body, code)
		}
	}
	return a
}

// option changes a request.
type option func(*http.Request)

func header(name, value string) option { return func(r *http.Request) { r.Header.Set(name, value) } }
func bearer(token string) option       { return header("Authorization", "Bearer "+token) }
func cookie(token string) option       { return header("Cookie", rest.CookieName+"="+token) }
func from(ip string) option            { return header("X-Forwarded-For", "203.0.113.99, "+ip) }

// send sends a request with a body of a type.
func (b *bundle) send(t *testing.T, method, path, contentType, body string, options ...option) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	must(t, err)
	if body != "" {
		r.Header.Set("Content-Type", contentType)
	}
	r.Header.Set("User-Agent", "test")
	for _, o := range options {
		o(r)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	must(t, err)
	return answer{res.StatusCode, res.Header, string(got)}
}

// post posts JSON to the API.
func (b *bundle) post(t *testing.T, path string, body any, options ...option) answer {
	t.Helper()
	text := ""
	if body != nil {
		encoded, err := json.Marshal(body)
		must(t, err)
		text = string(encoded)
	}
	return b.send(t, http.MethodPost, "/auth/v1"+path, "application/json", text, options...)
}

// object is a JSON object.
type object = map[string]any

// entered is an answer with a session.
type entered struct {
	Token   string          `json:"token"`
	Session account.Session `json:"session"`
	User    account.User    `json:"user"`
}

// user makes a user with a verified address and the password secret1.
func (b *bundle) user(t *testing.T, email string) account.User {
	t.Helper()
	return b.newUser(t, email, secret1, true)
}

func (b *bundle) newUser(t *testing.T, email, password string, verified bool) account.User {
	t.Helper()
	hasher, err := account.NewHasher(cheap)
	must(t, err)
	hash, err := hasher.Hash(t.Context(), password)
	must(t, err)
	u, created, err := account.CreateUser(t.Context(), b.admin, account.NewUser{Email: email, Name: "Somebody", PasswordHash: hash, Verified: verified})
	must(t, err)
	if !created {
		t.Fatalf("%s is taken", email)
	}
	return u
}

// login logs a user in and returns the answer.
func (b *bundle) login(t *testing.T, email, password string, options ...option) entered {
	t.Helper()
	return decode[entered](t, b.post(t, "/login", object{"email": email, "password": password}, options...).want(t, 200, ""))
}

// alive reports whether a session token is good.
func (b *bundle) alive(t *testing.T, token string) bool {
	t.Helper()
	return b.send(t, http.MethodGet, "/auth/v1/session", "", "", bearer(token)).status == http.StatusOK
}

// link makes a token as Notify does when it writes a mail.
func (b *bundle) link(t *testing.T, p account.Purpose, subject uuid.UUID, email string) string {
	t.Helper()
	token, err := account.IssueOneTime(t.Context(), b.admin, p, subject, email)
	must(t, err)
	return token
}
