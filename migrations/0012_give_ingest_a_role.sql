-- Why: Ingest takes what anybody sends, so its database role may do nothing but what that needs: look keys up, see the
-- limits that hold for them, and count. What let it into accounts, events and the audit log was mesher_app's.
--
-- Locks: none that anyone waits for: privileges and policies of small tables.

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'mesher_ingest') then
        begin
            create role mesher_ingest nologin;
        exception when duplicate_object or unique_violation then
            null; -- another database of this server is being migrated at the same moment
        end;
    end if;
    if exists (
        select from pg_catalog.pg_roles
        where rolname = 'mesher_ingest'
          and (rolsuper or rolbypassrls or pg_has_role(oid, 'mesher_owner', 'member') or pg_has_role(oid, 'mesher_app', 'member'))
    ) then
        raise exception 'role mesher_ingest is a superuser, bypasses row level security or is a member of another of our roles';
    end if;
end
$$;

do $$
declare
    want record;
begin
    for want in
        select * from (values
            ('statement_timeout', '15s'), ('lock_timeout', '3s'), ('idle_in_transaction_session_timeout', '15s')
        ) as w (setting, value)
    loop
        if not exists (
            select from pg_catalog.pg_roles r
            where r.rolname = 'mesher_ingest' and want.setting || '=' || want.value = any (r.rolconfig)
        ) then
            execute format('alter role mesher_ingest set %s = %L', want.setting, want.value);
        end if;
    end loop;
end
$$;

set local role mesher_owner;

-- As before, but for one role more.
create or replace function mesher.strip() returns void
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
        where a.grantee <> g.owner
          and coalesce(r.rolname not in ('mesher_owner', 'mesher_store', 'mesher_app', 'mesher_ingest'), true)
    loop
        execute format('revoke all on %s %s from %s', given.kind, given.object, given.grantee);
    end loop;
end
$$;

grant usage on schema mesher to mesher_ingest;

do $$
declare
    name text;
begin
    foreach name in array array['organizations', 'projects', 'api_keys', 'usage', 'usage_months', 'usage_items', 'issues',
        'issue_fingerprints'] loop
        execute format('create policy ingest_reads on mesher.%I for select to mesher_ingest using (true)', name);
    end loop;
    foreach name in array array['usage', 'usage_months', 'usage_items'] loop
        execute format('create policy ingest_counts on mesher.%I for insert to mesher_ingest with check (true)', name);
        execute format('create policy ingest_adds on mesher.%I for update to mesher_ingest using (true) with check (true)', name);
    end loop;
    create policy ingest_touches on mesher.api_keys for update to mesher_ingest using (true) with check (true);
end
$$;

grant select (id, monthly_budget, deleted_at) on mesher.organizations to mesher_ingest;
grant select (id, organization_id, number, status, sample_rate, allowed_origins, rate_limit, monthly_budget, grouping_rules,
    scrub_rules, otlp_severity, updated_at) on mesher.projects to mesher_ingest;
grant select (id, project_id, hash, environment, expires_at, revoked_at, last_used_at, rate_limit) on mesher.api_keys to mesher_ingest;
grant update (last_used_at) on mesher.api_keys to mesher_ingest;
grant select, insert, update on mesher.usage, mesher.usage_months, mesher.usage_items to mesher_ingest;
-- Which fingerprints belong to discarded issues.
grant select (project_id, id, status) on mesher.issues to mesher_ingest;
grant select (project_id, fingerprint, issue_id) on mesher.issue_fingerprints to mesher_ingest;

select mesher.strip();
reset role;
