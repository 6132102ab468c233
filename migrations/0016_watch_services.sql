-- Why: services are watched. A monitor says what is looked at, how often and what is expected; a health check is one look.
--
-- When a monitor is due, who looks at it and what it was found to be stand in its row, so that nothing starts anew with an
-- instance and several of them share the work. Whoever looks has claimed it: claim names the claim, and due_at is when that
-- ends, so that the look of a run that died is made again, and what a run that was overtaken found is not written.
--
-- Locks: none that anyone waits for; everything is new.
-- To undo by hand: drop table mesher.check_ins, mesher.service_health_checks, mesher.monitors.

set local role mesher_owner;

-- config holds what the monitor's kind needs and nothing secret; secret holds what must not be read, sealed. slug and
-- environment are what check-ins of SDKs call the monitor (of any environment where it is empty), token_hash is the SHA-256
-- of the token in a heartbeat's URL. recent are the last outcomes, the newest last: h, d and x for healthy, degraded and
-- down. alerted is the status that alert rules were told of last, which stays behind while the monitor is muted.
--
-- Of a heartbeat, expected_at is when its job is to run next; running_since, running_id and running_until are of the run
-- that said that it began, and until when it has to end.
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
    environment     text not null default '' constraint monitors_environment_check check (char_length(environment) <= 64),
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
    alerted         text not null default 'unknown'
                    constraint monitors_alerted_check check (alerted in ('unknown', 'healthy', 'degraded', 'down')),
    recent          text not null default '' constraint monitors_recent_check check (recent ~ '^[hdx]{0,20}$'),
    checked_at      timestamptz,
    due_at          timestamptz not null,
    claim           uuid,
    expected_at     timestamptz,
    running_since   timestamptz,
    running_id      uuid,
    running_until   timestamptz,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    constraint monitors_token_hash_key unique (token_hash),
    constraint monitors_expected_check check ((kind = 'heartbeat') = (expected_at is not null))
) with (fillfactor = 80);
create index monitors_due_at_idx on mesher.monitors (due_at) where enabled;
create index monitors_organization_id_idx on mesher.monitors (organization_id, created_at desc, id);
create index monitors_project_id_idx on mesher.monitors (project_id);
create index monitors_alerted_idx on mesher.monitors (id) where alerted <> status;
create unique index monitors_slug_key on mesher.monitors (project_id, slug, environment) where slug is not null;
create unique index monitors_part_key on mesher.monitors (organization_id, (config -> 'platform' ->> 'part')) where kind = 'platform';
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

-- What jobs said of themselves: by the URL of a heartbeat (monitor_id), or as check-ins of an SDK (project_id and slug), for
-- which Probe finds or makes the monitor. Ingest writes them, Probe digests them. Of a heartbeat there is one of each status
-- a second, of a check-in that has an id one of each status.
create table mesher.check_ins (
    id          uuid primary key,
    monitor_id  uuid,
    project_id  uuid,
    slug        text,
    check_in_id uuid,
    status      text not null constraint check_ins_status_check check (status in ('in_progress', 'ok', 'error')),
    duration_ms bigint constraint check_ins_duration_check check (duration_ms >= 0),
    environment text not null default '' constraint check_ins_environment_check check (char_length(environment) <= 64),
    config      jsonb,
    received_at timestamptz not null,
    digested_at timestamptz,
    constraint check_ins_subject_check check (monitor_id is not null or project_id is not null and slug is not null),
    constraint check_ins_slug_check check ((project_id is null) = (slug is null) and char_length(slug) between 1 and 50)
);
create index check_ins_undigested_idx on mesher.check_ins (monitor_id, received_at, id) where digested_at is null;
create index check_ins_unknown_idx on mesher.check_ins (received_at) where digested_at is null and monitor_id is null;
create index check_ins_received_at_idx on mesher.check_ins (received_at);
create index check_ins_project_idx on mesher.check_ins (project_id, received_at) where project_id is not null;
create unique index check_ins_second_key on mesher.check_ins (monitor_id, status, date_trunc('second', received_at at time zone 'utc'))
    where project_id is null;
create unique index check_ins_check_in_id_key on mesher.check_ins (project_id, check_in_id, status) where check_in_id is not null;
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
create policy ingest_counts on mesher.check_ins for select to mesher_ingest using (true);
grant select (id, token_hash, kind, enabled) on mesher.monitors to mesher_ingest;
grant insert on mesher.check_ins to mesher_ingest;
-- How many a project sent within a minute.
grant select (project_id, received_at) on mesher.check_ins to mesher_ingest;

select mesher.strip();
reset role;
