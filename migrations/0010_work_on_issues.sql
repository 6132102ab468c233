-- Why: what people do with issues and ask about them: resolve, ignore, discard, assign, merge; since which release,
-- for how many users, with which tags. Store keeps all of it up to date in the transaction that stores the events.
--
-- No column that Store moves with every batch is indexed, as before. search is made once, when an issue is opened.
--
-- Locks: ACCESS EXCLUSIVE on issues for as long as it takes to rewrite it for the generated column (seconds for a
-- million issues); Store waits and tries again meanwhile. Everything else is new.

set local role mesher_owner;

-- resolved_next: resolved in the next release: events of releases that were first seen before resolved_at leave the
-- issue resolved, and so do events without a release. ignored_until and ignored_events (a value of event_count)
-- end ignoring, whichever comes first; with neither it does not end by itself. A merged issue is kept so that its
-- address still leads somewhere; it has no fingerprints, and lists leave it out.
alter table mesher.issues
    add column exception_type    text,
    add column exception_value   text,
    add column message           text,
    add column platform          text,
    add column user_count        bigint not null default 0,
    add column first_release     text,
    add column last_release      text,
    add column resolved_at       timestamptz,
    add column resolved_next     boolean not null default false,
    add column regressed_at      timestamptz,
    add column regressed_release text,
    add column ignored_until     timestamptz,
    add column ignored_events    bigint,
    add column merged_into       uuid,
    add column search            tsvector generated always as (
        to_tsvector('simple', left(title || ' ' || culprit || ' ' || coalesce(exception_type, '') || ' '
            || coalesce(exception_value, '') || ' ' || coalesce(message, ''), 20000))) stored;
create index issues_search_idx on mesher.issues using gin (search);
create index issues_first_seen_idx on mesher.issues (project_id, first_seen desc, id);
create index issues_assignee_idx on mesher.issues (project_id, assignee_id) where assignee_id is not null;

-- When a project first saw a release: that is the order of releases.
create table mesher.releases (
    project_id uuid not null,
    version    text not null,
    first_seen timestamptz not null,
    constraint releases_pkey primary key (project_id, version)
);
create index releases_first_seen_idx on mesher.releases (project_id, first_seen desc, version);
select mesher.protect('mesher.releases');

-- Which values a tag had in events of a fingerprint; environment, release, level, server_name, transaction,
-- platform, logger and user (its id) count as tags, too. seen_hour is the last hour it was seen in. Of one tag
-- and fingerprint the first 500 values are kept. seen_hour is not indexed: it moves once an hour in each row that is
-- in use, which must touch no index.
create table mesher.issue_tags (
    project_id  uuid not null,
    fingerprint uuid not null,
    key         text not null,
    value       text not null,
    seen_hour   timestamptz not null,
    constraint issue_tags_pkey primary key (project_id, fingerprint, key, value)
) with (fillfactor = 90);
create index issue_tags_value_idx on mesher.issue_tags (project_id, key, value, fingerprint);
select mesher.protect('mesher.issue_tags');

-- Who was affected, by the start of a SHA-256 of the user's id (or else IP address), for the first 100,000 users of a
-- fingerprint.
create table mesher.issue_users (
    project_id  uuid not null,
    fingerprint uuid not null,
    user_hash   uuid not null,
    seen_hour   timestamptz not null,
    constraint issue_users_pkey primary key (project_id, fingerprint, user_hash)
);
create index issue_users_user_hash_idx on mesher.issue_users (project_id, user_hash);
select mesher.protect('mesher.issue_users');

create table mesher.project_hourly_counts (
    project_id uuid not null,
    hour       timestamptz not null,
    level      text not null,
    events     bigint not null,
    constraint project_hourly_counts_pkey primary key (project_id, hour, level)
) with (fillfactor = 90);
create index project_hourly_counts_hour_idx on mesher.project_hourly_counts (hour);
select mesher.protect('mesher.project_hourly_counts');

-- What happened to an issue but events: by people (actor_id), or by itself (null).
create table mesher.issue_activity (
    id         uuid primary key,
    project_id uuid not null,
    issue_id   uuid not null,
    created_at timestamptz not null default now(),
    actor_id   uuid,
    actor_name text not null default '',
    action     text not null constraint issue_activity_action_check check (action ~ '^[a-z_]+$'),
    details    jsonb not null default '{}',
    constraint issue_activity_issue_fkey foreign key (project_id, issue_id)
        references mesher.issues (project_id, id) on delete cascade
);
create index issue_activity_issue_idx on mesher.issue_activity (project_id, issue_id, created_at, id);
select mesher.protect('mesher.issue_activity');

-- Budgets are in events a calendar month (UTC). Rules are what shared/grouping and shared/scrub read.
alter table mesher.organizations add column monthly_budget bigint
    constraint organizations_monthly_budget_check check (monthly_budget > 0);
alter table mesher.projects
    add column monthly_budget bigint constraint projects_monthly_budget_check check (monthly_budget > 0),
    add column grouping_rules jsonb not null default '[]',
    add column scrub_rules    jsonb not null default '{"defaults": true}',
    add column otlp_severity  integer not null default 17
        constraint projects_otlp_severity_check check (otlp_severity between 1 and 25);
alter table mesher.api_keys add column rate_limit integer
    constraint api_keys_rate_limit_check check (rate_limit > 0);

