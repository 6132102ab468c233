package retention

import "time"

// rule says which rows of a table are removed. To have rows of a new table removed, add a rule here, its line to the
// documentation (run the tests with -update) and its rows to the test of rules.
type rule struct {
	Step  string // what the summary calls it: the table, as a rule
	Table string
	Gone  string // the condition of rows t that go; $1 is the time before which they are too old: Keep before now
	Keep  time.Duration
	Kept  string // for people: what is kept, and from when Keep counts
	Batch int64  // rows of one statement; 0: 1000

	// Walk is the primary key of t, with types, where no index helps to find what Gone says: the table is walked through in
	// that order, a part in each run. Gone may then speak of the project p that the row belongs to, if there is one, and of
	// the day before which everything is over for it, cutoff.
	Walk []string
	// Via deletes up to $2 rows and returns how many, where the table does not let them be deleted.
	Via string
}

// How long things are kept.
const (
	keepAnswers       = 24 * time.Hour // of calls with an Idempotency-Key
	keepThrottles     = 7 * day        // no pause lasts longer than an hour, and no try is remembered for longer than some
	keepOneTime       = 7 * day        // after they expired
	keepCheckIns      = 7 * day
	keepHealthChecks  = 30 * day
	keepAlerts        = 30 * day // after they were resolved
	keepNotifications = 30 * day
	keepRuns          = 30 * day
	keepTold          = 7 * day // longer than any window or budget lasts
	keepMinutes       = 9 * day // Alerts removes them itself; this is for where it does not run
	keepAlertUsers    = 3 * day // windows last a day at most
	keepUnverified    = 30 * day
	keepInvitations   = 30 * day // after they were over
	keepSessions      = 90 * day // after they expired: so long a network is known to be the user's
	keepTokens        = 90 * day // after they expired or were revoked
	keepUsage         = 90 * day
	keepAudit         = 400 * day
)

