package migrations_test

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

// The roles of a hosted project, and how such a project hands out privileges by default.
const hosted = `
	create role anon nologin; create role authenticated nologin; create role service_role nologin bypassrls;
	create role %[1]s login createrole createdb password '%[1]s';
	alter database %[2]s owner to %[1]s;
	grant anon, authenticated, service_role to %[1]s with admin option`

const defaults = `
	alter default privileges grant all on tables to anon, authenticated, service_role;
	alter default privileges grant all on sequences to anon, authenticated, service_role;
	alter default privileges grant all on functions to anon, authenticated, service_role;
	alter default privileges grant all on schemas to anon, authenticated, service_role`

// appGrants is everything that mesher_app may do. A migration that grants more has to say so here.
var appGrants = []string{
	"alert_budgets delete",
	"alert_budgets insert",
	"alert_budgets select",
	"alert_budgets update",
	"alert_channels delete",
	"alert_channels insert",
	"alert_channels select",
	"alert_channels update",
	"alert_counts delete",
	"alert_counts select",
	"alert_events insert",
	"alert_events select",
	"alert_events update",
	"alert_pending delete",
	"alert_pending insert",
	"alert_pending select",
	"alert_rule_channels delete",
	"alert_rule_channels insert",
	"alert_rule_channels select",
	"alert_rules delete",
	"alert_rules insert",
	"alert_rules select",
	"alert_rules update",
	"alert_users delete",
	"alert_users select",
	"alert_windows delete",
	"alert_windows insert",
	"alert_windows select",
	"alert_windows update",
	"api_keys insert",
	"api_keys select",
	"api_keys update (expires_at)",
	"api_keys update (label)",
	"api_keys update (last_used_at)",
	"api_keys update (rate_limit)",
	"api_keys update (revoked_at)",
	"audit_log insert",
	"audit_log select",
	"check_ins select",
	"check_ins update",
	"dead_letters select",
	"events select",
	"idempotency_keys delete",
	"idempotency_keys insert",
	"idempotency_keys select",
	"invitations insert",
	"invitations select",
	"invitations update",
	"issue_activity insert",
	"issue_activity select",
	"issue_fingerprints select",
	"issue_fingerprints update (issue_id)",
	"issue_hourly_counts select",
	"issue_tags select",
	"issue_users select",
	"issues delete",
	"issues insert (active_hour)",
	"issues insert (culprit)",
	"issues insert (event_count)",
	"issues insert (exception_type)",
	"issues insert (exception_value)",
	"issues insert (first_release)",
	"issues insert (first_seen)",
	"issues insert (id)",
	"issues insert (last_release)",
	"issues insert (last_seen)",
	"issues insert (level)",
	"issues insert (message)",
	"issues insert (platform)",
	"issues insert (project_id)",
	"issues insert (status)",
	"issues insert (title)",
	"issues insert (user_count)",
	"issues select",
	"issues update (active_hour)",
	"issues update (assignee_id)",
	"issues update (event_count)",
	"issues update (first_release)",
	"issues update (first_seen)",
	"issues update (ignored_events)",
	"issues update (ignored_until)",
	"issues update (last_release)",
	"issues update (last_seen)",
	"issues update (level)",
	"issues update (merged_into)",
	"issues update (regressed_at)",
	"issues update (regressed_release)",
	"issues update (resolved_at)",
	"issues update (resolved_next)",
	"issues update (status)",
	"issues update (updated_at)",
	"issues update (user_count)",
	"job_leases insert",
	"job_leases select",
	"job_leases update",
	"job_runs insert",
	"job_runs select",
	"job_runs update",
	"limit_shares select",
	"memberships delete",
	"memberships insert",
	"memberships select",
	"memberships update",
	"monitors delete",
	"monitors insert",
	"monitors select",
	"monitors update",
	"notification_attempts insert",
	"notification_attempts select",
	"notifications insert",
	"notifications select",
	"notifications update",
	"one_time_tokens delete",
	"one_time_tokens insert",
	"one_time_tokens select",
	"one_time_tokens update",
	"organizations insert",
	"organizations select",
	"organizations update (deleted_at)",
	"organizations update (monthly_budget)",
	"organizations update (name)",
	"organizations update (slug)",
	"organizations update (updated_at)",
	"personal_access_tokens insert",
	"personal_access_tokens select",
	"personal_access_tokens update",
	"project_hourly_counts select",
	"project_minute_counts delete",
	"project_minute_counts select",
	"projects insert",
	"projects select",
	"projects update (allowed_origins)",
	"projects update (deleted_at)",
	"projects update (grouping_rules)",
	"projects update (monthly_budget)",
	"projects update (name)",
	"projects update (otlp_severity)",
	"projects update (rate_limit)",
	"projects update (retention_days)",
	"projects update (sample_rate)",
	"projects update (scrub_rules)",
	"projects update (slug)",
	"projects update (status)",
	"projects update (updated_at)",
	"releases select",
	"retention_marks select",
	"retention_sweeps select",
	"service_health_checks insert",
	"service_health_checks select",
	"sessions insert",
	"sessions select",
	"sessions update",
	"throttles delete",
	"throttles insert",
	"throttles select",
	"throttles update",
	"usage insert",
	"usage select",
	"usage update",
	"usage_items insert",
	"usage_items select",
	"usage_items update",
	"usage_months insert",
	"usage_months select",
	"usage_months update",
	"users delete",
	"users insert",
	"users select",
	"users update",
}

