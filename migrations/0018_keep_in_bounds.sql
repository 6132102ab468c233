-- Why: nothing grows for ever. Partitions of events are kept ready and in order, and what is older than it is to be kept
-- goes: days of events as whole partitions, the rest row by row.
--
-- Locks: SHARE on users, invitations, personal_access_tokens, audit_log and dead_letters while an index of each is built: who
-- writes there waits. ACCESS EXCLUSIVE on projects and releases for as long as it takes to note a new column; no row is rewritten.
--
-- To undo by hand: drop table mesher.retention_marks, mesher.retention_sweeps; drop the functions event_partition_faults,
-- repair_event_partition, event_partition_indexes, adopt_event_index, drop_event_partition and prune_audit_log; drop the
-- columns projects.erasing_at and releases.seen_day, and the five indexes.

set local role mesher_owner;

-- event_partition_faults lists the partitions of events that lack something, or one of them, and what: names of what
-- repair_event_partition repairs, and "index" with the name of that of events which the partition has none for, or
-- "index event_id" for its own unique one. It reads the catalog only. A partition that is being detached is left out.
create function mesher.event_partition_faults(of text default null) returns table (part text, faults text[])
language sql
stable
set search_path = ''
as $$
    select c.relname::text, f.faults
    from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    cross join lateral (
        select array_remove(array[
            case when not c.relrowsecurity or c.relforcerowsecurity then 'row level security' end,
            case when not exists (
                select from pg_catalog.pg_policy p where p.polrelid = c.oid and p.polname = 'app_reads') then 'policy' end,
            case when exists (
                select from pg_catalog.pg_policy p where p.polrelid = c.oid and p.polname <> 'app_reads') then 'foreign policies' end,
            case when exists (select from pg_catalog.aclexplode(c.relacl) a where a.grantee <> c.relowner)
                or exists (
                    select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attacl is not null
                        and exists (select from pg_catalog.aclexplode(a.attacl) x where x.grantee <> c.relowner))
                then 'privileges' end,
            case when not exists (
                select from pg_catalog.pg_index x
                where x.indrelid = c.oid and x.indisunique and x.indisvalid and x.indpred is null and x.indnkeyatts = 2
                  and x.indkey[0] = (select a.attnum from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attname = 'project_id')
                  and x.indkey[1] = (select a.attnum from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attname = 'event_id'))
                then 'index event_id' end
        ] || array(
            select 'index ' || w.relname
            from pg_catalog.pg_index x join pg_catalog.pg_class w on w.oid = x.indexrelid
            -- From the partition's few indexes: those of events have a part in every partition.
            where x.indrelid = i.inhparent and x.indexrelid <> all (array(
                select k.inhparent
                from pg_catalog.pg_index m join pg_catalog.pg_inherits k on k.inhrelid = m.indexrelid
                where m.indrelid = c.oid and m.indisvalid))
            order by w.relname
        ), null) as faults
    ) f
    where i.inhparent = 'mesher.events'::regclass and not i.inhdetachpending
      and (event_partition_faults.of is null or c.relname = event_partition_faults.of)
      and cardinality(f.faults) > 0
    order by c.relname
$$;

-- repair_event_partition gives a partition of events what it lacks but indexes, and returns what that was. It takes ACCESS
-- EXCLUSIVE on the partition alone, for a moment and only when it lacks something; who uses it is not waited for longer than
-- half a second.
create function mesher.repair_event_partition(part text) returns text[]
language plpgsql
security definer
set search_path = ''
set lock_timeout = '500ms'
as $$
declare
    target  regclass := to_regclass('mesher.' || quote_ident(part));
    lacking text[];
    name    text;
begin
    select f.faults into lacking from mesher.event_partition_faults(part) f;
    lacking := array(select w from unnest(lacking) w where w not like 'index %');
    if 'row level security' = any (lacking) then
        execute format('alter table %s no force row level security', target);
    end if;
    if lacking && array['row level security', 'privileges'] then
        perform mesher.protect(target);
    end if;
    if 'privileges' = any (lacking) then
        for name in
            select distinct case when x.grantee = 0 then 'public' else quote_ident(r.rolname) end
            from pg_catalog.pg_attribute a
            cross join lateral pg_catalog.aclexplode(a.attacl) x
            join pg_catalog.pg_class c on c.oid = a.attrelid
            left join pg_catalog.pg_roles r on r.oid = x.grantee
            where a.attrelid = target and x.grantee <> c.relowner
        loop
            execute format('revoke all on table %s from %s', target, name);
        end loop;
    end if;
    if 'foreign policies' = any (lacking) then
        for name in select polname from pg_catalog.pg_policy where polrelid = target and polname <> 'app_reads' loop
            execute format('drop policy %I on %s', name, target);
        end loop;
    end if;
    if 'policy' = any (lacking) then
        execute format('create policy app_reads on %s for select to mesher_app using (true)', target);
    end if;
    return lacking;
end
$$;

-- event_partition_indexes returns how each index is made that a partition of events lacks: what removes the remains of a
-- try that failed (null: there are none), and what makes it. Both must run outside of a transaction, by themselves, so
-- that nobody waits for them; adopt_event_index is called after that.
create function mesher.event_partition_indexes(part text)
returns table (fault text, name text, remains text, making text)
language sql
stable
set search_path = ''
as $$
    select w.fault, w.name,
        case when to_regclass('mesher.' || quote_ident(w.name)) is not null
            then format('drop index concurrently mesher.%I', w.name) end,
        format('create %sindex concurrently %I on mesher.%I %s', case when w.uniq then 'unique ' else '' end, w.name,
            event_partition_indexes.part, w.how)
    from mesher.event_partition_faults(event_partition_indexes.part) f
    cross join lateral unnest(f.faults) as x (fault)
    cross join lateral (
        select x.fault, f.part || '_event_id_key' as name, true as uniq, '(project_id, event_id)' as how
        where x.fault = 'index event_id'
        union all
        select x.fault, left(f.part || '_' || c.relname, 63), i.indisunique,
            substring(pg_catalog.pg_get_indexdef(c.oid) from ' (USING .*)$')
        from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
        where i.indrelid = 'mesher.events'::regclass and x.fault = 'index ' || c.relname
    ) w
