-- Why: what became of every event of a project, by minute: limits and quotas are read from here, and losses that
-- were announced to a client are seen here. Ingest adds what Store never sees, Store adds the rest.
-- Locks: none that anyone waits for; everything is new.

set local role mesher_owner;

create table mesher.usage (
    project_id    uuid not null,
    minute        timestamptz not null,
    accepted      bigint not null default 0,
    stored        bigint not null default 0,
    duplicates    bigint not null default 0,
    rejected      bigint not null default 0,
    dropped       bigint not null default 0,
    rate_limited  bigint not null default 0,
    expired       bigint not null default 0,
    dead_lettered bigint not null default 0,
    constraint usage_pkey primary key (project_id, minute)
) with (fillfactor = 90);
create index usage_minute_idx on mesher.usage (minute);
select mesher.protect('mesher.usage');

create policy app_reads on mesher.usage for select to mesher_app using (true);
create policy app_inserts on mesher.usage for insert to mesher_app with check (true);
create policy app_updates on mesher.usage for update to mesher_app using (true) with check (true);
grant select, insert, update on mesher.usage to mesher_app;

select mesher.strip();
reset role;