// ingestGrants is the same of mesher_ingest.
var ingestGrants = []string{
	"api_keys select (environment)",
	"api_keys select (expires_at)",
	"api_keys select (hash)",
	"api_keys select (id)",
	"api_keys select (last_used_at)",
	"api_keys select (project_id)",
	"api_keys select (rate_limit)",
	"api_keys select (revoked_at)",
	"api_keys update (last_used_at)",
	"check_ins insert",
	"check_ins select (project_id)",
	"check_ins select (received_at)",
	"issue_fingerprints select (fingerprint)",
	"issue_fingerprints select (issue_id)",
	"issue_fingerprints select (project_id)",
	"issues select (id)",
	"issues select (project_id)",
	"issues select (status)",
	"limit_shares insert",
	"limit_shares select",
	"limit_shares update",
	"monitors select (enabled)",
	"monitors select (id)",
	"monitors select (kind)",
	"monitors select (token_hash)",
	"organizations select (deleted_at)",
	"organizations select (id)",
	"organizations select (monthly_budget)",
	"projects select (allowed_origins)",
	"projects select (grouping_rules)",
	"projects select (id)",
	"projects select (monthly_budget)",
	"projects select (number)",
	"projects select (organization_id)",
	"projects select (otlp_severity)",
	"projects select (rate_limit)",
	"projects select (sample_rate)",
	"projects select (scrub_rules)",
	"projects select (status)",
	"projects select (updated_at)",
	"usage insert",
	"usage select",
	"usage update",
	"usage_items insert",
	"usage_items select",
	"usage_items update",
	"usage_months insert",
	"usage_months select",
	"usage_months update",
}

func TestPrivileges_OfAUserWhoFindsTheRoles(t *testing.T) {
	t.Parallel()
	c := pgtest.NewCluster(t)
	db := c.Empty(t)
	// Another database of the server is migrated already, so the roles exist and are somebody else's.
	db.Exec(t, fmt.Sprintf(hosted, "postgres_like", db.Name()),
		"grant mesher_owner, mesher_store, mesher_app, mesher_ingest to postgres_like with admin option")
	checkHosted(t, db, "postgres_like")
}

func TestPrivileges_OfAUserWhoCreatesTheRoles(t *testing.T) {
	t.Parallel()
	c := pgtest.NewCluster(t)
	db := c.Empty(t)
	c.DropTemplate(t)
	db.Exec(t, "drop role mesher_app; drop role mesher_ingest; drop role mesher_store; drop role mesher_owner", fmt.Sprintf(hosted, "postgres_like", db.Name()))
	checkHosted(t, db, "postgres_like")

	next := c.Empty(t)
	next.Exec(t, "alter database "+next.Name()+" owner to postgres_like")
	checkHosted(t, next, "postgres_like")
}

