package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// healthy is an installation with partitions, as the tests' server has it.
func healthy(t *testing.T, db *pgtest.Database) Installation {
	t.Helper()
	if _, _, _, err := postgres.PreparePartitions(t.Context(), db.Pool(t, pgtest.Admin), time.Now()); err != nil {
		t.Fatal(err)
	}
	return Installation{
		Database: postgres.Config{
			URL: db.URL(pgtest.Admin), PoolSize: 2, IdleTimeout: time.Minute, ConnectTimeout: 10 * time.Second, Insecure: true,
		},
		Roles: map[string]string{
			postgres.RoleStore: db.URL(pgtest.Store), postgres.RoleApp: db.URL(pgtest.App), postgres.RoleIngest: db.URL(pgtest.Ingest),
		},
	}
}

// found returns the findings of a check.
func found(r Report, check string) (out []Finding) {
	for _, f := range r.Findings {
		if f.Check == check {
			out = append(out, f)
		}
	}
	return out
}

// expect fails the test unless a check has a finding of the level that says what is given, and says how to mend it.
func expect(t *testing.T, r Report, check string, level Level, says string) {
	t.Helper()
	all := found(r, check)
	if !slices.ContainsFunc(all, func(f Finding) bool {
		return f.Level == level && strings.Contains(f.What, says) && (f.Fix != "" || level == OK)
	}) {
		t.Errorf("%s: %+v; want a finding %s that says %q and what to do", check, all, level, says)
	}
}

func TestExamine_FindsNothingWhereNothingIs(t *testing.T) {
	t.Parallel()
	r := Examine(t.Context(), healthy(t, pgtest.New(t)))
	for _, f := range r.Findings {
		switch f.Check {
		case "queue", "schedule": // of which nothing is known here
		default:
			if f.Level != OK {
				t.Errorf("%+v", f)
			}
		}
	}
	for _, c := range checks() {
		if len(found(r, c.name)) == 0 {
			t.Errorf("%s found nothing, not even that all is well", c.name)
		}
	}
	expect(t, r, "queue", Unknown, "not known where the topics are")
	expect(t, r, "schedule", Unknown, "not known where the jobs are")
}

