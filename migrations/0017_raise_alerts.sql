-- Why: rules say what people want to be told of, alerts are that it happened. Whoever sees it, Store, Alerts or Probe, calls
-- raise_alert or resolve_alert in the transaction in which it is seen, so that there is one alert however many see it, and
-- its notifications exist exactly when it does.
--
-- What windows are looked at in is counted by the minute, in Store's transaction too: alerts are never found by reading
-- events.
--
-- Locks: SHARE on issue_activity while the index for dry runs is built: who changes issues waits. Everything else is new.

set local role mesher_owner;

-- A channel is where an organization is told. settings holds nothing secret; secret holds the rest, sealed.
create table mesher.alert_channels (
    id              uuid primary key,
    organization_id uuid not null constraint alert_channels_organization_id_fkey references mesher.organizations (id),
    name            text not null constraint alert_channels_name_check check (char_length(name) between 1 and 200),
    kind            text not null
                    constraint alert_channels_kind_check check (kind in ('email', 'slack', 'webhook', 'discord', 'pagerduty')),
    settings        jsonb not null default '{}',
    secret          bytea,
    hourly_budget   integer not null default 60 constraint alert_channels_budget_check check (hourly_budget between 1 and 10000),
    enabled         boolean not null default true,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now()
);
create index alert_channels_organization_id_idx on mesher.alert_channels (organization_id, created_at desc, id);
select mesher.protect('mesher.alert_channels');

-- A rule is a project's; a rule about monitors may be the whole organization's. condition and filter are what shared/alert
-- reads: they depend on the kind. A muted rule raises alerts and tells nobody. counts_from is since when what is counted for
-- it was counted by its present filter. crowded: Store keeps no more users for it, until some have left the window.
create table mesher.alert_rules (
    id              uuid primary key,
    organization_id uuid not null constraint alert_rules_organization_id_fkey references mesher.organizations (id),
    project_id      uuid constraint alert_rules_project_id_fkey references mesher.projects (id),
    name            text not null constraint alert_rules_name_check check (char_length(name) between 1 and 200),
    kind            text not null constraint alert_rules_kind_check check (kind in
                    ('new_issue', 'regression', 'event_count', 'user_count', 'spike', 'release_error_rate', 'monitor')),
    condition       jsonb not null default '{}',
    filter          jsonb not null default '{}',
    severity        text not null constraint alert_rules_severity_check check (severity in ('critical', 'warning', 'info')),
    for_s           integer not null default 0 constraint alert_rules_for_check check (for_s between 0 and 86400),
    cooldown_s      integer not null default 0 constraint alert_rules_cooldown_check check (cooldown_s between 0 and 604800),
    enabled         boolean not null default true,
    muted_until     timestamptz,
    counts_from     timestamptz not null default now(),
    crowded         boolean not null default false,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    constraint alert_rules_project_check check (project_id is not null or kind = 'monitor')
);
create index alert_rules_organization_id_idx on mesher.alert_rules (organization_id, created_at desc, id);
create index alert_rules_project_id_idx on mesher.alert_rules (project_id);
select mesher.protect('mesher.alert_rules');

create table mesher.alert_rule_channels (
    rule_id    uuid not null constraint alert_rule_channels_rule_id_fkey references mesher.alert_rules (id) on delete cascade,
    channel_id uuid not null constraint alert_rule_channels_channel_id_fkey references mesher.alert_channels (id) on delete cascade,
    constraint alert_rule_channels_pkey primary key (rule_id, channel_id)
);
create index alert_rule_channels_channel_id_idx on mesher.alert_rule_channels (channel_id);
select mesher.protect('mesher.alert_rule_channels');

-- subject is what the rule found it of: an issue, a monitor, a release's hash, or the rule itself. An alert outlives its
-- rule. snapshot is what was known when it was raised. told: its channels were told of it, so they are told of its end.
create table mesher.alert_events (
    id              uuid primary key,
    organization_id uuid not null,
    project_id      uuid,
    rule_id         uuid not null,
    rule_name       text not null,
    kind            text not null,
    subject         uuid not null,
    status          text not null default 'active'
                    constraint alert_events_status_check check (status in ('active', 'acknowledged', 'resolved')),
    severity        text not null constraint alert_events_severity_check check (severity in ('critical', 'warning', 'info')),
    title           text not null,
    snapshot        jsonb not null default '{}',
    issue_id        uuid,
    monitor_id      uuid,
    started_at      timestamptz not null,
    acknowledged_at timestamptz,
    acknowledged_by uuid,
    resolved_at     timestamptz,
    resolved_by     uuid,
    resolved_why    text,
    told            boolean not null default false,
    constraint alert_events_resolved_check check ((status = 'resolved') = (resolved_at is not null))
);
create unique index alert_events_open_key on mesher.alert_events (rule_id, subject) where status <> 'resolved';
create index alert_events_organization_idx on mesher.alert_events (organization_id, started_at desc, id);
create index alert_events_project_idx on mesher.alert_events (project_id, started_at desc, id);
create index alert_events_subject_idx on mesher.alert_events (rule_id, subject, started_at desc, id);
create index alert_events_resolved_at_idx on mesher.alert_events (resolved_at) where status = 'resolved';
select mesher.protect('mesher.alert_events');

