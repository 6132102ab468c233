package alert_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

var limits = alert.Limits{Rules: 100}

// bundle is a database with an organization, a project and two channels; what is called other belongs to others.
type bundle struct {
	*pgtest.Database
	admin, app                   *pgxpool.Pool
	org, project, other, foreign uuid.UUID
	channels                     []uuid.UUID
	foreignChannel               uuid.UUID
}

func setup(t testing.TB) *bundle {
	t.Helper()
	db := pgtest.New(t)
	b := &bundle{Database: db, admin: db.Pool(t, pgtest.Admin), app: db.Pool(t, pgtest.App)}
	b.org, b.project = b.organization(t)
	b.other, b.foreign = b.organization(t)
	b.channels = []uuid.UUID{b.channel(t, b.org), b.channel(t, b.org)}
	b.foreignChannel = b.channel(t, b.other)
	return b
}

func (b *bundle) organization(t testing.TB) (org, project uuid.UUID) {
	t.Helper()
	org, project = uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	b.exec(t, "insert into mesher.organizations (id, name, slug) values ($1, 'o', $2)", org, "o"+org.String())
	b.exec(t, "insert into mesher.projects (id, organization_id, name, slug, rate_limit) values ($1, $2, 'p', 'p', 100)", project, org)
	return org, project
}

func (b *bundle) channel(t testing.TB, org uuid.UUID) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	b.exec(t, "insert into mesher.alert_channels (id, organization_id, name, kind) values ($1, $2, 'team', 'email')", id, org)
	return id
}

func (b *bundle) monitor(t testing.TB, org, project uuid.UUID) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	b.exec(t, `insert into mesher.monitors (id, organization_id, project_id, name, kind, config, interval_s, timeout_ms, failures, failures_of,
		recoveries, status, due_at) values ($1, $2, $3, 'shop', 'http', '{}', 60, 1000, 1, 1, 1, 'down', now())`, id, org, postgres.OrNull(project))
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

func (b *bundle) place() alert.Place { return alert.Place{OrganizationID: b.org, ProjectID: b.project} }

// ptr returns a pointer to a value, as changes have it.
func ptr[T any](v T) *T { return &v }

// create makes a rule at noon.
func (b *bundle) create(t testing.TB, in alert.Place, k alert.Kind, c alert.RuleChange) (r alert.Rule, err error) {
	t.Helper()
	if c.Name == nil {
		c.Name = ptr("rule")
	}
	err = postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) (err error) {
		r, err = alert.CreateRule(t.Context(), tx, in, k, c, limits, noon)
		return err
	})
	return r, err
}

func (b *bundle) rule(t testing.TB, k alert.Kind, c alert.RuleChange) alert.Rule {
	t.Helper()
	r, err := b.create(t, b.place(), k, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (b *bundle) change(t testing.TB, id uuid.UUID, c alert.RuleChange, at time.Time) (is alert.Rule, err error) {
	t.Helper()
	err = postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) (err error) {
		_, is, err = alert.ChangeRule(t.Context(), tx, b.org, id, c, at)
		return err
	})
	return is, err
}
