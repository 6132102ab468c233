package tenant_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestRotateKey(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const ninety = 90 * 24 * time.Hour
	old, secret := f.issue(t, f.project.ID, tenant.KeySpec{Label: "web", Environment: "live", Lifetime: ninety})
	r, err := tenant.RotateKey(t.Context(), f.admin, f.project.ID, old.ID, time.Hour)
	must(t, err)

	if left := r.Old.ExpiresAt.Sub(r.New.CreatedAt); left < time.Hour || left > time.Hour+time.Minute {
		t.Errorf("the old key lives on for %s, want an hour", left)
	}
	want := old
	want.ExpiresAt = r.Old.ExpiresAt
	if diff := cmp.Diff(want, r.Old); diff != "" {
		t.Errorf("the old key (-want +got):\n%s", diff)
	}
	if r.New.ID == old.ID || r.New.Label != "web" || r.New.Environment != "live" || r.New.ExpiresAt.Sub(r.New.CreatedAt) != ninety ||
		r.New.ProjectID != f.project.ID || r.New.State != tenant.KeyActive {
		t.Errorf("the new key is %+v", r.New)
	}
	for _, k := range []string{secret, r.Secret} {
		if access, err := f.find(t, k); err != nil || access.ProjectID != f.project.ID || access.Environment != "live" {
			t.Errorf("a key opens %+v, %v; want both to open the project", access, err)
		}
	}

	_, err = tenant.RotateKey(t.Context(), f.admin, f.project.ID, old.ID, time.Hour)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), r.New.Name()) || !strings.Contains(err.Error(), r.New.ID.String()) {
		t.Errorf("rotated again: %v, want a conflict that names the successor", err)
	}
	if got := f.keyOf(t, f.project.ID, old.ID); !got.ExpiresAt.Equal(r.Old.ExpiresAt) {
		t.Errorf("the second rotation moves the end from %s to %s", r.Old.ExpiresAt, got.ExpiresAt)
	}
	next, err := tenant.RotateKey(t.Context(), f.admin, f.project.ID, r.New.ID, 0)
	must(t, err)
	if _, err := f.find(t, r.Secret); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a key that was replaced without an overlap: %v, want it refused", err)
	}
	if _, err := f.find(t, next.Secret); err != nil {
		t.Errorf("the successor's successor: %v", err)
	}
}

func TestRotateKey_NeverLengthensALife(t *testing.T) {
	t.Parallel()
	f := setup(t)
	short, _ := f.issue(t, f.project.ID, tenant.KeySpec{Label: "short", Lifetime: time.Hour})
	r, err := tenant.RotateKey(t.Context(), f.admin, f.project.ID, short.ID, 24*time.Hour)
	if err != nil || !r.Old.ExpiresAt.Equal(short.ExpiresAt) {
		t.Errorf("it expires at %s, %v; want %s as before", r.Old.ExpiresAt, err, short.ExpiresAt)
	}
	forever, _ := f.issue(t, f.project.ID, tenant.KeySpec{Label: "forever"})
	r, err = tenant.RotateKey(t.Context(), f.admin, f.project.ID, forever.ID, 24*time.Hour)
	if err != nil || r.Old.ExpiresAt.IsZero() || !r.New.ExpiresAt.IsZero() {
		t.Errorf("the old one expires at %s, the new one at %s, %v; want only the old one to", r.Old.ExpiresAt, r.New.ExpiresAt, err)
	}
}

