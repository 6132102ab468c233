package store

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/event"
)

// What alert rules look at is counted by the minute in which events were received: for each rule what its filter lets
// pass, and for the project by level and environment, which is what spikes and dry runs are compared with.

// environmentsMost is how many environments of a batch are counted by themselves; the rest is counted without a name.
const environmentsMost = 20

// minute is whole minutes since the epoch.
type minute int64

func minuteOf(t time.Time) minute { return minute(t.Unix() / int64(time.Minute/time.Second)) }

// minutesOf returns the statements that count rows by the minute, and the users to be remembered once they are committed.
func minutesOf(project uuid.UUID, rows []row, found look, known *memory) (statements []string, users []ruleUser) {
	if len(rows) == 0 {
		return nil, nil
	}
	statements = []string{projectMinutesSQL(project, rows)}
	if counts := ruleCounts(rows, found.watches.counted); len(counts) > 0 {
		statements = append(statements, ruleCountsSQL(counts))
	}
	if users = known.pickRuleUsers(rows, found.watches.users); len(users) > 0 {
		statements = append(statements, ruleUsersSQL(users))
	}
	return statements, users
}

// projectMinutesSQL returns the statement that counts rows by minute, level and environment.
func projectMinutesSQL(project uuid.UUID, rows []row) string {
	type slot struct {
		minute      minute
		level       int
		environment string
	}
	named := frequent(rows)
	var (
		at     = make(map[slot]int)
		slots  []slot
		events []int
	)
	for i := range rows {
		r := &rows[i]
		s := slot{minuteOf(r.receivedAt), levelNumber(r.level), r.environment}
		if named != nil && !named[r.environment] {
			s.environment = ""
		}
		n := place(at, s, &slots, s)
		if n == len(events) {
			events = append(events, 0)
		}
		events[n]++
	}
	order := make([]int, len(slots))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(slots[a].minute, slots[b].minute), cmp.Compare(slots[a].level, slots[b].level),
			cmp.Compare(slots[a].environment, slots[b].environment))
	})
	var minutes, numbers, counts, names list
	for _, i := range order {
		minutes.add(int64(slots[i].minute))
		numbers.add(int64(slots[i].level))
		counts.add(int64(events[i]))
		names.addHex(slots[i].environment)
	}
	return fmt.Sprintf(`
insert into mesher.project_minute_counts as p (project_id, minute, level, environment, events)
select '%s', to_timestamp(minute * 60), ('{%s}'::text[])[level], convert_from(decode(environment, 'hex'), 'utf8'), events
from unnest('{%s}'::bigint[], '{%s}'::int[], '{%s}'::text[], '{%s}'::bigint[]) as c (minute, level, environment, events)
on conflict (project_id, minute, level, environment) do update set events = p.events + excluded.events`,
		project, levels, minutes, numbers, names, counts)
}

// addHex adds a text, as hex in quotes.
func (l *list) addHex(s string) {
	if len(*l) > 0 {
		*l = append(*l, ',')
	}
	*l = append(*l, '"')
	*l = hex.AppendEncode(*l, []byte(s))
	*l = append(*l, '"')
}

// frequent returns the environments that are counted by themselves; nil: all.
func frequent(rows []row) map[string]bool {
	seen := make(map[string]int)
	for i := range rows {
		seen[rows[i].environment]++
	}
	if len(seen) <= environmentsMost {
		return nil
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(seen[b]-seen[a], cmp.Compare(a, b)) })
	kept := make(map[string]bool, environmentsMost)
	for _, name := range names[:environmentsMost] {
		kept[name] = true
	}
	return kept
}

// ruleCount is what a batch adds to a rule's subject in one minute.
type ruleCount struct {
	rule, subject  uuid.UUID
	minute         minute
	label          string
	events, errors int
}

// ruleCounts counts what the filters of rules let pass, sorted.
func ruleCounts(rows []row, rules []watch) []ruleCount {
	if len(rules) == 0 {
		return nil
	}
	type slot struct {
		rule, subject uuid.UUID
		minute        minute
	}
	var (
		at       = make(map[slot]int)
		counts   []ruleCount
		subjects = make(map[string]uuid.UUID) // of releases
	)
	for n := range rules {
		w := &rules[n]
		for i := range rows {
			r := &rows[i]
			c := ruleCount{rule: w.ID, subject: w.ID, minute: minuteOf(r.receivedAt)}
			switch {
			case w.Kind == alert.ReleaseErrorRate && r.release == "", !w.passes(r):
				continue
			case w.Kind == alert.ReleaseErrorRate:
				subject, ok := subjects[r.release]
				if !ok {
					subject = alert.ReleaseSubject(r.release)
					subjects[r.release] = subject
				}
				c.subject, c.label = subject, r.release
			case w.Condition.Scope == alert.ByIssue:
				c.subject = r.fingerprint
			}
			p := &counts[place(at, slot{c.rule, c.subject, c.minute}, &counts, c)]
			p.events++
			if r.level == event.Error || r.level == event.Fatal {
				p.errors++
			}
		}
	}
	slices.SortFunc(counts, func(a, b ruleCount) int {
		return cmp.Or(bytes.Compare(a.rule[:], b.rule[:]), cmp.Compare(a.minute, b.minute), bytes.Compare(a.subject[:], b.subject[:]))
	})
	return counts
}

