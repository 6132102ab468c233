-- Why: the events, one partition a UTC day, and the function that makes partitions.
--
-- The id is a UUIDv7 whose milliseconds equal received_at, so that a look-up by id prunes to one partition, and
-- the primary key serves both de-duplication and listing by time. There are no foreign keys: events come in
-- faster than anything else and go by whole partitions. Bulky parts are json, not jsonb: read with the same
-- operators, and parsed once instead of twice on the way in.
--
-- Locks: none that anyone waits for; everything is new. create_event_partitions takes SHARE UPDATE EXCLUSIVE on
-- events, which neither readers nor writers wait for.

set local role mesher_owner;

create table mesher.events (
    project_id         uuid not null,
    received_at        timestamptz not null,
    id                 uuid not null,
    event_id           uuid not null,
    fingerprint        uuid not null,
    occurred_at        timestamptz not null,
    level              text not null
                       constraint events_level_check check (level in ('fatal', 'error', 'warning', 'info', 'debug')),
    message            text not null,
    exception_type     text,
    exception_value    text,
    culprit            text,
    environment        text,
    release            text,
    platform           text,
    transaction        text,
    server_name        text,
    logger             text,
    user_id            text,
    trace_id           text,
    tags               jsonb not null,
    extra              jsonb not null,
    exception          json,
    threads            json,
    breadcrumbs        json,
    user_info          json,
    contexts           json,
    request            json,
    sdk                json,
    client_fingerprint json,
    meta               json,
    constraint events_pkey primary key (project_id, received_at, id)
) partition by range (received_at);
create index events_fingerprint_idx on mesher.events (project_id, fingerprint, received_at);
select mesher.protect('mesher.events');

create policy app_reads on mesher.events for select to mesher_app using (true);
grant select on mesher.events to mesher_app;

-- lz4 is a choice made when the server was built. Partitions take it over from here.
do $$
declare
    name text;
begin
    if not exists (
        select from pg_catalog.pg_settings where pg_settings.name = 'default_toast_compression' and 'lz4' = any (enumvals)
    ) then
        return;
    end if;
    for name in
        select attname from pg_catalog.pg_attribute
        where attrelid = 'mesher.events'::regclass and atttypid in ('json'::regtype, 'jsonb'::regtype)
    loop
        execute format('alter table mesher.events alter column %I set compression lz4', name);
    end loop;
end
$$;

-- create_event_partitions makes sure that every UTC day from first to last has its partition and returns how
-- many it attached. A partition is created as a table of its own, protected and indexed, and attached last:
-- PARTITION OF would take ACCESS EXCLUSIVE on events, and partitions do not inherit Row Level Security. A table
-- of the right name that is not attached is completed and attached.
create function mesher.create_event_partitions(first date, last date) returns integer
language plpgsql
security definer
set search_path = ''
set lock_timeout = '500ms'
as $$
declare
    day     date;
    part    text;
    made    integer := 0;
begin
    if first is null or last is null or last - first > 3660 then
        raise exception 'create_event_partitions: first and last must be given and lie at most 3660 days apart'
            using errcode = 'invalid_parameter_value';
    end if;

    -- Waiting for another caller blocks nobody; waiting for a table lock does. Hence two timeouts.
    perform set_config('lock_timeout', '10s', true);
    perform pg_advisory_xact_lock(hashtext('mesher.create_event_partitions'));
    perform set_config('lock_timeout', '500ms', true);

    for day in select first + n from generate_series(0, last - first) as n loop
        part := 'events_' || to_char(day, 'YYYYMMDD');
        continue when exists (
            select from pg_catalog.pg_inherits i
            where i.inhparent = 'mesher.events'::regclass and i.inhrelid = to_regclass('mesher.' || part)
        );

        execute format(
            'create table if not exists mesher.%I (like mesher.events including defaults including constraints '
            'including indexes including storage including compression)', part);
        perform mesher.protect(to_regclass('mesher.' || part));
        if not exists (
            select from pg_catalog.pg_policy
            where polrelid = to_regclass('mesher.' || part) and polname = 'app_reads'
        ) then
            execute format('create policy app_reads on mesher.%I for select to mesher_app using (true)', part);
        end if;
        if not exists (
            select from pg_catalog.pg_constraint
            where conrelid = to_regclass('mesher.' || part) and conname = part || '_event_id_key'
        ) then
            execute format('alter table mesher.%I add constraint %I unique (project_id, event_id)',
                part, part || '_event_id_key');
        end if;
        execute format('alter table mesher.events attach partition mesher.%I for values from (%L) to (%L)',
            part, to_char(day, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
        made := made + 1;
    end loop;
    return made;
end
$$;
revoke all on function mesher.create_event_partitions(date, date) from public;
grant execute on function mesher.create_event_partitions(date, date) to mesher_store;

select mesher.strip();
reset role;
