package retention

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/pgtest"
)

// ruleCase is how a row comes into a rule's table. $1 is a time: a minute within what is kept, or a minute past it.
type ruleCase struct {
	insert string
	stays  []string // rows that stay however old they are; $1 is past what is kept
}

const (
	someUser  = "'00000000-0000-0000-0000-00000000000a'::uuid"
	firstUser = "insert into mesher.users (id, email, email_verified_at) values (" + someUser + ", 'a@example.com', now())"
)

// ruleCases has a case for each rule without Walk.
var ruleCases = map[string]ruleCase{
	"sessions": {insert: `insert into mesher.sessions (id, user_id, hash, expires_at, network, ip)
		values (gen_random_uuid(), ` + someUser + `, sha256(random()::text::bytea), $1, '10.0.0.1', '10.0.0.1')`},
	"one_time_tokens": {insert: `insert into mesher.one_time_tokens (hash, purpose, user_id, email, expires_at)
		values (sha256(random()::text::bytea), 'verify_email', ` + someUser + `, 'a@example.com', $1)`},
	"throttles": {
		insert: `insert into mesher.throttles (kind, subject, level, updated_at, blocked_until) values ('k', sha256(random()::text::bytea), 1, $1, $1)`,
		stays:  []string{`insert into mesher.throttles (kind, subject, level, updated_at, blocked_until) values ('k', sha256('x'), 1, $1, $1::timestamptz + interval '8 days')`},
	},
	"idempotency_keys": {insert: `insert into mesher.idempotency_keys (credential_id, key_hash, request_hash, status, body, created_at)
		values (gen_random_uuid(), sha256('k'), sha256('r'), 200, '', $1)`},
	"invitations": {
		insert: `insert into mesher.invitations (id, organization_id, email, role, expires_at, revoked_at)
			select gen_random_uuid(), o.id, 'b@example.com', 'member', $1::timestamptz + interval '7 days', $1::timestamptz from mesher.organizations o`,
		stays: []string{`insert into mesher.invitations (id, organization_id, email, role, created_at, expires_at)
			select gen_random_uuid(), o.id, 'c@example.com', 'member', $1::timestamptz, $1::timestamptz + interval '40 days' from mesher.organizations o`},
	},
	"users": {
		insert: `insert into mesher.users (id, email, created_at) values (gen_random_uuid(), gen_random_uuid() || '@example.com', $1)`,
		stays: []string{
			`insert into mesher.users (id, email, created_at, email_verified_at) values (gen_random_uuid(), 'old@example.com', $1, $1)`,
			`with u as (insert into mesher.users (id, email, created_at) values (gen_random_uuid(), 'member@example.com', $1) returning id)
				insert into mesher.memberships (organization_id, user_id, role) select o.id, u.id, 'member' from u, mesher.organizations o`,
			`with u as (insert into mesher.users (id, email, created_at) values (gen_random_uuid(), 'late@example.com', $1) returning id)
				insert into mesher.one_time_tokens (hash, purpose, user_id, email, expires_at)
				select sha256('late'), 'verify_email', id, 'late@example.com', $1::timestamptz + interval '31 days' from u`,
		},
	},
	"personal_access_tokens": {
		insert: `insert into mesher.personal_access_tokens (id, user_id, hash, prefix, last_four, label, scope, expires_at, revoked_at)
			values (gen_random_uuid(), ` + someUser + `, sha256(random()::text::bytea), 'p', 'l', 'l', 'read', $1::timestamptz + interval '200 days', $1::timestamptz)`,
		stays: []string{`insert into mesher.personal_access_tokens (id, user_id, hash, prefix, last_four, label, scope, created_at)
			values (gen_random_uuid(), ` + someUser + `, sha256('for ever'), 'p', 'l', 'l', 'read', $1)`},
	},
	"notifications": {
		insert: `insert into mesher.notifications (id, channel, template, recipient, status, created_at, finished_at)
			values (gen_random_uuid(), 'email', 't', 'r', 'sent', $1::timestamptz - interval '1 hour', $1)`,
		stays: []string{
			`insert into mesher.notifications (id, channel, template, recipient, created_at) values (gen_random_uuid(), 'email', 't', 'r', $1)`,
			// What told of an alert that is open, and the digest that did.
			`with e as (` + openAlert + `), d as (
					insert into mesher.notifications (id, channel, template, recipient, status, created_at, finished_at)
					values (gen_random_uuid(), 'slack', 'digest', 'r', 'sent', $1, $1) returning id)
				insert into mesher.notifications (id, channel, template, recipient, status, created_at, finished_at, alert_id, digest_id)
				select gen_random_uuid(), 'slack', 'alert', 'r', 'folded', $1, $1, e.id, d.id from e, d`,
		},
	},
	"notification_attempts": {insert: `insert into mesher.notification_attempts (notification_id, attempt, started_at, took_ms, outcome)
		values (gen_random_uuid(), 1, $1, 1, 'failed')`},
	"alert_windows":         {insert: `insert into mesher.alert_windows values (gen_random_uuid(), gen_random_uuid(), $1, 1)`},
	"alert_budgets":         {insert: `insert into mesher.alert_budgets values (gen_random_uuid(), $1, 1)`},
	"alert_counts":          {insert: `insert into mesher.alert_counts (rule_id, subject, minute, events) values (gen_random_uuid(), gen_random_uuid(), $1, 1)`},
	"project_minute_counts": {insert: `insert into mesher.project_minute_counts values (gen_random_uuid(), $1, 'error', '', 1)`},
	"usage":                 {insert: `insert into mesher.usage (project_id, minute, stored) values (gen_random_uuid(), $1, 1)`},
	"usage_items":           {insert: `insert into mesher.usage_items (project_id, hour, type, items) values (gen_random_uuid(), $1, 't', 1)`},
	"job_runs":              {insert: `insert into mesher.job_runs (id, job, started_at) values (gen_random_uuid(), 'j', $1)`},
	"check_ins": {
		insert: `insert into mesher.check_ins (id, monitor_id, status, received_at, digested_at) values (gen_random_uuid(), gen_random_uuid(), 'ok', $1, $1)`,
		stays:  []string{`insert into mesher.check_ins (id, monitor_id, status, received_at) values (gen_random_uuid(), gen_random_uuid(), 'ok', $1)`},
	},
	"service_health_checks": {insert: `insert into mesher.service_health_checks (id, monitor_id, status, created_at)
		select gen_random_uuid(), m.id, 'healthy', $1 from mesher.monitors m`},
	"alert_events": {
		insert: `insert into mesher.alert_events (id, organization_id, rule_id, rule_name, kind, subject, status, severity, title, started_at, resolved_at)
			values (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'r', 'monitor', gen_random_uuid(), 'resolved', 'info', 't', $1::timestamptz - interval '1 day', $1)`,
		stays: []string{`insert into mesher.alert_events (id, organization_id, rule_id, rule_name, kind, subject, status, severity, title, started_at)
			values (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'r', 'monitor', gen_random_uuid(), 'active', 'info', 't', $1)`},
	},
	"dead_letters": {insert: `insert into mesher.dead_letters (id, source, reason, payload, created_at, replayed_at)
		values (gen_random_uuid(), 'message', 'r', 'p', $1, $1)`},
	"audit_log": {insert: `insert into mesher.audit_log (id, created_at, actor_kind, actor_name, action, target_kind, target_name)
		values (gen_random_uuid(), $1, 'user', 'u', 'a.b', 'k', 'n')`},
}

