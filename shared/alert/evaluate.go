package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/postgres"
)

const (
	// lagMinutes is how late events may be stored and still be seen: the windows that end with the present minute are looked
	// at, and those that ended in the minutes before.
	lagMinutes = 2
	// holdShare is how far below its threshold an alert's value has to fall until the alert is resolved, so that one which
	// wavers is one alert.
	holdShare = 0.9
	// openMost is how many alerts of one rule may be open because of windows; what is beyond waits until some are resolved.
	openMost = 1000
	// ruleBatch is how many rules are evaluated in one transaction.
	ruleBatch = 500
	// changesMost bounds what a run does for one organization, in alerts and notifications: a transaction is everybody's, and
	// must end in time whatever one of them has rules for. What is beyond waits for the next run, but for the first alert of
	// each rule.
	changesMost = 2500
	// resolveCost is how many times as much it takes to tell that an alert is resolved, which looks up what was told before.
	resolveCost = 4
)

// Evaluated is what became of a batch of rules.
type Evaluated struct {
	Rules    int         // that were looked at
	Raised   int         // alerts that should be open now and were not
	Resolved int         // alerts whose condition ended
	Left     int         // subjects beyond openMost, and what waits for the next run
	Told     []uuid.UUID // notifications to hand to outbox.Publish
	Next     uuid.UUID   // of the batch that follows; uuid.Nil: there is none
}

// Evaluate looks at the windows of the next rules after an id, in one transaction: at those which end with the minute of at, and
// the two before. It raises and resolves alerts, as of at. Rules of which nothing was counted lately and no alert is open are
// passed over. Two who evaluate at once raise an alert once.
func Evaluate(ctx context.Context, db postgres.Beginner, after uuid.UUID, at time.Time) (Evaluated, error) {
	out, err := evaluate(ctx, db, after, at)
	if postgres.SQLState(err) == foreignKeyViolation {
		out, err = evaluate(ctx, db, after, at) // a rule was deleted meanwhile
	}
	if err != nil {
		return Evaluated{}, fmt.Errorf("evaluate rules: %w", err)
	}
	return out, nil
}

const foreignKeyViolation = "23503"

func evaluate(ctx context.Context, db postgres.Beginner, after uuid.UUID, at time.Time) (out Evaluated, err error) {
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		out = Evaluated{}
		rules, err := dueRules(ctx, tx, after, at)
		if err != nil || len(rules) == 0 {
			return err
		}
		out.Rules = len(rules)
		if len(rules) == ruleBatch {
			out.Next = rules[len(rules)-1].ID
		}
		e := evaluation{rules: make(map[uuid.UUID]Rule, len(rules)), at: at.UTC().Truncate(time.Microsecond), out: &out}
		for _, r := range rules {
			e.rules[r.ID] = r
		}
		return e.run(ctx, tx)
	})
	return out, err
}

// dueRules returns rules of which windows have to be looked at.
func dueRules(ctx context.Context, tx postgres.Tx, after uuid.UUID, at time.Time) ([]Rule, error) {
	rows, err := tx.Query(ctx, `
		select `+ruleColumns+` from mesher.alert_rules r
		where r.enabled and r.id > $1::uuid and r.kind in ('event_count', 'user_count', 'spike', 'release_error_rate') and (
			r.updated_at > $2::timestamptz
			or r.kind <> 'spike' and exists (select from mesher.alert_counts c where c.rule_id = r.id and c.minute > $2::timestamptz)
			or r.kind in ('spike', 'user_count') and exists (
				select from mesher.project_minute_counts m where m.project_id = r.project_id and m.minute > $2::timestamptz)
			or exists (select from mesher.alert_events e where e.rule_id = r.id and e.status <> 'resolved')
			or exists (select from mesher.alert_pending p where p.rule_id = r.id))
		order by r.id limit $3::bigint`, after, minuteOf(at).Add(-(lagMinutes+2)*time.Minute), ruleBatch)
	if err != nil {
		return nil, fmt.Errorf("look for rules: %w", err)
	}
	rules, err := pgx.CollectRows(rows, scanRule)
	if err != nil {
		return nil, fmt.Errorf("look for rules: %w", err)
	}
	return rules, nil
}

