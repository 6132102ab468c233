-- Why: who may come in and what they may do: users, what they prove themselves with, and the roles they have in
-- organizations. Nothing here can be used by who reads it: passwords are argon2id hashes, every token is stored as
-- its SHA-256.
--
-- Locks: ACCESS EXCLUSIVE on organizations, projects and api_keys for as long as it takes to note new columns,
-- constraints and privileges; no row is rewritten.

set local role mesher_owner;

-- email is written as its owner writes it and unique whatever its case.
create table mesher.users (
    id                uuid primary key,
    email             text not null constraint users_email_check check (char_length(email) between 3 and 254),
    name              text not null default '' constraint users_name_check check (char_length(name) <= 200),
    password_hash     text,
    email_verified_at timestamptz,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now()
);
create unique index users_email_key on mesher.users (lower(email));
select mesher.protect('mesher.users');

create table mesher.memberships (
    organization_id uuid not null constraint memberships_organization_id_fkey references mesher.organizations (id),
    user_id         uuid not null constraint memberships_user_id_fkey references mesher.users (id) on delete cascade,
    role            text not null constraint memberships_role_check check (role in ('owner', 'admin', 'member')),
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    constraint memberships_pkey primary key (organization_id, user_id)
);
create index memberships_user_id_idx on mesher.memberships (user_id);
select mesher.protect('mesher.memberships');

-- An organization invites an address once at a time. An invitation that was neither accepted nor revoked is open
-- until it expires.
create table mesher.invitations (
    id              uuid primary key,
    organization_id uuid not null constraint invitations_organization_id_fkey references mesher.organizations (id),
    email           text not null constraint invitations_email_check check (char_length(email) between 3 and 254),
    role            text not null constraint invitations_role_check check (role in ('owner', 'admin', 'member')),
    invited_by      uuid constraint invitations_invited_by_fkey references mesher.users (id) on delete set null,
    created_at      timestamptz not null default now(),
    expires_at      timestamptz not null,
    accepted_at     timestamptz,
    accepted_by     uuid constraint invitations_accepted_by_fkey references mesher.users (id) on delete set null,
    revoked_at      timestamptz,
    constraint invitations_end_check check (accepted_at is null or revoked_at is null)
);
create index invitations_organization_id_idx on mesher.invitations (organization_id, id);
create unique index invitations_open_key on mesher.invitations (organization_id, lower(email))
    where accepted_at is null and revoked_at is null;
create index invitations_invited_by_idx on mesher.invitations (invited_by);
create index invitations_accepted_by_idx on mesher.invitations (accepted_by);
select mesher.protect('mesher.invitations');

-- What a link in a mail carries: it works once and proves that its bearer reads the mails of an address.
create table mesher.one_time_tokens (
    hash          bytea primary key constraint one_time_tokens_hash_check check (octet_length(hash) = 32),
    purpose       text not null constraint one_time_tokens_purpose_check
                  check (purpose in ('verify_email', 'change_email', 'reset_password', 'invitation')),
    user_id       uuid constraint one_time_tokens_user_id_fkey references mesher.users (id) on delete cascade,
    invitation_id uuid constraint one_time_tokens_invitation_id_fkey references mesher.invitations (id) on delete cascade,
    email         text not null,
    created_at    timestamptz not null default now(),
    expires_at    timestamptz not null,
    used_at       timestamptz,
    constraint one_time_tokens_subject_check check ((purpose = 'invitation') = (invitation_id is not null)
        and (purpose = 'invitation') = (user_id is null))
);
create index one_time_tokens_user_id_idx on mesher.one_time_tokens (user_id);
create index one_time_tokens_invitation_id_idx on mesher.one_time_tokens (invitation_id);
create index one_time_tokens_expires_at_idx on mesher.one_time_tokens (expires_at);
select mesher.protect('mesher.one_time_tokens');

-- network is what throttling knows a client by: its IPv4 address, or the /64 of its IPv6 address.
create table mesher.sessions (
    id           uuid primary key,
    user_id      uuid not null constraint sessions_user_id_fkey references mesher.users (id) on delete cascade,
    hash         bytea not null constraint sessions_hash_check check (octet_length(hash) = 32),
    created_at   timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    expires_at   timestamptz not null,
    revoked_at   timestamptz,
    network      cidr not null,
    ip           inet not null,
    user_agent   text not null default '' constraint sessions_user_agent_check check (char_length(user_agent) <= 400),
    constraint sessions_hash_key unique (hash)
);
create index sessions_user_id_idx on mesher.sessions (user_id, id);
create index sessions_expires_at_idx on mesher.sessions (expires_at);
select mesher.protect('mesher.sessions');

