package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Limits bounds how many rules there are.
type Limits struct {
	Rules int `env:"ALERT_RULES" envDefault:"100" doc:"alert rules that a project may have, and an organization besides those of its projects"`
}

// RuleChange is what is to be set of a rule; nil fields are not. Values are checked by CreateRule and ChangeRule: a wrong one is
// a fault.Invalid that says what is right. Condition and Filter are set as a whole.
type RuleChange struct {
	Name            *string
	Condition       *Condition
	Filter          *Filter
	Severity        *Severity
	ForMinutes      *int
	CooldownMinutes *int
	Enabled         *bool
	MuteMinutes     *int         // from now on; 0: not muted
	ChannelIDs      *[]uuid.UUID // of the same organization
}

// Place is whose rules are meant: a project's, or with uuid.Nil for it the organization's own.
type Place struct{ OrganizationID, ProjectID uuid.UUID }

// CreateRule makes a rule, enabled and of severity warning unless the change says otherwise. What is counted for it begins with
// the minute of at. One too many is a fault.Conflict, code "rule_limit".
func CreateRule(ctx context.Context, tx postgres.Tx, in Place, k Kind, c RuleChange, l Limits, at time.Time) (Rule, error) {
	bounds, err := lockPlace(ctx, tx, in)
	if err != nil {
		return Rule{}, err
	}
	r, err := ProposeRule(in, k, c, bounds, at)
	if err != nil {
		return Rule{}, err
	}
	if err := r.checkRoom(ctx, tx, l); err != nil {
		return Rule{}, err
	}
	if r.ID, err = uuid.NewV7(); err != nil {
		return Rule{}, fmt.Errorf("make a rule's id: %w", err)
	}
	if err := r.CheckReferences(ctx, tx); err != nil {
		return Rule{}, err
	}
	if err := r.checkTold(ctx, tx); err != nil {
		return Rule{}, err
	}
	if err := r.insert(ctx, tx, at); err != nil {
		return Rule{}, err
	}
	return FindRule(ctx, tx, in.OrganizationID, r.ID)
}

// ProposeRule returns the rule that CreateRule would make, checked as far as that goes without the database.
func ProposeRule(in Place, k Kind, c RuleChange, b Bounds, at time.Time) (Rule, error) {
	r := Rule{
		OrganizationID: in.OrganizationID, ProjectID: in.ProjectID, Kind: k, Severity: Warning, Enabled: true,
		ChannelIDs: []uuid.UUID{}, CountsFrom: at.UTC().Truncate(time.Minute),
	}
	r, err := c.apply(r, at)
	if err != nil {
		return Rule{}, err
	}
	return r.check(b)
}

