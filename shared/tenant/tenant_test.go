package tenant_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// fixture is a database with one project and a key to it.
type fixture struct {
	*pgtest.Database
	admin, app, ingest *pgxpool.Pool
	project            tenant.Project
	key                string
}

func setup(t *testing.T) *fixture {
	t.Helper()
	db := pgtest.New(t)
	f := &fixture{Database: db, admin: db.Pool(t, pgtest.Admin), app: db.Pool(t, pgtest.App), ingest: db.Pool(t, pgtest.Ingest)}
	o, err := tenant.EnsureOrganization(t.Context(), f.admin, "Acme", "acme")
	must(t, err)
	f.project, err = tenant.EnsureProject(t.Context(), f.admin, o.ID, "Shop", "shop")
	must(t, err)
	f.key, err = tenant.EnsureKey(t.Context(), f.admin, f.project.ID, "first", "")
	must(t, err)
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newKey stores another key of the project, changed by SQL such as "revoked_at = now()".
func (f *fixture) newKey(t *testing.T, project uuid.UUID, set string) (string, uuid.UUID) {
	t.Helper()
	key := tenant.NewKey()
	id, err := tenant.CreateKey(t.Context(), f.admin, project, "label", key)
	must(t, err)
	if set != "" {
		_, err = f.admin.Exec(t.Context(), "update mesher.api_keys set "+set+" where id = $1", id)
		must(t, err)
	}
	return key, id
}

// find looks a key up as Ingest does.
func (f *fixture) find(t *testing.T, key string) (tenant.Access, error) {
	t.Helper()
	hash, err := tenant.HashKey(key)
	must(t, err)
	return tenant.FindAccess(t.Context(), f.ingest, hash)
}

func TestFindAccess(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, tt := range []struct {
		name, set, detail string
		kind              fault.Kind
		environment       string
		expires           bool
	}{
		{name: "a plain key"},
		{name: "a key of an environment", set: "environment = 'staging'", environment: "staging"},
		{name: "a key that expires later", set: "expires_at = now() + interval '1 hour'", expires: true},
		{name: "a key that will be revoked", set: "revoked_at = now() + interval '1 hour'"},
		{name: "a revoked key", set: "revoked_at = now()", kind: fault.Unauthenticated, detail: "revoked"},
		{name: "an expired key", set: "expires_at = now()", kind: fault.Unauthenticated, detail: "expired"},
		{
			name: "a revoked and expired key", set: "expires_at = now(), revoked_at = now()",
			kind: fault.Unauthenticated, detail: "revoked",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			key, id := f.newKey(t, f.project.ID, tt.set)
			got, err := f.find(t, key)
			if tt.detail != "" {
				if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.detail) {
					t.Errorf("err = %v, want %s", err, tt.detail)
				}
				return
			}
			must(t, err)
			if got.ExpiresAt.IsZero() == tt.expires {
				t.Errorf("expires at %s", got.ExpiresAt)
			}
			if got.SettingsAt.IsZero() {
				t.Error("nobody knows when the settings were changed")
			}
			got.ExpiresAt, got.SettingsAt = time.Time{}, time.Time{}
			want := tenant.Access{
				KeyID: id, ProjectID: f.project.ID, ProjectNumber: f.project.Number, OrganizationID: f.project.OrganizationID,
				Environment: tt.environment, AllowedOrigins: []string{}, SampleRate: 1, OTLPSeverity: 17,
				GroupingRules: []byte("[]"), ScrubRules: []byte(`{"defaults": true}`),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("access (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("an unknown key", func(t *testing.T) {
		t.Parallel()
		if _, err := f.find(t, tenant.NewKey()); !fault.Is(err, fault.Unauthenticated) || !strings.Contains(err.Error(), "unknown") {
			t.Errorf("err = %v", err)
		}
	})
	for _, status := range []string{"archived", "deleting"} {
		t.Run("of a project that is "+status, func(t *testing.T) {
			t.Parallel()
			p, err := tenant.EnsureProject(t.Context(), f.admin, f.project.OrganizationID, "Old", status)
			must(t, err)
			key, _ := f.newKey(t, p.ID, "")
			_, err = f.admin.Exec(t.Context(), "update mesher.projects set status = $1 where id = $2", status, p.ID)
			must(t, err)
			if _, err := f.find(t, key); !fault.Is(err, fault.Forbidden) {
				t.Errorf("err = %v, want forbidden", err)
			}
		})
	}
	t.Run("with the database away it says so, not that the key is wrong", func(t *testing.T) {
		t.Parallel()
		pool := f.Pool(t, pgtest.App)
		pool.Close()
		_, err := tenant.FindAccess(t.Context(), pool, tenant.KeyHash{})
		if err == nil || fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Forbidden) {
			t.Errorf("err = %v", err)
		}
	})
}

// TestKeys_AreNotStored looks for the key in everything that is.
func TestKeys_AreNotStored(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var row string
	must(t, f.admin.QueryRow(t.Context(), "select to_jsonb(k)::text from mesher.api_keys k").Scan(&row))
	if strings.Contains(row, f.key[9:37]) {
		t.Errorf("the key is stored: %s", row)
	}
	if !strings.Contains(row, f.key[:9]) || !strings.Contains(row, f.key[37:]) {
		t.Errorf("the parts by which it is recognised are not stored: %s", row)
	}
}

func TestCreateKey_RefusesWhatIsNoKey(t *testing.T) {
	t.Parallel()
	f := setup(t)
	if _, err := tenant.CreateKey(t.Context(), f.admin, f.project.ID, "x", "hunter2"); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("err = %v", err)
	}
	if _, err := tenant.CreateKey(t.Context(), f.admin, uuid.New(), "x", tenant.NewKey()); err == nil {
		t.Error("a key of no project was stored")
	}
	if _, err := tenant.CreateKey(t.Context(), f.admin, f.project.ID, "x", f.key); err == nil {
		t.Error("the same key was stored twice")
	}
	if _, err := f.app.Exec(t.Context(), "update mesher.api_keys set hash = sha256('') where project_id = $1", f.project.ID); err == nil {
		t.Error("mesher_app may replace what a key is known by")
	}
}

