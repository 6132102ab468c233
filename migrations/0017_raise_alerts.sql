-- Why: rules say what people want to be told of, alerts are that it happened. Whoever sees it, Store, Alerts or Probe, calls
-- raise_alert or resolve_alert in the transaction in which it is seen, so that there is one alert however many see it, and
-- its notifications exist exactly when it does.
--
-- Locks: none that anyone waits for; everything is new.

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
-- reads: they depend on the kind.
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
-- rule. snapshot is what was known when it was raised.
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
    constraint alert_events_resolved_check check ((status = 'resolved') = (resolved_at is not null))
);
create unique index alert_events_open_key on mesher.alert_events (rule_id, subject) where status <> 'resolved';
create index alert_events_organization_idx on mesher.alert_events (organization_id, started_at desc, id);
create index alert_events_project_idx on mesher.alert_events (project_id, started_at desc, id);
create index alert_events_subject_idx on mesher.alert_events (rule_id, subject, started_at desc);
create index alert_events_resolved_at_idx on mesher.alert_events (resolved_at) where status = 'resolved';
select mesher.protect('mesher.alert_events');

do $$
declare
    name text;
begin
    foreach name in array array['alert_channels', 'alert_rules', 'alert_rule_channels', 'alert_events'] loop
        execute format('create policy app_works on mesher.%I for all to mesher_app using (true) with check (true)', name);
    end loop;
end
$$;
grant select, insert, update, delete on mesher.alert_channels, mesher.alert_rules to mesher_app;
grant select, insert, delete on mesher.alert_rule_channels to mesher_app;
grant select, insert, update on mesher.alert_events to mesher_app;

-- raise_alert makes an alert of a rule unless one is open for the subject, and has it told unless the rule told of the
-- subject within its cooldown. It returns the notifications that are to be published.
create function mesher.raise_alert(rule uuid, of uuid, what text, facts jsonb, issue uuid, monitor uuid, at timestamptz)
returns setof uuid
language plpgsql
set search_path = ''
as $$
declare
    alert uuid := mesher.uuidv7(at);
    quiet boolean;
begin
    select r.cooldown_s > 0 and exists (
            select from mesher.alert_events e
            where e.rule_id = r.id and e.subject = raise_alert.of
              and greatest(e.started_at, e.resolved_at) > at - r.cooldown_s * interval '1 second')
        into quiet
    from mesher.alert_rules r where r.id = raise_alert.rule and r.enabled;
    if not found then
        return;
    end if;
    insert into mesher.alert_events (id, organization_id, project_id, rule_id, rule_name, kind, subject, severity, title,
        snapshot, issue_id, monitor_id, started_at)
    select alert, r.organization_id, r.project_id, r.id, r.name, r.kind, raise_alert.of, r.severity, left(raise_alert.what, 500),
        raise_alert.facts, raise_alert.issue, raise_alert.monitor, at
    from mesher.alert_rules r where r.id = raise_alert.rule
    on conflict (rule_id, subject) where status <> 'resolved' do nothing;
    if found and not quiet then
        return query select mesher.notify_alert(alert, 'fired', at);
    end if;
end
$$;

-- resolve_alert ends the open alert of a rule and subject, if there is one, and returns the notifications that are to be
-- published.
create function mesher.resolve_alert(rule uuid, of uuid, why text, at timestamptz) returns setof uuid
language plpgsql
set search_path = ''
as $$
declare
    alert uuid;
begin
    update mesher.alert_events e set status = 'resolved', resolved_at = at, resolved_why = why
    where e.rule_id = resolve_alert.rule and e.subject = resolve_alert.of and e.status <> 'resolved'
    returning e.id into alert;
    if found then
        return query select mesher.notify_alert(alert, 'resolved', at);
    end if;
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

select mesher.strip();
reset role;
