package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Grants lists, sorted, what the roles that functions connect as are granted in the schema: one privilege on one object
// a line. Partitions are left out, whose grants are their own. What mesher_store may do besides, it may as a member of
// the owner.
func Grants(ctx context.Context, db DB) ([]string, error) {
	rows, err := db.Query(ctx, `
		with roles as (select oid, rolname from pg_catalog.pg_roles where rolname = any ($1::text[])),
		given as (
			select relacl as acl, 'on ' || relname as object from pg_catalog.pg_class
			where relnamespace = to_regnamespace('mesher') and not relispartition
			union all
			select a.attacl, format('(%s) on %s', a.attname, c.relname) from pg_catalog.pg_attribute a
			join pg_catalog.pg_class c on c.oid = a.attrelid where c.relnamespace = to_regnamespace('mesher') and not c.relispartition
			union all
			select proacl, format('on function %s(%s)', proname, pg_catalog.pg_get_function_identity_arguments(oid)) from pg_catalog.pg_proc
			where pronamespace = to_regnamespace('mesher')
			union all
			select nspacl, 'on the schema' from pg_catalog.pg_namespace where nspname = 'mesher')
		select format('%s %s %s', r.rolname, lower(g.privilege_type), object)
		from given, pg_catalog.aclexplode(acl) g join roles r on r.oid = g.grantee`, []string{RoleIngest, RoleStore, RoleApp})
	if err != nil {
		return nil, fmt.Errorf("list the grants of roles: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the grants of roles: %w", err)
	}
	slices.Sort(out)
	return out, nil
}
