package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/logging"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var sessions = account.SessionConfig{Idle: time.Hour, Lifetime: 24 * time.Hour}

// buffer is a log that many write to.
type buffer struct {
	sync.Mutex
	b bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) { b.Lock(); defer b.Unlock(); return b.b.Write(p) }
func (b *buffer) String() string              { b.Lock(); defer b.Unlock(); return b.b.String() }

type login struct {
	Email    string    `json:"email" maxLength:"50" format:"email"`
	Password string    `json:"password" minLength:"3" maxLength:"12"`
	Site     string    `json:"site,omitempty" format:"uri"`
	Until    time.Time `json:"until,omitzero"`
	Count    int8      `json:"count,omitempty"`
	Owner    uuid.UUID `json:"owner,omitzero" format:"uuid"`
	Inner    struct {
		Level string `json:"level,omitempty" enum:"low,high"`
	} `json:"inner,omitzero"`
}

type thing struct {
	ID     uuid.UUID `json:"id" format:"uuid"`
	Secret string    `json:"secret"`
}

type newThing struct {
	rest.Idempotent
	Body struct {
		Name string `json:"name" maxLength:"20"`
	}
}

// server is an API of all kinds of routes on a real socket.
type server struct {
	*httptest.Server
	api     *rest.API
	db      *pgtest.Database
	app     *pgxpool.Pool
	log     *buffer
	user    account.User
	session string
	who     account.Identity // of the session

	mu    sync.Mutex
	hooks map[string]func() // called while a thing of the name is made
	made  map[string]int

	refuses atomic.Bool // what is made, and has been
}

func setup(t testing.TB) *server {
	t.Helper()
	s := &server{db: pgtest.New(t), log: new(buffer), hooks: map[string]func(){}, made: map[string]int{}}
	s.app = s.db.Pool(t, pgtest.App)
	var err error
	s.user, _, err = account.CreateUser(t.Context(), s.app, account.NewUser{Email: "anna@example.org", Name: "Anna"})
	must(t, err)
	s.session = s.login(t)
	s.who, err = account.Identify(t.Context(), s.app, sessions, s.session)
	must(t, err)
	s.api = rest.New(rest.Options{
		Title: "Test", Prefix: "/api/v1", Config: rest.Config{Sessions: sessions, Hops: 1}, Pool: s.app,
		Log: logging.New(s.log, slog.LevelDebug, ""),
	})
	s.routes()
	s.Server = httptest.NewServer(s.api)
	t.Cleanup(s.Close)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *server) login(t testing.TB) string {
	t.Helper()
	_, session, err := account.StartSession(t.Context(), s.app, sessions, s.user.ID, rest.ClientOf(httptest.NewRequest(http.MethodGet, "/", nil), 0))
	must(t, err)
	return session
}

func (s *server) token(t testing.TB, scope account.Scope) string {
	t.Helper()
	_, token, err := account.IssueToken(t.Context(), s.app, s.user.ID, account.TokenSpec{Label: "t", Scope: scope})
	must(t, err)
	return token
}

type who struct {
	User  uuid.UUID `json:"user"`
	Kind  string    `json:"kind"`
	IP    string    `json:"ip"`
	Agent string    `json:"agent"`
}

func (s *server) routes() {
	rest.Handle(s.api, rest.Route{ID: "login", Method: http.MethodPost, Path: "/login", Summary: "Log in", Tag: "a"},
		func(_ context.Context, in *struct{ Body login }) (*rest.Body[login], error) {
			return &rest.Body[login]{Body: in.Body}, nil
		})
	whoami := func(ctx context.Context, _ *struct{}) (*rest.Body[who], error) {
		a := rest.Actor(ctx)
		return &rest.Body[who]{Body: who{a.ID, a.Kind, a.IP, a.UserAgent}}, nil
	}
	rest.Handle(s.api, rest.Route{ID: "who", Method: http.MethodGet, Path: "/who", Tag: "a"}, whoami)
	for _, scope := range []account.Scope{account.ScopeRead, account.ScopeWrite, account.ScopeAdmin, account.ScopeSession} {
		rest.Handle(s.api, rest.Route{ID: "who-" + string(scope), Method: http.MethodGet, Path: "/who/" + string(scope), Tag: "a", Scope: scope}, whoami)
	}
	rest.Handle(s.api, rest.Route{ID: "list-things", Method: http.MethodGet, Path: "/things", Tag: "b", Scope: account.ScopeRead},
		func(_ context.Context, in *struct {
			rest.Paging
			State []string `query:"state" enum:"a,b"`
		},
		) (*rest.Body[rest.List[int]], error) {
			r, err := in.Request()
			return &rest.Body[rest.List[int]]{Body: rest.List[int]{Items: []int{r.Limit}}}, err
		})
	rest.Handle(s.api, rest.Route{ID: "get-thing", Method: http.MethodGet, Path: "/things/{id}", Tag: "b", Scope: account.ScopeRead, Role: "member"},
		func(_ context.Context, in *struct {
			ID    uuid.UUID `path:"id"`
			Since time.Time `query:"since"`
		},
		) (*rest.Body[thing], error) {
			return &rest.Body[thing]{Body: thing{ID: in.ID}}, nil
		})
	rest.Handle(s.api, rest.Route{ID: "create-thing", Method: http.MethodPost, Path: "/things", Tag: "b", Scope: account.ScopeWrite, Status: 201}, s.create)
	rest.Handle(s.api, rest.Route{ID: "delete-thing", Method: http.MethodDelete, Path: "/things/{id}", Tag: "b", Scope: account.ScopeWrite},
		func(_ context.Context, _ *struct {
			ID uuid.UUID `path:"id"`
		},
		) (*rest.None, error) {
			return nil, nil
		})
	rest.Handle(s.api, rest.Route{ID: "anonymous-once", Method: http.MethodPost, Path: "/anonymous", Tag: "b"}, s.create)
	rest.Handle(s.api, rest.Route{ID: "fail", Method: http.MethodGet, Path: "/fail/{how}", Tag: "c"}, fail)
	s.api.Page("POST /page", func(w http.ResponseWriter, r *http.Request) error {
		if _, err := io.ReadAll(r.Body); err != nil {
			return fault.Wrap(err, fault.Invalid, "read")
		}
		time.Sleep(time.Second) // what is too long for a body, in TestRequests_SlowOrCutOff
		return r.Context().Err()
	})
	s.api.Page("GET /page", func(w http.ResponseWriter, r *http.Request) error {
		id, err := s.api.Credential(r.Context(), r)
		if err == nil {
			err = fault.New(fault.Invalid, "").Named("none")
		}
		_, _ = io.WriteString(w, r.Header.Get("Accept")+" "+id.User.Email+" "+fault.CodeOf(err))
		return nil
	})
}