// apply returns the rule with the change.
func (c RuleChange) apply(r Rule, at time.Time) (Rule, error) {
	set(&r.Name, c.Name)
	set(&r.Condition, c.Condition)
	set(&r.Filter, c.Filter)
	set(&r.Severity, c.Severity)
	set(&r.ForMinutes, c.ForMinutes)
	set(&r.CooldownMinutes, c.CooldownMinutes)
	set(&r.Enabled, c.Enabled)
	if c.ChannelIDs != nil {
		r.ChannelIDs = *c.ChannelIDs
	}
	if c.MuteMinutes == nil {
		return r, nil
	}
	if *c.MuteMinutes < 0 || *c.MuteMinutes > muteMost {
		return r, fault.New(fault.Invalid, "mute_minutes: expected 1 to %d, or 0 to end it, not %d; to be told of nothing for good, disable the rule", muteMost, *c.MuteMinutes)
	}
	r.MutedUntil = time.Time{}
	if *c.MuteMinutes > 0 {
		r.MutedUntil = at.UTC().Add(time.Duration(*c.MuteMinutes) * time.Minute).Truncate(time.Microsecond)
	}
	return r, nil
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// lockPlace returns what a project lets in, and keeps others from making rules there until the transaction ends.
func lockPlace(ctx context.Context, tx postgres.Tx, in Place) (Bounds, error) {
	var b Bounds
	var err error
	if in.ProjectID == uuid.Nil {
		err = tx.QueryRow(ctx, `select 0 from mesher.organizations where id = $1::uuid for no key update`, in.OrganizationID).Scan(&b.RateLimit)
	} else {
		b, err = boundsOf(ctx, tx, in, "for no key update")
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return b, fault.New(fault.NotFound, "there is no project %s in the organization %s", in.ProjectID, in.OrganizationID)
	case err != nil:
		return b, fmt.Errorf("look up where a rule belongs: %w", err)
	}
	return b, nil
}

func boundsOf(ctx context.Context, db DB, in Place, lock string) (b Bounds, err error) {
	err = db.QueryRow(ctx, `
		select coalesce(rate_limit, 0), coalesce(monthly_budget, 0) from mesher.projects
		where organization_id = $1::uuid and id = $2::uuid `+lock, in.OrganizationID, in.ProjectID).Scan(&b.RateLimit, &b.MonthlyBudget)
	return b, err //nolint:wrapcheck // the callers say what failed
}

// counted reports whether Store writes a row for each issue or user because of the rule.
func (r Rule) counted() bool {
	return r.Kind == UserCount || r.Kind == EventCount && r.Condition.Scope == ByIssue
}

// checkRoom refuses one rule too many.
func (r Rule) checkRoom(ctx context.Context, tx postgres.Tx, l Limits) error {
	var all, counted int
	err := tx.QueryRow(ctx, `
		select count(*), count(*) filter (where kind = 'user_count' or kind = 'event_count' and condition ->> 'scope' = 'issue')
		from mesher.alert_rules
		where organization_id = $1::uuid and project_id is not distinct from $2::uuid and id <> $3::uuid`,
		r.OrganizationID, postgres.OrNull(r.ProjectID), r.ID).Scan(&all, &counted)
	if err != nil {
		return fmt.Errorf("count rules: %w", err)
	}
	if r.ID == uuid.Nil && all >= l.Rules {
		return fault.New(fault.Conflict, "there are %d rules already, which is the limit; delete one first", all).Named("rule_limit")
	}
	if r.counted() && counted >= CountedRulesMost {
		return fault.New(fault.Conflict, "%d rules of the project count users, or events by issue, which is the limit; delete one first", counted).
			Named("rule_limit")
	}
	return nil
}

// CheckReferences refuses channels and monitors of others.
func (r Rule) CheckReferences(ctx context.Context, tx DB) error {
	if len(r.ChannelIDs) > ruleChannelsMost {
		return fault.New(fault.Invalid, "channel_ids: at most %d channels are told, not %d", ruleChannelsMost, len(r.ChannelIDs))
	}
	var channel, monitor *uuid.UUID
	err := tx.QueryRow(ctx, `
		select (
			select w.id from unnest($2::text[]::uuid[]) as w (id) where not exists (
				select from mesher.alert_channels c where c.organization_id = $1::uuid and c.id = w.id) limit 1), (
			select w.id from unnest($3::text[]::uuid[]) as w (id) where not exists (
				select from mesher.monitors m where m.organization_id = $1::uuid and m.id = w.id
					and ($4::uuid is null or m.project_id = $4::uuid)) limit 1)`,
		r.OrganizationID, texts(r.ChannelIDs), texts(r.Condition.Monitors), postgres.OrNull(r.ProjectID)).Scan(&channel, &monitor)
	switch {
	case err != nil:
		return fmt.Errorf("look up channels and monitors of a rule: %w", err)
	case channel != nil:
		return fault.New(fault.Invalid, "channel_ids: the organization has no channel with the id %s", channel)
	case monitor != nil && r.ProjectID != uuid.Nil:
		return fault.New(fault.Invalid, "condition.monitors: the project has no monitor with the id %s", monitor)
	case monitor != nil:
		return fault.New(fault.Invalid, "condition.monitors: the organization has no monitor with the id %s", monitor)
	}
	return nil
}

// checkTold refuses a rule with which one issue, or one monitor, would have too much told at once.
func (r Rule) checkTold(ctx context.Context, tx postgres.Tx) error {
	if r.Kind.Windowed() || len(r.ChannelIDs) == 0 {
		return nil
	}
	var others int
	err := tx.QueryRow(ctx, `
		select count(*) from mesher.alert_rules r join mesher.alert_rule_channels c on c.rule_id = r.id
		where r.organization_id = $1::uuid and r.project_id is not distinct from $2::uuid and r.id <> $3::uuid
		  and r.kind in ('new_issue', 'regression', 'monitor')`, r.OrganizationID, postgres.OrNull(r.ProjectID), r.ID).Scan(&others)
	if err != nil {
		return fmt.Errorf("count the channels of rules: %w", err)
	}
	if others+len(r.ChannelIDs) > InstantToldMost {
		return fault.New(fault.Conflict, "rules about new issues, regressions and monitors have %d channels together; with this one's %d it would be over %d, the limit",
			others, len(r.ChannelIDs), InstantToldMost).Named("rule_limit")
	}
	return nil
}

// parts returns condition and filter as they are stored.
func (r Rule) parts() (condition, filter string, err error) {
	c, err := json.Marshal(r.Condition)
	if err != nil {
		return "", "", fmt.Errorf("encode a rule's condition: %w", err)
	}
	f, err := json.Marshal(r.Filter)
	if err != nil {
		return "", "", fmt.Errorf("encode a rule's filter: %w", err)
	}
	return string(c), string(f), nil
}

func (r Rule) insert(ctx context.Context, tx postgres.Tx, at time.Time) error {
	condition, filter, err := r.parts()
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		insert into mesher.alert_rules (id, organization_id, project_id, name, kind, condition, filter, severity, for_s, cooldown_s,
			enabled, muted_until, counts_from, created_at, updated_at)
		values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::text, $6::text::jsonb, $7::text::jsonb, $8::text, $9::int, $10::int,
			$11::boolean, $12::timestamptz, $13::timestamptz, $14::timestamptz, $14::timestamptz)`,
		r.ID, r.OrganizationID, postgres.OrNull(r.ProjectID), r.Name, string(r.Kind), condition, filter, string(r.Severity),
		r.ForMinutes*60, r.CooldownMinutes*60, r.Enabled, postgres.TimeOrNull(r.MutedUntil), r.CountsFrom, at); err != nil {
		return fmt.Errorf("create a rule: %w", err)
	}
	return r.setChannels(ctx, tx)
}

// setChannels makes the rule tell its channels and no others.
func (r Rule) setChannels(ctx context.Context, tx postgres.Tx) error {
	if _, err := tx.Exec(ctx, `
		with gone as (
			delete from mesher.alert_rule_channels where rule_id = $1::uuid and channel_id <> all ($2::text[]::uuid[]))
		insert into mesher.alert_rule_channels (rule_id, channel_id)
		select $1::uuid, id from unnest($2::text[]::uuid[]) as c (id) on conflict do nothing`, r.ID, texts(r.ChannelIDs)); err != nil {
		return fmt.Errorf("set the channels of a rule: %w", err)
	}
	return nil
}

// OwnerOfRule returns whose a rule is, so that it can be found out whether somebody may see it.
func OwnerOfRule(ctx context.Context, db DB, id uuid.UUID) (Place, error) {
	var p Place
	err := db.QueryRow(ctx, "select organization_id, project_id from mesher.alert_rules where id = $1::uuid", id).Scan(&p.OrganizationID, &p.ProjectID)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return p, errNoRule(id)
	case err != nil:
		return p, fmt.Errorf("look up whose a rule is: %w", err)
	}
	return p, nil
}

// FindRule returns a rule of an organization.
func FindRule(ctx context.Context, db DB, organization, id uuid.UUID) (Rule, error) {
	return findRule(ctx, db, organization, id, "")
}

func findRule(ctx context.Context, db DB, organization, id uuid.UUID, lock string) (Rule, error) {
	rows, err := db.Query(ctx, `select `+ruleColumns+` from mesher.alert_rules r
		where r.organization_id = $1::uuid and r.id = $2::uuid `+lock, organization, id)
	if err != nil {
		return Rule{}, fmt.Errorf("look up a rule: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanRule)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return r, errNoRule(id)
	case err != nil:
		return r, fmt.Errorf("look up a rule: %w", err)
	}
	return r, nil
}

func errNoRule(id uuid.UUID) error {
	return fault.New(fault.NotFound, "there is no alert rule with the id %s", id)
}

// RuleFilter narrows a list of rules; zero fields do not.
type RuleFilter struct {
	ProjectID uuid.UUID
	Kind      Kind
	Enabled   *bool
}

// ListRules returns an organization's rules, the newest first.
func ListRules(ctx context.Context, db DB, organization uuid.UUID, f RuleFilter, r page.Request) (page.Of[Rule], error) {
	r.Limit = min(max(r.Limit, 1), pageMost)
	at, after := r.After.Args()
	rows, err := db.Query(ctx, `
		select `+ruleColumns+` from mesher.alert_rules r
		where r.organization_id = $1::uuid and ($2::uuid is null or r.project_id = $2::uuid)
		  and ($3::text = '' or r.kind = $3::text) and ($4::boolean is null or r.enabled = $4::boolean)
		  and ($5::timestamptz is null or (r.created_at, r.id) < ($5::timestamptz, $6::uuid))
		order by r.created_at desc, r.id desc limit $7::bigint`,
		organization, postgres.OrNull(f.ProjectID), string(f.Kind), f.Enabled, at, after, r.Limit+1)
	if err != nil {
		return page.Of[Rule]{}, fmt.Errorf("list rules: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanRule)
	if err != nil {
		return page.Of[Rule]{}, fmt.Errorf("list rules: %w", err)
	}
	return page.Cut(r, found, func(r Rule) page.Mark { return page.Mark{At: r.CreatedAt, ID: r.ID} }), nil
}

// pageMost is the most rows of a page, whatever is asked for.
const pageMost = 1000

// ChangeRule changes a rule and returns it as it was and as it is. What is counted begins anew, with the next minute, when the
// filter or the scope changes, and when the rule is enabled. Alerts of a rule that is disabled are resolved by the next run of
// Alerts.
func ChangeRule(ctx context.Context, tx postgres.Tx, organization, id uuid.UUID, c RuleChange, at time.Time) (was, is Rule, err error) {
	if was, err = FindRule(ctx, tx, organization, id); err != nil {
		return was, is, err
	}
	bounds, err := lockPlace(ctx, tx, Place{organization, was.ProjectID})
	if err != nil {
		return was, is, err
	}
	if was, err = findRule(ctx, tx, organization, id, "for update"); err != nil {
		return was, is, err
	}
	if is, err = c.apply(was, at); err != nil {
		return was, is, err
	}
	if is, err = is.check(bounds); err != nil {
		return was, is, err
	}
	if is.counted() && !was.counted() {
		if err := is.checkRoom(ctx, tx, Limits{}); err != nil {
			return was, is, err
		}
	}
	if err := is.CheckReferences(ctx, tx); err != nil {
		return was, is, err
	}
	if len(is.ChannelIDs) > len(was.ChannelIDs) {
		if err := is.checkTold(ctx, tx); err != nil {
			return was, is, err
		}
	}
	if !reflect.DeepEqual(was.Filter, is.Filter) || was.Condition.Scope != is.Condition.Scope || is.Enabled && !was.Enabled {
		is.CountsFrom = at.UTC().Truncate(time.Minute).Add(time.Minute)
	}
	if err := is.update(ctx, tx, at); err != nil {
		return was, is, err
	}
	is, err = FindRule(ctx, tx, organization, id)
	return was, is, err
}

func (r Rule) update(ctx context.Context, tx postgres.Tx, at time.Time) error {
	condition, filter, err := r.parts()
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		update mesher.alert_rules set name = $2::text, condition = $3::text::jsonb, filter = $4::text::jsonb, severity = $5::text,
			for_s = $6::int, cooldown_s = $7::int, enabled = $8::boolean, muted_until = $9::timestamptz,
			counts_from = $10::timestamptz, updated_at = $11::timestamptz
		where id = $1::uuid and organization_id = $12::uuid`,
		r.ID, r.Name, condition, filter, string(r.Severity), r.ForMinutes*60, r.CooldownMinutes*60, r.Enabled,
		postgres.TimeOrNull(r.MutedUntil), r.CountsFrom, at, r.OrganizationID); err != nil {
		return fmt.Errorf("change a rule: %w", err)
	}
	return r.setChannels(ctx, tx)
}

// DeleteRule deletes a rule and returns what it was. Its alerts stay; those that are open are resolved by the next run of
// Alerts, and who was told of them is told.
func DeleteRule(ctx context.Context, tx postgres.Tx, organization, id uuid.UUID) (Rule, error) {
	r, err := findRule(ctx, tx, organization, id, "for update")
	if err != nil {
		return r, err
	}
	if _, err := tx.Exec(ctx, "delete from mesher.alert_rules where organization_id = $1::uuid and id = $2::uuid", organization, id); err != nil {
		return r, fmt.Errorf("delete a rule: %w", err)
	}
	return r, nil
}
