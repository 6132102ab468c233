package doctor

import (
	"context"
	"fmt"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/postgres"
)

// schema compares the database with the files of this program.
func schema(ctx context.Context, e *exam) []Finding {
	conn, err := e.pool.Acquire(ctx)
	if err != nil {
		return unknown(err, "")
	}
	defer conn.Release()
	all, err := postgres.Status(ctx, conn.Conn(), migrations.FS)
	if postgres.SQLState(err) == "42501" {
		return unknown(err, asOwner)
	}
	if err != nil {
		return []Finding{{Level: Wrong, What: err.Error(), Fix: "use the version of mesher that the database was migrated with, or a newer one"}}
	}
	pending := 0
	for _, m := range all {
		if m.Pending() {
			pending++
		}
	}
	switch pending {
	case 0:
		return ok(fmt.Sprintf("all %d migrations are applied", len(all)))
	case len(all):
		return []Finding{{Level: Wrong, What: "there is no schema yet", Fix: "mesher setup"}}
	}
	return []Finding{{Level: Wrong, What: fmt.Sprintf("%d of %d migrations are not applied, the first is %s", pending, len(all), all[len(all)-pending].Name), Fix: "mesher migrate"}}
}

// rowSecurity looks at every table and partition: partitions do not inherit it.
func rowSecurity(ctx context.Context, e *exam) []Finding {
	return e.each(ctx, Wrong, "alter table … enable row level security, and the policy that its like have; mesher migrate does not mend what was changed by hand",
		"on for every table and partition, each with a policy", `
		select case when not c.relrowsecurity then format('%s has no row level security', c.oid::regclass)
			when c.relforcerowsecurity then format('%s forces row level security on its owner, which keeps Store from copying', c.oid::regclass)
			else format('%s has no policy', c.oid::regclass) end
		from pg_catalog.pg_class c
		where c.relnamespace = to_regnamespace('mesher') and c.relkind in ('r', 'p')
		and (not c.relrowsecurity or c.relforcerowsecurity or not exists (select from pg_catalog.pg_policy where polrelid = c.oid))
		order by c.relname`)
}

// strangers looks for whoever else may do something in the schema, and for ways that lead there over HTTP.
func strangers(ctx context.Context, e *exam) []Finding {
	return e.each(ctx, Wrong, "as the one who migrates: set role mesher_owner; select mesher.strip(); and mesher migrate -remove-exec-sql, and take mesher out of the schemas that the Data API exposes",
		"nobody but the system's roles may do anything, and the Data API leads nowhere", `
		with given as (
			select relacl as acl, oid::regclass::text as object from pg_catalog.pg_class where relnamespace = to_regnamespace('mesher')
			union all
			select coalesce(proacl, acldefault('f', proowner)), oid::regprocedure::text from pg_catalog.pg_proc where pronamespace = to_regnamespace('mesher')
			union all
			select nspacl, 'the schema' from pg_catalog.pg_namespace where nspname = 'mesher')
		select format('%s may %s %s', case when g.grantee = 0 then 'everybody' else pg_get_userbyid(g.grantee) end,
			string_agg(distinct lower(g.privilege_type), ', '), given.object)
		from given, pg_catalog.aclexplode(acl) g
		where g.grantee = 0 or pg_get_userbyid(g.grantee) not in ('mesher_owner', 'mesher_store', 'mesher_app', 'mesher_ingest')
		group by g.grantee, given.object
		union all
		select format('%s may call the function exec_sql, which applies migrations', pg_get_userbyid(g.grantee))
		from pg_catalog.pg_proc p, pg_catalog.aclexplode(coalesce(proacl, acldefault('f', proowner))) g
		where p.oid = to_regprocedure('public.exec_sql(text, text)') and g.grantee <> p.proowner
		union all
		select format('the Data API exposes the schema (pgrst.db_schemas of %s)', r.rolname)
		from pg_catalog.pg_db_role_setting s join pg_catalog.pg_roles r on r.oid = s.setrole, unnest(s.setconfig) as c
		where c ~ '^pgrst\.db_schemas=.*\mmesher\M'
		order by 1`)
}
