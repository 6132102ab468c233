-- Why: who events belong to: an organization has projects, a project has the API keys that events come in with.
-- Locks: none that anyone waits for; everything is new.

set local role mesher_owner;

create table mesher.organizations (
    id         uuid primary key,
    name       text not null constraint organizations_name_check check (char_length(name) between 1 and 200),
    slug       text not null constraint organizations_slug_check check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint organizations_slug_key unique (slug)
);
select mesher.protect('mesher.organizations');

-- number is what a Sentry-style DSN carries in place of the id: such clients accept digits only.
create table mesher.projects (
    id              uuid primary key,
    organization_id uuid not null constraint projects_organization_id_fkey references mesher.organizations (id),
    number          bigint not null generated always as identity,
    name            text not null constraint projects_name_check check (char_length(name) between 1 and 200),
    slug            text not null constraint projects_slug_check check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    status          text not null default 'active'
                    constraint projects_status_check check (status in ('active', 'archived', 'deleting')),
    retention_days  integer not null default 90
                    constraint projects_retention_days_check check (retention_days between 1 and 3650),
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    constraint projects_number_key unique (number),
    constraint projects_slug_key unique (organization_id, slug)
);
select mesher.protect('mesher.projects');

-- hash is the SHA-256 of the key; the key itself is shown once and stored nowhere. prefix and last_four are
-- what a person recognises it by. An environment binds the key to it.
create table mesher.api_keys (
    id           uuid primary key,
    project_id   uuid not null constraint api_keys_project_id_fkey references mesher.projects (id),
    hash         bytea not null constraint api_keys_hash_check check (octet_length(hash) = 32),
    prefix       text not null,
    last_four    text not null,
    label        text not null,
    environment  text,
    created_at   timestamptz not null default now(),
    last_used_at timestamptz,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    constraint api_keys_hash_key unique (hash)
);
create index api_keys_project_id_idx on mesher.api_keys (project_id);
select mesher.protect('mesher.api_keys');

create policy app_reads on mesher.organizations for select to mesher_app using (true);
create policy app_reads on mesher.projects for select to mesher_app using (true);
create policy app_reads on mesher.api_keys for select to mesher_app using (true);
create policy app_touches on mesher.api_keys for update to mesher_app using (true) with check (true);
grant select on mesher.organizations, mesher.projects, mesher.api_keys to mesher_app;
grant update (last_used_at) on mesher.api_keys to mesher_app;

select mesher.strip();
reset role;
