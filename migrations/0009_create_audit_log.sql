-- Why: who did what to what, from where. Rows are added and read, never changed: mesher_app may not, and who may
-- is stopped by a trigger, so that no mistake can. Nothing refers to other tables, since an entry outlives them.
-- To erase entries all the same, disable the trigger as mesher_owner.
-- Locks: none that anyone waits for; everything is new.

set local role mesher_owner;

create table mesher.audit_log (
    id              uuid primary key,
    created_at      timestamptz not null default now(),
    organization_id uuid,
    actor_kind      text not null
                    constraint audit_log_actor_kind_check check (actor_kind in ('user', 'token', 'operator', 'anonymous')),
    actor_id        uuid,
    actor_name      text not null,
    action          text not null constraint audit_log_action_check check (action ~ '^[a-z_]+\.[a-z_]+$'),
    target_kind     text not null,
    target_id       uuid,
    target_name     text not null,
    ip              inet,
    user_agent      text not null default '',
    details         jsonb not null default '{}'
);
create index audit_log_organization_id_idx on mesher.audit_log (organization_id, created_at, id);
create index audit_log_actor_id_idx on mesher.audit_log (actor_id, created_at, id);
select mesher.protect('mesher.audit_log');

create function mesher.refuse_change() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    raise exception 'the audit log is only added to' using errcode = 'insufficient_privilege';
end
$$;
create trigger audit_log_stands before update or delete on mesher.audit_log
    for each row execute function mesher.refuse_change();
create trigger audit_log_stays before truncate on mesher.audit_log
    for each statement execute function mesher.refuse_change();

create policy app_reads on mesher.audit_log for select to mesher_app using (true);
create policy app_adds on mesher.audit_log for insert to mesher_app with check (true);
grant select, insert on mesher.audit_log to mesher_app;

select mesher.strip();
reset role;
