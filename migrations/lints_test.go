package migrations_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

// lints are what Supabase's advisor looks for, by the numbers and names that it shows, each as a query for what is
// wrong. They are stricter where that is simple: every schema counts as exposed by the Data API, and what concerns
// tables concerns partitioned ones too. Left out is what a database without Supabase's own schemas cannot have (0012,
// 0015, 0019, 0021, 0025, and 0026 and 0027, which are about the privileges that "exposed tables" is about), what
// belongs to the operator's project (0022), what only time shows (0020), and unused indexes (0005): all are, at first.
var lints = map[string]string{
	"0001 unindexed_foreign_keys": `
		select format('%s: %s', c.conrelid::regclass, c.conname) from pg_constraint c
		where c.contype = 'f' and c.conparentid = 0 and not exists (
			select from pg_index i where i.indrelid = c.conrelid and i.indisvalid
			and (string_to_array(i.indkey::text, ' ')::int2[])[1:cardinality(c.conkey)] = c.conkey)`,
	"0002 auth_users_exposed, 0010 security_definer_view": `
		select oid::regclass::text from pg_class c where relkind = 'v' and (ours)
		and not coalesce(reloptions::text, '') ~* 'security_invoker=(1|true|yes|on)'`,
	"0003 auth_rls_initplan": `
		select format('%s: %s', p.polrelid::regclass, p.polname) from pg_policy p join pg_class c on c.oid = p.polrelid,
		lateral (select concat(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) as text) e
		where (ours) and e.text ~* '(auth\.(uid|jwt|role|email)|current_setting|current_user|session_user)'
		and e.text !~* 'select (auth\.|current_)'`,
	"0004 no_primary_key": `
		select oid::regclass::text from pg_class c where relkind in ('r', 'p') and (ours)
		and not exists (select from pg_index where indrelid = c.oid and indisprimary)`,
	"0006 multiple_permissive_policies": `
		select format('%s: %s may %s by %s', c.oid::regclass, r.rolname, action, string_agg(p.polname, ', '))
		from pg_policy p join pg_class c on c.oid = p.polrelid
		join pg_roles r on r.oid = any (p.polroles) or p.polroles = '{0}',
		lateral unnest(case p.polcmd when '*' then array['r', 'a', 'w', 'd'] else array[p.polcmd::text] end) as action
		where (ours) and p.polpermissive and not r.rolbypassrls and r.rolname !~ '^pg_' group by c.oid, r.rolname, action having count(*) > 1`,
	"0007 policy_exists_rls_disabled, 0013 rls_disabled_in_public": `
		select oid::regclass::text from pg_class c where relkind in ('r', 'p') and (ours) and not relrowsecurity`,
	"0008 rls_enabled_no_policy": `
		select oid::regclass::text from pg_class c where relkind in ('r', 'p') and (ours)
		and not exists (select from pg_policy where polrelid = c.oid)`,
	"0009 duplicate_index": `
		select string_agg(i.indexrelid::regclass::text, ' = ') from pg_index i join pg_class c on c.oid = i.indrelid
		where (ours) group by i.indrelid, i.indkey::text, i.indclass::text, i.indoption::text, i.indcollation::text, i.indisunique,
			pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid) having count(*) > 1`,
	"0011 function_search_path_mutable": `
		select c.oid::regprocedure::text from pg_proc c where (ours)
		and not exists (select from unnest(proconfig) as s where s like 'search\_path=%')`,
	"0014 extension_in_public": `
		select extname::text from pg_extension where extnamespace = 'public'::regnamespace`,
	"0016 materialized_view_in_api, 0017 foreign_table_in_api": `
		select oid::regclass::text from pg_class c where relkind in ('m', 'f') and (ours)`,
	"0018 unsupported_reg_types": `
		select format('%s: %s', c.oid::regclass, attname) from pg_class c join pg_attribute a on a.attrelid = c.oid
		where c.relkind in ('r', 'p', 'm') and (ours) and not a.attisdropped and a.atttypid in ('regcollation'::regtype, 'regconfig'::regtype,
			'regdictionary'::regtype, 'regnamespace'::regtype, 'regoper'::regtype, 'regoperator'::regtype, 'regproc'::regtype, 'regprocedure'::regtype)`,
	"0023 sensitive_columns_exposed, 0026 and 0027 tables exposed": `
		select format('%s: %s may %s', c.oid::regclass, r.rolname, privilege) from pg_class c, pg_roles r,
		unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) as privilege
		where c.relkind in ('r', 'p', 'v', 'm', 'f') and (ours) and r.rolname in ('anon', 'authenticated', 'service_role')
		and (has_table_privilege(r.oid, c.oid, privilege)
			or privilege in ('select', 'insert', 'update', 'references') and has_any_column_privilege(r.oid, c.oid, privilege))`,
	"0024 rls_policy_always_true": `
		select format('%s: %s', p.polrelid::regclass, p.polname) from pg_policy p join pg_class c on c.oid = p.polrelid
		where (ours) and (p.polroles = '{0}' or exists (
			select from pg_roles r where r.oid = any (p.polroles) and r.rolname in ('anon', 'authenticated', 'service_role')))`,
	"0028 and 0029 security definer function executable": `
		select format('%s by %s', c.oid::regprocedure, r.rolname) from pg_proc c, pg_roles r
		where (ours) and r.rolname in ('anon', 'authenticated', 'service_role') and has_function_privilege(r.oid, c.oid, 'execute')`,
	"0030 invalid_index": `
		select i.indexrelid::regclass::text from pg_index i join pg_class c on c.oid = i.indrelid where (ours) and not i.indisvalid`,
	"schemas that API roles may use": `
		select format('%s by %s', nspname, r.rolname) from pg_namespace, pg_roles r
		where nspname = 'mesher' and r.rolname in ('anon', 'authenticated', 'service_role')
		and (has_schema_privilege(r.oid, nspname, 'usage') or has_schema_privilege(r.oid, nspname, 'create'))`,
}

