-- Why: what people look at: events grouped by fingerprint into issues, and how often each happens.
--
-- Store moves counters here in every transaction. No index covers a counter or last_seen, and pages keep room,
-- so that those updates stay on their page and touch no index (HOT); lists sort by active_hour, which changes
-- once an hour.
--
-- Locks: none that anyone waits for; everything is new.

set local role mesher_owner;

create table mesher.issues (
    project_id  uuid not null constraint issues_project_id_fkey references mesher.projects (id),
    id          uuid not null,
    title       text not null,
    culprit     text not null default '',
    level       text not null
                constraint issues_level_check check (level in ('fatal', 'error', 'warning', 'info', 'debug')),
    status      text not null default 'unresolved'
                constraint issues_status_check check (status in ('unresolved', 'resolved', 'ignored', 'discarded')),
    event_count bigint not null default 0,
    first_seen  timestamptz not null,
    last_seen   timestamptz not null,
    active_hour timestamptz not null,
    assignee_id uuid,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    constraint issues_pkey primary key (project_id, id)
) with (fillfactor = 90);
create index issues_active_hour_idx on mesher.issues (project_id, status, active_hour desc, id);
select mesher.protect('mesher.issues');

-- Binds fingerprints to an issue. Merging and unmerging rewrite rows here and never an event.
create table mesher.issue_fingerprints (
    project_id       uuid not null,
    fingerprint      uuid not null,
    issue_id         uuid not null,
    grouping_version smallint not null,
    created_at       timestamptz not null default now(),
    constraint issue_fingerprints_pkey primary key (project_id, fingerprint),
    constraint issue_fingerprints_issue_fkey foreign key (project_id, issue_id)
        references mesher.issues (project_id, id) on delete cascade
);
create index issue_fingerprints_issue_idx on mesher.issue_fingerprints (project_id, issue_id);
select mesher.protect('mesher.issue_fingerprints');

create table mesher.issue_hourly_counts (
    project_id  uuid not null,
    fingerprint uuid not null,
    hour        timestamptz not null,
    events      bigint not null,
    constraint issue_hourly_counts_pkey primary key (project_id, fingerprint, hour)
) with (fillfactor = 90);
create index issue_hourly_counts_hour_idx on mesher.issue_hourly_counts (hour);
select mesher.protect('mesher.issue_hourly_counts');

create policy app_reads on mesher.issues for select to mesher_app using (true);
create policy app_reads on mesher.issue_fingerprints for select to mesher_app using (true);
create policy app_reads on mesher.issue_hourly_counts for select to mesher_app using (true);
grant select on mesher.issues, mesher.issue_fingerprints, mesher.issue_hourly_counts to mesher_app;

select mesher.strip();
reset role;