const openAlert = `insert into mesher.alert_events (id, organization_id, rule_id, rule_name, kind, subject, severity, title, started_at)
	values (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'r', 'monitor', gen_random_uuid(), 'info', 't', $1) returning id`

const someMonitor = `insert into mesher.monitors (id, organization_id, name, kind, config, interval_s, timeout_ms, failures, failures_of,
	recoveries, due_at) select gen_random_uuid(), id, 'm', 'http', '{}', 60, 1000, 1, 1, 1, now() from mesher.organizations`

// Of each rule's rows those past it go, and those within it stay. Every batch is small, so that there are several.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, rule := range rules(Config{GraceDays: 7, DeadLetterDays: 90}) {
		if len(rule.Walk) > 0 {
			continue
		}
		t.Run(rule.Step, func(t *testing.T) {
			t.Parallel()
			c, ok := ruleCases[rule.Step]
			if !ok {
				t.Fatalf("the rule %s has no case in ruleCases", rule.Step)
			}
			b := setup(t)
			b.exec(t, firstUser)
			b.exec(t, someMonitor)
			before := b.number(t, "select count(*) from mesher."+rule.Table)
			past, within := noon.Add(-rule.Keep-time.Minute), noon.Add(-rule.Keep+time.Minute)
			for _, stays := range c.stays {
				b.exec(t, stays, past)
			}
			b.exec(t, c.insert, within)
			kept := b.number(t, "select count(*) from mesher."+rule.Table)
			const gone = 3
			for i := range gone {
				b.exec(t, strings.ReplaceAll(c.insert, "b@example.com", fmt.Sprintf("b%d@example.com", i)), past)
			}
			if kept <= before {
				t.Fatal("nothing is inserted that stays")
			}
			if dry := b.run(t, "?dry_run=true"); dry.Done[rule.Step] != gone || b.number(t, "select count(*) from mesher."+rule.Table) < kept+gone {
				t.Errorf("dry run: would remove %d, want %d and nothing removed", dry.Done[rule.Step], gone)
			}
			s := b.run(t, "")
			if got := b.number(t, "select count(*) from mesher."+rule.Table+" t where not ("+jobOfTests(rule)+")"); s.Done[rule.Step] != gone || got != kept {
				t.Errorf("%d rows removed, %d left; want %d and %d", s.Done[rule.Step], got, gone, kept)
			}
			if !slices.ContainsFunc(s.Report.Steps, func(f Freed) bool { return f.Step == rule.Step && f.Rows == gone && f.BytesReusable > 0 }) ||
				s.Report.BytesReturned != 0 {
				t.Errorf("report = %+v, want the rows with the bytes that can be used again", s.Report)
			}
			if again := b.run(t, ""); again.Done[rule.Step] != 0 {
				t.Errorf("a second run removed %d more", again.Done[rule.Step])
			}
		})
	}
}