func TestRotateKey_Refuses(t *testing.T) {
	t.Parallel()
	f := setup(t)
	rival := f.rival(t)
	theirs, _ := f.issue(t, rival.ID, tenant.KeySpec{Label: "theirs"})
	revoked, _ := f.issue(t, f.project.ID, tenant.KeySpec{Label: "revoked"})
	f.change(t, revoked.ID, "revoked_at = now()")
	expired, _ := f.issue(t, f.project.ID, tenant.KeySpec{Label: "expired"})
	f.change(t, expired.ID, "expires_at = now()")
	good, _ := f.issue(t, f.project.ID, tenant.KeySpec{Label: "good"})
	for _, tt := range []struct {
		name    string
		db      tenant.Beginner
		id      uuid.UUID
		overlap time.Duration
		want    fault.Kind
		says    string
	}{
		{"a revoked key", f.admin, revoked.ID, time.Hour, fault.Conflict, "is revoked"},
		{"an expired key", f.admin, expired.ID, time.Hour, fault.Conflict, "is expired"},
		{"another project's key", f.admin, theirs.ID, time.Hour, fault.NotFound, "no API key"},
		{"no key", f.admin, uuid.New(), time.Hour, fault.NotFound, "no API key"},
		{"an overlap below zero", f.admin, good.ID, -time.Minute, fault.Invalid, "days at most"},
		{"an overlap of ages", f.admin, good.ID, 4000 * 24 * time.Hour, fault.Invalid, "days at most"},
		{"another project's key, as mesher_app", f.app, theirs.ID, time.Hour, fault.NotFound, "no API key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := tenant.RotateKey(t.Context(), tt.db, f.project.ID, tt.id, tt.overlap)
			if !fault.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) || r.Secret != "" {
				t.Errorf("RotateKey = %+v, %v; want %s: %s", r, err, tt.want, tt.says)
			}
		})
	}
	t.Cleanup(func() { // after the subtests
		var keys, changed int
		err := f.admin.QueryRow(context.Background(), `select count(*), count(*) filter (where id = any ($1::text[]::uuid[])
			and expires_at is not null) from mesher.api_keys`, []string{theirs.ID.String(), good.ID.String()}).Scan(&keys, &changed)
		if err != nil || keys != 5 || changed != 0 {
			t.Errorf("%d keys, %d changed, %v; want 5 as before", keys, changed, err)
		}
	})
}

// TestRotateKey_Together has many operators rotate the same key at the same moment, each on a connection of its
// own.
func TestRotateKey_Together(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const operators, keys = 8, 6
	var conns []*pgx.Conn
	for range operators {
		conns = append(conns, f.Conn(t, pgtest.Admin))
	}
	for range keys {
		old, _ := f.issue(t, f.project.ID, tenant.KeySpec{Label: "web"})
		var wg sync.WaitGroup
		var mu sync.Mutex
		var won []tenant.Rotation
		var names []string
		for _, conn := range conns {
			wg.Go(func() {
				r, err := tenant.RotateKey(t.Context(), conn, f.project.ID, old.ID, time.Hour)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won = append(won, r)
				case fault.Is(err, fault.Conflict):
					names = append(names, err.Error())
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d rotations of one key succeeded, want 1", len(won))
		}
		for _, text := range names {
			if !strings.Contains(text, won[0].New.Name()) {
				t.Errorf("%q does not name the successor %s", text, won[0].New.Name())
			}
		}
		if _, err := f.find(t, won[0].Secret); err != nil {
			t.Errorf("the successor: %v", err)
		}
	}
	all, err := tenant.ListKeys(t.Context(), f.admin, f.project.ID)
	if err != nil || len(all) != 1+2*keys {
		t.Errorf("%d keys, %v; want %d", len(all), err, 1+2*keys)
	}
}

// A rotation that had to wait sees what happened meanwhile.
func TestRotateKey_SeesARevocationThatWasFirst(t *testing.T) {
	t.Parallel()
	f := setup(t)
	old, _ := f.issue(t, f.project.ID, tenant.KeySpec{Label: "web"})
	tx, err := f.Conn(t, pgtest.Admin).Begin(t.Context())
	must(t, err)
	rotating := f.Conn(t, pgtest.Admin)
	result := make(chan error, 1)
	_, err = tx.Exec(t.Context(), "select from mesher.api_keys where id = $1 for update", old.ID)
	must(t, err)
	go func() {
		_, err := tenant.RotateKey(t.Context(), rotating, f.project.ID, old.ID, time.Hour)
		result <- err
	}()
	f.waits(t, rotating)
	if _, changed, err := tenant.RevokeKey(t.Context(), tx, f.project.ID, old.ID); err != nil || !changed {
		t.Fatalf("revoke: %t, %v", changed, err)
	}
	must(t, tx.Commit(t.Context()))
	if err := <-result; !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "is revoked") {
		t.Errorf("rotation of a key that was revoked meanwhile: %v, want a conflict", err)
	}
	if keys, err := tenant.ListKeys(t.Context(), f.admin, f.project.ID); err != nil || len(keys) != 2 {
		t.Errorf("%d keys, %v; want no successor", len(keys), err)
	}
}

// A rotation that is given up leaves nothing.
func TestRotateKey_GivenUp(t *testing.T) {
	t.Parallel()
	f := setup(t)
	old, _ := f.issue(t, f.project.ID, tenant.KeySpec{Label: "web"})
	tx, err := f.Conn(t, pgtest.Admin).Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "select from mesher.api_keys where id = $1 for update", old.ID)
	must(t, err)
	rotating := f.Conn(t, pgtest.Admin)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := tenant.RotateKey(ctx, rotating, f.project.ID, old.ID, time.Hour)
		result <- err
	}()
	f.waits(t, rotating)
	cancel()
	if err := <-result; err == nil {
		t.Error("a rotation that was given up succeeded")
	}
	must(t, tx.Rollback(t.Context()))
	if got := f.keyOf(t, f.project.ID, old.ID); !got.ExpiresAt.IsZero() {
		t.Errorf("the key expires at %s", got.ExpiresAt)
	}
	if _, err := tenant.RotateKey(t.Context(), f.admin, f.project.ID, old.ID, time.Hour); err != nil {
		t.Errorf("rotated afterwards: %v", err)
	}
}