func TestEnsure_SameAgainAndTogether(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	organizations, projects := map[tenant.Organization]int{}, map[uuid.UUID]tenant.Project{}
	for i := range 20 {
		wg.Go(func() {
			o, err := tenant.EnsureOrganization(t.Context(), f.admin, fmt.Sprint("Name ", i), "together")
			if err != nil {
				t.Error(err)
				return
			}
			p, err := tenant.EnsureProject(t.Context(), f.admin, o.ID, fmt.Sprint("Name ", i), "shop")
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			organizations[o]++
			if first, ok := projects[p.ID]; ok && !cmp.Equal(first, p) {
				t.Errorf("a project is %v and %v", first, p)
			}
			projects[p.ID] = p
		})
	}
	wg.Wait()
	if len(organizations) != 1 || len(projects) != 1 {
		t.Errorf("organizations = %v, projects = %v, want one of each", organizations, projects)
	}
	for _, p := range projects {
		if p.ID == f.project.ID || p.Number == f.project.Number {
			t.Errorf("a project of the same slug in another organization is the same: %v", p)
		}
	}
}

func TestEnsureKey(t *testing.T) {
	t.Parallel()
	f := setup(t)
	again, err := tenant.EnsureKey(t.Context(), f.admin, f.project.ID, "again", f.key)
	if err != nil || again != f.key {
		t.Errorf("a good key was not kept: %v", err)
	}
	other, err := tenant.EnsureProject(t.Context(), f.admin, f.project.OrganizationID, "Other", "other")
	must(t, err)
	revoked, _ := f.newKey(t, f.project.ID, "revoked_at = now()")
	expired, _ := f.newKey(t, f.project.ID, "expires_at = now()")
	for _, tt := range []struct {
		name, remembered string
		project          uuid.UUID
	}{
		{"nothing remembered", "", f.project.ID},
		{"remembered garbage", "hunter2", f.project.ID},
		{"a key of another installation", tenant.NewKey(), f.project.ID},
		{"a key of another project", f.key, other.ID},
		{"a revoked key", revoked, f.project.ID},
		{"an expired key", expired, f.project.ID},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			key, err := tenant.EnsureKey(t.Context(), f.admin, tt.project, "x", tt.remembered)
			if err != nil || key == tt.remembered {
				t.Fatalf("the key was kept, or %v", err)
			}
			access, err := f.find(t, key)
			if err != nil || access.ProjectID != tt.project {
				t.Errorf("the fresh key opens %v, %v", access.ProjectID, err)
			}
		})
	}
}

// TestAccess_StaysWithinItsProject checks that one tenant's key, usage and projects say nothing about another's.
func TestAccess_StaysWithinItsProject(t *testing.T) {
	t.Parallel()
	f := setup(t)
	o, err := tenant.EnsureOrganization(t.Context(), f.admin, "Rival", "rival")
	must(t, err)
	p, err := tenant.EnsureProject(t.Context(), f.admin, o.ID, "Shop", "shop")
	must(t, err)
	key, err := tenant.EnsureKey(t.Context(), f.admin, p.ID, "x", f.key)
	must(t, err)
	mine, err := f.find(t, f.key)
	must(t, err)
	theirs, err := f.find(t, key)
	must(t, err)
	if mine.ProjectID != f.project.ID || theirs.ProjectID != p.ID || mine.ProjectNumber == theirs.ProjectNumber {
		t.Errorf("mine opens %v, theirs %v", mine, theirs)
	}
	f.report(t, tenant.UsageReport{At: time.Now(), Minutes: []tenant.MinuteUsage{{Project: p.ID, At: time.Now(), Usage: tenant.Usage{Accepted: 5}}}})
	if got := f.usage(t, f.project.ID); got != (tenant.Usage{}) {
		t.Errorf("another's usage counts as %v", got)
	}
}