// ruleCountsSQL returns the statement that adds counts.
func ruleCountsSQL(counts []ruleCount) string {
	rules, subjects := make([]uuid.UUID, len(counts)), make([]uuid.UUID, len(counts))
	var minutes, labels, events, errors list
	for i, c := range counts {
		rules[i], subjects[i] = c.rule, c.subject
		minutes.add(int64(c.minute))
		labels.addHex(c.label)
		events.add(int64(c.events))
		errors.add(int64(c.errors))
	}
	return strings.NewReplacer("$rules", commas(rules), "$subjects", commas(subjects), "$minutes", string(minutes),
		"$labels", string(labels), "$events", string(events), "$errors", string(errors)).Replace(`
insert into mesher.alert_counts as t (rule_id, subject, minute, label, events, errors)
select rule, subject, to_timestamp(minute * 60), nullif(convert_from(decode(label, 'hex'), 'utf8'), ''), events, errors
from unnest('{$rules}'::uuid[], '{$subjects}'::uuid[], '{$minutes}'::bigint[], '{$labels}'::text[], '{$events}'::bigint[],
	'{$errors}'::bigint[]) as c (rule, subject, minute, label, events, errors)
on conflict (rule_id, minute, subject) do update set events = t.events + excluded.events, errors = t.errors + excluded.errors`)
}

// ruleUser is a user whom a rule counts, and when an event of the user was received last.
type ruleUser struct {
	rule, subject, user uuid.UUID
	minute              minute
	key                 uint64
}

// pickRuleUsers returns the users whom rules count and who are not known to be written for the minute, sorted.
func (m *memory) pickRuleUsers(rows []row, rules []watch) []ruleUser {
	if len(rules) == 0 {
		return nil
	}
	type slot struct{ rule, subject, user uuid.UUID }
	var (
		at     = make(map[slot]int)
		picked []ruleUser
	)
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := range rules {
		w := &rules[n]
		of := m.hashID(w.ID)
		for i := range rows {
			r := &rows[i]
			if r.user == uuid.Nil || !w.passes(r) {
				continue
			}
			s := slot{w.ID, w.ID, r.user}
			if w.Condition.Scope == alert.ByIssue {
				s.subject = r.fingerprint
			}
			u := ruleUser{s.rule, s.subject, s.user, minuteOf(r.receivedAt), join(join(of, m.hashID(s.subject)), m.hashID(r.user))}
			if written, ok := m.ruleUsers.get(u.key); ok && minute(written) >= u.minute {
				continue
			}
			k := place(at, s, &picked, u)
			picked[k].minute = max(picked[k].minute, u.minute)
		}
	}
	slices.SortFunc(picked, func(a, b ruleUser) int {
		return cmp.Or(bytes.Compare(a.rule[:], b.rule[:]), bytes.Compare(a.subject[:], b.subject[:]), bytes.Compare(a.user[:], b.user[:]))
	})
	return picked
}

// ruleUsersSQL returns the statement that writes users.
func ruleUsersSQL(users []ruleUser) string {
	rules, subjects, hashes := make([]uuid.UUID, len(users)), make([]uuid.UUID, len(users)), make([]uuid.UUID, len(users))
	var minutes list
	for i, u := range users {
		rules[i], subjects[i], hashes[i] = u.rule, u.subject, u.user
		minutes.add(int64(u.minute))
	}
	return strings.NewReplacer("$rules", commas(rules), "$subjects", commas(subjects), "$users", commas(hashes),
		"$minutes", string(minutes)).Replace(`
insert into mesher.alert_users as t (rule_id, subject, user_hash, minute)
select rule, subject, user_hash, to_timestamp(minute * 60)
from unnest('{$rules}'::uuid[], '{$subjects}'::uuid[], '{$users}'::uuid[], '{$minutes}'::bigint[]) as c (rule, subject, user_hash, minute)
on conflict (rule_id, subject, user_hash) do update set minute = excluded.minute where t.minute < excluded.minute`)
}