// rules returns the table of rules.
func rules(cfg Config) []rule {
	return []rule{
		{
			Step: "sessions", Table: "sessions", Keep: keepSessions, Gone: "t.expires_at < $1::timestamptz",
			Kept: "sessions, after they expired",
		},
		{
			Step: "one_time_tokens", Table: "one_time_tokens", Keep: keepOneTime, Gone: "t.expires_at < $1::timestamptz",
			Kept: "links in mails, after they expired",
		},
		{
			Step: "throttles", Table: "throttles", Keep: keepThrottles,
			Gone: "t.updated_at < $1::timestamptz and t.blocked_until < $1::timestamptz",
			Kept: "counts of attempts, after the last one",
		},
		{
			Step: "idempotency_keys", Table: "idempotency_keys", Keep: keepAnswers, Gone: "t.created_at < $1::timestamptz",
			Kept: "answers to calls with an `Idempotency-Key`",
		},
		{
			Step: "invitations", Table: "invitations", Keep: keepInvitations,
			Gone: "least(t.accepted_at, t.revoked_at, t.expires_at) < $1::timestamptz",
			Kept: "invitations, after they were accepted, revoked or expired",
		},
		{
			Step: "users", Table: "users", Keep: keepUnverified, Batch: 100,
			Gone: `t.email_verified_at is null and t.created_at < $1::timestamptz
				and not exists (select from mesher.memberships m where m.user_id = t.id)
				and not exists (select from mesher.one_time_tokens o where o.user_id = t.id and o.expires_at >= $1::timestamptz)`,
			Kept: "users who never showed that the address is theirs, and are members nowhere",
		},
		{
			Step: "personal_access_tokens", Table: "personal_access_tokens", Keep: keepTokens,
			Gone: "least(t.revoked_at, t.expires_at) < $1::timestamptz",
			Kept: "personal access tokens, after they expired or were revoked",
		},
		{
			Step: "notifications", Table: "notifications", Keep: keepNotifications,
			// What told that an alert fired, alone or in a digest, is asked for when the alert is resolved.
			Gone: `t.created_at < $1::timestamptz and t.finished_at < $1::timestamptz
				and not exists (select from mesher.alert_events e where e.id = t.alert_id and e.status <> 'resolved')
				and not exists (
					select from mesher.notifications f join mesher.alert_events e on e.id = f.alert_id
					where f.digest_id = t.id and e.status <> 'resolved')`,
			Kept: "notifications, after they were delivered or given up and their alerts were resolved",
		},
		{
			Step: "notification_attempts", Table: "notification_attempts", Keep: keepNotifications, Gone: "t.started_at < $1::timestamptz",
			Kept: "the log of deliveries",
		},
		{
			Step: "alert_windows", Table: "alert_windows", Keep: keepTold, Gone: "t.began_at < $1::timestamptz",
			Kept: "how often rules told channels lately",
		},
		{
			Step: "alert_budgets", Table: "alert_budgets", Keep: keepTold, Gone: "t.began_at < $1::timestamptz",
			Kept: "how often channels were told lately",
		},
		{
			Step: "alert_counts", Table: "alert_counts", Keep: keepMinutes, Gone: "t.minute < $1::timestamptz",
			Kept: "what alert rules counted by the minute; `Alerts` removes it after 8 days",
		},
		{
			Step: "project_minute_counts", Table: "project_minute_counts", Keep: keepMinutes, Gone: "t.minute < $1::timestamptz",
			Kept: "counts of projects by the minute; `Alerts` removes them after 8 days",
		},
		{
			Step: "alert_users", Table: "alert_users", Keep: keepAlertUsers, Gone: "t.minute < $1::timestamptz",
			Walk: []string{"rule_id uuid", "subject uuid", "user_hash uuid"},
			Kept: "users whom alert rules counted; `Alerts` removes them when they leave the rule's window",
		},
		{
			Step: "usage", Table: "usage", Keep: keepUsage, Gone: "t.minute < $1::timestamptz",
			Kept: "usage by minute; that by month stays",
		},
		{
			Step: "usage_items", Table: "usage_items", Keep: keepUsage, Gone: "t.hour < $1::timestamptz",
			Kept: "counts of what came besides events",
		},
		{
			Step: "job_runs", Table: "job_runs", Keep: keepRuns, Gone: "t.started_at < $1::timestamptz",
			Kept: "runs of scheduled jobs",
		},
		{
			Step: "check_ins", Table: "check_ins", Keep: keepCheckIns,
			Gone: "t.received_at < $1::timestamptz and (t.digested_at is not null or t.received_at < $1::timestamptz - interval '552 hours')",
			Kept: "check-ins and heartbeats that were looked at; others 30 days",
		},
		{
			Step: "service_health_checks", Table: "service_health_checks", Keep: keepHealthChecks, Gone: "t.created_at < $1::timestamptz",
			Kept: "health checks of monitors",
		},
		{
			Step: "alert_events", Table: "alert_events", Keep: keepAlerts,
			Gone: "t.status = 'resolved' and t.resolved_at < $1::timestamptz",
			Kept: "alerts, after they were resolved",
		},
		{
			Step: "dead_letters", Table: "dead_letters", Keep: time.Duration(cfg.DeadLetterDays) * day, Batch: 100,
			Gone: "t.created_at < $1::timestamptz",
			Kept: "dead letters (`RETENTION_DEAD_LETTER_DAYS`), replayed or not",
		},
		{
			Step: "audit_log", Table: "audit_log", Keep: keepAudit, Gone: "t.created_at < $1::timestamptz",
			Via:  "select mesher.prune_audit_log($1::timestamptz, $2::integer)",
			Kept: "the audit log",
		},
		{
			Step: "issue_hourly_counts", Table: "issue_hourly_counts", Gone: "p.id is null or t.hour < cutoff",
			Walk: []string{"project_id uuid", "fingerprint uuid", "hour timestamptz"},
			Kept: "counts of issues by hour",
		},
		{
			Step: "project_hourly_counts", Table: "project_hourly_counts", Gone: "p.id is null or t.hour < cutoff",
			Walk: []string{"project_id uuid", "hour timestamptz", "level text"},
			Kept: "counts of projects by hour",
		},
		{
			Step: "issue_tags", Table: "issue_tags", Gone: "p.id is null or t.seen_hour < cutoff",
			Walk: []string{"project_id uuid", "fingerprint uuid", "key text", "value text"},
			Kept: "values of tags of issues, after they were seen last",
		},
		{
			Step: "issue_users", Table: "issue_users", Gone: "p.id is null or t.seen_hour < cutoff",
			Walk: []string{"project_id uuid", "fingerprint uuid", "user_hash uuid"},
			Kept: "who was affected by issues, after they were seen last",
		},
		{
			Step: "releases", Table: "releases", Gone: "p.id is null or t.seen_day < (cutoff at time zone 'utc')::date",
			Walk: []string{"project_id uuid", "version text"},
			Kept: "releases, after their last event; of a project the 10,000 that were seen last",
		},
		{
			Step: "usage_months", Table: "usage_months", Gone: "p.id is null",
			Walk: []string{"project_id uuid", "month date"},
			Kept: "usage by month",
		},
		{
			Step: "limit_shares", Table: "limit_shares", Batch: 1000,
			Gone: `p.id is null and not exists (select from mesher.api_keys k where k.id = t.subject)
				and not exists (select from mesher.organizations o where o.id = t.subject)`,
			Walk: []string{"subject uuid"},
			Kept: "what instances told each other of rate limits",
		},
	}
}
