-- Why: a rate limit holds for all instances of Ingest together. They tell each other here, once every few seconds, what
-- each has accepted and how much it may go on to accept, so that all of it together stays within the limit.
--
-- One row for each project, key and organization that is limited, changed in place: there are never more rows than of those, and no index
-- covers what changes, so that updates stay on their page (HOT). Retention deletes the rows of what is gone.
--
-- Locks: none that anyone waits for; everything is new.
-- To undo by hand: drop table mesher.limit_shares.

set local role mesher_owner;

-- subject is a project, an API key or an organization. instances holds an object for each instance of Ingest that reported lately, by its id:
-- t when (seconds since 1970), m the minute (since 1970) that a and c are of, a how many events it accepted, c how many it
-- may accept in all, d how many it is sent a second, w its share of the limit (above 0 to 1), room what was left of the
-- limit for it and its next share to be taken of.
create table mesher.limit_shares (
    subject   uuid not null,
    instances jsonb not null constraint limit_shares_instances_check check (jsonb_typeof(instances) = 'object'),
    constraint limit_shares_pkey primary key (subject)
) with (fillfactor = 50);
select mesher.protect('mesher.limit_shares');

create policy ingest_reads on mesher.limit_shares for select to mesher_ingest using (true);
create policy ingest_claims on mesher.limit_shares for insert to mesher_ingest with check (true);
create policy ingest_renews on mesher.limit_shares for update to mesher_ingest using (true) with check (true);
grant select, insert, update on mesher.limit_shares to mesher_ingest;
create policy app_reads on mesher.limit_shares for select to mesher_app using (true);
grant select on mesher.limit_shares to mesher_app;

select mesher.strip();
reset role;
