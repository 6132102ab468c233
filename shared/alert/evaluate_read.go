package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mesherhq/mesher/shared/postgres"
)

// columns are the rules of one kind as arguments of a query, one array a column.
type columns struct {
	ids, projects        []string
	windows              []int32
	byIssue              []bool
	from                 []time.Time
	needed               []float64 // threshold, factor or percent
	least                []int64   // events
	newest               []bool
	levels, environments []string // JSON arrays; "" for all
}

// columns returns the rules of a kind, sorted.
func (e *evaluation) columns(k Kind) columns {
	var rules []Rule
	for _, r := range e.rules {
		if r.Kind == k {
			rules = append(rules, r)
		}
	}
	slices.SortFunc(rules, func(a, b Rule) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	var c columns
	for _, r := range rules {
		needed := float64(r.Condition.Threshold)
		switch k {
		case Spike:
			needed = r.Condition.Factor
		case ReleaseErrorRate:
			needed = r.Condition.Percent
		case EventCount, UserCount, NewIssue, Regression, MonitorStatus:
		}
		c.ids, c.projects = append(c.ids, r.ID.String()), append(c.projects, r.ProjectID.String())
		c.windows, c.byIssue = append(c.windows, int32(r.Condition.WindowMinutes)), append(c.byIssue, r.Condition.Scope == ByIssue)
		c.from, c.needed = append(c.from, r.CountsFrom), append(c.needed, needed)
		c.least, c.newest = append(c.least, r.Condition.Minimum), append(c.newest, r.Condition.Releases == NewestRelease)
		c.levels, c.environments = append(c.levels, jsonOrNone(r.Filter.Levels)), append(c.environments, jsonOrNone(r.Filter.Environments))
	}
	return c
}

// jsonOrNone returns values as a JSON array, "" for none.
func jsonOrNone(values []string) string {
	if len(values) == 0 {
		return ""
	}
	text, _ := json.Marshal(values) // texts can be encoded
	return string(text)
}

// read reads what is at least near its threshold, of all rules.
func (e *evaluation) read(ctx context.Context, tx postgres.Tx) error {
	e.readings = map[subject]reading{}
	for kind, query := range map[Kind]string{EventCount: eventsSQL, UserCount: usersSQL, Spike: spikesSQL, ReleaseErrorRate: ratesSQL} {
		c := e.columns(kind)
		if len(c.ids) == 0 {
			continue
		}
		read := each(tx.Query(ctx, query, minuteOf(e.at), c.ids, c.projects, c.windows, c.byIssue, c.from, c.needed, c.least, c.newest,
			c.levels, c.environments, holdShare, 2*openMost))
		var v reading
		err := read([]any{&v.rule, &v.id, &v.value, &v.needed, &v.events, &v.usual, &v.label}, func() {
			e.readings[v.subject] = v
		})
		if err != nil {
			return fmt.Errorf("read counts for rules of kind %s: %w", kind, err)
		}
	}
	return nil
}

// rulesArg is the rules of a query as a table; $1 is the minute that the windows end with, $12 how near a value has to be to be
// read, and $13 how many subjects of a rule are read: those with an open alert before others, then the greatest values. Each
// query reads a rule's rows by the start of a primary key, for each rule by itself.
const rulesArg = `unnest($2::text[]::uuid[], $3::text[]::uuid[], $4::int[], $5::boolean[], $6::timestamptz[], $7::float8[], $8::bigint[],
	$9::boolean[], $10::text[], $11::text[]) as r (id, project_id, minutes, by_issue, since, needed, least, newest, levels, environments)
	cross join lateral (select r.minutes * interval '1 minute' as w, $12::float8 as hold, $13::bigint as most,
		nullif(r.levels, '')::jsonb as level_list, nullif(r.environments, '')::jsonb as environment_list) p`

// eventsSQL sums the minutes of the windows that end with the present minute, the one before and the one before that.
const eventsSQL = `
	select r.id, s.subject, s.value, r.needed, 0::bigint, 0::float8, coalesce(s.title, '')
	from ` + rulesArg + `
	cross join lateral (
		select v.subject, v.value, i.title
		from (
			select case when r.by_issue then f.issue_id else c.subject end as subject, greatest(
				sum(c.events) filter (where c.minute > $1::timestamptz - p.w and c.minute <= $1::timestamptz),
				sum(c.events) filter (where c.minute > $1::timestamptz - interval '1 minute' - p.w and c.minute <= $1::timestamptz - interval '1 minute'),
				sum(c.events) filter (where c.minute > $1::timestamptz - interval '2 minutes' - p.w and c.minute <= $1::timestamptz - interval '2 minutes'))::float8 as value
			from mesher.alert_counts c
			left join mesher.issue_fingerprints f on r.by_issue and f.project_id = r.project_id and f.fingerprint = c.subject
			where c.rule_id = r.id and c.minute > $1::timestamptz - interval '2 minutes' - p.w and c.minute >= r.since
			group by 1) v
		left join mesher.issues i on r.by_issue and i.project_id = r.project_id and i.id = v.subject
		where v.value >= r.needed * p.hold and (not r.by_issue or i.status = 'unresolved')
		order by exists (
			select from mesher.alert_events e where e.rule_id = r.id and e.subject = v.subject and e.status <> 'resolved') desc, v.value desc, v.subject
		limit $13::bigint) s`

// usersSQL counts the users who were seen last in the window that ends with the minute before the present one, or since.
const usersSQL = `
	select r.id, s.subject, s.value, r.needed, 0::bigint, 0::float8, coalesce(s.title, '')
	from ` + rulesArg + `
	cross join lateral (
		select v.subject, v.value, i.title
		from (
			select case when r.by_issue then f.issue_id else c.subject end as subject, count(distinct c.user_hash)::float8 as value
			from mesher.alert_users c
			left join mesher.issue_fingerprints f on r.by_issue and f.project_id = r.project_id and f.fingerprint = c.subject
			where c.rule_id = r.id and c.minute > $1::timestamptz - interval '1 minute' - p.w and c.minute >= r.since
			group by 1) v
		left join mesher.issues i on r.by_issue and i.project_id = r.project_id and i.id = v.subject
		where v.value >= r.needed * p.hold and (not r.by_issue or i.status = 'unresolved')
		order by exists (
			select from mesher.alert_events e where e.rule_id = r.id and e.subject = v.subject and e.status <> 'resolved') desc, v.value desc, v.subject
		limit $13::bigint) s`

// ratesSQL compares errors with all events of each release, in each of the three windows that has enough events.
const ratesSQL = `
	select r.id, s.subject, s.value, r.needed, s.events, 0::float8, coalesce(s.label, '')
	from ` + rulesArg + `
	left join lateral (
		select encode(substring(sha256(convert_to(n.version, 'utf8')) for 16), 'hex')::uuid as subject from mesher.releases n
		where r.newest and n.project_id = r.project_id order by n.first_seen desc, n.version desc limit 1) n on true
	cross join lateral (
		select v.* from (
			select u.subject, u.label, u.e0 as events, greatest(case when u.e0 >= r.least then u.x0 * 100.0 / u.e0 end,
				case when u.e1 >= r.least then u.x1 * 100.0 / u.e1 end, case when u.e2 >= r.least then u.x2 * 100.0 / u.e2 end)::float8 as value
			from (
				select c.subject, max(c.label) as label,
					coalesce(sum(c.events) filter (where c.minute > $1::timestamptz - p.w and c.minute <= $1::timestamptz), 0)::bigint as e0,
					sum(c.errors) filter (where c.minute > $1::timestamptz - p.w and c.minute <= $1::timestamptz) as x0,
					sum(c.events) filter (where c.minute > $1::timestamptz - interval '1 minute' - p.w and c.minute <= $1::timestamptz - interval '1 minute') as e1,
					sum(c.errors) filter (where c.minute > $1::timestamptz - interval '1 minute' - p.w and c.minute <= $1::timestamptz - interval '1 minute') as x1,
					sum(c.events) filter (where c.minute > $1::timestamptz - interval '2 minutes' - p.w and c.minute <= $1::timestamptz - interval '2 minutes') as e2,
					sum(c.errors) filter (where c.minute > $1::timestamptz - interval '2 minutes' - p.w and c.minute <= $1::timestamptz - interval '2 minutes') as x2
				from mesher.alert_counts c
				where c.rule_id = r.id and c.minute > $1::timestamptz - interval '2 minutes' - p.w and c.minute >= r.since
					and (not r.newest or c.subject = n.subject)
				group by 1) u) v
		where v.value >= r.needed * p.hold
		order by exists (
			select from mesher.alert_events e where e.rule_id = r.id and e.subject = v.subject and e.status <> 'resolved') desc, v.value desc, v.subject
		limit $13::bigint) s`

// spikesSQL compares the windows with what is usual: the events of the hour that ends at the same time of day, or of the window if
// that is longer, on the average of those of the last seven days of which there are counts. A day of which there are none is
// not known; with no day before, nothing is usual and there is no spike.
const spikesSQL = `
	select r.id, r.id, s.value, greatest(r.least, r.needed * u.usual), 0::bigint, u.usual, ''
	from ` + rulesArg + `
	cross join lateral (
		select greatest(
			sum(c.events) filter (where c.minute > $1::timestamptz - p.w and c.minute <= $1::timestamptz),
			sum(c.events) filter (where c.minute > $1::timestamptz - interval '1 minute' - p.w and c.minute <= $1::timestamptz - interval '1 minute'),
			sum(c.events) filter (where c.minute > $1::timestamptz - interval '2 minutes' - p.w and c.minute <= $1::timestamptz - interval '2 minutes'))::float8 as value
		from mesher.project_minute_counts c
		where c.project_id = r.project_id and c.minute > $1::timestamptz - interval '2 minutes' - p.w
			and (p.level_list is null or p.level_list ? c.level) and (p.environment_list is null or p.environment_list ? c.environment)) s
	cross join lateral (
		select least(7, floor(extract(epoch from $1::timestamptz - (
			select c.minute from mesher.project_minute_counts c where c.project_id = r.project_id order by c.minute limit 1)) / 86400))::int as days
		where s.value >= r.least * p.hold) d
	cross join lateral (
		select coalesce(sum(b.events), 0)::float8 / nullif(d.days, 0) * r.minutes / greatest(r.minutes, 60) as usual
		from generate_series(1, d.days) day (n)
		cross join lateral (
			select sum(c.events) as events from mesher.project_minute_counts c
			where c.project_id = r.project_id and c.minute <= $1::timestamptz - day.n * interval '1 day'
				and c.minute > $1::timestamptz - day.n * interval '1 day' - greatest(p.w, interval '1 hour')
				and (p.level_list is null or p.level_list ? c.level) and (p.environment_list is null or p.environment_list ? c.environment)) b
		having d.days >= 1) u
	where s.value >= greatest(r.least, r.needed * u.usual) * p.hold and p.most > 0`
