package alert

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/postgres"
)

// Kind is what a rule looks for.
type Kind string

// The kinds. The first two are seen by Store in the transaction that stores the event, the last by whoever looks at a
// monitor; the others look at windows of time, and are seen by Alerts, once a minute.
const (
	NewIssue         Kind = "new_issue"
	Regression       Kind = "regression"
	EventCount       Kind = "event_count"        // so many events in a window
	UserCount        Kind = "user_count"         // so many different users in a window
	Spike            Kind = "spike"              // so many times the events that are usual at this time of day
	ReleaseErrorRate Kind = "release_error_rate" // such a share of a release's events are errors
	MonitorStatus    Kind = "monitor"            // a monitor is down, or degraded
)

// Windowed reports whether rules of the kind look at windows of time.
func (k Kind) Windowed() bool {
	switch k {
	case EventCount, UserCount, Spike, ReleaseErrorRate:
		return true
	}
	return false
}

// Severity is how much an alert matters.
type Severity string

// The severities.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
	Info     Severity = "info"
)

// Scope is what is counted together.
type Scope string

// The scopes.
const (
	ByProject Scope = "project"
	ByIssue   Scope = "issue" // each issue by itself, those that are unresolved
)

// Releases is which releases a rule about error rates looks at.
type Releases string

// The choices.
const (
	NewestRelease Releases = "newest"
	EachRelease   Releases = "each"
)

// Condition is when a rule raises an alert. Which fields a rule has depends on its kind; the others are zero.
type Condition struct {
	WindowMinutes int         `json:"window_minutes,omitempty" minimum:"0" maximum:"1440" doc:"event_count, user_count, spike, release_error_rate: how many minutes are looked at; 1 to 1440"`
	Scope         Scope       `json:"scope,omitempty" enum:"project,issue" doc:"event_count, user_count: whether the project's events are counted together, which is usual, or each issue's by themselves"`
	Threshold     int64       `json:"threshold,omitempty" minimum:"0" maximum:"1000000000" doc:"event_count, user_count: how many events, or different users, in the window raise an alert"`
	Factor        float64     `json:"factor,omitempty" minimum:"0" maximum:"1000" doc:"spike: how many times the usual number of events raise an alert; above 1"`
	Minimum       int64       `json:"minimum,omitempty" minimum:"0" maximum:"1000000000" doc:"spike, release_error_rate: with fewer events in the window there is no alert"`
	Percent       float64     `json:"percent,omitempty" minimum:"0" maximum:"100" doc:"release_error_rate: which share of the release's events has to be of the level error or fatal"`
	Releases      Releases    `json:"releases,omitempty" enum:"newest,each" doc:"release_error_rate: whether only the newest release is looked at, which is usual, or each"`
	Statuses      []string    `json:"statuses,omitempty" nullable:"false" maxItems:"2" example:"[\"down\"]" doc:"monitor: down, degraded or both; down is usual"`
	Monitors      []uuid.UUID `json:"monitors,omitempty" nullable:"false" maxItems:"100" format:"uuid" doc:"monitor: ids of the monitors that it is about; none: all of the project, or of the organization"`
}

// Tag is a tag and the value that it must have.
type Tag struct {
	Key   string `json:"key" minLength:"1" maxLength:"200"`
	Value string `json:"value" minLength:"1" maxLength:"200"`
}

// Filter is which events a rule is about: those that meet all parts. An empty part lets all events pass.
type Filter struct {
	Levels       []string `json:"levels,omitempty" nullable:"false" maxItems:"5" example:"[\"fatal\",\"error\"]" doc:"one of these: fatal, error, warning, info, debug"`
	Environments []string `json:"environments,omitempty" nullable:"false" maxItems:"20" example:"[\"production\"]" doc:"one of these"`
	Releases     []string `json:"releases,omitempty" nullable:"false" maxItems:"20" doc:"one of these"`
	Tags         []Tag    `json:"tags,omitempty" nullable:"false" maxItems:"20" doc:"all of these"`
}

// Empty reports whether every event passes.
func (f Filter) Empty() bool {
	return len(f.Levels) == 0 && len(f.Environments) == 0 && len(f.Releases) == 0 && len(f.Tags) == 0
}

// Rule is what people want to be told of.
type Rule struct {
	ID              uuid.UUID   `json:"id" format:"uuid"`
	OrganizationID  uuid.UUID   `json:"organization_id" format:"uuid"`
	ProjectID       uuid.UUID   `json:"project_id,omitzero" format:"uuid" doc:"missing for a rule about all monitors of the organization"`
	Name            string      `json:"name"`
	Kind            Kind        `json:"kind" enum:"new_issue,regression,event_count,user_count,spike,release_error_rate,monitor"`
	Condition       Condition   `json:"condition"`
	Filter          Filter      `json:"filter"`
	Severity        Severity    `json:"severity" enum:"critical,warning,info"`
	ForMinutes      int         `json:"for_minutes" doc:"how long the condition has to hold until there is an alert"`
	CooldownMinutes int         `json:"cooldown_minutes" doc:"how long nobody is told of the same subject again; alerts are raised all the same"`
	Enabled         bool        `json:"enabled"`
	MutedUntil      time.Time   `json:"muted_until,omitzero" format:"date-time" doc:"until then alerts are raised and nobody is told"`
	ChannelIDs      []uuid.UUID `json:"channel_ids" nullable:"false" format:"uuid" doc:"the channels that are told"`
	CountsFrom      time.Time   `json:"counts_from" format:"date-time" doc:"since when events are counted by the present filter and scope; windows begin there"`
	CreatedAt       time.Time   `json:"created_at"`
	UpdatedAt       time.Time   `json:"updated_at"`
}

const ruleColumns = `r.id, r.organization_id, r.project_id, r.name, r.kind, r.condition::text, r.filter::text, r.severity,
	r.for_s / 60, r.cooldown_s / 60, r.enabled, r.muted_until, array(
		select c.channel_id::text from mesher.alert_rule_channels c where c.rule_id = r.id order by c.channel_id),
	r.counts_from, r.created_at, r.updated_at`

func scanRule(row pgx.CollectableRow) (Rule, error) {
	var (
		r                 Rule
		condition, filter string
		channels          []string
	)
	err := row.Scan(&r.ID, &r.OrganizationID, &r.ProjectID, &r.Name, &r.Kind, &condition, &filter, &r.Severity, &r.ForMinutes,
		&r.CooldownMinutes, &r.Enabled, (*postgres.Time)(&r.MutedUntil), &channels, (*postgres.Time)(&r.CountsFrom),
		(*postgres.Time)(&r.CreatedAt), (*postgres.Time)(&r.UpdatedAt))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(condition), &r.Condition); err != nil {
		return r, fmt.Errorf("read the condition of rule %s: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(filter), &r.Filter); err != nil {
		return r, fmt.Errorf("read the filter of rule %s: %w", r.ID, err)
	}
	r.ChannelIDs = make([]uuid.UUID, len(channels))
	for i, c := range channels {
		if r.ChannelIDs[i], err = uuid.Parse(c); err != nil {
			return r, fmt.Errorf("read a channel of rule %s: %w", r.ID, err)
		}
	}
	return r, nil
}

// texts returns ids as an argument: arrays of uuid are sent as texts.
func texts(ids []uuid.UUID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}
