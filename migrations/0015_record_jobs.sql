-- Why: scheduled jobs run one at a time, wherever and however often they are called, and leave a record that people and
-- the platform itself look at.
--
-- The lock of a job is a lease in a row: it is taken and given back in short transactions, so that no connection of a
-- pooler is held while a job works, and it ends by itself when whoever holds it dies.
--
-- Locks: none that anyone waits for; everything is new.
-- To undo by hand: drop table mesher.job_runs, mesher.job_leases.

set local role mesher_owner;

create table mesher.job_leases (
    job          text primary key,
    holder       uuid not null,
    leased_until timestamptz not null
);
select mesher.protect('mesher.job_leases');

-- A run whose finished_at is null is under way, or was ended with its instance.
create table mesher.job_runs (
    id          uuid primary key,
    job         text not null,
    started_at  timestamptz not null,
    finished_at timestamptz,
    outcome     text not null default 'running'
                constraint job_runs_outcome_check check (outcome in ('running', 'done', 'skipped', 'failed')),
    summary     jsonb not null default '{}'
);
create index job_runs_job_idx on mesher.job_runs (job, started_at desc);
create index job_runs_started_at_idx on mesher.job_runs (started_at);
select mesher.protect('mesher.job_runs');

create policy app_works on mesher.job_leases for all to mesher_app using (true) with check (true);
create policy app_works on mesher.job_runs for all to mesher_app using (true) with check (true);
grant select, insert, update on mesher.job_leases, mesher.job_runs to mesher_app;

-- uuidv7 returns an id whose first 48 bits are the milliseconds of a time, as ids have that Go makes.
create function mesher.uuidv7(at timestamptz) returns uuid
language sql
volatile
set search_path = ''
as $$
    -- Of a random id of version 4, the bits 52 and 53 make it one of version 7.
    select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        placing substring(int8send(floor(extract(epoch from at) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
$$;
revoke all on function mesher.uuidv7(timestamptz) from public;
grant execute on function mesher.uuidv7(timestamptz) to mesher_app;

select mesher.strip();
reset role;
