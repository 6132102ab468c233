-- Why: what is told of alerts goes through the outbox, to the channels of their rules, and never more often than people can
-- read: a burst of a rule's alerts is folded into one digest, and so is what a channel is told beyond its hourly budget.
--
-- That is exact: of each alert and channel there is one notification, which is told by itself or is folded into exactly one
-- digest. Whoever adds to a digest locks its row, and a digest takes no more once its delivery has begun, so that it counts
-- what it holds. Store raises many alerts in a transaction; locks are taken by channel, in the order of their ids.
--
-- Locks: ACCESS EXCLUSIVE on notifications for as long as it takes to note new columns and check the statuses of its rows.
-- To undo by hand: drop what is created here, and the columns added to mesher.notifications.

set local role mesher_owner;

-- event says what happened to the alert. digest_id is the digest that a notification was folded into, parent_id the
-- notification of which this is the mail to one address. Before not_before there is no try to deliver it. counted: it is in
-- its channel's budget. combined: it said that its alert fired and that it was resolved.
alter table mesher.notifications
    drop constraint notifications_channel_check,
    add constraint notifications_channel_check check (channel in ('email', 'slack', 'webhook', 'discord', 'pagerduty')),
    drop constraint notifications_status_check,
    add constraint notifications_status_check check (status in ('pending', 'sent', 'skipped', 'failed', 'folded')),
    add column channel_id uuid,
    add column rule_id    uuid,
    add column alert_id   uuid,
    add column event      text constraint notifications_event_check check (event in ('fired', 'resolved')),
    add column digest_id  uuid,
    add column parent_id  uuid,
    add column not_before timestamptz,
    add column counted    boolean not null default false,
    add column combined   boolean not null default false;

-- One notification for each alert, channel and event; one open digest for each rule and channel, and one for each channel
-- that is over its budget, which has no rule; one mail to each address.
create unique index notifications_alert_key on mesher.notifications (alert_id, channel_id, event)
    where template = 'alert' and parent_id is null;
create unique index notifications_open_digest_key on mesher.notifications (channel_id, coalesce(rule_id, channel_id))
    where template = 'digest' and event = 'fired' and status = 'pending' and attempts = 0 and parent_id is null;
create unique index notifications_digest_over_key on mesher.notifications (digest_id)
    where template = 'digest' and event = 'resolved' and status <> 'skipped';
create unique index notifications_parent_key on mesher.notifications (parent_id, recipient) where parent_id is not null;
create index notifications_digest_id_idx on mesher.notifications (digest_id) where digest_id is not null;
create index notifications_channel_idx on mesher.notifications (channel_id, created_at desc, id) where channel_id is not null;

-- How often a rule told a channel in the window that began last, counted up to one more than a burst, and how often a channel was told in its hour. There are no
-- foreign keys: a rule or channel that is deleted must not be the reason why Store cannot write.
create table mesher.alert_windows (
    rule_id    uuid not null,
    channel_id uuid not null,
    began_at   timestamptz not null,
    told       integer not null,
    constraint alert_windows_pkey primary key (rule_id, channel_id)
);
create index alert_windows_began_at_idx on mesher.alert_windows (began_at);
select mesher.protect('mesher.alert_windows');

create table mesher.alert_budgets (
    channel_id uuid not null constraint alert_budgets_pkey primary key,
    began_at   timestamptz not null,
    told       integer not null,
    noticed    boolean not null default false
);
create index alert_budgets_began_at_idx on mesher.alert_budgets (began_at);
select mesher.protect('mesher.alert_budgets');

-- The log of deliveries: one row for each try that had an end. A try without a row ended with its instance.
create table mesher.notification_attempts (
    notification_id uuid not null,
    attempt         integer not null,
    started_at      timestamptz not null,
    took_ms         integer not null constraint notification_attempts_took_check check (took_ms >= 0),
    outcome         text not null
                    constraint notification_attempts_outcome_check check (outcome in ('delivered', 'retried', 'failed')),
    http_status     integer,
    error           text,
    constraint notification_attempts_pkey primary key (notification_id, attempt)
);
create index notification_attempts_started_at_idx on mesher.notification_attempts (started_at);
select mesher.protect('mesher.notification_attempts');

do $$
declare
    name text;
begin
    foreach name in array array['alert_windows', 'alert_budgets', 'notification_attempts'] loop
        execute format('create policy app_works on mesher.%I for all to mesher_app using (true) with check (true)', name);
    end loop;
end
$$;
grant select, insert, update, delete on mesher.alert_windows, mesher.alert_budgets to mesher_app;
grant select, insert on mesher.notification_attempts to mesher_app;

