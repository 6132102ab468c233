-- What migrations 0007 to 0009 add.
insert into mesher.users (id, email, name, password_hash, email_verified_at)
select uuid_in(md5('u' || n)::cstring), 'User' || n || '@Example.com', 'User ' || n, case when n < 5 then '$argon2id$x' end,
    case when n % 2 = 0 then timestamptz '2026-03-01' end from generate_series(1, 6) n;
insert into mesher.memberships (organization_id, user_id, role)
select o.id, u.id, (array['owner', 'admin', 'member'])[1 + row_number() over (partition by o.id order by u.email) % 3]
from mesher.organizations o, mesher.users u;
insert into mesher.invitations (id, organization_id, email, role, invited_by, expires_at, accepted_at, revoked_at)
select uuid_in(md5('n' || o.id || n)::cstring), o.id, 'guest' || n || '@example.com', 'member', (select id from mesher.users order by email limit 1),
    '2026-04-01', case when n = 1 then timestamptz '2026-03-02' end, case when n = 2 then timestamptz '2026-03-02' end
from mesher.organizations o, generate_series(1, 3) n;
insert into mesher.one_time_tokens (hash, purpose, user_id, invitation_id, email, expires_at)
select sha256(id::text::bytea), 'invitation', null::uuid, id, email, timestamptz '2026-04-01' from mesher.invitations
union all select sha256(id::text::bytea), 'reset_password', id, null, email, '2026-04-01' from mesher.users;
insert into mesher.sessions (id, user_id, hash, expires_at, network, ip, user_agent)
select uuid_in(md5('s' || id)::cstring), id, sha256(('s' || id)::bytea), '2026-04-01', '203.0.113.7/32', '203.0.113.7', 'Firefox' from mesher.users;
insert into mesher.personal_access_tokens (id, user_id, hash, prefix, last_four, label, scope)
select uuid_in(md5('t' || id)::cstring), id, sha256(('t' || id)::bytea), 'mshp_a', 'wxyz', 'Laptop', 'write' from mesher.users;
insert into mesher.throttles (kind, subject, level) values ('login', sha256('a'), 2.5);
insert into mesher.idempotency_keys (credential_id, key_hash, request_hash, status, body)
values (gen_random_uuid(), sha256('a'), sha256('b'), 201, '{}');
insert into mesher.notifications (id, organization_id, channel, template, recipient, status)
select uuid_in(md5('m' || n)::cstring), (select id from mesher.organizations order by slug limit 1), 'email', 'invitation', 'guest@example.com',
    (array['pending', 'sent', 'failed'])[n] from generate_series(1, 3) n;
insert into mesher.audit_log (id, organization_id, actor_kind, actor_id, actor_name, action, target_kind, target_id, target_name)
select uuid_in(md5('a' || o.id || n)::cstring), o.id, 'user', (select id from mesher.users order by email limit 1), 'User 1', 'project.create', 'project',
    gen_random_uuid(), 'P' from mesher.organizations o, generate_series(1, 5) n;
