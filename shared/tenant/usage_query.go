package tenant

// reportUsage is the statement of ReportUsage. It returns a row for each claim and for each budget.
//
// An instance gets a part of what the others have not claimed, mostly by how much it is sent and a little for being there,
// so that one that has just begun gets something. What another has claimed counts in full while it reports, and is let go
// 15 s after its last report, when only what it accepted counts. In a new minute an instance that has not reported yet counts with
// its part of the limit, which it may use before it does. So the claims on one limit never exceed it, whoever reports when,
// and what is left is handed out again with each report.
//
// The row of a limit is locked while it is changed: of two instances that claim at the same time, the second sees what the
// first was given.
const reportUsage = `
	with report as (
		select r, (r ->> 'instance')::uuid as instance, extract(epoch from (r ->> 'at')::timestamptz)::double precision as t,
		       floor(extract(epoch from (r ->> 'at')::timestamptz) / 60)::bigint as m,
		       date_trunc('month', (r ->> 'at')::timestamptz at time zone 'utc')::date as month
		from (select $1::text::jsonb as r) sent),
	counted as (
		select project, date_trunc('minute', at, 'utc') as minute, sum(accepted) as accepted, sum(rejected) as rejected,
		       sum(dropped) as dropped, sum(rate_limited) as rate_limited, sum(over_quota) as over_quota, sum(filtered) as filtered
		from report, jsonb_to_recordset(coalesce(nullif(r -> 'minutes', 'null'), '[]')) as c (project uuid, at timestamptz,
			accepted bigint, rejected bigint, dropped bigint, rate_limited bigint, over_quota bigint, filtered bigint)
		group by 1, 2),
	used as (
		select a.id, (k.value #>> '{}')::timestamptz as at
		from report cross join jsonb_each(coalesce(nullif(r -> 'keys', 'null'), '{}')) k
		join mesher.api_keys a on a.id = k.key::uuid
		order by a.id
		for no key update of a),
	touched as (
		update mesher.api_keys a set last_used_at = used.at from used
		where a.id = used.id and (a.last_used_at is null or a.last_used_at < used.at)
		returning 1),
	by_minute as (
		insert into mesher.usage as u (project_id, minute, accepted, rejected, dropped, rate_limited, over_quota, filtered)
		select project, minute, accepted, rejected, dropped, rate_limited, over_quota, filtered from counted
		order by 1, 2
		on conflict (project_id, minute) do update set
			accepted = u.accepted + excluded.accepted, rejected = u.rejected + excluded.rejected,
			dropped = u.dropped + excluded.dropped, rate_limited = u.rate_limited + excluded.rate_limited,
			over_quota = u.over_quota + excluded.over_quota, filtered = u.filtered + excluded.filtered),
	monthly as (
		select project, date_trunc('month', minute at time zone 'utc')::date as month, sum(accepted)::bigint as accepted
		from counted group by 1, 2 having sum(accepted) > 0),
	by_month as (
		insert into mesher.usage_months as u (project_id, month, accepted)
		select project, month, accepted from monthly
		order by 1, 2
		on conflict (project_id, month) do update set accepted = u.accepted + excluded.accepted),
	by_item as (
		insert into mesher.usage_items as u (project_id, hour, type, items)
		select project, date_trunc('hour', at, 'utc'), type, sum(items)
		from report, jsonb_to_recordset(coalesce(nullif(r -> 'items', 'null'), '[]')) as i (
			project uuid, at timestamptz, type text, items bigint)
		group by 1, 2, 3
		order by 1, 2, 3
		on conflict (project_id, hour, type) do update set items = u.items + excluded.items),
	claims as (
		select c.* from report, jsonb_to_recordset(coalesce(nullif(r -> 'claims', 'null'), '[]')) as c (
			subject uuid, "limit" bigint, accepted bigint, demand double precision)),
	shared as (
		insert into mesher.limit_shares as l (subject, instances)
		select c.subject, jsonb_build_object(r.instance, jsonb_build_object('t', r.t, 'm', r.m, 'a', c.accepted,
			'c', greatest(c."limit", c.accepted), 'd', c.demand, 'w', 1, 'room', greatest(c."limit" - c.accepted, 0), 'limit', c."limit"))
		from report r, claims c
		order by 1
		on conflict (subject) do update set instances = (
			select others.kept || jsonb_build_object(me.key, me.value || jsonb_build_object('w', part, 'room', room,
				'c', mine.a + ceil(part * room)::bigint))
			from jsonb_each(excluded.instances) me
			cross join lateral jsonb_to_record(me.value) as mine (t double precision, m bigint, a bigint, d double precision, "limit" bigint)
			cross join lateral (
				select coalesce(jsonb_object_agg(o.key, o.value) filter (where age < 120), '{}') as kept,
				       count(*) filter (where age < 15) as number, coalesce(sum(o.d) filter (where age < 15), 0) as demand,
				       coalesce(sum(case when o.m >= mine.m and age < 15 then o.c
				                         when o.m >= mine.m then o.a
				                         when o.m = mine.m - 1 and age < 15 then ceil(o.w * mine."limit") end), 0)::bigint as taken
				from (
					select e.key, e.value, x.*, mine.t - x.t as age from jsonb_each(l.instances) e
					cross join lateral jsonb_to_record(e.value) as x (t double precision, m bigint, a bigint, c bigint,
						d double precision, w double precision)
					where e.key <> me.key) o) others
			cross join lateral (
				select 0.2 / (1 + others.number) + 0.8 * case when others.demand + mine.d > 0
					then mine.d / (others.demand + mine.d) else 1.0 / (1 + others.number) end as part,
					greatest(mine."limit" - mine.a - others.taken, 0) as room) given)
		returning subject, instances),
	asked as (
		select p.id, p.organization_id, o.monthly_budget is not null as whole
		from report cross join jsonb_array_elements_text(coalesce(nullif(r -> 'budgets', 'null'), '[]')) b
		join mesher.projects p on p.id = b::uuid
		join mesher.organizations o on o.id = p.organization_id),
	-- What this statement adds is not seen by it, and added here.
	owned as (
		select s.organization_id, sum(s.accepted)::bigint as accepted
		from (select distinct organization_id from asked where whole) w
		join (
			select p.organization_id, u.accepted from mesher.usage_months u
			join report on u.month = report.month join mesher.projects p on p.id = u.project_id
			where p.organization_id in (select organization_id from asked where whole)
			union all
			select p.organization_id, u.accepted from monthly u
			join report on u.month = report.month join mesher.projects p on p.id = u.project) s using (organization_id)
		group by 1)
	select s.subject, (i.value ->> 'c')::bigint, (i.value ->> 'w')::double precision, (i.value ->> 'room')::bigint,
	       null::timestamptz, 0::bigint, 0::bigint
	from shared s cross join report r cross join lateral (select s.instances -> r.instance::text as value) i
	union all
	select a.id, 0, 0, 0, r.month::timestamp at time zone 'utc',
	       coalesce(u.accepted, 0) + coalesce(n.accepted, 0), coalesce(o.accepted, 0)
	from asked a cross join report r
	left join mesher.usage_months u on u.project_id = a.id and u.month = r.month
	left join monthly n on n.project = a.id and n.month = r.month
	left join owned o on o.organization_id = a.organization_id`
