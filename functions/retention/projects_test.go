package retention

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestRetention_DeletesEarlierDaysOfProjectsThatKeepLess(t *testing.T) {
	t.Parallel()
	b := setup(t)
	long, short, shorter := b.project(t, 8), b.project(t, 4), b.project(t, 1)
	b.partitions(t, 8)
	for ago := range 9 {
		for _, p := range []uuid.UUID{long, short, shorter} {
			b.events(t, p, ago, 10)
		}
	}
	b.events(t, shorter, 5, deleteBatch*2)
	b.exec(t, "insert into mesher.issues (project_id, id, title, level, event_count, first_seen, last_seen, active_hour) values ($1, gen_random_uuid(), 't', 'error', 90, now(), now(), now())", short)
	b.db.Exec(t, "analyze mesher.events")

	dry := b.run(t, "?dry_run=true")
	s := b.run(t, "")
	const want = 4*10 + 7*10 + deleteBatch*2 // days 5 to 8, and 2 to 8, before
	if dry.Done["events"] != want || s.Done["events"] != want || len(s.Remaining) != 0 {
		t.Errorf("dry run %d, removed %d; want %d of both: %+v", dry.Done["events"], s.Done["events"], want, s)
	}
	for p, want := range map[uuid.UUID]string{
		long: "0:10 1:10 2:10 3:10 4:10 5:10 6:10 7:10 8:10", short: "0:10 1:10 2:10 3:10 4:10", shorter: "0:10 1:10",
	} {
		if got := b.days(t, p); got != want {
			t.Errorf("events by days ago = %s, want %s", got, want)
		}
	}
	if b.number(t, "select event_count from mesher.issues") != 90 {
		t.Error("an issue has lost its count")
	}
	if i := slices.IndexFunc(s.Report.Steps, func(f Freed) bool { return f.Step == "events" }); i < 0 ||
		s.Report.Steps[i].BytesReusable < want*500 || s.Report.Steps[i].BytesReturned != 0 {
		t.Errorf("report = %+v, want at least the bytes of the messages", s.Report)
	}

	// What is cleaned is not looked at again, until the project is changed.
	b.events(t, short, 6, 3)
	if again := b.run(t, ""); again.Done["events"] != 0 {
		t.Errorf("a second run removed %d", again.Done["events"])
	}
	b.exec(t, "update mesher.projects set updated_at = clock_timestamp() where id = $1", short)
	if again := b.run(t, ""); again.Done["events"] != 3 {
		t.Errorf("after a change %d are removed, want 3", again.Done["events"])
	}
	b.now = noon.AddDate(0, 0, 1)
	b.run(t, "")
	if got := b.days(t, short); got != "0:10 1:10 2:10 3:10" {
		t.Errorf("a day later: events by days ago = %s", got)
	}
}

func TestRetention_ErasesDeletedProjects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.partitions(t, 5)
	dead, young, alive := b.project(t, 90), b.project(t, 90), b.project(t, 90)
	for _, p := range []uuid.UUID{dead, young, alive} {
		b.events(t, p, 0, 5)
		b.events(t, p, 4, 1200)
		b.belongings(t, p)
	}
	deleted := "update mesher.projects set status = 'deleting', deleted_at = $2::timestamptz - $3::integer * interval '1 hour' where id = $1"
	b.exec(t, deleted, dead, noon, 7*24+1)
	b.exec(t, deleted, young, noon, 7*24-1)

	dry := b.run(t, "?dry_run=true")
	if dry.Done["projects"] != 1 || b.days(t, dead) != "0:5 4:1200" || b.number(t, "select count(*) from mesher.projects where erasing_at is not null") != 0 {
		t.Errorf("dry run: %+v, and events are %s", dry, b.days(t, dead))
	}
	s := b.run(t, "")
	if s.Done["projects"] != 1 || len(s.Remaining) != 0 {
		t.Errorf("run: %+v, want one project erased", s)
	}
	for _, table := range b.tablesWith(t, "project_id") {
		for p, want := range map[uuid.UUID]bool{dead: false, young: true, alive: true} {
			if has := b.number(t, "select count(*) from mesher."+table+" where project_id = $1", p) > 0; has != want && table != "retention_marks" {
				t.Errorf("%s has rows of the project: %t, want %t", table, has, want)
			}
		}
	}
	for _, table := range []string{"alert_counts", "alert_users", "service_health_checks"} {
		if n := b.number(t, "select count(*) from mesher."+table); n != 2 {
			t.Errorf("%d rows in %s, want one of each project that is left", n, table)
		}
	}
	if got := b.texts(t, "select action || ' ' || target_name from mesher.audit_log"); len(got) != 1 || !strings.HasPrefix(got[0], "project.erase p") {
		t.Errorf("audit log = %v", got)
	}
	// What Ingest still counts of it goes with the next walks.
	b.exec(t, "insert into mesher.usage_months values ($1, '2026-03-01', 1)", dead)
	b.now = noon.AddDate(0, 0, 1)
	s = b.run(t, "")
	if s.Done["projects"] != 1 || s.Done["usage_months"] != 1 || b.number(t, "select count(*) from mesher.projects") != 1 {
		t.Errorf("a day later: %+v, want the other project erased", s)
	}
}