// allow refuses once the test says so.
func (s *server) allow(postgres.Tx) error {
	if s.refuses.Load() {
		return fault.New(fault.Forbidden, "not any more")
	}
	return nil
}

// create makes a thing and counts it under its name.
func (s *server) create(ctx context.Context, in *newThing) (*rest.Created[thing], error) {
	return rest.Once(ctx, s.app, in.IdempotencyKey, in, s.allow, func(tx postgres.Tx) (thing, error) {
		s.mu.Lock()
		s.made[in.Body.Name]++
		hook := s.hooks[in.Body.Name]
		s.mu.Unlock()
		if hook != nil {
			hook()
		}
		if in.Body.Name == "fails" {
			return thing{}, fault.New(fault.Conflict, "taken").Named("name_taken")
		}
		// The row shows what is undone with the transaction.
		_, err := tx.Exec(ctx, "update mesher.users set name = $1 where id = $2::uuid", in.Body.Name, s.user.ID)
		return thing{ID: uuid.New(), Secret: "the-secret-of-" + in.Body.Name}, err
	})
}

func fail(_ context.Context, in *struct {
	How string `path:"how"`
},
) (*rest.Body[float64], error) {
	cause := errors.New("secret cause")
	switch in.How {
	case "panic":
		panic("secret cause")
	case "internal":
		return nil, cause
	case "nan":
		return &rest.Body[float64]{Body: math.NaN()}, nil
	case "limited":
		return nil, fault.Wrap(cause, fault.Limited, "slow down").After(90 * time.Second)
	case "unauthenticated":
		return nil, fault.Wrap(cause, fault.Unauthenticated, "wrong password").Named("wrong_password")
	case "canceled":
		return nil, context.DeadlineExceeded
	}
	return nil, fault.Wrap(cause, fault.NotFound, "no such thing").Named("thing_missing")
}

// answer is what came back.
type answer struct {
	*http.Response
	text    string
	problem map[string]any
}

// send sends a request with headers in pairs. A credential is "Authorization", "Bearer …".
func (s *server) send(t testing.TB, method, path, body string, headers ...string) answer {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, r)
	must(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
		return answer{Response: &http.Response{}}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	a := answer{Response: resp, text: string(b)}
	if resp.StatusCode >= 400 && method != http.MethodHead {
		a.check(t)
	}
	return a
}

// check checks what all problems have in common.
func (a *answer) check(t testing.TB) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.text), &a.problem); err != nil {
		t.Errorf("%d: not JSON: %q", a.StatusCode, a.text)
	}
	for name, want := range map[string]any{"type": "about:blank", "title": http.StatusText(a.StatusCode), "status": float64(a.StatusCode)} {
		if a.problem[name] != want {
			t.Errorf("%s = %v, want %v", name, a.problem[name], want)
		}
	}
	for name := range a.problem {
		switch name {
		case "type", "title", "status", "code", "detail", "errors":
		default:
			t.Errorf("a field %q: %s", name, a.text)
		}
	}
	if a.problem["code"] == "" || a.problem["detail"] == "" || a.problem["detail"] == nil {
		t.Errorf("no code or detail: %s", a.text)
	}
	h := a.Header
	if h.Get("Content-Type") != "application/problem+json" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers of a problem: %v", h)
	}
	if (a.StatusCode == http.StatusUnauthorized) != (h.Get("WWW-Authenticate") == `Bearer realm="mesher"`) {
		t.Errorf("%d with WWW-Authenticate %q", a.StatusCode, h.Get("WWW-Authenticate"))
	}
	if strings.Contains(a.text, "secret cause") || strings.Contains(a.text, "goroutine") {
		t.Errorf("the cause is shown: %s", a.text)
	}
}

// is reports whether the answer has a status and, for problems, a code.
func (a answer) is(status int, code string) bool {
	return a.StatusCode == status && (code == "" || a.problem["code"] == code)
}