-- What programs use the API with, in the name of a user; with an organization they reach no other.
create table mesher.personal_access_tokens (
    id              uuid primary key,
    user_id         uuid not null constraint personal_access_tokens_user_id_fkey references mesher.users (id) on delete cascade,
    organization_id uuid constraint personal_access_tokens_organization_id_fkey references mesher.organizations (id),
    hash            bytea not null constraint personal_access_tokens_hash_check check (octet_length(hash) = 32),
    prefix          text not null,
    last_four       text not null,
    label           text not null constraint personal_access_tokens_label_check check (char_length(label) between 1 and 100),
    scope           text not null constraint personal_access_tokens_scope_check check (scope in ('read', 'write', 'admin')),
    created_at      timestamptz not null default now(),
    last_used_at    timestamptz,
    expires_at      timestamptz,
    revoked_at      timestamptz,
    constraint personal_access_tokens_hash_key unique (hash)
);
create index personal_access_tokens_user_id_idx on mesher.personal_access_tokens (user_id, id);
create index personal_access_tokens_organization_id_idx on mesher.personal_access_tokens (organization_id);
select mesher.protect('mesher.personal_access_tokens');

-- How often something was tried lately, and until when it may not be tried again. subject is a SHA-256, so that
-- the table tells nobody who tried.
create table mesher.throttles (
    kind          text not null,
    subject       bytea not null constraint throttles_subject_check check (octet_length(subject) = 32),
    level         double precision not null,
    updated_at    timestamptz not null default now(),
    blocked_until timestamptz not null default now(),
    constraint throttles_pkey primary key (kind, subject)
);
create index throttles_updated_at_idx on mesher.throttles (updated_at);
select mesher.protect('mesher.throttles');

-- The answers to creating calls that carried an Idempotency-Key. body is encrypted with a key that follows from
-- the caller's secret, since an answer may show a secret once.
create table mesher.idempotency_keys (
    credential_id uuid not null,
    key_hash      bytea not null constraint idempotency_keys_key_hash_check check (octet_length(key_hash) = 32),
    request_hash  bytea not null constraint idempotency_keys_request_hash_check check (octet_length(request_hash) = 32),
    status        integer not null,
    body          bytea not null,
    created_at    timestamptz not null default now(),
    constraint idempotency_keys_pkey primary key (credential_id, key_hash)
);
create index idempotency_keys_created_at_idx on mesher.idempotency_keys (created_at);
select mesher.protect('mesher.idempotency_keys');

alter table mesher.organizations add column deleted_at timestamptz;
-- rate_limit is in events a minute. An empty list of origins allows every one.
alter table mesher.projects
    add column sample_rate double precision not null default 1
        constraint projects_sample_rate_check check (sample_rate > 0 and sample_rate <= 1),
    add column allowed_origins text[] not null default '{}'
        constraint projects_allowed_origins_check check (cardinality(allowed_origins) <= 100),
    add column rate_limit integer
        constraint projects_rate_limit_check check (rate_limit > 0),
    add column deleted_at timestamptz;

do $$
declare
    name text;
begin
    foreach name in array array['users', 'memberships', 'invitations', 'one_time_tokens', 'sessions',
        'personal_access_tokens', 'throttles', 'idempotency_keys'] loop
        execute format('create policy app_works on mesher.%I for all to mesher_app using (true) with check (true)', name);
    end loop;
    foreach name in array array['organizations', 'projects', 'api_keys'] loop
        execute format('create policy app_creates on mesher.%I for insert to mesher_app with check (true)', name);
    end loop;
    foreach name in array array['organizations', 'projects'] loop
        execute format('create policy app_changes on mesher.%I for update to mesher_app using (true) with check (true)', name);
    end loop;
end
$$;

grant select, insert, update, delete on mesher.users, mesher.memberships, mesher.one_time_tokens, mesher.throttles to mesher_app;
grant select, insert, update on mesher.invitations, mesher.sessions, mesher.personal_access_tokens to mesher_app;
grant select, insert, delete on mesher.idempotency_keys to mesher_app;
grant insert on mesher.organizations, mesher.projects, mesher.api_keys to mesher_app;
grant update (name, slug, updated_at, deleted_at) on mesher.organizations to mesher_app;
grant update (name, slug, status, retention_days, sample_rate, allowed_origins, rate_limit, updated_at, deleted_at)
    on mesher.projects to mesher_app;
grant update (label, expires_at, revoked_at) on mesher.api_keys to mesher_app;

select mesher.strip();
reset role;
