-- Why: whole messages and single events that can never be stored, with the reason and the raw bytes, so that
-- they can be looked at and replayed instead of being lost or retried for ever. The project has no foreign key:
-- an unknown project is one of the reasons to be here.
-- Locks: none that anyone waits for; everything is new.

set local role mesher_owner;

create table mesher.dead_letters (
    id               uuid primary key,
    project_id       uuid,
    source           text not null constraint dead_letters_source_check check (source in ('message', 'event')),
    reason           text not null,
    detail           text not null default '',
    attributes       jsonb not null default '{}',
    payload          bytea not null,
    message_id       text,
    delivery_attempt integer,
    created_at       timestamptz not null default now(),
    replayed_at      timestamptz
);
create index dead_letters_created_at_idx on mesher.dead_letters (created_at);
select mesher.protect('mesher.dead_letters');

create policy app_reads on mesher.dead_letters for select to mesher_app using (true);
grant select on mesher.dead_letters to mesher_app;

select mesher.strip();
reset role;
