package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/functions/api"
	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var sessions = account.SessionConfig{Idle: time.Hour, Lifetime: 24 * time.Hour}

// cheap are the parameters that cost the least of those that are allowed.
var cheap = account.PasswordConfig{Memory: 7168, Iterations: 5, Parallelism: 1, Concurrency: 4}

// password is everybody's.
const password = "violet-kettle-9-harbour"

// passwordHash is its hash, made once for all tests.
var passwordHash = sync.OnceValues(func() (string, error) {
	hasher, err := account.NewHasher(cheap)
	if err != nil {
		return "", err
	}
	return hasher.Hash(context.Background(), password)
})

// bundle is the function behind a real socket, on a database of its own.
type bundle struct {
	*pgtest.Database
	admin, app *pgxpool.Pool
	url        string
	queue      *queue
	function   *api.Function
}

// queue remembers what was published.
type queue struct {
	mu  sync.Mutex
	ids []uuid.UUID
}

func (q *queue) PublishID(_ context.Context, id uuid.UUID) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ids = append(q.ids, id)
	return nil
}

func (q *queue) published() []uuid.UUID {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.ids)
}

func setup(t *testing.T, registration ...string) *bundle {
	t.Helper()
	db := pgtest.New(t)
	b := &bundle{Database: db, admin: db.Pool(t, pgtest.Admin), app: db.Pool(t, pgtest.App), queue: new(queue)}
	cfg := api.Config{Rest: rest.Config{Sessions: sessions, Hops: 1}, Passwords: cheap, Alerts: alert.Limits{Rules: 100}, Channels: channelConfig(), Registration: strings.Join(registration, "")}
	cfg.Operators = []string{"root@example.com", "operator@example.com"}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	f, err := api.New(cfg, b.app, outbox.New(b.app, b.queue, log), log)
	must(t, err)
	b.function = f
	s := httptest.NewServer(f)
	t.Cleanup(func() {
		s.Close()
		f.Close(context.Background())
	})
	b.url = s.URL
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// person is a user with a credential.
type person struct {
	ID     uuid.UUID
	Email  string
	Secret string
}

// user makes a user who is logged in.
func (b *bundle) user(t *testing.T, name string) person {
	t.Helper()
	hash, err := passwordHash()
	must(t, err)
	u, created, err := account.CreateUser(t.Context(), b.app, account.NewUser{Email: name + "@example.com", Name: name, PasswordHash: hash, Verified: true})
	must(t, err)
	if !created {
		t.Fatalf("there is a user %s already", name)
	}
	from := account.Client{IP: netip.MustParseAddr("203.0.113.7"), UserAgent: "test"}
	_, secret, err := account.StartSession(t.Context(), b.app, sessions, u.ID, from)
	must(t, err)
	return person{u.ID, u.Email, secret}
}

// token returns p with a personal access token.
func (b *bundle) token(t *testing.T, p person, scope account.Scope, organization uuid.UUID) person {
	t.Helper()
	_, secret, err := account.IssueToken(t.Context(), b.app, p.ID,
		account.TokenSpec{Label: "token", Scope: scope, OrganizationID: organization})
	must(t, err)
	p.Secret = secret
	return p
}

func (b *bundle) organization(t *testing.T, owner person, name string) tenant.Organization {
	t.Helper()
	o, err := tenant.CreateOrganization(t.Context(), b.app, owner.ID, name)
	must(t, err)
	return o
}

// member makes a user who is a member of the organization.
func (b *bundle) member(t *testing.T, o tenant.Organization, name string, role tenant.Role) person {
	t.Helper()
	p := b.user(t, name)
	_, err := tenant.AddMember(t.Context(), b.app, o.ID, p.ID, role)
	must(t, err)
	return p
}

func (b *bundle) project(t *testing.T, o tenant.Organization, name string) tenant.Project {
	t.Helper()
	p, err := tenant.CreateProject(t.Context(), b.app, o.ID, tenant.ProjectChange{Name: &name})
	must(t, err)
	return p
}

func (b *bundle) key(t *testing.T, p tenant.Project, label string) tenant.Key {
	t.Helper()
	k, _, err := tenant.IssueKey(t.Context(), b.app, p.ID, tenant.KeySpec{Label: label})
	must(t, err)
	return k
}

// rule makes an alert rule about new issues.
func (b *bundle) rule(t *testing.T, p tenant.Project, name string) alert.Rule {
	t.Helper()
	var r alert.Rule
	must(t, postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) (err error) {
		place := alert.Place{OrganizationID: p.OrganizationID, ProjectID: p.ID}
		r, err = alert.CreateRule(t.Context(), tx, place, alert.NewIssue, alert.RuleChange{Name: &name}, alert.Limits{Rules: 100}, time.Now())
		return err
	}))
	return r
}

