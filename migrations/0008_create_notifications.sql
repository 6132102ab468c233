-- Why: the outbox. What people are to be told is written in the transaction that is the reason for it, published
-- after that is committed, and swept when the publishing was lost. A row holds no secret: a link's token is made
-- when the mail is.
-- Locks: none that anyone waits for; everything is new.

set local role mesher_owner;

create table mesher.notifications (
    id              uuid primary key,
    organization_id uuid,
    channel         text not null constraint notifications_channel_check check (channel in ('email')),
    template        text not null,
    recipient       text not null,
    data            jsonb not null default '{}',
    status          text not null default 'pending'
                    constraint notifications_status_check check (status in ('pending', 'sent', 'skipped', 'failed')),
    attempts        integer not null default 0,
    claimed_until   timestamptz,
    swept_at        timestamptz,
    last_error      text,
    created_at      timestamptz not null default now(),
    finished_at     timestamptz
);
create index notifications_pending_idx on mesher.notifications (created_at) where status = 'pending';
create index notifications_created_at_idx on mesher.notifications (created_at);
select mesher.protect('mesher.notifications');

create policy app_works on mesher.notifications for all to mesher_app using (true) with check (true);
grant select, insert, update on mesher.notifications to mesher_app;

select mesher.strip();
reset role;
