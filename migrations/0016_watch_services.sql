-- Why: services are watched. A monitor says what is looked at, how often and what is expected; a health check is one look.
--
-- When a monitor is due, who looks at it and what it was found to be stand in its row, so that nothing starts anew with an
-- instance and several of them share the work: whoever moves due_at has claimed the look.
--
-- Locks: none that anyone waits for; everything is new.
-- To undo by hand: drop table mesher.check_ins, mesher.service_health_checks, mesher.monitors.

set local role mesher_owner;

-- config holds what the monitor's kind needs and nothing secret; secret holds what must not be read, sealed. slug is what
-- check-ins of SDKs call the monitor, token_hash the SHA-256 of the token in a heartbeat's URL. recent are the last
-- outcomes, the newest last: h, d and x for healthy, degraded and down.
create table mesher.monitors (
    id              uuid primary key,
    organization_id uuid not null constraint monitors_organization_id_fkey references mesher.organizations (id),
    project_id      uuid constraint monitors_project_id_fkey references mesher.projects (id),
    name            text not null constraint monitors_name_check check (char_length(name) between 1 and 200),
    kind            text not null
                    constraint monitors_kind_check check (kind in ('http', 'tcp', 'dns', 'tls', 'postgres', 'heartbeat', 'platform')),
    config          jsonb not null,
    secret          bytea,
    slug            text constraint monitors_slug_check check (char_length(slug) between 1 and 50),
    token_hash      bytea constraint monitors_token_hash_check check (octet_length(token_hash) = 32),
    interval_s      integer not null constraint monitors_interval_check check (interval_s between 60 and 31622400),
    timeout_ms      integer not null constraint monitors_timeout_check check (timeout_ms between 100 and 30000),
    failures        integer not null constraint monitors_failures_check check (failures between 1 and 20),
    failures_of     integer not null constraint monitors_failures_of_check check (failures_of between failures and 20),
    recoveries      integer not null constraint monitors_recoveries_check check (recoveries between 1 and 20),
    mute            jsonb not null default '[]',
    enabled         boolean not null default true,
    status          text not null default 'unknown'
                    constraint monitors_status_check check (status in ('unknown', 'healthy', 'degraded', 'down')),
    status_since    timestamptz not null default now(),
    recent          text not null default '' constraint monitors_recent_check check (recent ~ '^[hdx]{0,20}$'),
    checked_at      timestamptz,
    due_at          timestamptz not null,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    constraint monitors_token_hash_key unique (token_hash)
) with (fillfactor = 80);
create index monitors_due_at_idx on mesher.monitors (due_at) where enabled;
create index monitors_organization_id_idx on mesher.monitors (organization_id, created_at desc, id);
create index monitors_project_id_idx on mesher.monitors (project_id);
create unique index monitors_slug_key on mesher.monitors (project_id, slug) where slug is not null;
select mesher.protect('mesher.monitors');

create table mesher.service_health_checks (
    id            uuid primary key,
    monitor_id    uuid not null constraint service_health_checks_monitor_id_fkey references mesher.monitors (id) on delete cascade,
    status        text not null constraint service_health_checks_status_check check (status in ('healthy', 'degraded', 'down')),
    latency_ms    integer constraint service_health_checks_latency_check check (latency_ms >= 0),
    probe_details jsonb not null default '{}',
    created_at    timestamptz not null
);
create index service_health_checks_monitor_idx on mesher.service_health_checks (monitor_id, created_at desc, id);
create index service_health_checks_created_at_idx on mesher.service_health_checks (created_at);
select mesher.protect('mesher.service_health_checks');

-- What jobs said of themselves: by the URL of a heartbeat (monitor_id), or as check-ins of an SDK (project_id and slug).
-- Ingest writes them, Probe digests them.
create table mesher.check_ins (
    id          uuid primary key,
    monitor_id  uuid,
    project_id  uuid,
    slug        text,
    check_in_id uuid,
    status      text not null constraint check_ins_status_check check (status in ('in_progress', 'ok', 'error')),
    duration_ms bigint,
    environment text,
    config      jsonb,
    received_at timestamptz not null,
    digested_at timestamptz,
    constraint check_ins_subject_check check ((monitor_id is null) = (project_id is not null and slug is not null))
);
create index check_ins_undigested_idx on mesher.check_ins (received_at) where digested_at is null;
create index check_ins_received_at_idx on mesher.check_ins (received_at);
select mesher.protect('mesher.check_ins');

do $$
declare
    name text;
begin
    foreach name in array array['monitors', 'service_health_checks', 'check_ins'] loop
        execute format('create policy app_works on mesher.%I for all to mesher_app using (true) with check (true)', name);
    end loop;
end
$$;
grant select, insert, update, delete on mesher.monitors to mesher_app;
grant select, insert on mesher.service_health_checks to mesher_app;
grant select, update on mesher.check_ins to mesher_app;

create policy ingest_finds on mesher.monitors for select to mesher_ingest using (true);
create policy ingest_adds on mesher.check_ins for insert to mesher_ingest with check (true);
grant select (id, token_hash, kind, enabled) on mesher.monitors to mesher_ingest;
grant insert on mesher.check_ins to mesher_ingest;

select mesher.strip();
reset role;
