-- Why: a table with Row Level Security and no policy looks to a linter as if somebody had forgotten one. Nobody but the
-- owner has any business in the record of migrations, and now a policy says so.
--
-- Locks: ACCESS EXCLUSIVE on migrations for a moment, which only another migration waits for.
--
-- To undo by hand: drop policy nobody on mesher.migrations.

set local role mesher_owner;
create policy nobody on mesher.migrations for all to mesher_app using (false) with check (false);
reset role;
