-- Why: people see what was done to their account, which is looked up by the entry's target.
-- Locks: SHARE on audit_log while the index is built: entries wait, and with them what they tell of.

set local role mesher_owner;

create index audit_log_target_user_idx on mesher.audit_log (target_id, created_at, id) where target_kind = 'user';

select mesher.strip();
reset role;