// jobOfTests says which rows the test's own runs have written.
func jobOfTests(r rule) string {
	if r.Table == "job_runs" {
		return "t.job = 'retention'"
	}
	return "false"
}

// walkCases has a case for each rule with Walk: $1 is a project, $2 a time.
var walkCases = map[string]string{
	"issue_hourly_counts":   "insert into mesher.issue_hourly_counts values ($1, gen_random_uuid(), $2, 1)",
	"project_hourly_counts": "insert into mesher.project_hourly_counts values ($1, $2, 'error', 1)",
	"issue_tags":            "insert into mesher.issue_tags values ($1, gen_random_uuid(), 'k', 'v', $2)",
	"issue_users":           "insert into mesher.issue_users values ($1, gen_random_uuid(), gen_random_uuid(), $2)",
	"releases":              "insert into mesher.releases values ($1, gen_random_uuid()::text, '2020-01-01', ($2::timestamptz at time zone 'utc')::date)",
	"alert_users":           "insert into mesher.alert_users values ($1, gen_random_uuid(), gen_random_uuid(), $2)",
	"usage_months":          "insert into mesher.usage_months values ($1, date_trunc('month', $2::timestamptz), 1)",
	"limit_shares":          "insert into mesher.limit_shares values ($1, jsonb_build_object('t', $2::timestamptz))",
}

// Rows past what their project keeps go, the others stay; so go all rows of a project that is gone.
func TestRules_ThatWalk(t *testing.T) {
	t.Parallel()
	for _, rule := range rules(Config{GraceDays: 7, DeadLetterDays: 90}) {
		if len(rule.Walk) == 0 {
			continue
		}
		t.Run(rule.Step, func(t *testing.T) {
			t.Parallel()
			insert, ok := walkCases[rule.Step]
			if !ok {
				t.Fatalf("the rule %s has no case in walkCases", rule.Step)
			}
			b := setup(t)
			short, long := b.project(t, 10), b.project(t, 100)
			if rule.Keep > 0 {
				// Nothing of it is a project's.
				b.exec(t, insert, uuid.New(), noon.Add(-rule.Keep+time.Minute))
				b.exec(t, insert, uuid.New(), noon.Add(-rule.Keep-time.Minute))
				if s := b.run(t, ""); s.Done[rule.Step] != 1 || b.number(t, "select count(*) from mesher."+rule.Table) != 1 {
					t.Errorf("%d rows removed, want the one that is too old", s.Done[rule.Step])
				}
				return
			}
			byAge := strings.Contains(rule.Gone, "cutoff")
			want := int64(1) // of the project that is gone
			b.exec(t, insert, uuid.New(), noon)
			if byAge {
				for _, p := range []struct {
					id   uuid.UUID
					days int
				}{{short, 10}, {long, 100}} {
					cutoff := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -p.days)
					b.exec(t, insert, p.id, cutoff.Add(-time.Hour))
					b.exec(t, insert, p.id, cutoff)
					want++
				}
			} else {
				b.exec(t, insert, short, noon.AddDate(-5, 0, 0))
				b.exec(t, insert, long, noon)
			}
			left := b.number(t, "select count(*) from mesher."+rule.Table) - want
			if dry := b.run(t, "?dry_run=true"); dry.Done[rule.Step] != want {
				t.Errorf("dry run: would remove %d, want %d", dry.Done[rule.Step], want)
			}
			s := b.run(t, "")
			if got := b.number(t, "select count(*) from mesher."+rule.Table); s.Done[rule.Step] != want || got != left {
				t.Errorf("%d rows removed, %d left; want %d and %d", s.Done[rule.Step], got, want, left)
			}
			// Once through is enough for a day.
			b.exec(t, insert, uuid.New(), noon)
			if s := b.run(t, ""); s.Done[rule.Step] != 0 {
				t.Errorf("on the same day %d more are removed", s.Done[rule.Step])
			}
			b.now = noon.AddDate(0, 0, 1)
			wantNext := int64(1)
			if byAge {
				wantNext += 2 // those of the first hour that was kept
			}
			if s := b.run(t, ""); s.Done[rule.Step] != wantNext {
				t.Errorf("on the next day %d are removed, want %d", s.Done[rule.Step], wantNext)
			}
		})
	}
}