-- Since when the condition of a rule with a `for` holds.
create table mesher.alert_pending (
    rule_id uuid not null constraint alert_pending_rule_id_fkey references mesher.alert_rules (id) on delete cascade,
    subject uuid not null,
    since   timestamptz not null,
    constraint alert_pending_pkey primary key (rule_id, subject)
);
select mesher.protect('mesher.alert_pending');

-- Events that a rule's filter lets pass, by the minute in which they were received. subject is the rule itself, a
-- fingerprint (rules by issue), or a release's hash, whose name is label. errors are those of level error and fatal. There is
-- no foreign key: a rule may go while a batch that is counted for it is stored.
create table mesher.alert_counts (
    rule_id uuid not null,
    subject uuid not null,
    minute  timestamptz not null,
    label   text,
    events  bigint not null,
    errors  bigint not null default 0,
    constraint alert_counts_pkey primary key (rule_id, minute, subject)
) with (fillfactor = 90);
create index alert_counts_minute_idx on mesher.alert_counts (minute);
select mesher.protect('mesher.alert_counts');

-- In which minute a user was seen last by a rule that counts users. The minute is not indexed: it moves with every batch.
create table mesher.alert_users (
    rule_id   uuid not null,
    subject   uuid not null,
    user_hash uuid not null,
    minute    timestamptz not null,
    constraint alert_users_pkey primary key (rule_id, subject, user_hash)
) with (fillfactor = 90);
select mesher.protect('mesher.alert_users');

-- What spikes are compared with, and what dry runs look at. An environment of '' is none, or one of those beyond the 20 most
-- frequent of a batch.
create table mesher.project_minute_counts (
    project_id  uuid not null,
    minute      timestamptz not null,
    level       text not null,
    environment text not null,
    events      bigint not null,
    constraint project_minute_counts_pkey primary key (project_id, minute, level, environment)
) with (fillfactor = 90);
create index project_minute_counts_minute_idx on mesher.project_minute_counts (minute);
select mesher.protect('mesher.project_minute_counts');

-- For dry runs of rules about regressions.
create index issue_activity_regressed_idx on mesher.issue_activity (project_id, created_at) where action = 'regressed';

do $$
declare
    name text;
begin
    foreach name in array array['alert_channels', 'alert_rules', 'alert_rule_channels', 'alert_events',
        'alert_pending', 'alert_counts', 'alert_users', 'project_minute_counts'] loop
        execute format('create policy app_works on mesher.%I for all to mesher_app using (true) with check (true)', name);
    end loop;
end
$$;
grant select, insert, update, delete on mesher.alert_channels, mesher.alert_rules to mesher_app;
grant select, insert, delete on mesher.alert_rule_channels to mesher_app;
grant select, insert, update on mesher.alert_events to mesher_app;
grant select, insert, delete on mesher.alert_pending to mesher_app;
grant select, delete on mesher.alert_counts, mesher.alert_users, mesher.project_minute_counts to mesher_app;

-- raise_alert makes an alert of a rule unless one is open for the subject, and has it told unless the rule is muted or told
-- of the subject within its cooldown. It returns the notifications that are to be published.
create function mesher.raise_alert(rule uuid, of uuid, what text, facts jsonb, issue uuid, monitor uuid, at timestamptz)
returns setof uuid
language plpgsql
set search_path = ''
as $$
declare
    alert uuid := mesher.uuidv7(at);
    loud boolean;
begin
    insert into mesher.alert_events as e (id, organization_id, project_id, rule_id, rule_name, kind, subject, severity, title,
        snapshot, issue_id, monitor_id, started_at, told)
    select alert, r.organization_id, r.project_id, r.id, r.name, r.kind, raise_alert.of, r.severity, left(raise_alert.what, 500),
        raise_alert.facts, raise_alert.issue, raise_alert.monitor, at,
        (r.muted_until is null or r.muted_until <= at) and (r.cooldown_s = 0 or not exists (
            select from mesher.alert_events p
            where p.rule_id = r.id and p.subject = raise_alert.of and p.told
              and greatest(p.started_at, p.resolved_at) > at - r.cooldown_s * interval '1 second'))
    from mesher.alert_rules r where r.id = raise_alert.rule and r.enabled
    on conflict (rule_id, subject) where status <> 'resolved' do nothing
    returning e.told into loud;
    if loud then
        return query select mesher.notify_alert(alert, 'fired', at);
    end if;