-- open_digest returns the digest of a rule and channel that still takes notifications, or of the channel if rule is null,
-- making one that is due then. Until the transaction ends nobody begins to deliver it. Null: there is no such channel.
create function mesher.open_digest(channel uuid, rule uuid, due timestamptz, at timestamptz) returns uuid
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
    digest mesher.notifications;
begin
    -- Usually it is there, and only locked: a version of it for each alert of a transaction would make the thousandth alert
    -- look through a thousand.
    select * into digest from mesher.notifications n
    where n.channel_id = open_digest.channel and coalesce(n.rule_id, n.channel_id) = coalesce(open_digest.rule, open_digest.channel)
        and n.template = 'digest' and n.event = 'fired' and n.status = 'pending' and n.attempts = 0 and n.parent_id is null
    for update;
    if digest.not_before <= due then
        return digest.id;
    end if;
    insert into mesher.notifications as n
        (id, organization_id, channel, template, recipient, channel_id, rule_id, event, not_before, created_at)
    select mesher.uuidv7(at), c.organization_id, c.kind, 'digest', c.name, c.id, open_digest.rule, 'fired', due, at
    from mesher.alert_channels c where c.id = open_digest.channel
    on conflict (channel_id, coalesce(rule_id, channel_id))
        where template = 'digest' and event = 'fired' and status = 'pending' and attempts = 0 and parent_id is null
        do update set not_before = least(n.not_before, excluded.not_before)
    returning n.* into digest;
    return digest.id;
end
$$;

-- fold_resolved folds the notification that an alert is resolved where that it fired was folded. For PagerDuty it belongs to
-- the very digest that told of the alert, which opened one incident for all of them: with the last of them resolved, what
-- ends the incident is written and returned, to be published. For all others it stands in the next digest.
create function mesher.fold_resolved(notification uuid, at timestamptz) returns setof uuid
language plpgsql
set search_path = ''
as $$
declare
    span constant interval := '5 minutes';
    n      mesher.notifications;
    digest mesher.notifications;
    into_  uuid;
begin
    select * into n from mesher.notifications where id = fold_resolved.notification and status = 'pending' for update;
    if not found then
        return;
    end if;
    if n.channel <> 'pagerduty' then
        update mesher.notifications set status = 'folded', finished_at = at, claimed_until = null,
            digest_id = mesher.open_digest(n.channel_id, n.rule_id, at + span, at)
        where id = n.id;
        return;
    end if;
    select f.digest_id into into_ from mesher.notifications f
    where f.alert_id = n.alert_id and f.channel_id = n.channel_id and f.event = 'fired' and f.template = 'alert' and f.parent_id is null;
    loop
        -- A digest that was folded itself stands for the one that it was folded into.
        select * into digest from mesher.notifications where id = into_ for update;
        exit when digest.status is distinct from 'folded';
        into_ := digest.digest_id;
    end loop;
    update mesher.notifications set status = 'folded', finished_at = at, claimed_until = null, digest_id = into_ where id = n.id;
    if digest.attempts > 0 and not exists (
        select from mesher.notifications f join mesher.alert_events e on e.id = f.alert_id
        where f.digest_id = into_ and f.event = 'fired' and e.status <> 'resolved'
    ) then
        return query
            insert into mesher.notifications (id, organization_id, channel, template, recipient, channel_id, rule_id, event, digest_id, created_at)
            values (mesher.uuidv7(at), n.organization_id, n.channel, 'digest', n.recipient, n.channel_id, digest.rule_id, 'resolved', into_, at)
            on conflict (digest_id) where template = 'digest' and event = 'resolved' and status <> 'skipped' do nothing
            returning id;
    end if;
end
$$;

-- notify_alert has an alert told that fired or was resolved, and returns the notifications that are to be published. The
-- first alerts of a rule in a window are told to a channel one by one, all others in a digest at the window's end. That an
-- alert is resolved is told where it was told, and how it was told, that it fired.
create function mesher.notify_alert(alert uuid, event text, at timestamptz) returns setof uuid
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
    burst constant integer := 5;
    span  constant interval := '5 minutes';
    c       record;
    told_   integer;
    began   timestamptz;
    made    uuid;
