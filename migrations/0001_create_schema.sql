-- Why: the schema that everything lives in, the three roles that touch it, and the record of what was applied.
--
-- mesher_owner owns every object and cannot log in. mesher_store is a member of it, because COPY is refused to
-- a role that Row Level Security applies to. mesher_app is everybody else: policies apply to it. The two get a
-- password, and with it LOGIN, from whoever installs the system; no migration knows a secret.
--
-- Roles belong to the server, not to the database, so any of them may exist already. The user who runs this
-- needs CREATEROLE and CREATE on the database, not superuser.
--
-- Locks: none that anyone waits for; everything is new.

do $$
declare
    name text;
begin
    foreach name in array array['mesher_owner', 'mesher_store', 'mesher_app'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = name) then
            begin
                execute format('create role %I nologin', name);
            exception when duplicate_object or unique_violation then
                null; -- another database of this server is being migrated at the same moment
            end;
        end if;
    end loop;

    if exists (
        select from pg_catalog.pg_roles
        where rolname = 'mesher_app'
          and (rolsuper or rolbypassrls or pg_has_role(oid, 'mesher_owner', 'member'))
    ) then
        raise exception 'role mesher_app is a superuser, bypasses row level security or is a member of mesher_owner: policies would not apply to it';
    end if;
end
$$;

-- Whoever migrates has to act as mesher_owner. Since version 16 the creator of a role administers it without
-- being able to act as it, so both options are asked for and granted by name there.
do $$
declare
    member boolean;
    options text := '';
begin
    if current_setting('server_version_num')::int >= 160000 then
        member := pg_has_role(current_user, 'mesher_owner', 'set') and pg_has_role(current_user, 'mesher_owner', 'usage');
        options := ' with inherit true, set true';
    else
        member := pg_has_role(current_user, 'mesher_owner', 'usage');
    end if;
    if not member then
        execute format('grant mesher_owner to %I%s', current_user, options);
    end if;

    if current_setting('server_version_num')::int >= 160000 then
        member := pg_has_role('mesher_store', 'mesher_owner', 'set') and pg_has_role('mesher_store', 'mesher_owner', 'usage');
    else
        member := pg_has_role('mesher_store', 'mesher_owner', 'usage');
    end if;
    if not member then
        execute format('grant mesher_owner to mesher_store%s', options);
    end if;
end
$$;

-- Poolers ignore timeouts that a client asks for at connect, hence on the role. Settings that stand already
-- are left alone: two databases of one server may be migrated at once, and both would rewrite the same row.
do $$
declare
    want record;
begin
    for want in
        select * from (values
            ('mesher_store', 'statement_timeout', '30s'),
            ('mesher_store', 'lock_timeout', '5s'),
            ('mesher_store', 'idle_in_transaction_session_timeout', '15s'),
            ('mesher_app', 'statement_timeout', '15s'),
            ('mesher_app', 'lock_timeout', '3s'),
            ('mesher_app', 'idle_in_transaction_session_timeout', '15s')
        ) as w (role, setting, value)
    loop
        if not exists (
            select from pg_catalog.pg_roles r
            where r.rolname = want.role and want.setting || '=' || want.value = any (r.rolconfig)
        ) then
            execute format('alter role %I set %s = %L', want.role, want.setting, want.value);
        end if;
    end loop;
end
$$;

create schema mesher authorization mesher_owner;

set local role mesher_owner;

-- Nobody executes a function unless told so. Only the default for all schemas can take this from public.
alter default privileges revoke execute on functions from public;

-- strip takes every privilege on the schema and on all that is in it from everybody but the three roles. Hosted
-- servers grant to API roles by default privileges, which differ from project to project and over time. Called
-- at the end of every migration that creates something.
create function mesher.strip() returns void
language plpgsql
set search_path = ''
as $$
declare
    given record;
begin
    for given in
        select distinct g.kind, g.object, case when a.grantee = 0 then 'public' else quote_ident(r.rolname) end as grantee
        from (
            select 'schema' as kind, n.oid, n.nspowner as owner, n.nspacl as acl, quote_ident(n.nspname) as object
            from pg_catalog.pg_namespace n
            where n.nspname = 'mesher'
            union all
            select case c.relkind when 'S' then 'sequence' else 'table' end, c.oid, c.relowner, c.relacl,
                format('mesher.%I', c.relname)
            from pg_catalog.pg_class c
            where c.relnamespace = 'mesher'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
            union all
            select 'routine', p.oid, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)), p.oid::regprocedure::text
            from pg_catalog.pg_proc p
            where p.pronamespace = 'mesher'::regnamespace
        ) g
        cross join lateral pg_catalog.aclexplode(g.acl) a
        left join pg_catalog.pg_roles r on r.oid = a.grantee
        where a.grantee <> g.owner and coalesce(r.rolname not in ('mesher_owner', 'mesher_store', 'mesher_app'), true)
    loop
        execute format('revoke all on %s %s from %s', given.kind, given.object, given.grantee);
    end loop;
end
$$;

-- protect turns Row Level Security on for one table and takes every privilege on it from everybody but the
-- owner. Called for each table right after it is created, before the grants.
create function mesher.protect(target regclass) returns void
language plpgsql
set search_path = ''
as $$
declare
    grantee text;
begin
    execute format('alter table %s enable row level security', target);
    for grantee in
        select distinct case when a.grantee = 0 then 'public' else quote_ident(r.rolname) end
        from pg_catalog.pg_class c
        cross join lateral pg_catalog.aclexplode(c.relacl) a
        left join pg_catalog.pg_roles r on r.oid = a.grantee
        where c.oid = target and a.grantee <> c.relowner
    loop
        execute format('revoke all on table %s from %s', target, grantee);
    end loop;
end
$$;

create table mesher.migrations (
    number     integer primary key constraint migrations_number_check check (number > 0),
    name       text not null,
    checksum   text not null,
    applied_at timestamptz not null default now(),
    took_ms    integer not null
);
select mesher.protect('mesher.migrations');

grant usage on schema mesher to mesher_app, mesher_store;
select mesher.strip();

reset role;
