package monitor

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/outbound"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/secret"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// noon is when tests begin.
var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// keeper keeps monitors of everything but loopback and private networks.
func keeper(t testing.TB) Keeper {
	t.Helper()
	sealer, err := secret.NewSealer(secret.SealConfig{Keys: base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))})
	must(t, err)
	guard, err := outbound.NewPolicy(outbound.Config{})
	must(t, err)
	return Keeper{Guard: guard, Sealer: sealer}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bundle is a database with an organization and a project.
type bundle struct {
	Keeper
	*pgtest.Database
	app          *postgres.Pool
	ingest       *postgres.Pool
	organization tenant.Organization
	project      tenant.Project
}

func setup(t testing.TB) *bundle {
	t.Helper()
	db := pgtest.New(t)
	b := &bundle{Keeper: keeper(t), Database: db, app: db.Pool(t, pgtest.App), ingest: db.Pool(t, pgtest.Ingest)}
	b.organization, b.project = b.tenant(t, "acme")
	return b
}

func (b *bundle) tenant(t testing.TB, slug string) (tenant.Organization, tenant.Project) {
	t.Helper()
	admin := b.Pool(t, pgtest.Admin)
	o, err := tenant.EnsureOrganization(t.Context(), admin, slug, slug)
	must(t, err)
	p, err := tenant.EnsureProject(t.Context(), admin, o.ID, "Shop", "shop")
	must(t, err)
	return o, p
}

// make makes a monitor of the organization.
func (b *bundle) make(t testing.TB, s Spec, at time.Time) (Monitor, string) {
	t.Helper()
	var m Monitor
	var token string
	must(t, postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) (err error) {
		m, token, err = b.Create(t.Context(), tx, b.organization.ID, s, at)
		return err
	}))
	return m, token
}

// try makes a monitor and returns why that is refused.
func (b *bundle) try(t testing.TB, organization uuid.UUID, s Spec) error {
	t.Helper()
	return postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) error {
		_, _, err := b.Create(t.Context(), tx, organization, s, noon)
		return err
	})
}

func (b *bundle) find(t testing.TB, id uuid.UUID) Monitor {
	t.Helper()
	m, err := Find(t.Context(), b.app, b.organization.ID, id)
	must(t, err)
	return m
}

// number returns what a query counts.
func (b *bundle) number(t testing.TB, sql string, args ...any) int {
	t.Helper()
	var n int
	must(t, b.app.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

func web() Spec {
	return Spec{Name: "shop", Kind: HTTP, Config: Config{HTTP: &HTTPConfig{URL: "https://shop.example.com/health"}}}
}

func heartbeat() Spec {
	return Spec{Name: "backup", Kind: Heartbeat, IntervalS: 3600, Config: Config{Heartbeat: &HeartbeatConfig{GraceS: 300}}}
}
