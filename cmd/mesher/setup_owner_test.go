package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/tenant"
)

// admin connects as the one who set the database up.
func (h *hosted) admin(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), h.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

// logsIn reports whether a password is the one of a user.
func logsIn(t *testing.T, db account.DB, email, password string) bool {
	t.Helper()
	_, stored, err := account.FindLogin(t.Context(), db, email)
	if err != nil {
		t.Fatal(err)
	}
	var cost account.PasswordConfig
	if err := env.Read(env.Map(nil), &cost); err != nil {
		t.Fatal(err)
	}
	hasher, err := account.NewHasher(cost)
	if err != nil {
		t.Fatal(err)
	}
	ok, _, err := hasher.Verify(t.Context(), password, stored)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// roles returns what users are in organizations.
func roles(t *testing.T, db account.DB) []string {
	t.Helper()
	return texts(t, db, `
		select o.slug || ' ' || u.email || ' ' || m.role from mesher.memberships m
		join mesher.users u on u.id = m.user_id join mesher.organizations o on o.id = m.organization_id order by 1`)
}

// trail returns the audit log from its beginning, without who did it: that is checked here, it is an operator with a
// name each time.
func trail(t *testing.T, db account.DB) []string {
	t.Helper()
	for _, who := range texts(t, db, `select distinct actor_kind || ' ' || (actor_name <> '') || ' ' || (actor_id is null) from mesher.audit_log`) {
		if who != "operator true true" {
			t.Errorf("somebody else than an operator did something: %s", who)
		}
	}
	return texts(t, db, `
		select concat_ws(' ', o.slug, a.action, a.target_kind, a.target_id is not null, a.target_name) from mesher.audit_log a
		left join mesher.organizations o on o.id = a.organization_id order by a.created_at, a.id`)
}

// texts returns the one column of a query.
func texts(t *testing.T, db account.DB, sql string) []string {
	t.Helper()
	rows, err := db.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSetup_CreatesAnOwner(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	out := mustSetUp(t, h.url, "-organization", "Acme", "-project", "Shop")
	contains(t, out, "Note: the organization acme has no owner: nobody can log in yet", "-owner")
	key := variables(out)["MESHER_API_KEY"]
	db := h.admin(t)
	if users := roles(t, db); len(users) != 0 {
		t.Errorf("without -owner there are %v", users)
	}

	out = mustSetUp(t, h.url, "-organization", "Acme", "-project", "Shop", "-owner", " Anna@Example.com ", "-owner-name", "Anna")
	contains(t, out, "owner Anna@Example.com created")
	values := variables(out)
	password := values["MESHER_OWNER_PASSWORD"]
	if len(values) != 2 || values["MESHER_OWNER_EMAIL"] != "Anna@Example.com" || !regexp.MustCompile(`^[A-Z0-9]{26,}$`).MatchString(password) {
		t.Fatalf("%d variables; the owner is %s, with a password of %d characters", len(values), values["MESHER_OWNER_EMAIL"], len(password))
	}
	if strings.Contains(out, "Note: the organization") {
		t.Errorf("an owner is said to be missing:\n%s", out)
	}
	u, hash, err := account.FindLogin(t.Context(), db, "anna@example.com")
	if err != nil || !u.Verified || u.Name != "Anna" || !logsIn(t, db, u.Email, password) {
		t.Errorf("the owner is %+v, %v, or cannot log in", u, err)
	}

	out = mustSetUp(t, h.url, "-organization", "Acme", "-project", "Shop", "-owner", "anna@example.com")
	contains(t, out, "owner Anna@Example.com exists already", "There is no new secret")
	if _, again, err := account.FindLogin(t.Context(), db, "anna@example.com"); err != nil || again != hash {
		t.Errorf("the second run changed the password: %v", err)
	}
	name := key[:9] + "…" + key[37:]
	want := []string{
		"acme organization.create organization t Acme", "acme project.create project t Shop", "acme key.create key t " + name,
		"acme monitor.create monitor t Mesher: database", "acme monitor.create monitor t Mesher: queue",
		"acme monitor.create monitor t Mesher: dead letters", "acme monitor.create monitor t Mesher: partitions",
		"acme monitor.create monitor t Mesher: scheduled jobs",
		"acme user.create user t Anna@Example.com", "acme member.add member t Anna@Example.com",
	}
	if diff := cmp.Diff(want, trail(t, db)); diff != "" {
		t.Errorf("the audit log (-want +got):\n%s", diff)
	}
	h.hides(t, password, key)
}

func TestSetup_RaisesAUserToOwner(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	mustSetUp(t, h.url, "-organization", "Acme")
	db := h.admin(t)
	user, _, err := account.CreateUser(t.Context(), db, account.NewUser{Email: "bert@example.com", PasswordHash: ""})
	if err != nil {
		t.Fatal(err)
	}
	acme, err := tenant.FindOrganization(t.Context(), db, "acme")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tenant.AddMember(t.Context(), db, acme.ID, user.ID, tenant.Member); err != nil {
		t.Fatal(err)
	}
	out := mustSetUp(t, h.url, "-organization", "Acme", "-owner", "bert@example.com", "-owner-name", "Bertram")
	contains(t, out, "owner bert@example.com exists already", "mesher users link bert@example.com")
	mustSetUp(t, h.url, "-organization", "Other", "-owner", "bert@example.com")
	if diff := cmp.Diff([]string{"acme bert@example.com owner", "other bert@example.com owner"}, roles(t, db)); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	log := strings.Join(trail(t, db), "\n")
	contains(t, log, "acme member.role member t bert@example.com", "other member.add member t bert@example.com")
	if strings.Contains(log, "user.create") {
		t.Errorf("a user is created who was there:\n%s", log)
	}
	if u, hash, err := account.FindLogin(t.Context(), db, "bert@example.com"); err != nil || u.Verified || u.Name != "" || hash != "" {
		t.Errorf("the user is changed: %+v, %v", u, err)
	}
	r := decoded[setupReport](t, mustSetUp(t, h.url, "-organization", "Acme", "-owner", "carl@example.com", "-json"))
	if r.Owner == nil || !r.Owner.Created || r.Owner.Email != "carl@example.com" || r.Owner.ID == "" || len(r.Env) != 2 {
		t.Errorf("the report is %+v", r.Owner)
	}
	r = decoded[setupReport](t, mustSetUp(t, h.url, "-organization", "Acme", "-owner", "carl@example.com", "-json"))
	if r.Owner == nil || r.Owner.Created || len(r.Env) != 0 {
		t.Errorf("the second report is %+v", r.Owner)
	}
	if r = decoded[setupReport](t, mustSetUp(t, h.url, "-organization", "Acme", "-json")); r.Owner != nil {
		t.Errorf("without -owner the report is %+v", r.Owner)
	}
}

func TestSetup_CreatesNoOwnerWhoseSecretsAreLost(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	mustSetUp(t, h.url)
	dir := t.TempDir()
	file := filepath.Join(dir, "functions.env")
	if err := os.WriteFile(file, []byte("OTHER=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := h.admin(t)
	for want, args := range map[string][]string{
		"would lose":               {"-owner", "anna@example.com", "-out", file, "-force"},
		"usage: -owner:":           {"-owner", "anna"},
		"usage: -owner-name is":    {"-owner-name", "Anna"},
		"usage: -owner-name: the ": {"-owner", "anna@example.com", "-owner-name", strings.Repeat("x", 201)},
	} {
		out, err := setUp(t, h.url, args...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("setup %v: %v, want %s", args, err, want)
		}
		if regexp.MustCompile(`[A-Z2-7]{26}`).MatchString(fmt.Sprint(out, err)) {
			t.Errorf("a password is shown that is not stored: %v\n%s", err, out)
		}
	}
	if users := texts(t, db, "select email from mesher.users"); len(users) != 0 {
		t.Errorf("there are the users %v", users)
	}
	if log := strings.Join(trail(t, db), "\n"); strings.Contains(log, "user.create") {
		t.Errorf("what did not happen is recorded:\n%s", log)
	}
	owned := filepath.Join(dir, "owner.env")
	out := mustSetUp(t, h.url, "-owner", "anna@example.com", "-out", owned)
	text, err := os.ReadFile(owned)
	if err != nil {
		t.Fatal(err)
	}
	values := variables(string(text))
	if password := values["MESHER_OWNER_PASSWORD"]; strings.Contains(out, password) || !logsIn(t, db, values["MESHER_OWNER_EMAIL"], password) {
		t.Errorf("the owner cannot log in, or the password is printed beside the file:\n%s", out)
	}
}
