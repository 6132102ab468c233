package local

import (
	"regexp"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/pgtest"
)

// seeded seeds a database as a start of the platform in home does.
func seeded(t *testing.T, db *pgxpool.Pool, home string) Info {
	t.Helper()
	info, err := seed(t.Context(), db, home, "http://127.0.0.1:1", "postgres://x")
	if err == nil {
		err = info.write(home)
	}
	if err != nil {
		t.Fatal(err)
	}
	var role, name, hash string
	var verified bool
	if err := db.QueryRow(t.Context(), `
		select m.role, u.name, u.password_hash, u.email_verified_at is not null
		from mesher.users u join mesher.memberships m on m.user_id = u.id
		where u.email = $1 and m.organization_id = $2`, info.Email, info.OrganizationID).Scan(&role, &name, &hash, &verified); err != nil {
		t.Fatalf("look for %s: %v", info.Email, err)
	}
	if info.Email != "dev@mesher.local" || name != "Developer" || role != "owner" || !verified {
		t.Errorf("the user is %s (%s), %s, verified: %t", info.Email, name, role, verified)
	}
	var cost account.PasswordConfig
	if err := env.Read(env.Map(nil), &cost); err != nil {
		t.Fatal(err)
	}
	hasher, err := account.NewHasher(cost)
	if err != nil {
		t.Fatal(err)
	}
	if ok, _, err := hasher.Verify(t.Context(), info.Password, hash); err != nil || !ok {
		t.Errorf("the password of dev.json does not log in: %v", err)
	}
	if !regexp.MustCompile(`^[A-Z2-7]{26,}$`).MatchString(info.Password) {
		t.Errorf("the password has %d characters, or others than letters and digits", len(info.Password))
	}
	return info
}

func TestSeed_KeepsTheLogin(t *testing.T) {
	t.Parallel()
	db := pgtest.NewCluster(t).New(t).Pool(t, pgtest.Admin)
	home := t.TempDir()
	first := seeded(t, db, home)
	if again := seeded(t, db, home); again != first {
		t.Errorf("the next start has %+v", again)
	}
	for name, sql := range map[string]string{
		"changed": "update mesher.users set password_hash = (select replace(password_hash, 'p=1$', 'p=1$AAAA') from mesher.users)",
		"removed": "update mesher.users set password_hash = null",
		"deleted": "delete from mesher.users",
	} {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		if fresh := seeded(t, db, home); fresh.Password == first.Password {
			t.Errorf("a password that was %s is kept", name)
		}
	}
	last := seeded(t, db, home)
	if other := seeded(t, db, t.TempDir()); other.Password == last.Password || other.OrganizationID != last.OrganizationID {
		t.Error("a home without dev.json knows the password, or has an organization of its own")
	}
}
