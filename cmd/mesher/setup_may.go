package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// lacking asks for what would stop setup half-way, each with what gives it to the user. $1 holds the roles that are let
// in, $2 says that they get new passwords. Roles belong to the whole server, so another installation may have made them;
// from version 16 on CREATEROLE does not reach what somebody else made.
const lacking = `
	with me as (
		select oid, rolname, rolsuper, rolcreaterole, current_setting('server_version_num')::int >= 160000 as strict
		from pg_catalog.pg_roles where rolname = current_user),
	wanted as (
		select w.name, r.oid is not null as there, coalesce(r.rolcanlogin, false) as enters,
		       case when me.strict then coalesce(pg_has_role(me.oid, r.oid, 'member with admin option'), false) else me.rolcreaterole end as admin,
		       coalesce(pg_has_role(me.oid, r.oid, 'usage'), false) as member
		from unnest(array['mesher_owner'] || $1::text[]) as w (name)
		cross join me left join pg_catalog.pg_roles r on r.rolname = w.name)
	select fix from (
		select 1 as place, format('alter role %I createrole', me.rolname) as fix
		from me where not me.rolcreaterole and exists (
			select from wanted where not there or not me.strict and name <> 'mesher_owner' and (not enters or $2::bool))
		union all
		select 2, format('grant create on database %I to %I', current_database(), me.rolname)
		from me where to_regnamespace('mesher') is null and not has_database_privilege(current_database(), 'create')
		union all
		select 3, format('grant %I to %I with admin option', w.name, me.rolname)
		from me, wanted w
		where w.there and not w.admin and (me.strict or w.name = 'mesher_owner')
		  and case w.name when 'mesher_owner' then not w.member else not w.enters or $2::bool end
	) f, me where not me.rolsuper order by place, fix`

// mayDo refuses, before anything is changed, a user who could not finish, with the statements that would let it.
func (s *setup) mayDo(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, lacking, []string{postgres.RoleIngest, postgres.RoleStore, postgres.RoleApp}, s.rotate)
	if err != nil {
		return fmt.Errorf("look what the user of DATABASE_URL may do: %w", err)
	}
	fixes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look what the user of DATABASE_URL may do: %w", err)
	}
	if len(fixes) == 0 {
		return nil
	}
	return fault.New(fault.Forbidden, "the user of DATABASE_URL needs CREATEROLE, CREATE on the database, and the admin option for "+
		"those of our roles that are on this server already (they belong to the whole server); here it lacks permission, "+
		"which the owner of the database or a superuser can give with:\n  %s;", strings.Join(fixes, ";\n  "))
}