// raise raises an alert of a rule and returns its id.
func (b *bundle) raise(t *testing.T, r alert.Rule, title string, at time.Time) string {
	t.Helper()
	subject := uuid.New()
	_, err := alert.Create(t.Context(), b.app, alert.New{RuleID: r.ID, Subject: subject, Title: title, IssueID: subject, At: at})
	must(t, err)
	a, err := alert.FindActive(t.Context(), b.app, r.OrganizationID, r.ID, subject)
	must(t, err)
	return a.ID.String()
}

// answer is what came back.
type answer struct {
	t      *testing.T
	call   string
	status int
	header http.Header
	body   []byte
}

// call sends a request to a path below /api/v1. body is JSON as a string, encoded when it is anything else, and none when
// it is nil; headers are names and values.
func (b *bundle) call(t *testing.T, p person, method, path string, body any, headers ...string) answer {
	t.Helper()
	var content io.Reader
	switch v := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(v)
	default:
		encoded, err := json.Marshal(v)
		must(t, err)
		content = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, b.url+api.Prefix+path, content)
	must(t, err)
	if p.Secret != "" {
		r.Header.Set("Authorization", "Bearer "+p.Secret)
	}
	r.Header.Set("User-Agent", "browser")
	r.Header.Set("X-Forwarded-For", "198.51.100.9")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	must(t, err)
	return answer{t, method + " " + path, resp.StatusCode, resp.Header, got}
}

func (b *bundle) get(t *testing.T, p person, path string) answer {
	t.Helper()
	return b.call(t, p, http.MethodGet, path, nil)
}

func (b *bundle) post(t *testing.T, p person, path string, body any, headers ...string) answer {
	t.Helper()
	return b.call(t, p, http.MethodPost, path, body, headers...)
}

func (b *bundle) patch(t *testing.T, p person, path string, body any) answer {
	t.Helper()
	return b.call(t, p, http.MethodPatch, path, body)
}

func (b *bundle) delete(t *testing.T, p person, path string) answer {
	t.Helper()
	return b.call(t, p, http.MethodDelete, path, nil)
}

// is ends the test unless the answer has the status.
func (a answer) is(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d: %s", a.call, a.status, status, a.body)
	}
	return a
}

// refused ends the test unless the answer is a problem with the status and code that says the text.
func (a answer) refused(status int, code, says string) {
	a.t.Helper()
	var p rest.Problem
	a.is(status).into(&p)
	if p.Code != code || !strings.Contains(p.Detail, says) || a.header.Get("Content-Type") != "application/problem+json" {
		a.t.Fatalf("%s: %s %s, want the code %s and the text %q", a.call, a.header.Get("Content-Type"), a.body, code, says)
	}
}

func (a answer) into(v any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%s: %v: %s", a.call, err, a.body)
	}
}

// read returns the body of an answer with the status.
func read[T any](a answer, status int) T {
	a.t.Helper()
	var v T
	a.is(status).into(&v)
	return v
}

// items returns all items of a list, read a few at a time.
func items[T any](t *testing.T, b *bundle, p person, path string) []T {
	t.Helper()
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	all := []T{}
	for cursor := ""; ; {
		l := read[rest.List[T]](b.get(t, p, path+sep+"limit=2"+cursor), http.StatusOK)
		if all = append(all, l.Items...); l.Next == "" {
			return all
		}
		if len(l.Items) != 2 || len(all) > 1000 {
			t.Fatalf("%s: a page of %d items that is not the last", path, len(l.Items))
		}
		cursor = "&cursor=" + l.Next
	}
}

// names returns one text of each item.
func names[T any](all []T, name func(T) string) []string {
	out := []string{}
	for _, v := range all {
		out = append(out, name(v))
	}
	return out
}

// trail returns the organization's audit log as "action target details", the oldest entry first.
func (b *bundle) trail(t *testing.T) []string {
	t.Helper()
	rows, err := b.admin.Query(t.Context(), `
		select action || ' ' || target_kind || ' ' || target_name || ' ' || details::text from mesher.audit_log order by created_at, id`)
	must(t, err)
	defer rows.Close()
	out := []string{}
	for rows.Next() {
		var s string
		must(t, rows.Scan(&s))
		out = append(out, s)
	}
	must(t, rows.Err())
	return out
}

// count returns the number that a query gives.
func (b *bundle) count(t *testing.T, sql string, args ...any) int {
	t.Helper()
	var n int
	must(t, b.admin.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}