// waits returns when a connection, which has a session of its own, waits for a lock.
func (f *fixture) waits(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var waiting bool
		must(t, f.admin.QueryRow(t.Context(), "select coalesce(bool_or(wait_event_type = 'Lock'), false) from pg_stat_activity where pid = $1",
			int32(conn.PgConn().PID())).Scan(&waiting))
		if waiting {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not wait")
		}
	}
}

func TestRevokeKey(t *testing.T) {
	t.Parallel()
	f := setup(t)
	k, secret := f.issue(t, f.project.ID, tenant.KeySpec{Label: "web"})
	rival := f.rival(t)
	if _, _, err := tenant.RevokeKey(t.Context(), f.admin, rival.ID, k.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("another project's key: %v, want it unknown", err)
	}
	if _, err := f.find(t, secret); err != nil {
		t.Fatalf("another project revoked the key: %v", err)
	}
	f.change(t, k.ID, "last_used_at = created_at")
	first, changed, err := tenant.RevokeKey(t.Context(), f.admin, f.project.ID, k.ID)
	if err != nil || !changed || first.State != tenant.KeyRevoked || !first.LastUsedAt.Equal(k.CreatedAt) {
		t.Errorf("revoked: %+v, %t, %v", first, changed, err)
	}
	if _, err := f.find(t, secret); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a revoked key opens: %v", err)
	}
	again, changed, err := tenant.RevokeKey(t.Context(), f.admin, f.project.ID, k.ID)
	if err != nil || changed || !again.RevokedAt.Equal(first.RevokedAt) {
		t.Errorf("revoked again: %+v, %t, %v; want nothing changed", again, changed, err)
	}
	later, _ := f.issue(t, f.project.ID, tenant.KeySpec{Label: "later"})
	f.change(t, later.ID, "revoked_at = now() + interval '1 hour'")
	if got, changed, err := tenant.RevokeKey(t.Context(), f.admin, f.project.ID, later.ID); err != nil || !changed || got.State != tenant.KeyRevoked {
		t.Errorf("a key that was to be revoked later: %+v, %t, %v; want it revoked now", got, changed, err)
	}
	if _, changed, err := tenant.RevokeKey(t.Context(), f.app, f.project.ID, k.ID); err != nil || changed {
		t.Errorf("revoked again as mesher_app: %t, %v; want nothing changed", changed, err)
	}
}

// TestRevokeKey_Together has keys revoked several times and rotated at the same moment.
func TestRevokeKey_Together(t *testing.T) {
	t.Parallel()
	f := setup(t)
	rotating := f.Conn(t, pgtest.Admin)
	var conns []*pgx.Conn
	for range 4 {
		conns = append(conns, f.Conn(t, pgtest.Admin))
	}
	for range 20 {
		k, secret := f.issue(t, f.project.ID, tenant.KeySpec{Label: "web"})
		var wg sync.WaitGroup
		var mu sync.Mutex
		revocations := 0
		for _, conn := range conns {
			wg.Go(func() {
				_, changed, err := tenant.RevokeKey(t.Context(), conn, f.project.ID, k.ID)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if changed {
					revocations++
				}
			})
		}
		r, err := tenant.RotateKey(t.Context(), rotating, f.project.ID, k.ID, time.Hour)
		wg.Wait()
		if revocations != 1 {
			t.Errorf("%d revocations of one key, want 1", revocations)
		}
		now := f.keyOf(t, f.project.ID, k.ID)
		switch {
		case err == nil && r.New.CreatedAt.After(now.RevokedAt):
			t.Errorf("rotated at %s although revoked at %s", r.New.CreatedAt, now.RevokedAt)
		case err != nil && !fault.Is(err, fault.Conflict):
			t.Error(err)
		}
		if _, err := f.find(t, secret); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("a revoked key opens: %v", err)
		}
		if err == nil {
			if _, err := f.find(t, r.Secret); err != nil {
				t.Errorf("the successor of a key that was revoked later: %v", err)
			}
		}
	}
}