-- filtered: sampled out, or of a discarded issue. over_quota: beyond the monthly budget.
alter table mesher.usage
    add column over_quota bigint not null default 0,
    add column filtered   bigint not null default 0;

-- Accepted events by calendar month (its first day, UTC), which budgets are compared with.
create table mesher.usage_months (
    project_id uuid not null,
    month      date not null,
    accepted   bigint not null,
    constraint usage_months_pkey primary key (project_id, month)
) with (fillfactor = 90);
select mesher.protect('mesher.usage_months');

-- What clients sent besides events, such as transactions and sessions, by type and hour. Nothing of it is stored.
create table mesher.usage_items (
    project_id uuid not null,
    hour       timestamptz not null,
    type       text not null constraint usage_items_type_check check (char_length(type) <= 64),
    items      bigint not null,
    constraint usage_items_pkey primary key (project_id, hour, type)
) with (fillfactor = 90);
create index usage_items_hour_idx on mesher.usage_items (hour);
select mesher.protect('mesher.usage_items');

do $$
declare
    name text;
begin
    foreach name in array array['releases', 'issue_tags', 'issue_users', 'project_hourly_counts', 'issue_activity',
        'usage_months', 'usage_items'] loop
        execute format('create policy app_reads on mesher.%I for select to mesher_app using (true)', name);
        execute format('grant select on mesher.%I to mesher_app', name);
    end loop;
    foreach name in array array['usage_months', 'usage_items', 'issue_activity'] loop
        execute format('create policy app_inserts on mesher.%I for insert to mesher_app with check (true)', name);
        execute format('grant insert on mesher.%I to mesher_app', name);
    end loop;
    foreach name in array array['usage_months', 'usage_items', 'issues', 'issue_fingerprints'] loop
        execute format('create policy app_updates on mesher.%I for update to mesher_app using (true) with check (true)', name);
    end loop;
end
$$;
grant update on mesher.usage_months, mesher.usage_items to mesher_app;
grant update (status, assignee_id, resolved_at, resolved_next, regressed_at, regressed_release, ignored_until,
    ignored_events, merged_into, event_count, user_count, first_seen, last_seen, active_hour, first_release, last_release,
    level, updated_at)
    on mesher.issues to mesher_app;
grant update (issue_id) on mesher.issue_fingerprints to mesher_app;
-- Unmerging opens an issue, deleting one removes it with its fingerprints, so that the next event opens a new one.
create policy app_inserts on mesher.issues for insert to mesher_app with check (true);
create policy app_deletes on mesher.issues for delete to mesher_app using (true);
grant insert (project_id, id, title, culprit, level, status, event_count, user_count, first_seen, last_seen, active_hour,
    exception_type, exception_value, message, platform, first_release, last_release), delete on mesher.issues to mesher_app;
grant update (monthly_budget) on mesher.organizations to mesher_app;
grant update (monthly_budget, grouping_rules, scrub_rules, otlp_severity) on mesher.projects to mesher_app;
grant update (rate_limit) on mesher.api_keys to mesher_app;

-- erase_user deletes one day's events of a user of a project, by id or address, and returns how many. mesher_app may
-- delete no other event. It looks at every event of the project of that day.
create function mesher.erase_user(project uuid, day date, id text, email text) returns bigint
language plpgsql
security definer
set search_path = ''
as $$
declare
    erased bigint;
begin
    if coalesce(id, '') = '' and coalesce(email, '') = '' then
        raise exception 'erase_user: neither an id nor an address is given' using errcode = 'invalid_parameter_value';
    end if;
    delete from mesher.events e
    where e.project_id = project
      and e.received_at >= day::timestamp at time zone 'utc' and e.received_at < (day + 1)::timestamp at time zone 'utc'
      and (erase_user.id <> '' and (e.user_id = erase_user.id or e.user_info ->> 'id' = erase_user.id)
        or erase_user.email <> '' and lower(e.user_info ->> 'email') = lower(erase_user.email));
    get diagnostics erased = row_count;
    return erased;
end
$$;
revoke all on function mesher.erase_user(uuid, date, text, text) from public;
grant execute on function mesher.erase_user(uuid, date, text, text) to mesher_app;

-- erase_user_traces deletes what else is kept of the user: that it was affected, and its id as a tag.
create function mesher.erase_user_traces(project uuid, hash uuid, id text) returns bigint
language plpgsql
security definer
set search_path = ''
as $$
declare
    erased bigint;
    more bigint;
begin
    with gone as (
        delete from mesher.issue_users u where u.project_id = project and u.user_hash = hash returning u.fingerprint),
    affected as (
        -- Under however many fingerprints of an issue: it counted the user once.
        select distinct f.issue_id from gone
        join mesher.issue_fingerprints f on f.project_id = project and f.fingerprint = gone.fingerprint)
    update mesher.issues i set user_count = greatest(i.user_count - 1, 0)
    from affected where i.project_id = project and i.id = affected.issue_id;
    get diagnostics erased = row_count;
    delete from mesher.issue_tags t
    where t.project_id = project and t.value = erase_user_traces.id and t.key in ('user', 'user.id', 'user.email');
    get diagnostics more = row_count;
    return erased + more;
end
$$;
revoke all on function mesher.erase_user_traces(uuid, uuid, text) from public;
grant execute on function mesher.erase_user_traces(uuid, uuid, text) to mesher_app;

select mesher.strip();
reset role;
