-- What an installation holds that has migrations 0001 to 0006: every table has rows, among them the odd ones.
select mesher.create_event_partitions('2026-03-07', '2026-03-12');
insert into mesher.organizations (id, name, slug)
select uuid_in(overlay(md5('o' || n) placing '7' from 13)::cstring), 'Organization ' || n, 'o' || n from generate_series(1, 3) n;
insert into mesher.projects (id, organization_id, name, slug, retention_days)
select uuid_in(overlay(md5('p' || o.slug || n) placing '7' from 13)::cstring), o.id, 'Project ' || n, 'p' || n, 30 * n
from mesher.organizations o, generate_series(1, 2) n order by o.slug, n;
insert into mesher.api_keys (id, project_id, hash, prefix, last_four, label, environment, revoked_at)
select uuid_in(overlay(md5('k' || p.id || n) placing '7' from 13)::cstring), p.id, sha256(convert_to(p.id::text || n, 'utf8')), 'mshr_abc', 'wxyz',
    'Key ' || n, case when n = 1 then 'production' end, case when n = 2 then timestamptz '2026-03-09' end
from mesher.projects p, generate_series(1, 2) n;
insert into mesher.issues (project_id, id, title, culprit, level, status, event_count, first_seen, last_seen, active_hour)
select p.id, uuid_in(md5('i' || p.id || n)::cstring), 'Issue ' || n, case when n % 3 = 0 then 'main.go in main' else '' end, 'error',
    (array['unresolved', 'resolved', 'ignored'])[1 + n % 3], 20, '2026-03-07 12:00Z', '2026-03-10 12:00Z', '2026-03-10 12:00Z'
from mesher.projects p, generate_series(1, 10) n;
insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
select project_id, uuid_in(md5('f' || id)::cstring), id, 1 from mesher.issues;
insert into mesher.issue_hourly_counts (project_id, fingerprint, hour, events)
select project_id, fingerprint, timestamptz '2026-03-07 12:00Z' + n * interval '1 day', 5 from mesher.issue_fingerprints, generate_series(0, 3) n;
insert into mesher.events (project_id, received_at, id, event_id, fingerprint, occurred_at, level, message, exception_type, exception_value,
    environment, release, user_id, tags, extra, user_info)
select f.project_id, timestamptz '2026-03-07 12:00Z' + n % 4 * interval '1 day' + n * interval '1 second',
    uuid_in(md5('e' || f.fingerprint || n)::cstring), uuid_in(md5('v' || f.fingerprint || n)::cstring), f.fingerprint,
    '2026-03-07 11:00Z', 'error', 'message ' || n || repeat(' long', 100), 'Error', 'value', 'production', '1.' || n % 3, 'u' || n % 7,
    jsonb_build_object('region', 'eu-' || n % 2), '{"order": 17}', '{"ip_address": "203.0.113.1"}'
from mesher.issue_fingerprints f, generate_series(0, 19) n;
insert into mesher.dead_letters (id, project_id, source, reason, payload, message_id, replayed_at)
select uuid_in(md5('d' || n)::cstring), (select id from mesher.projects order by id limit 1), 'event', 'the database refuses the event', '\x00ff', 'm' || n,
    case when n > 2 then now() end from generate_series(1, 4) n;
insert into mesher.usage (project_id, minute, accepted, stored, duplicates, rejected)
select id, timestamptz '2026-03-07 12:00Z' + n * interval '1 minute', 10, 9, 1, n from mesher.projects, generate_series(0, 59) n;