// findings runs the lints as the advisor does, without a search path, in the transaction that conn is in.
func findings(t *testing.T, conn *pgx.Conn) (found []string) {
	t.Helper()
	exec(t, conn, "set local search_path = ''")
	for name, sql := range lints {
		space := "relnamespace"
		if strings.Contains(sql, "from pg_proc c") {
			space = "pronamespace"
		}
		sql = strings.ReplaceAll(sql, "(ours)", "c."+space+` not in (
			select oid from pg_namespace where nspname ~ '^(pg_|information_schema$)')`)
		for _, what := range rows[string](t, conn, sql) {
			found = append(found, name+": "+what)
		}
	}
	slices.Sort(found)
	return found
}

// linted returns a connection to a database with live partitions that was migrated in a project of Supabase's.
func linted(t *testing.T) *pgx.Conn {
	t.Helper()
	db := pgtest.NewCluster(t).Empty(t)
	db.Exec(t, fmt.Sprintf(hosted, "postgres_like", db.Name()),
		"grant mesher_owner, mesher_store, mesher_app, mesher_ingest to postgres_like with admin option")
	u, err := url.Parse(db.URL(pgtest.Admin))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("postgres_like", "postgres_like")
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
	exec(t, conn, "select mesher.create_event_partitions('2026-03-01', '2026-03-03')")
	return db.Conn(t, pgtest.Admin)
}

func TestLints(t *testing.T) {
	t.Parallel()
	conn := linted(t)
	for _, tt := range []struct{ do, says string }{
		{"select", ""},
		// What they look for, they find.
		{"create table mesher.t (n int primary key, project_id uuid references mesher.projects (id))", "0001"},
		{"create view mesher.v as select 1", "0010"},
		{"create policy p on mesher.projects for select to mesher_ingest using (current_setting('a') = 'b')", "0003"},
		{"create table public.t (n int)", "0004"},
		{"create policy p on mesher.projects for select to mesher_app using (true)", "0006"},
		{"alter table mesher.events_20260302 disable row level security", "0013"},
		{"create table mesher.t (n int primary key); alter table mesher.t enable row level security", "0008"},
		{"create index twice on mesher.usage (minute); create index again on mesher.usage (minute)", "0009"},
		{"create function mesher.f() returns int language sql as 'select 1'", "0011"},
		{"create extension pgcrypto schema public", "0014"},
		{"create materialized view mesher.m as select 1", "0016"},
		{"create table mesher.t (n regproc)", "0018"},
		{"grant select on mesher.events_20260303 to anon", "0026"},
		{"grant select (hash) on mesher.api_keys to authenticated", "0023"},
		{"create policy p on mesher.usage for select using (true)", "0024"},
		{"grant execute on function mesher.create_event_partitions(date, date) to authenticated", "0029"},
		{"grant usage on schema mesher to service_role", "schemas that"},
	} {
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for sql := range strings.SplitSeq(tt.do, "; ") {
			exec(t, conn, sql)
		}
		found := findings(t, conn)
		if tt.says == "" && len(found) > 0 {
			t.Errorf("Supabase's advisor would report:\n%s", strings.Join(found, "\n"))
		}
		if tt.says != "" && !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, tt.says) }) {
			t.Errorf("%s: %v, want a finding of %s", tt.do, found, tt.says)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
