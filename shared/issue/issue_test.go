package issue_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// fixture is a database with a project, and a member who works on its issues.
type fixture struct {
	*pgtest.Database
	admin, app, store *pgxpool.Pool
	project           tenant.Project
	member            issue.Actor
	now               time.Time // with microseconds
}

func setup(t *testing.T) *fixture {
	t.Helper()
	db := pgtest.New(t)
	f := &fixture{
		Database: db, admin: db.Pool(t, pgtest.Admin), app: db.Pool(t, pgtest.App), store: db.Pool(t, pgtest.Store),
		now: time.Now().UTC().Truncate(time.Microsecond),
	}
	f.project = f.newProject(t, "acme")
	f.member = f.newMember(t, f.project, "anna")
	_, err := postgres.EnsurePartitions(t.Context(), f.store, f.now.AddDate(0, 0, -40), f.now.AddDate(0, 0, 1))
	must(t, err)
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newProject makes a project in an organization of its own.
func (f *fixture) newProject(t *testing.T, slug string) tenant.Project {
	t.Helper()
	o, err := tenant.EnsureOrganization(t.Context(), f.admin, slug, slug)
	must(t, err)
	p, err := tenant.EnsureProject(t.Context(), f.admin, o.ID, "Shop", "shop")
	must(t, err)
	return p
}

// newMember makes a member of the project's organization.
func (f *fixture) newMember(t *testing.T, p tenant.Project, name string) issue.Actor {
	t.Helper()
	a := issue.Actor{ID: uuid.Must(uuid.NewV7()), Name: name}
	_, err := f.admin.Exec(t.Context(), "insert into mesher.users (id, email, name) values ($1::uuid, $2::text, $3::text)",
		a.ID, name+"@example.com", name)
	must(t, err)
	_, err = tenant.AddMember(t.Context(), f.admin, p.OrganizationID, a.ID, tenant.Member)
	must(t, err)
	return a
}

// occurrence is an event as far as it matters here.
type occurrence struct {
	fingerprint uuid.UUID
	at          time.Time
	level       string // error when empty
	message     string
	kind, value string // of the exception
	user        string
	tags        map[string]string // release and environment among them
}

// fingerprint returns the fingerprint that a name stands for.
func fingerprint(name string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)) }

// record stores events one after another, each in a transaction as Store's, and returns the issue of the last.
func (f *fixture) record(t *testing.T, project uuid.UUID, events ...occurrence) uuid.UUID {
	t.Helper()
	var id uuid.UUID
	for _, o := range events {
		var err error
		if id, err = storeOne(t.Context(), f.store, project, o); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

func storeOne(ctx context.Context, db postgres.Beginner, project uuid.UUID, o occurrence) (id uuid.UUID, err error) {
	if o.level == "" {
		o.level = "error"
	}
	if o.message == "" {
		o.message = "it failed"
	}
	all := map[string]string{"level": o.level}
	if o.user != "" {
		all["user"] = o.user
	}
	for k, v := range o.tags {
		all[k] = v
	}
	tags, err := json.Marshal(all)
	if err != nil {
		return uuid.Nil, err
	}
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1::bigint)", int64(binary.BigEndian.Uint64(project[8:]))); err != nil {
			return err
		}
		return tx.QueryRow(ctx, storeSQL, project, o.fingerprint, o.at, o.level, o.message, o.kind, o.value, string(tags),
			o.tags["release"], o.user, issue.UserHash(project, o.user), uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())).Scan(&id)
	})
	return id, err
}

// storeSQL does to the tables what Store does for one event.
const storeSQL = `
with bound as (select issue_id from mesher.issue_fingerprints where project_id = $1::uuid and fingerprint = $2::uuid),
stored as (
	insert into mesher.events (project_id, received_at, id, event_id, fingerprint, occurred_at, level, message,
		exception_type, exception_value, release, user_id, tags, extra)
	values ($1::uuid, $3::timestamptz, $12::uuid, $12::uuid, $2::uuid, $3::timestamptz, $4::text, $5::text,
		nullif($6::text, ''), nullif($7::text, ''), nullif($9::text, ''), nullif($10::text, ''), '{}', '{}')),
opened as (
	insert into mesher.issues (project_id, id, title, level, event_count, user_count, first_seen, last_seen, active_hour,
		exception_type, exception_value, message, first_release, last_release)
	select $1::uuid, $13::uuid, $5::text, $4::text, 1, ($10::text <> '')::int, $3::timestamptz, $3::timestamptz,
		date_trunc('hour', $3::timestamptz, 'UTC'), nullif($6::text, ''), nullif($7::text, ''), $5::text,
		nullif($9::text, ''), nullif($9::text, '')
	where not exists (select from bound)),
binding as (
	insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
	select $1::uuid, $2::uuid, $13::uuid, 1 where not exists (select from bound)),
affected as (
	insert into mesher.issue_users (project_id, fingerprint, user_hash, seen_hour)
	select $1::uuid, $2::uuid, $11::uuid, date_trunc('hour', $3::timestamptz, 'UTC') where $10::text <> ''
	on conflict do nothing),
counted as (
	update mesher.issues i set event_count = i.event_count + 1,
		user_count = i.user_count + ($10::text <> '' and not exists (
			select from mesher.issue_fingerprints f join mesher.issue_users a using (project_id, fingerprint)
			where f.project_id = $1::uuid and f.issue_id = i.id and a.user_hash = $11::uuid))::int,
		level = case when $3::timestamptz >= i.last_seen then $4::text else i.level end,
		last_release = case when $3::timestamptz >= i.last_seen then coalesce(nullif($9::text, ''), i.last_release) else i.last_release end,
		first_seen = least(i.first_seen, $3::timestamptz), last_seen = greatest(i.last_seen, $3::timestamptz),
		active_hour = greatest(i.active_hour, date_trunc('hour', $3::timestamptz, 'UTC'))
	from bound where i.project_id = $1::uuid and i.id = bound.issue_id),
hours as (
	insert into mesher.issue_hourly_counts as h (project_id, fingerprint, hour, events)
	values ($1::uuid, $2::uuid, date_trunc('hour', $3::timestamptz, 'UTC'), 1)
	on conflict (project_id, fingerprint, hour) do update set events = h.events + 1),
tagged as (
	insert into mesher.issue_tags (project_id, fingerprint, key, value, seen_hour)
	select $1::uuid, $2::uuid, key, value, date_trunc('hour', $3::timestamptz, 'UTC') from jsonb_each_text($8::text::jsonb)
	on conflict do nothing)
select coalesce((select issue_id from bound), $13::uuid)`