begin
    if notify_alert.event = 'fired' then
        for c in
            select ch.id, ch.kind, ch.name, e.organization_id, e.rule_id
            from mesher.alert_events e
            join mesher.alert_rule_channels r on r.rule_id = e.rule_id
            join mesher.alert_channels ch on ch.id = r.channel_id and ch.organization_id = e.organization_id
            where e.id = notify_alert.alert and ch.enabled
            order by ch.id
        loop
            insert into mesher.alert_windows as w (rule_id, channel_id, began_at, told) values (c.rule_id, c.id, at, 1)
            on conflict (rule_id, channel_id) do update set
                began_at = case when w.began_at <= at - span then excluded.began_at else w.began_at end,
                told = case when w.began_at <= at - span then 1 else w.told + 1 end
                where w.began_at <= at - span or w.told <= burst
            returning told, began_at into told_, began;
            if told_ is null then -- the window is full; its row is locked, and stays as it is
                select w.told, w.began_at into told_, began from mesher.alert_windows w where w.rule_id = c.rule_id and w.channel_id = c.id;
            end if;
            insert into mesher.notifications (id, organization_id, channel, template, recipient, channel_id, rule_id, alert_id,
                event, status, finished_at, digest_id, created_at)
            values (mesher.uuidv7(at), c.organization_id, c.kind, 'alert', c.name, c.id, c.rule_id, notify_alert.alert, 'fired',
                case when told_ > burst then 'folded' else 'pending' end, case when told_ > burst then at end,
                case when told_ > burst then mesher.open_digest(c.id, c.rule_id, began + span, at) end, at)
            on conflict (alert_id, channel_id, event) where template = 'alert' and parent_id is null do nothing
            returning id into made;
            if made is not null and told_ <= burst then
                return next made;
            end if;
        end loop;
        return;
    end if;
    for c in
        select f.* from mesher.notifications f
        where f.alert_id = notify_alert.alert and f.event = 'fired' and f.template = 'alert' and f.parent_id is null
        order by f.channel_id
    loop
        insert into mesher.notifications (id, organization_id, channel, template, recipient, channel_id, rule_id, alert_id, event, created_at)
        values (mesher.uuidv7(at), c.organization_id, c.channel, 'alert', c.recipient, c.channel_id, c.rule_id, c.alert_id, 'resolved', at)
        on conflict (alert_id, channel_id, event) where template = 'alert' and parent_id is null do nothing
        returning id into made;
        if made is null then
            continue;
        elsif c.status = 'folded' then
            return query select mesher.fold_resolved(made, at);
        else
            return next made;
        end if;
    end loop;
end
$$;

-- spend_budget counts a notification that is about to be delivered into its channel's hour, once, and reports whether it is
-- to be delivered. Beyond the budget it is folded into the channel's digest, which is due when the hour ends and always
-- delivered; the first time that happens in an hour, a notice of it is written and returned, to be published. What is
-- delivered all the same: that an incident of PagerDuty is over, tests, notices and mails, which are parts of one that counts.
create function mesher.spend_budget(notification uuid, at timestamptz, out deliver boolean, out notice uuid) returns record
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
    span constant interval := '1 hour';
    n     mesher.notifications;
    b     mesher.alert_budgets;
    most  integer;
    into_ uuid;
begin
    deliver := true;
    select * into n from mesher.notifications where id = spend_budget.notification for update;
    select hourly_budget into most from mesher.alert_channels where id = n.channel_id;
    if most is null or n.counted or n.parent_id is not null or n.template not in ('alert', 'digest')
        or n.channel = 'pagerduty' and n.event = 'resolved' then
        return;
    end if;
    insert into mesher.alert_budgets as u (channel_id, began_at, told) values (n.channel_id, at, 1)
    on conflict (channel_id) do update set
        began_at = case when u.began_at <= at - span then excluded.began_at else u.began_at end,
        told = case when u.began_at <= at - span then 1 else least(u.told, 1000000) + 1 end,
        noticed = u.noticed and u.began_at > at - span
    returning u.* into b;
    if b.told <= most or n.template = 'digest' and n.rule_id is null then
        update mesher.notifications set counted = true where id = n.id;
        return;
    end if;
    deliver := false;
    into_ := mesher.open_digest(n.channel_id, null, b.began_at + span, at);
    update mesher.notifications set status = 'folded', digest_id = into_, finished_at = at, claimed_until = null where id = n.id;
    if n.template = 'digest' then
        update mesher.notifications set digest_id = into_ where digest_id = n.id;
    end if;
    if not b.noticed then
        update mesher.alert_budgets set noticed = true where channel_id = n.channel_id;
        insert into mesher.notifications (id, organization_id, channel, template, recipient, data, channel_id, created_at)
        values (mesher.uuidv7(at), n.organization_id, n.channel, 'budget', n.recipient,
            jsonb_build_object('budget', most, 'until', b.began_at + span), n.channel_id, at)
        returning id into notice;
    end if;
end
$$;

do $$
declare
    name text;
begin
    foreach name in array array['open_digest(uuid, uuid, timestamptz, timestamptz)', 'fold_resolved(uuid, timestamptz)',
        'notify_alert(uuid, text, timestamptz)', 'spend_budget(uuid, timestamptz)'] loop
        execute format('revoke all on function mesher.%s from public', name);
        execute format('grant execute on function mesher.%s to mesher_app', name);
    end loop;
end
$$;

select mesher.strip();
reset role;
