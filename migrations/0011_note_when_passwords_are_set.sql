-- Why: a mail that was asked for with a password must not be sent once that has been replaced: a link in it would
-- give the account back to whom the new password is to keep out. password_set_at is null until a password is set
-- anew.
--
-- Locks: ACCESS EXCLUSIVE on users for as long as it takes to note a new column; no row is rewritten.
-- To undo: alter table mesher.users drop column password_set_at.

set local role mesher_owner;

alter table mesher.users add column password_set_at timestamptz;

select mesher.strip();
reset role;