// Once it has begun, a deletion cannot be taken back, and what is left is erased by the next run.
func TestRetention_EndsWhatItBegan(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.partitions(t, 1)
	p := b.project(t, 90)
	b.events(t, p, 0, 5)
	b.exec(t, "update mesher.projects set status = 'deleting', deleted_at = $2, erasing_at = $2 where id = $1", p, noon)
	active := tenant.ProjectActive
	_, _, err := tenant.ChangeProject(t.Context(), b.admin, p, tenant.ProjectChange{Status: &active})
	if !fault.Is(err, fault.Conflict) || fault.CodeOf(err) != "project_erasing" {
		t.Errorf("bringing it back: %v, want a conflict", err)
	}
	if s := b.run(t, ""); s.Done["projects"] != 1 || b.number(t, "select count(*) from mesher.events") != 0 {
		t.Errorf("run: %+v", s)
	}
	// One that was brought back in time stays.
	q := b.project(t, 90)
	b.exec(t, "update mesher.projects set status = 'deleting', deleted_at = $2 where id = $1", q, noon.AddDate(0, 0, -8))
	if _, _, err := tenant.ChangeProject(t.Context(), b.admin, q, tenant.ProjectChange{Status: &active}); err != nil {
		t.Fatal(err)
	}
	if s := b.run(t, ""); s.Done["projects"] != 0 {
		t.Errorf("run: %+v, want nothing erased", s)
	}
}