func minuteOf(t time.Time) time.Time { return t.UTC().Truncate(time.Minute) }

// subject is what a rule found something of.
type subject struct{ rule, id uuid.UUID }

func (s subject) compare(o subject) int {
	if c := strings.Compare(s.rule.String(), o.rule.String()); c != 0 {
		return c
	}
	return strings.Compare(s.id.String(), o.id.String())
}

// reading is the value of one subject, and what it has to reach. Only those are read that are at least near it.
type reading struct {
	subject
	value, needed float64
	events        int64   // of which value is a share; 0: none
	usual         float64 // for spikes
	label         string  // title of an issue, or a release
}

// evaluation is that of one batch of rules.
type evaluation struct {
	rules    map[uuid.UUID]Rule
	at       time.Time
	out      *Evaluated
	readings map[subject]reading
	open     map[subject]bool
	pending  map[subject]time.Time // since when it holds
}

func (e *evaluation) run(ctx context.Context, tx postgres.Tx) error {
	if err := e.read(ctx, tx); err != nil {
		return err
	}
	if err := e.look(ctx, tx); err != nil {
		return err
	}
	return e.decide().apply(ctx, tx, e)
}

// look reads which alerts are open, and which conditions hold already.
func (e *evaluation) look(ctx context.Context, tx postgres.Tx) error {
	ids := make([]string, 0, len(e.rules))
	for id := range e.rules {
		ids = append(ids, id.String())
	}
	e.open, e.pending = map[subject]bool{}, map[subject]time.Time{}
	read := each(tx.Query(ctx, `
		select rule_id, subject, null::timestamptz from mesher.alert_events where rule_id = any ($1::text[]::uuid[]) and status <> 'resolved'
		union all
		select rule_id, subject, since from mesher.alert_pending where rule_id = any ($1::text[]::uuid[])`, ids))
	var s subject
	var since time.Time
	err := read([]any{&s.rule, &s.id, (*postgres.Time)(&since)}, func() {
		if since.IsZero() {
			e.open[s] = true
		} else {
			e.pending[s] = since
		}
	})
	if err != nil {
		return fmt.Errorf("look for open alerts: %w", err)
	}
	return nil
}

// decisions is what is to be done, sorted so that two who do it at once follow each other.
type decisions struct {
	raise        []reading
	resolve      []subject
	pend, unpend []subject
	missed       int
}

// spending is what is done for each organization, of changesMost.
type spending map[uuid.UUID]int

// take reports whether an alert of the rule can be raised or resolved yet, as the first always can, and counts it.
func (s spending) take(r Rule, times int, first bool) bool {
	cost := times * (1 + len(r.ChannelIDs))
	if !first && s[r.OrganizationID]+cost > changesMost {
		return false
	}
	s[r.OrganizationID] += cost
	return true
}

// decide says what follows from the readings.
func (e *evaluation) decide() decisions {
	var d decisions
	room, begun, spent := map[uuid.UUID]int{}, map[uuid.UUID]bool{}, spending{}
	for s := range e.open {
		room[s.rule]++
		if _, ok := e.readings[s]; ok {
			continue
		}
		if spent.take(e.rules[s.rule], resolveCost, false) {
			d.resolve = append(d.resolve, s)
		} else {
			d.missed++
		}
	}
	for _, v := range e.sorted() {
		since, pending := e.pending[v.subject]
		switch wait := time.Duration(e.rules[v.rule].ForMinutes) * time.Minute; {
		case e.open[v.subject], v.value < v.needed:
		case wait > 0 && !pending:
			d.pend = append(d.pend, v.subject)
		case wait > 0 && since.After(e.at.Add(-wait)):
		case room[v.rule] >= openMost, !spent.take(e.rules[v.rule], 1, !begun[v.rule]):
			d.missed++
		default:
			room[v.rule]++
			begun[v.rule] = true
			d.raise = append(d.raise, v)
		}
	}
	raised := map[subject]bool{}
	for _, v := range d.raise {
		raised[v.subject] = true
	}
	for s := range e.pending {
		if v, ok := e.readings[s]; !ok || v.value < v.needed || e.open[s] || raised[s] {
			d.unpend = append(d.unpend, s)
		}
	}
	for _, list := range [][]subject{d.resolve, d.unpend} {
		slices.SortFunc(list, subject.compare)
	}
	slices.SortFunc(d.raise, func(a, b reading) int { return a.compare(b.subject) })
	return d
}