// text returns one value as the administrator sees it.
func (f *fixture) text(t *testing.T, sql string, args ...any) string {
	t.Helper()
	var s string
	must(t, f.admin.QueryRow(t.Context(), "select coalesce(("+sql+")::text, '')", args...).Scan(&s))
	return s
}

// tx calls do in a transaction as a function has it.
func (f *fixture) tx(t *testing.T, do func(tx postgres.Tx) error) error {
	t.Helper()
	return postgres.InTx(t.Context(), f.app, do)
}

// wants fails unless err is of a kind, and has a code if that is given.
func wants(t *testing.T, what string, err error, kind fault.Kind, code string) {
	t.Helper()
	if !fault.Is(err, kind) || code != "" && fault.CodeOf(err) != code {
		t.Errorf("%s: %v (%s, %s); want %s %s", what, err, fault.KindOf(err), fault.CodeOf(err), kind, code)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	f := setup(t)
	hour := f.now.Truncate(time.Hour)
	first := hour.Add(-49 * time.Hour)
	id := f.record(t, f.project.ID,
		occurrence{fingerprint: fingerprint("a"), at: first, kind: "IOError", value: "disk full", message: "it failed", user: "7", tags: map[string]string{"release": "1"}},
		occurrence{fingerprint: fingerprint("a"), at: hour, user: "8", tags: map[string]string{"release": "2"}, level: "fatal"},
		occurrence{fingerprint: fingerprint("a"), at: hour.Add(-23 * time.Hour), user: "7"},
		occurrence{fingerprint: fingerprint("a"), at: hour},
	)
	got, err := issue.Find(t.Context(), f.app, f.project.ID, id)
	must(t, err)
	hours := make([]int64, 24)
	hours[0], hours[23] = 1, 2
	days := make([]int64, 30)
	today := f.now.Truncate(24 * time.Hour)
	for _, at := range []time.Time{first, hour, hour.Add(-23 * time.Hour), hour} {
		days[29-int(today.Sub(at.Truncate(24*time.Hour))/(24*time.Hour))]++
	}
	want := issue.Detail{
		Issue: issue.Issue{
			ID: id, ProjectID: f.project.ID, Title: "it failed", Level: "error", Status: "unresolved", ExceptionType: "IOError",
			ExceptionValue: "disk full", Message: "it failed", EventCount: 4, UserCount: 2, FirstSeen: first, LastSeen: hour,
			FirstRelease: "1", LastRelease: "2", Fingerprints: 1,
			Counts: issue.Series{From: hour.Add(-23 * time.Hour), StepSeconds: 3600, Events: hours},
		},
		DailyCounts: issue.Series{From: today.AddDate(0, 0, -29), StepSeconds: 86400, Events: days},
	}
	if f.now.Truncate(time.Hour).Equal(time.Now().UTC().Truncate(time.Hour)) { // else the windows have moved
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}

	t.Run("leaves out what was counted before the issue was opened", func(t *testing.T) {
		_, _, err := deleteIssues(t, f, id)
		must(t, err)
		again := f.record(t, f.project.ID, occurrence{fingerprint: fingerprint("a"), at: hour})
		got, err := issue.Find(t.Context(), f.app, f.project.ID, again)
		must(t, err)
		sum := int64(0)
		for _, n := range got.DailyCounts.Events {
			sum += n
		}
		// Hours are not told apart further: the two earlier events of this hour remain.
		if got.EventCount != 1 || sum != 3 {
			t.Errorf("%d events, %d in the last month; want 1 and 3", got.EventCount, sum)
		}
	})

	t.Run("finds no issue of another project", func(t *testing.T) {
		other := f.newProject(t, "other")
		theirs := f.record(t, other.ID, occurrence{fingerprint: fingerprint("a"), at: f.now})
		for _, id := range []uuid.UUID{theirs, uuid.New()} {
			_, err := issue.Find(t.Context(), f.app, f.project.ID, id)
			wants(t, fmt.Sprint(id), err, fault.NotFound, "")
		}
	})
}

// deleteIssues deletes issues of the project.
func deleteIssues(t *testing.T, f *fixture, ids ...uuid.UUID) (gone []issue.Deleted, missing []uuid.UUID, err error) {
	t.Helper()
	err = f.tx(t, func(tx postgres.Tx) (err error) {
		gone, missing, err = issue.Delete(t.Context(), tx, f.project.ID, ids)
		return err
	})
	return gone, missing, err
}