// Each is a way to break an installation, and what is found then.
func TestExamine_FindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, sql   string
		change      func(*Installation)
		check, says string
		level       Level
	}{
		{name: "a migration that is not applied", sql: "delete from mesher.migrations where number = (select max(number) from mesher.migrations)", check: "migrations", level: Wrong, says: "1 of "},
		{name: "a migration that was edited", sql: "update mesher.migrations set checksum = 'x' where number = 3", check: "migrations", level: Wrong, says: "0003_create_events.sql was edited"},
		{name: "no schema", sql: "drop schema mesher cascade", check: "migrations", level: Wrong, says: "there is no schema yet"},
		{name: "a partition without row level security", sql: "alter table mesher.events_" + time.Now().UTC().Format("20060102") + " disable row level security", check: "row level security", level: Wrong, says: "has no row level security"},
		{name: "a table that forces it", sql: "alter table mesher.events force row level security", check: "row level security", level: Wrong, says: "mesher.events forces"},
		{name: "a table without a policy", sql: "drop policy app_reads on mesher.dead_letters", check: "row level security", level: Wrong, says: "mesher.dead_letters has no policy"},
		{name: "a table for everybody", sql: "grant select on mesher.usage to public", check: "strangers", level: Wrong, says: "everybody may select mesher.usage"},
		{name: "a function for everybody", sql: "grant execute on function mesher.create_event_partitions(date, date) to public", check: "strangers", level: Wrong, says: "everybody may execute mesher.create_event_partitions"},
		{name: "the schema for everybody", sql: "grant usage on schema mesher to public", check: "strangers", level: Wrong, says: "everybody may usage the schema"},
		{name: "exec_sql", sql: "create function public.exec_sql(file text, sql text) returns int language sql as 'select 1'", check: "strangers", level: Wrong, says: "may call the function exec_sql"},
		{name: "a grant that is missing", sql: "revoke insert on mesher.audit_log from mesher_app", check: "grants", level: Wrong, says: "missing: mesher_app insert on audit_log"},
		{name: "a grant too much", sql: "grant delete on mesher.audit_log to mesher_app", check: "grants", level: Wrong, says: "too much: mesher_app delete on audit_log"},
		{name: "a column too much", sql: "grant update (hash) on mesher.api_keys to mesher_ingest", check: "grants", level: Wrong, says: "too much: mesher_ingest update (hash) on api_keys"},
		{name: "a role that cannot work", sql: "revoke select on mesher.issues from mesher_app", check: "logins", level: Wrong, says: "mesher_app cannot do its work"},
		{name: "no partition of today", sql: "drop table mesher.events_" + time.Now().UTC().Format("20060102"), check: "partitions", level: Wrong, says: "only 0 days"},
		{name: "a short horizon", change: in(8 * 24 * time.Hour), check: "partitions", level: Warning, says: "6 days ahead only"},
		{name: "no horizon", change: in(13 * 24 * time.Hour), check: "partitions", level: Wrong, says: "only 2 days"},
		{name: "a hole", sql: "drop table mesher.events_" + time.Now().UTC().AddDate(0, 0, 9).Format("20060102"), check: "partitions", level: Wrong, says: "no partition between"},
		{name: "a partition that is none", sql: "create table mesher.events_20200101 (n int)", check: "partitions", level: Warning, says: "is none"},
		{name: "a default partition", sql: "create table mesher.rest partition of mesher.events default", check: "partitions", level: Warning, says: "takes whatever"},
		{name: "a clock that is slow", change: in(-5 * time.Second), check: "clock", level: Warning, says: "apart"},
		{name: "a clock that is wrong", change: in(time.Hour), check: "clock", level: Wrong, says: "1h0m"},
		{name: "a dead letter", sql: "insert into mesher.dead_letters (id, source, reason, payload) values (gen_random_uuid(), 'message', 'cannot be unpacked', '')", check: "dead letters", level: Warning, says: "cannot be unpacked"},
		{name: "a mail that waits", sql: "insert into mesher.notifications (id, channel, template, recipient, created_at) values (gen_random_uuid(), 'email', 't', 'a@example.com', now() - interval '1 hour')", check: "notifications", level: Warning, says: "1 wait since"},
		{name: "a mail that failed", sql: "insert into mesher.notifications (id, channel, template, recipient, status) values (gen_random_uuid(), 'email', 't', 'a@example.com', 'failed')", check: "notifications", level: Warning, says: "failed for good"},
		{name: "an old key", sql: seeded + `insert into mesher.api_keys (id, project_id, hash, prefix, last_four, label, created_at)
			select gen_random_uuid(), id, sha256('a'), 'mshr_x', 'wxyz', 'l', now() - interval '400 days' from mesher.projects`, check: "secrets", level: Warning, says: "mshr_x…wxyz of the project p"},
		{name: "an old token", sql: seeded + `insert into mesher.personal_access_tokens (id, user_id, hash, prefix, last_four, label, scope, created_at)
			select gen_random_uuid(), id, sha256('a'), 'mshp_x', 'wxyz', 'l', 'read', now() - interval '400 days' from mesher.users`, check: "secrets", level: Warning, says: "mshp_x…wxyz of ann@example.com"},
		{name: "a connection string that is none", change: role("x"), check: "connection", level: Wrong, says: "cannot be read"},
		{name: "the session pooler", change: role("postgres://mesher_app.ref:p@aws-0-eu-west-1.pooler.supabase.com:5432/postgres?sslmode=verify-full"), check: "connection", level: Wrong, says: "session mode"},
		{name: "the direct host", change: role("postgres://mesher_app:p@db.ref.supabase.co:5432/postgres?sslmode=verify-full"), check: "connection", level: Warning, says: "direct host"},
		{name: "a user whose project is missing", change: role("postgres://mesher_app:p@aws-0-eu-west-1.pooler.supabase.com:6543/postgres?sslmode=verify-full"), check: "connection", level: Wrong, says: "does not know whose"},
		{name: "another role's connection string", change: role("postgres://mesher_store:p@127.0.0.1:1/postgres"), check: "connection", level: Wrong, says: "is of the user mesher_store"},
		{name: "a role that cannot be asked", change: role("postgres://mesher_app:p@127.0.0.1:1/postgres?sslmode=disable"), check: "logins", level: Unknown, says: "cannot connect"},
		{name: "no connection strings", change: func(in *Installation) { in.Roles = nil }, check: "logins", level: Unknown, says: "not known"},
		{name: "plain text to another machine", change: func(in *Installation) {
			in.Database.URL, in.Database.Insecure = "postgres://u:hidden-word@db.example.com/db?sslmode=disable", false
		}, check: "connection", level: Wrong, says: "not encrypted and verified"},
		{name: "a database that does not answer", change: func(in *Installation) { in.Database.URL = "postgres://u:hidden-word@127.0.0.1:1/db?sslmode=disable" }, check: "connection", level: Unknown, says: "does not answer"},
		{name: "a job that never ran", check: "schedule", level: Wrong, says: "no run of it is recorded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			in := healthy(t, db)
			if tt.change != nil {
				tt.change(&in)
			}
			if tt.sql != "" {
				db.Exec(t, tt.sql)
			}
			r := Examine(t.Context(), in)
			expect(t, r, tt.check, tt.level, tt.says)
			if r.OK || tt.level == Wrong && r.Code() != 1 || r.Code() == 0 {
				t.Errorf("the report is well: %t, with the code %d", r.OK, r.Code())
			}
			if strings.Contains(fmt.Sprint(r), "hidden-word") {
				t.Error("the report shows a password")
			}
		})
	}
}

const seeded = `insert into mesher.organizations (id, name, slug) values (gen_random_uuid(), 'o', 'o');
	insert into mesher.projects (id, organization_id, name, slug) select gen_random_uuid(), id, 'p', 'p' from mesher.organizations;
	insert into mesher.users (id, email, name, password_hash) values (gen_random_uuid(), 'ann@example.com', 'Ann', 'x');`