// A walk goes on where the last run had no more time, also between rows that differ in their last column only.
func TestWalk_GoesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.project(t, 10)
	b.exec(t, `insert into mesher.issue_tags select $1, md5((n / 100)::text)::uuid, 'k' || n % 3, 'v' || n,
		case when n % 2 = 0 then $2::timestamptz else $2::timestamptz - interval '20 days' end from generate_series(1, 1000) n`, p, noon)
	all := rules(Config{DeadLetterDays: 90})
	rule := all[slices.IndexFunc(all, func(r rule) bool { return r.Step == "issue_tags" })]
	var done, steps int64
	var position []string
	for {
		args := []any{noon, 7}
		for _, key := range position {
			args = append(args, key)
		}
		var seen, gone int64
		if err := b.pool.QueryRow(t.Context(), rule.page(len(position) == 0), args...).Scan(&seen, &gone, &position); err != nil {
			t.Fatal(err)
		}
		done, steps = done+gone, steps+1
		if seen < 7 {
			break
		}
	}
	if done != 500 || steps != 143 || b.number(t, "select count(*) from mesher.issue_tags") != 500 {
		t.Errorf("%d rows removed in %d steps, want 500 in 143", done, steps)
	}
}

func TestRules_KeepTheReleasesThatWereSeenLast(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p, other := b.project(t, 90), b.project(t, 90)
	b.exec(t, `insert into mesher.releases select $1, 'new ' || n, $2::timestamptz, '2026-03-09' from generate_series(1, 10010) n`, p, noon)
	b.exec(t, `insert into mesher.releases select $1, 'in use ' || n, '2020-01-01', '2026-03-10' from generate_series(1, 5) n`, p)
	b.exec(t, `insert into mesher.releases select $1, 'few', '2020-01-01', '2026-03-01'`, other)
	s := b.run(t, "")
	if s.Done["releases"] != 15 || b.number(t, "select count(*) from mesher.releases where version like 'in use%' or version = 'few'") != 6 ||
		b.number(t, "select count(*) from mesher.releases where project_id = $1", p) != releasesMost {
		t.Errorf("%d removed; want the 15 that were not seen last", s.Done["releases"])
	}
}

func TestAuditLog_StandsButForRetention(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, ruleCases["audit_log"].insert, noon)
	for role, statements := range map[pgtest.Role][]string{
		pgtest.Admin: {"delete from mesher.audit_log", "update mesher.audit_log set action = 'c.d'", "truncate mesher.audit_log"},
		pgtest.Store: {"delete from mesher.audit_log", "update mesher.audit_log set action = 'c.d'"},
		pgtest.App:   {"delete from mesher.audit_log", "select mesher.prune_audit_log(now(), 10)", "begin; set local mesher.pruning_audit_log = 'on'; delete from mesher.audit_log"},
	} {
		conn := b.db.Conn(t, role)
		for _, sql := range statements {
			if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err == nil {
				t.Errorf("%s as %s succeeded", sql, role)
			}
			_, _ = conn.PgConn().Exec(t.Context(), "rollback").ReadAll()
		}
	}
	// Pruning opens the door for itself, not for what comes after it in the same transaction.
	conn := b.db.Conn(t, pgtest.Store)
	_, err := conn.PgConn().Exec(t.Context(), "begin; select mesher.prune_audit_log('2020-01-01', 10); delete from mesher.audit_log; commit").ReadAll()
	if err == nil || b.number(t, "select count(*) from mesher.audit_log") != 1 {
		t.Errorf("after pruning, a delete in the same transaction: %v, want it refused", err)
	}
}

func TestFunction_RefusesOtherMethods(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, err := http.Get(b.url)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET = %d, want 405", r.StatusCode)
	}
}