// checkHosted migrates db as user, as on a hosted server, and looks at who may do what afterwards.
func checkHosted(t *testing.T, db *pgtest.Database, user string) {
	t.Helper()
	u, err := url.Parse(db.URL(pgtest.Admin))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, user)
	conn, err := pgx.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.PgConn().Exec(t.Context(), defaults).ReadAll(); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Migrate(t.Context(), conn, migrations.FS, postgres.MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	report, err := postgres.Migrate(t.Context(), conn, migrations.FS, postgres.MigrateOptions{})
	if err != nil || len(report.Applied) != 0 {
		t.Errorf("second run applied %v, %v; want nothing", report.Applied, err)
	}
	exec(t, conn, "select mesher.create_event_partitions('2026-03-01', '2026-03-02')")
	checkPrivileges(t, db)
}

func TestPrivileges_OfTheUsualDatabase(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	exec(t, db.Conn(t, pgtest.Store), "select mesher.create_event_partitions('2026-03-01', '2026-03-02')")
	checkPrivileges(t, db)
}

// checkPrivileges reads every table from the catalog, so that one that is added later is held to the same.
func checkPrivileges(t *testing.T, db *pgtest.Database) {
	t.Helper()
	conn := db.Conn(t, pgtest.Admin)
	for what, sql := range map[string]string{
		"objects that mesher_owner does not own": `select oid::regclass::text from pg_class
			where relnamespace = 'mesher'::regnamespace and relowner <> 'mesher_owner'::regrole`,
		"functions that mesher_owner does not own": `select oid::regprocedure::text from pg_proc
			where pronamespace = 'mesher'::regnamespace and proowner <> 'mesher_owner'::regrole`,
		"tables without row level security": `select oid::regclass::text from pg_class
			where relnamespace = 'mesher'::regnamespace and relkind in ('r', 'p') and not relrowsecurity`,
		"tables that force row level security, which refuses COPY": `select oid::regclass::text from pg_class
			where relnamespace = 'mesher'::regnamespace and relforcerowsecurity`,
		"tables without a policy": `select oid::regclass::text from pg_class c
			where relnamespace = 'mesher'::regnamespace and relkind in ('r', 'p')
			  and not exists (select from pg_policy where polrelid = c.oid)`,
		"policies for others than mesher_app and mesher_ingest": `select polrelid::regclass || ' ' || polname from pg_policy
			where polrelid in (select oid from pg_class where relnamespace = 'mesher'::regnamespace)
			  and polroles not in (array['mesher_app'::regrole::oid], array['mesher_ingest'::regrole::oid])`,
		"privileges of strangers": `select object || ' ' || privilege_type || ' ' || grantee::regrole from (
				select oid::regclass::text as object, relacl as acl from pg_class where relnamespace = 'mesher'::regnamespace
				union all select oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner)) from pg_proc where pronamespace = 'mesher'::regnamespace
				union all select nspname::text, nspacl from pg_namespace where nspname = 'mesher'
			) o, aclexplode(acl)
			where grantee not in ('mesher_owner'::regrole, 'mesher_store'::regrole, 'mesher_app'::regrole, 'mesher_ingest'::regrole)`,
		"security definer functions without a search path": `select oid::regprocedure::text from pg_proc
			where pronamespace = 'mesher'::regnamespace and not ('search_path=""' = any (coalesce(proconfig, '{}')))`,
		"roles that must not bypass": `select rolname::text from pg_roles where rolname like 'mesher%' and (rolsuper or rolbypassrls)`,
	} {
		if bad := rows[string](t, conn, sql); len(bad) > 0 {
			t.Errorf("%s: %v", what, bad)
		}
	}

	for role, want := range map[string][]string{"mesher_app": appGrants, "mesher_ingest": ingestGrants} {
		grants := rows[string](t, conn, fmt.Sprintf(`
			select relname || ' ' || lower(privilege_type) from pg_class, aclexplode(relacl)
			where relnamespace = 'mesher'::regnamespace and grantee = '%[1]s'::regrole
			union all
			select relname || ' ' || lower(privilege_type) || ' (' || attname || ')' from pg_class c
			join pg_attribute a on a.attrelid = c.oid, aclexplode(attacl)
			where relnamespace = 'mesher'::regnamespace and grantee = '%[1]s'::regrole`, role))
		slices.Sort(grants)
		if diff := cmp.Diff(want, grants); diff != "" {
			t.Errorf("grants of %s (-want +got):\n%s", role, diff)
		}
	}
}

