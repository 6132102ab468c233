package alerts_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/functions/alerts"
	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/job"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// noon is when these tests begin.
var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// queue remembers what was published, each once: by the clock of the database everything here is long overdue and swept.
type queue struct {
	mu  sync.Mutex
	ids []uuid.UUID
	err error
}

func (q *queue) PublishID(_ context.Context, id uuid.UUID) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.ids = append(q.ids, id)
	}
	return q.err
}

func (q *queue) taken() []uuid.UUID {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Compact(slices.SortedFunc(slices.Values(q.ids), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }))
}

func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.err = err
}

var errAway = errors.New("the queue is away")

// bundle is a database with an organization, a project and a channel, and the function on it.
type bundle struct {
	*pgtest.Database
	admin, app   *pgxpool.Pool
	queue        *queue
	f            *alerts.Function
	org, project uuid.UUID
	channel      uuid.UUID

	mu  sync.Mutex
	now time.Time
}

func setup(t testing.TB) *bundle {
	t.Helper()
	db := pgtest.New(t)
	b := &bundle{
		Database: db, admin: db.Pool(t, pgtest.Admin), app: db.Pool(t, pgtest.App), queue: new(queue),
		org: uuid.New(), channel: uuid.New(), now: noon,
	}
	b.exec(t, "insert into mesher.organizations (id, name, slug) values ($1, 'o', 'o')", b.org)
	b.project = b.newProject(t)
	b.exec(t, "insert into mesher.alert_channels (id, organization_id, name, kind) values ($1, $2, 'team', 'email')", b.channel, b.org)
	b.f = b.function(t)
	return b
}

// function returns an instance of the function.
func (b *bundle) function(t testing.TB) *alerts.Function {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	return alerts.New(clock.With(t.Context(), b.clock), b.app, outbox.New(b.app, b.queue, log), log)
}

func (b *bundle) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bundle) newProject(t testing.TB) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	b.exec(t, "insert into mesher.projects (id, organization_id, name, slug) values ($1, $2, 'p', $3)", id, b.org, id.String())
	return id
}

func (b *bundle) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := b.admin.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (b *bundle) number(t testing.TB, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := b.admin.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// rule makes a rule of the project that counts since the day before noon.
func (b *bundle) rule(t testing.TB, kind alert.Kind, c alert.Condition, change ...func(*alert.RuleChange)) alert.Rule {
	t.Helper()
	name := "rule"
	ch := alert.RuleChange{Name: &name, Condition: &c, ChannelIDs: &[]uuid.UUID{b.channel}}
	for _, f := range change {
		f(&ch)
	}
	place := alert.Place{OrganizationID: b.org, ProjectID: b.project}
	var r alert.Rule
	err := postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) (err error) {
		r, err = alert.CreateRule(t.Context(), tx, place, kind, ch, alert.Limits{Rules: 100}, noon.Add(-24*time.Hour))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// change changes a rule at the present time.
func (b *bundle) change(t testing.TB, r alert.Rule, c alert.RuleChange) {
	t.Helper()
	err := postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) error {
		_, _, err := alert.ChangeRule(t.Context(), tx, b.org, r.ID, c, b.clock())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// releases are what stands for releases, and their names.
var releases = map[uuid.UUID]string{
	alert.ReleaseSubject("1"): "1", alert.ReleaseSubject("2"): "2", alert.ReleaseSubject("3"): "3",
}

// count adds events to a rule's subject in a minute after noon, as Store does.
func (b *bundle) count(t testing.TB, r alert.Rule, subject uuid.UUID, minute, events, errs int) {
	t.Helper()
	b.exec(t, `insert into mesher.alert_counts as c (rule_id, subject, minute, label, events, errors) values ($1, $2, $3, nullif($6, ''), $4, $5)
		on conflict (rule_id, minute, subject) do update set events = c.events + excluded.events, errors = c.errors + excluded.errors`,
		r.ID, subject, noon.Add(time.Duration(minute)*time.Minute), events, errs, releases[subject])
}

// issue makes an issue with fingerprints.
func (b *bundle) issue(t testing.TB, title string, fingerprints ...uuid.UUID) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	b.exec(t, `insert into mesher.issues (project_id, id, title, level, event_count, first_seen, last_seen, active_hour)
		values ($1, $2, $3, 'error', 1, $4, $4, $4)`, b.project, id, title, noon)
	for _, f := range fingerprints {
		b.exec(t, "insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version) values ($1, $2, $3, 1)", b.project, f, id)
	}
	return id
}

// run calls the function so many minutes and seconds after noon.
func (b *bundle) run(t testing.TB, after time.Duration) job.Summary {
	t.Helper()
	b.mu.Lock()
	b.now = noon.Add(after)
	b.mu.Unlock()
	s := call(t, b.f)
	if len(s.Failed) > 0 || s.Skipped != "" {
		t.Fatalf("the run went wrong: %+v", s)
	}
	return s
}

func call(t testing.TB, h http.Handler) job.Summary {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil))
	var s job.Summary
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Code != http.StatusOK {
		t.Fatalf("answer = %d %s", w.Code, w.Body)
	}
	return s
}

// list returns the alerts of a rule as "status title", the oldest first.
func (b *bundle) list(t testing.TB, r alert.Rule) []string {
	t.Helper()
	rows, err := b.admin.Query(t.Context(), "select status || ' ' || title from mesher.alert_events where rule_id = $1 order by started_at, title", r.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := []string{}
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// told returns what channels were told of a rule, in order.
func (b *bundle) told(t testing.TB, r alert.Rule) []string {
	t.Helper()
	rows, err := b.admin.Query(t.Context(), "select event from mesher.notifications where rule_id = $1 and template = 'alert' order by created_at, id", r.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := []string{}
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}