func TestRetention_ErasesDeletedOrganizations(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.project(t, 90)
	b.exec(t, firstUser)
	for _, sql := range []string{
		someMonitor,
		"insert into mesher.service_health_checks (id, monitor_id, status, created_at) select gen_random_uuid(), id, 'healthy', '2026-03-10' from mesher.monitors",
		"insert into mesher.memberships (organization_id, user_id, role) select id, " + someUser + ", 'owner' from mesher.organizations",
		"insert into mesher.invitations (id, organization_id, email, role, expires_at) select gen_random_uuid(), id, 'b@example.com', 'member', '2026-03-12' from mesher.organizations",
		`insert into mesher.personal_access_tokens (id, user_id, organization_id, hash, prefix, last_four, label, scope)
			select gen_random_uuid(), ` + someUser + `, id, sha256('t'), 'p', 'l', 'l', 'read' from mesher.organizations`,
		"insert into mesher.alert_channels (id, organization_id, name, kind) select gen_random_uuid(), id, 'c', 'email' from mesher.organizations",
		"insert into mesher.alert_rules (id, organization_id, name, kind, severity) select gen_random_uuid(), id, 'r', 'monitor', 'info' from mesher.organizations",
		"insert into mesher.alert_rule_channels select r.id, c.id from mesher.alert_rules r, mesher.alert_channels c",
		`insert into mesher.alert_events (id, organization_id, rule_id, rule_name, kind, subject, severity, title, started_at)
			select gen_random_uuid(), organization_id, id, 'r', 'monitor', id, 'info', 't', '2026-03-10' from mesher.alert_rules`,
		"insert into mesher.notifications (id, organization_id, channel, template, recipient) select gen_random_uuid(), id, 'email', 't', 'r' from mesher.organizations",
		"insert into mesher.limit_shares select id, '{}' from mesher.organizations",
	} {
		b.exec(t, sql)
	}
	b.exec(t, "update mesher.organizations set deleted_at = $1", noon.AddDate(0, 0, -8))
	b.exec(t, "update mesher.projects set status = 'deleting', deleted_at = $1", noon.AddDate(0, 0, -6))
	for _, table := range b.tablesWith(t, "organization_id") {
		if table != "audit_log" && b.number(t, "select count(*) from mesher."+table) == 0 {
			t.Errorf("nothing of the organization is in %s: the test would not see that it is erased", table)
		}
	}
	if s := b.run(t, ""); s.Done["organizations"] != 0 || s.Done["projects"] != 0 {
		t.Errorf("run: %+v, want the organization to wait for its project %s", s, p)
	}
	b.now = noon.AddDate(0, 0, 2)
	if s := b.run(t, ""); s.Done["organizations"] != 1 || s.Done["projects"] != 1 {
		t.Errorf("run: %+v, want both erased", s)
	}
	for _, table := range append(b.tablesWith(t, "organization_id"), "service_health_checks", "limit_shares", "organizations") {
		if n := b.number(t, "select count(*) from mesher."+table); n != 0 && table != "audit_log" {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	if b.number(t, "select count(*) from mesher.users") != 1 {
		t.Error("people are gone with their organization")
	}
}

// belongings gives a project something in every table that has a column project_id.
func (b *bundle) belongings(t testing.TB, p uuid.UUID) {
	t.Helper()
	for _, sql := range []string{
		"insert into mesher.api_keys (id, project_id, hash, prefix, last_four, label) values (gen_random_uuid(), $1, sha256(random()::text::bytea), 'p', 'l', 'l')",
		"insert into mesher.issues (project_id, id, title, level, first_seen, last_seen, active_hour) select $1, md5(n::text)::uuid, 't', 'error', now(), now(), now() from generate_series(1, 700) n",
		"insert into mesher.usage (project_id, minute) values ($1, '2026-03-10')",
		"insert into mesher.usage_items values ($1, '2026-03-10', 't', 1)",
		"insert into mesher.dead_letters (id, project_id, source, reason, payload, created_at) values (gen_random_uuid(), $1, 'event', 'r', 'p', '2026-03-10')",
		"insert into mesher.check_ins (id, project_id, slug, status, received_at) values (gen_random_uuid(), $1, 's', 'ok', '2026-03-10')",
		`insert into mesher.monitors (id, organization_id, project_id, name, kind, config, interval_s, timeout_ms, failures, failures_of, recoveries, due_at)
			select gen_random_uuid(), organization_id, id, 'm', 'http', '{}', 60, 1000, 1, 1, 1, now() from mesher.projects where id = $1`,
		"insert into mesher.project_minute_counts values ($1, '2026-03-10', 'error', '', 1)",
		`insert into mesher.alert_rules (id, organization_id, project_id, name, kind, severity)
			select gen_random_uuid(), organization_id, id, 'r', 'new_issue', 'info' from mesher.projects where id = $1`,
		`insert into mesher.alert_events (id, organization_id, project_id, rule_id, rule_name, kind, subject, severity, title, started_at)
			select gen_random_uuid(), organization_id, id, gen_random_uuid(), 'r', 'new_issue', id, 'info', 't', '2026-03-10' from mesher.projects where id = $1`,
	} {
		b.exec(t, sql, p)
	}
	b.exec(t, "insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version) select $1, id, id, 1 from mesher.issues where project_id = $1", p)
	b.exec(t, "insert into mesher.issue_activity (id, project_id, issue_id, action) select gen_random_uuid(), $1, id, 'resolved' from mesher.issues where project_id = $1", p)
	b.exec(t, "insert into mesher.service_health_checks (id, monitor_id, status, created_at) select gen_random_uuid(), id, 'healthy', '2026-03-10' from mesher.monitors where project_id = $1", p)
	b.exec(t, "insert into mesher.alert_counts (rule_id, subject, minute, events) select id, id, '2026-03-10', 1 from mesher.alert_rules where project_id = $1", p)
	b.exec(t, "insert into mesher.alert_users select id, id, id, '2026-03-10' from mesher.alert_rules where project_id = $1", p)
	for table, insert := range walkCases {
		if table != "alert_users" {
			b.exec(t, insert, p, noon)
		}
	}
	for _, table := range b.tablesWith(t, "project_id") {
		if table != "retention_marks" && b.number(t, "select count(*) from mesher."+table+" where project_id = $1", p) == 0 {
			t.Errorf("nothing of the project is in %s: the test would not see that it is erased", table)
		}
	}
}

// tablesWith lists the tables that have a column, without partitions.
func (b *bundle) tablesWith(t testing.TB, column string) []string {
	t.Helper()
	return b.texts(t, `select c.relname::text from pg_attribute a join pg_class c on c.oid = a.attrelid
		where c.relnamespace = 'mesher'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and a.attname = $1
		  and not a.attisdropped order by 1`, column)
}

// What nothing is removed from by age: it is there as long as what it is of, or there is little of it.
var lasting = []string{
	"alert_channels", "alert_pending", "alert_rule_channels", "alert_rules", "api_keys", "issue_activity", "issue_fingerprints", "issues",
	"job_leases", "memberships", "migrations", "monitors", "organizations", "projects", "retention_marks", "retention_sweeps",
}

// For each table it is decided whether its rows go by age: nothing grows for ever by oversight.
func TestRules_DecideOnEveryTable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := rules(Config{})
	for _, table := range b.texts(t, `select relname::text from pg_class where relnamespace = 'mesher'::regnamespace and relkind = 'r' and not relispartition`) {
		ruled := slices.ContainsFunc(all, func(r rule) bool { return r.Table == table })
		if ruled == slices.Contains(lasting, table) {
			t.Errorf("%s: has a rule is %t; a table has a rule in rules.go, or a reason to be among the lasting ones here", table, ruled)
		}
	}
}

// Every table that holds something of a project, or of an organization, is erased with it.
func TestBelongings_AreComplete(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for column, tt := range map[string]struct {
		all    []belonging
		except []string
	}{
		"project_id":      {ofProject(), []string{"events"}},
		"organization_id": {ofOrganization(), []string{"projects", "audit_log"}},
	} {
		for _, table := range b.tablesWith(t, column) {
			listed := slices.ContainsFunc(tt.all, func(b belonging) bool { return b.table == table })
			if !listed && !slices.Contains(tt.except, table) {
				t.Errorf("%s has a column %s, but nothing is erased there: add it to erase.go or organizations.go", table, column)
			}
		}
	}
}