// in lets time be another one.
func in(d time.Duration) func(*Installation) {
	return func(i *Installation) { i.Now = func() time.Time { return time.Now().Add(d) } }
}

func role(url string) func(*Installation) {
	return func(i *Installation) { i.Roles[postgres.RoleApp] = url }
}

// Roles belong to the server, so this is one of its own.
func TestExamine_FindsRolesThatAreWrong(t *testing.T) {
	t.Parallel()
	c := pgtest.NewCluster(t)
	db := c.New(t)
	installation := healthy(t, db)
	for role := range installation.Roles {
		// A pooler keeps connections that were made before.
		installation.Roles[role] = db.DirectURL(pgtest.Role(role))
	}
	for _, tt := range []struct{ sql, undo, check, says string }{
		{"alter role mesher_app bypassrls", "alter role mesher_app nobypassrls", "roles", "mesher_app bypasses row level security"},
		{"alter role mesher_ingest superuser", "alter role mesher_ingest nosuperuser", "roles", "mesher_ingest is a superuser"},
		{"alter role mesher_app createrole", "alter role mesher_app nocreaterole", "roles", "mesher_app may create roles"},
		{"grant mesher_owner to mesher_app", "revoke mesher_owner from mesher_app", "roles", "mesher_app is a member of mesher_owner"},
		{"revoke mesher_owner from mesher_store", "grant mesher_owner to mesher_store", "roles", "Store can write nothing"},
		{"alter role mesher_app nologin", "alter role mesher_app login", "roles", "mesher_app cannot log in"},
		{"alter role mesher_app reset lock_timeout", "alter role mesher_app set lock_timeout = '3s'", "timeouts", "mesher_app has no lock_timeout"},
		{"alter role mesher_store set statement_timeout = 0", "alter role mesher_store set statement_timeout = '30s'", "timeouts", "mesher_store has no statement_timeout"},
		{"alter role mesher_store in database " + db.Name() + " set statement_timeout = 0", "alter role mesher_store in database " + db.Name() + " reset statement_timeout", "logins", "mesher_store has no statement_timeout once it is connected"},
		{"alter role mesher_app password 'another'", "", "logins", "mesher_app cannot connect"},
	} {
		db.Exec(t, tt.sql)
		expect(t, Examine(t.Context(), installation), tt.check, Wrong, tt.says)
		if tt.undo != "" {
			db.Exec(t, tt.undo)
		}
	}
}

func TestPooler_IsRecognised(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	in := healthy(t, db)
	expect(t, Examine(t.Context(), in), "pooler", OK, "the one who migrates: no pooler")
	for _, connections := range []int{2, 3, 8} {
		behind := db.Behind(t, connections)
		for _, role := range []pgtest.Role{pgtest.Store, pgtest.App, pgtest.Ingest} {
			in.Roles[string(role)] = behind.URL(role)
		}
		for range 3 { // with as few connections to the server as there are at first, and with more
			r := Examine(t.Context(), in)
			for role := range in.Roles {
				expect(t, r, "pooler", OK, role+": a pooler in transaction mode")
			}
			expect(t, r, "logins", OK, "mesher_store connects and works")
		}
	}
}

func TestConnection_ReadsAddresses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		host string
		port uint16
		want way
	}{
		{"127.0.0.1", 5432, here},
		{"/run/postgresql", 5432, here},
		{"aws-0-eu-central-1.pooler.supabase.com", 6543, transaction},
		{"aws-0-eu-central-1.pooler.supabase.com", 5432, session},
		{"db.abc.supabase.co", 5432, direct},
		{"db.abc.supabase.co", 6543, transaction},
		{"db.example.com", 6543, elsewhere},
	} {
		if got := wayOf(tt.host, tt.port); got != tt.want {
			t.Errorf("%s:%d = %s, want %s", tt.host, tt.port, got, tt.want)
		}
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	if f := expiry(now.AddDate(0, 0, 29), now)[0]; f.Level != Warning || !strings.Contains(f.What, "2026-12-29") {
		t.Errorf("%+v", f)
	}
	if f := expiry(now.AddDate(0, 0, 31), now)[0]; f.Level != OK {
		t.Errorf("%+v", f)
	}
}

// A database that is older than this program knows how to look at is no reason to stop.
func TestExamine_OfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	in := healthyLess(t, db)
	r := Examine(t.Context(), in)
	expect(t, r, "migrations", Wrong, "there is no schema yet")
	if r.Code() != 1 {
		t.Errorf("code = %d", r.Code())
	}
	var still int
	conn, err := pgx.Connect(t.Context(), db.URL(pgtest.Admin))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), "select count(*) from pg_namespace where nspname = 'mesher'").Scan(&still); err != nil || still != 0 {
		t.Errorf("a look made %d schemas, %v", still, err)
	}
}

func healthyLess(t *testing.T, db *pgtest.Database) Installation {
	t.Helper()
	return Installation{Database: postgres.Config{
		URL: db.URL(pgtest.Admin), PoolSize: 2, IdleTimeout: time.Minute, ConnectTimeout: 10 * time.Second, Insecure: true,
	}}
}