func TestPrivileges_OfMesherAppAtWork(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	store, app := db.Conn(t, pgtest.Store), db.Conn(t, pgtest.App)
	exec(t, store, "select mesher.create_event_partitions('2026-03-01', '2026-03-01')")
	exec(t, store, event, "2026-03-01T01:00:00Z", "00000000-0000-0000-0000-000000000001")

	if got := rows[int64](t, app, "select count(*) from mesher.events")[0]; got != 1 {
		t.Errorf("events that mesher_app sees = %d, want 1", got)
	}
	exec(t, app, `insert into mesher.usage (project_id, minute, rejected) values (gen_random_uuid(), now(), 1)
		on conflict (project_id, minute) do update set rejected = usage.rejected + excluded.rejected`)
	exec(t, app, "update mesher.api_keys set last_used_at = now()")
	for _, sql := range []string{
		"delete from mesher.events",
		"update mesher.events set message = ''",
		"truncate mesher.events",
		"select * from mesher.events_20260301",
		"delete from mesher.events_20260301",
		"update mesher.api_keys set hash = hash",
		"update mesher.projects set number = default",
		"delete from mesher.organizations",
		"delete from mesher.projects",
		"delete from mesher.sessions",
		"update mesher.audit_log set action = 'a.b'",
		"delete from mesher.audit_log",
		"truncate mesher.audit_log",
		"select * from mesher.migrations",
		"create table mesher.mine (n int)",
		"set role mesher_owner",
		"select mesher.strip()",
	} {
		if _, err := app.Exec(t.Context(), sql); postgres.SQLState(err) != "42501" {
			t.Errorf("%s as mesher_app: %v, want permission denied", sql, err)
		}
	}
}

func TestPrivileges_OfMesherIngestAtWork(t *testing.T) {
	t.Parallel()
	ingest := pgtest.New(t).Conn(t, pgtest.Ingest)
	exec(t, ingest, `insert into mesher.usage (project_id, minute, rejected) values (gen_random_uuid(), now(), 1)
		on conflict (project_id, minute) do update set rejected = usage.rejected + excluded.rejected`)
	exec(t, ingest, "update mesher.api_keys set last_used_at = now() where id = gen_random_uuid()")
	for _, sql := range []string{
		"select from mesher.events", "select title from mesher.issues", "select from mesher.users", "select from mesher.sessions",
		"insert into mesher.sessions default values", "select from mesher.personal_access_tokens", "select from mesher.audit_log",
		"insert into mesher.audit_log default values", "insert into mesher.notifications default values", "select from mesher.notifications",
		"update mesher.api_keys set revoked_at = null", "insert into mesher.api_keys default values", "select name from mesher.projects",
		"update mesher.projects set status = 'active'", "select from mesher.memberships", "set role mesher_owner", "set role mesher_app",
	} {
		if _, err := ingest.Exec(t.Context(), sql); postgres.SQLState(err) != "42501" {
			t.Errorf("%s as mesher_ingest: %v, want permission denied", sql, err)
		}
	}
}

func TestPrivileges_LetMesherStoreCopy(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t, pgtest.Store)
	exec(t, conn, "select mesher.create_event_partitions(current_date, current_date + 1)")
	n, err := conn.CopyFrom(t.Context(), pgx.Identifier{"mesher", "usage"}, []string{"project_id", "minute"},
		pgx.CopyFromRows([][]any{{"00000000-0000-0000-0000-000000000001", rows[any](t, conn, "select now()")[0]}}))
	if err != nil || n != 1 {
		t.Errorf("CopyFrom = %d, %v; want 1", n, err)
	}
}
