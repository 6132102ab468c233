package main

// fillEventsSQL stores $3 events of the project $1 in the 20 hours before $2, which is $4 days ago. A twentieth is of each of
// the first issues' three fingerprints together, one is of the issue rare, the others are spread over 3,000 fingerprints.
const fillEventsSQL = `
with made as (
	select n, date_trunc('milliseconds', date_trunc('day', $2::timestamptz, 'UTC') + (n::float8 / $3::int) *
			least($2::timestamptz - date_trunc('day', $2::timestamptz, 'UTC'), interval '20 hours')) as at,
		md5($4::int || '-' || n || $1::text) as noise,
		case when n % 20 = 0 then '0-' || n / 20 % 3 when n = 1 then 'rare-0' else 1 + (n * 7 + $4::int) % 1000 || '-' || n % 3 end as print
	from generate_series(1, $3::int) n)
insert into mesher.events (project_id, received_at, id, event_id, fingerprint, occurred_at, level, message, exception_type,
	exception_value, culprit, environment, release, platform, transaction, user_id, trace_id, tags, extra, exception, breadcrumbs, user_info, request)
select $1::uuid, at, (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || left(noise, 3) || '8' || right(noise, 15))::uuid,
	md5('client' || noise)::uuid, md5(print || $1::text)::uuid, at, (array['error', 'error', 'warning', 'info'])[1 + n % 4],
	'it failed with ' || noise, 'IOError', 'disk ' || left(noise, 8) || ' is full', 'write in store.go',
	case when n % 10 = 0 then 'staging' else 'production' end, 'v1.' || (60 - $4::int), 'go', '/orders', 'u' || n % 5000, noise,
	jsonb_build_object('region', 'eu-' || n % 7, 'shard', n % 20), '{"order": 7}',
	json_build_array(json_build_object('type', 'IOError', 'value', 'disk is full', 'stacktrace', json_build_object('frames', (
		select json_agg(json_build_object('function', 'step' || f, 'filename', 'store' || f || '.go', 'lineno', f * 10, 'in_app', true,
			'context_line', left(noise || noise, 40 + f))) from generate_series(1, 5) f)))),
	json_build_array(json_build_object('message', noise, 'category', 'http')),
	json_build_object('id', 'u' || n % 5000, 'email', 'u' || n % 5000 || '@example.com'), '{"url": "https://shop.example.com/orders"}'
from made`

// fillIssuesSQL opens the issues, with three fingerprints each, and the releases.
const fillIssuesSQL = `
with made as (
	select name, md5('issue' || name || $1::text)::uuid as id, $2::timestamptz - $3::int * interval '1 day' as first,
		$2::timestamptz - case when name in ('0', 'rare') then 0 else name::int end * interval '1 minute' as last
	from (select n::text as name from generate_series(0, 1000) n union all select 'rare') v),
opened as (
	insert into mesher.issues (project_id, id, title, culprit, level, event_count, user_count, first_seen, last_seen, active_hour, message)
	select $1::uuid, id, 'issue ' || name, 'write in store.go', 'error', $3::int * $4::int / 1000, 7, first, last, date_trunc('hour', last, 'UTC'), 'it failed'
	from made),
prints as (
	insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
	select $1::uuid, md5(name || '-' || p || $1::text)::uuid, id, 1 from made cross join generate_series(0, 2) p)
insert into mesher.releases (project_id, version, first_seen)
select $1::uuid, 'v1.' || d, $2::timestamptz - (60 - d) * interval '1 day' from generate_series(1, 60) d`

// fillCountsSQL counts the events, as Store does one by one.
const fillCountsSQL = `
with hours as (
	select fingerprint, date_trunc('hour', received_at, 'UTC') as hour, level, count(*) as events
	from mesher.events where project_id = $1::uuid group by 1, 2, 3),
prints as (
	insert into mesher.issue_hourly_counts (project_id, fingerprint, hour, events)
	select $1::uuid, fingerprint, hour, sum(events) from hours group by fingerprint, hour),
levels as (
	insert into mesher.project_hourly_counts (project_id, hour, level, events)
	select $1::uuid, hour, level, sum(events) from hours group by hour, level)
insert into mesher.usage (project_id, minute, accepted, stored)
select $1::uuid, hour + m * interval '1 minute', sum(events) / 60, sum(events) / 60 from hours cross join generate_series(0, 59) m group by 2`

// fillTagsSQL notes which tags the fingerprints have had.
const fillTagsSQL = `
insert into mesher.issue_tags (project_id, fingerprint, key, value, seen_hour)
select distinct $1::uuid, f.fingerprint, t.key, t.value, now()
from mesher.issue_fingerprints f cross join lateral (
	values ('environment', 'staging'), ('environment', 'production'), ('release', 'v1.60'), ('level', 'error'), ('region', 'eu-1'), ('platform', 'go')
	union all select 'user', 'u' || n from generate_series(1, 20) n) t (key, value)
where f.project_id = $1::uuid`