$$;

-- adopt_event_index makes an index that was built part of its partition: the constraint that the unique one of event ids
-- stands for, or the partition's part of that of events.
create function mesher.adopt_event_index(part text, fault text, name text) returns void
language plpgsql
security definer
set search_path = ''
set lock_timeout = '500ms'
as $$
begin
    if fault = 'index event_id' then
        execute format('alter table mesher.%I add constraint %I unique using index %I', part, name, name);
    else
        execute format('alter index mesher.%I attach partition mesher.%I', substring(fault from '^index (.*)$'), name);
    end if;
end
$$;

-- drop_event_partition drops the table of a day that was detached, and returns how many bytes that gave back. It refuses a
-- table that is a partition: somebody may have attached it again meanwhile.
create function mesher.drop_event_partition(part text) returns bigint
language plpgsql
security definer
set search_path = ''
set lock_timeout = '500ms'
as $$
declare
    target regclass := to_regclass('mesher.' || quote_ident(part));
    bytes  bigint;
begin
    if target is null then
        return null;
    end if;
    if part !~ '^events_\d{8}$' then
        raise exception 'drop_event_partition: % is not called like a day of events', part using errcode = 'invalid_parameter_value';
    end if;
    execute format('lock table mesher.%I in access exclusive mode', part); -- by its name: another may have dropped it
    if exists (select from pg_catalog.pg_inherits where inhrelid = target) then
        raise exception 'drop_event_partition: % is a partition, detach it first', part using errcode = 'object_not_in_prerequisite_state';
    end if;
    bytes := pg_catalog.pg_total_relation_size(target);
    execute format('drop table mesher.%I', part);
    return bytes;
end
$$;

-- Until which day a project that keeps events for less long than others has been cleaned, so that its days are not looked at
-- again. It holds for the project as it was at project_updated_at.
create table mesher.retention_marks (
    project_id         uuid primary key constraint retention_marks_project_id_fkey references mesher.projects (id) on delete cascade,
    project_updated_at timestamptz not null,
    cleaned_before     date not null
);
select mesher.protect('mesher.retention_marks');

-- How far Retention has come in tables that it walks through bit by bit, in the order of their primary keys: the last key
-- that it looked at, none at the beginning, and the day on which it came to the end last.
create table mesher.retention_sweeps (
    rule        text primary key,
    position    text[] not null,
    finished_on date
);
select mesher.protect('mesher.retention_sweeps');

create policy app_reads on mesher.retention_marks for select to mesher_app using (true);
create policy app_reads on mesher.retention_sweeps for select to mesher_app using (true);
grant select on mesher.retention_marks, mesher.retention_sweeps to mesher_app;

-- Since when a deleted project is being erased. From then on its deletion cannot be taken back.
alter table mesher.projects add column erasing_at timestamptz
    constraint projects_erasing_check check (erasing_at is null or status = 'deleting');

-- The last day of which an event of the release was stored. Of those that are there already it is not known, and today is
-- assumed.
alter table mesher.releases add column seen_day date not null default (now() at time zone 'utc')::date;

create index users_unverified_idx on mesher.users (created_at) where email_verified_at is null;
create index invitations_ended_idx on mesher.invitations (least(accepted_at, revoked_at, expires_at));
create index personal_access_tokens_ended_idx on mesher.personal_access_tokens (least(revoked_at, expires_at));
create index audit_log_created_at_idx on mesher.audit_log (created_at);
create index dead_letters_project_id_idx on mesher.dead_letters (project_id) where project_id is not null;

-- As before, but for what prune_audit_log deletes.
create or replace function mesher.refuse_change() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    if tg_op = 'DELETE' and current_setting('mesher.pruning_audit_log', true) = 'on' then
        return old;
    end if;
    raise exception 'the audit log is only added to' using errcode = 'insufficient_privilege';
end
$$;

-- prune_audit_log deletes up to so many entries that are older than a time, and returns how many.
create function mesher.prune_audit_log(before timestamptz, most integer) returns bigint
language plpgsql
security definer
set search_path = ''
as $$
declare
    pruned bigint;
begin
    perform set_config('mesher.pruning_audit_log', 'on', true);
    delete from mesher.audit_log a
    where a.id = any (array(
        select o.id from mesher.audit_log o where o.created_at < prune_audit_log.before order by o.created_at limit prune_audit_log.most));
    get diagnostics pruned = row_count;
    perform set_config('mesher.pruning_audit_log', 'off', true);
    return pruned;
end
$$;

do $$
declare
    name text;
begin
    foreach name in array array['event_partition_faults(text)', 'repair_event_partition(text)', 'event_partition_indexes(text)',
        'adopt_event_index(text, text, text)', 'drop_event_partition(text)', 'prune_audit_log(timestamptz, integer)'] loop
        execute format('revoke all on function mesher.%s from public', name);
        execute format('grant execute on function mesher.%s to mesher_store', name);
    end loop;
end
$$;

select mesher.strip();
reset role;
