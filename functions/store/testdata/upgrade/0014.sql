-- What migrations 0010 to 0014 add.
insert into mesher.releases (project_id, version, first_seen) select id, '1.' || n, '2026-03-07' from mesher.projects, generate_series(0, 2) n;
insert into mesher.issue_tags (project_id, fingerprint, key, value, seen_hour)
select project_id, fingerprint, 'region', 'eu-' || n, '2026-03-10 12:00Z' from mesher.issue_fingerprints, generate_series(0, 1) n;
insert into mesher.issue_users (project_id, fingerprint, user_hash, seen_hour)
select project_id, fingerprint, uuid_in(md5('u' || n)::cstring), '2026-03-10 12:00Z' from mesher.issue_fingerprints, generate_series(0, 6) n;
insert into mesher.project_hourly_counts (project_id, hour, level, events) select id, '2026-03-10 12:00Z', 'error', 200 from mesher.projects;
insert into mesher.issue_activity (id, project_id, issue_id, actor_name, action)
select uuid_in(md5('y' || id)::cstring), project_id, id, 'User 1', 'resolved' from mesher.issues;
insert into mesher.usage_months (project_id, month, accepted) select id, '2026-03-01', 600 from mesher.projects;
insert into mesher.usage_items (project_id, hour, type, items) select id, '2026-03-10 12:00Z', 'session', 7 from mesher.projects;
insert into mesher.limit_shares (subject, instances) select id, '{"a": 1}' from mesher.organizations;
update mesher.issues set status = 'discarded' where status = 'ignored' and title = 'Issue 5';
update mesher.projects set rate_limit = 100, allowed_origins = array['https://example.com'], deleted_at = case when slug = 'p2' then now() end;