// sorted returns the readings, the greatest of a rule first.
func (e *evaluation) sorted() []reading {
	all := make([]reading, 0, len(e.readings))
	for _, v := range e.readings {
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b reading) int {
		switch c := strings.Compare(a.rule.String(), b.rule.String()); {
		case c != 0:
			return c
		case a.value > b.value:
			return -1
		case a.value < b.value:
			return 1
		}
		return a.compare(b.subject)
	})
	return all
}

// apply does what was decided.
func (d decisions) apply(ctx context.Context, tx postgres.Tx, e *evaluation) error {
	if len(d.pend)+len(d.unpend) > 0 {
		gone, goneOf := split(d.unpend)
		added, addedOf := split(d.pend)
		if _, err := tx.Exec(ctx, `
			with gone as (
				delete from mesher.alert_pending p using unnest($1::text[]::uuid[], $2::text[]::uuid[]) as g (rule, subject)
				where p.rule_id = g.rule and p.subject = g.subject)
			insert into mesher.alert_pending (rule_id, subject, since)
			select n.rule, n.subject, $5::timestamptz from unnest($3::text[]::uuid[], $4::text[]::uuid[]) as n (rule, subject)
			join mesher.alert_rules r on r.id = n.rule
			order by 1, 2 on conflict do nothing`, gone, goneOf, added, addedOf, e.at); err != nil {
			return fmt.Errorf("note since when conditions hold: %w", err)
		}
	}
	if err := d.raiseAll(ctx, tx, e); err != nil {
		return err
	}
	if len(d.resolve) > 0 {
		rules, subjects := split(d.resolve)
		told, err := ids(ctx, tx, "resolve alerts", `
			select n.id from unnest($1::text[]::uuid[], $2::text[]::uuid[]) as d (rule, subject),
				lateral mesher.resolve_alert(d.rule, d.subject, 'the condition ended', $3::timestamptz) n (id)`, rules, subjects, e.at)
		if err != nil {
			return err
		}
		e.out.Told = append(e.out.Told, told...)
	}
	e.out.Raised, e.out.Resolved, e.out.Left = len(d.raise), len(d.resolve), d.missed
	return nil
}

func (d decisions) raiseAll(ctx context.Context, tx postgres.Tx, e *evaluation) error {
	if len(d.raise) == 0 {
		return nil
	}
	var rules, subjects, titles, snapshots, issues []string
	for _, v := range d.raise {
		r := e.rules[v.rule]
		snapshot, err := json.Marshal(v.snapshot(r))
		if err != nil {
			return fmt.Errorf("encode the snapshot of an alert: %w", err)
		}
		issue := ""
		if r.Condition.Scope == ByIssue {
			issue = v.id.String()
		}
		rules, subjects = append(rules, v.rule.String()), append(subjects, v.id.String())
		titles, snapshots, issues = append(titles, v.title(r)), append(snapshots, string(snapshot)), append(issues, issue)
	}
	told, err := ids(ctx, tx, "raise alerts", `
		select n.id from unnest($1::text[]::uuid[], $2::text[]::uuid[], $3::text[], $4::text[], $5::text[])
				as d (rule, subject, title, snapshot, issue),
			lateral mesher.raise_alert(d.rule, d.subject, d.title, d.snapshot::jsonb, nullif(d.issue, '')::uuid, null, $6::timestamptz) n (id)`,
		rules, subjects, titles, snapshots, issues, e.at)
	if err != nil {
		return err
	}
	e.out.Told = append(e.out.Told, told...)
	return nil
}

func split(all []subject) (rules, subjects []string) {
	rules, subjects = make([]string, len(all)), make([]string, len(all))
	for i, s := range all {
		rules[i], subjects[i] = s.rule.String(), s.id.String()
	}
	return rules, subjects
}