end
$$;

-- end_alert resolves an alert unless it is resolved already; who is the person who does it, or null. It returns the
-- notifications that are to be published: none where nobody was told that the alert was raised.
create function mesher.end_alert(alert uuid, who uuid, why text, at timestamptz) returns setof uuid
language plpgsql
set search_path = ''
as $$
declare
    loud boolean;
begin
    update mesher.alert_events e
    set status = 'resolved', resolved_at = greatest(at, e.started_at), resolved_by = who, resolved_why = why
    where e.id = end_alert.alert and e.status <> 'resolved'
    returning e.told into loud;
    if loud then
        return query select mesher.notify_alert(end_alert.alert, 'resolved', at);
    end if;
end
$$;

-- resolve_alert ends the open alert of a rule and subject, if there is one, and returns the notifications that are to be
-- published.
create function mesher.resolve_alert(rule uuid, of uuid, why text, at timestamptz) returns setof uuid
language plpgsql
set search_path = ''
as $$
begin
    return query
        select n.id from (
            select e.id from mesher.alert_events e
            where e.rule_id = resolve_alert.rule and e.subject = resolve_alert.of and e.status <> 'resolved') o
        cross join lateral mesher.end_alert(o.id, null, resolve_alert.why, resolve_alert.at) n (id);
end
$$;

-- issue_alert raises the alert that an issue is new, or regressed. One that regressed was resolved before: an open alert of
-- the rule has ended, though nobody has looked yet.
create function mesher.issue_alert(rule uuid, issue uuid, title text, regressed boolean, facts jsonb, at timestamptz)
returns setof uuid
language plpgsql
set search_path = ''
as $$
begin
    if regressed then
        return query select mesher.resolve_alert(rule, issue, 'the issue was resolved', at);
    end if;
    return query select mesher.raise_alert(rule, issue,
        case when regressed then 'Regression: ' else 'New issue: ' end || title, facts, issue, null, at);
end
$$;

-- monitor_changed raises and resolves the alerts of all rules about a monitor, after its status has changed. A rule of kind
-- monitor is about those of its project, or all of its organization; condition names the statuses that it is about
-- ({"statuses": ["down"]}, the default) and may name monitors ({"monitors": [ids]}).
create function mesher.monitor_changed(monitor uuid, status text, facts jsonb, at timestamptz) returns setof uuid
language plpgsql
set search_path = ''
as $$
declare
    r record;
begin
    for r in
        select a.id, m.name,
            coalesce(a.condition -> 'statuses', '["down"]'::jsonb) ? monitor_changed.status as bad
        from mesher.monitors m
        join mesher.alert_rules a on a.organization_id = m.organization_id and a.kind = 'monitor'
            and (a.project_id is null or a.project_id = m.project_id)
        where m.id = monitor_changed.monitor
          and (not a.condition ? 'monitors' or a.condition -> 'monitors' ? m.id::text)
        order by a.id
    loop
        if r.bad then
            return query select mesher.raise_alert(r.id, monitor_changed.monitor, r.name || ' is ' || monitor_changed.status,
                facts, null, monitor_changed.monitor, at);
        else
            return query select mesher.resolve_alert(r.id, monitor_changed.monitor, 'the monitor is ' || monitor_changed.status, at);
        end if;
    end loop;
end
$$;

do $$
declare
    name text;
begin
    foreach name in array array['raise_alert(uuid, uuid, text, jsonb, uuid, uuid, timestamptz)', 'resolve_alert(uuid, uuid, text, timestamptz)',
        'monitor_changed(uuid, text, jsonb, timestamptz)'] loop
        execute format('revoke all on function mesher.%s from public', name);
        execute format('grant execute on function mesher.%s to mesher_app', name);
    end loop;
end
$$;

do $$
declare
    name text;
begin
    foreach name in array array['end_alert(uuid, uuid, text, timestamptz)',
        'issue_alert(uuid, uuid, text, boolean, jsonb, timestamptz)'] loop
        execute format('revoke all on function mesher.%s from public', name);
        execute format('grant execute on function mesher.%s to mesher_app', name);
    end loop;
end
$$;

-- As before, and the user's hash among what rules count.
create or replace function mesher.erase_user_traces(project uuid, hash uuid, id text) returns bigint
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
    delete from mesher.alert_users u
    where u.rule_id in (select r.id from mesher.alert_rules r where r.project_id = project) and u.user_hash = hash;
    return erased + more;
end
$$;

select mesher.strip();
reset role;
