package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/secret"
)

// Keeper is what keeping monitors takes besides the database.
type Keeper struct {
	Guard  Guard          // says which hosts must not be looked at; nil: all may
	Sealer *secret.Sealer // for what is confidential
}

// Spec is what somebody asks for who wants a monitor. What is zero is as usual.
type Spec struct {
	ProjectID   uuid.UUID
	Name        string
	Kind        Kind
	Config      Config
	Secrets     Confidential
	Slug        string
	Environment string
	IntervalS   int
	TimeoutMS   int
	Failures    int
	FailuresOf  int
	Recoveries  int
	Mute        []Mute
	Disabled    bool
}

// draft returns the monitor that a spec asks for, with what is usual in place of what it does not say.
func (s Spec) draft(organization, id uuid.UUID, at time.Time) Monitor {
	m := Monitor{
		ID: id, OrganizationID: organization, ProjectID: s.ProjectID, Name: s.Name, Kind: s.Kind, Config: s.Config.clone(), Slug: s.Slug,
		Environment: s.Environment, IntervalS: s.IntervalS, TimeoutMS: or(s.TimeoutMS, usualTimeout), Failures: s.Failures,
		FailuresOf: s.FailuresOf, Recoveries: s.Recoveries, Mute: append([]Mute{}, s.Mute...), Enabled: !s.Disabled,
		Status: Unknown, StatusSince: at, DueAt: at, CreatedAt: at, UpdatedAt: at, alerted: Unknown,
	}
	failures, of, recoveries := usualFailures, usualFailuresOf, usualRecoveries
	if m.Kind == Heartbeat {
		failures, of, recoveries = usualHeartbeatCounts, usualHeartbeatCounts, usualHeartbeatCounts
	}
	// Who gives only one of the two means that one.
	if m.Failures == 0 {
		m.Failures = min(failures, or(m.FailuresOf, failures))
	}
	m.FailuresOf = or(m.FailuresOf, max(of, m.Failures))
	m.Recoveries = or(m.Recoveries, recoveries)
	switch {
	case m.cron():
	case m.Kind == TLS:
		m.IntervalS = or(m.IntervalS, usualIntervalTLS)
	default:
		m.IntervalS = or(m.IntervalS, usualInterval)
	}
	m.Config.usual()
	return m
}

// or returns a, or b when a is 0.
func or(a, b int) int {
	if a == 0 {
		return b
	}
	return a
}

// usual fills in what a configuration does not say.
func (c *Config) usual() {
	if c.HTTP != nil && c.HTTP.Method == "" {
		c.HTTP.Method = "GET"
	}
	if c.TLS != nil {
		c.TLS.DegradedDays = or(c.TLS.DegradedDays, usualDegradedDays)
	}
	if c.Heartbeat != nil {
		c.Heartbeat.GraceS = or(c.Heartbeat.GraceS, usualGrace)
	}
}

// clone returns a configuration that shares nothing with this one.
func (c Config) clone() Config {
	out := c
	copyOf(&out.HTTP)
	copyOf(&out.TCP)
	copyOf(&out.DNS)
	copyOf(&out.TLS)
	copyOf(&out.Postgres)
	copyOf(&out.Heartbeat)
	copyOf(&out.Platform)
	return out
}

func copyOf[T any](p **T) {
	if *p != nil {
		v := **p
		*p = &v
	}
}

// Create makes a monitor of an organization, which is looked at by the next run of Probe. What is wrong with it, and why it
// could never be healthy, is a fault.Invalid that names the field; one more than an organization may have is a
// fault.Conflict (code "too_many_monitors"). Of a heartbeat the second result is the token of its URL, which is stored
// nowhere: it can be shown now and never again.
func (k Keeper) Create(ctx context.Context, tx postgres.Tx, organization uuid.UUID, s Spec, at time.Time) (Monitor, string, error) {
	if h := s.Config.Heartbeat; h != nil && h.FromSDK {
		return Monitor{}, "", fault.New(fault.Invalid, "config.heartbeat.from_sdk: only check-ins of an SDK set it; leave it out")
	}
	m, err := k.create(ctx, tx, organization, s, at)
	if err != nil || m.Kind != Heartbeat {
		return m, "", err
	}
	token, err := setToken(ctx, tx, m.ID)
	return m, token, err
}

// create makes a monitor without a token.
func (k Keeper) create(ctx context.Context, tx postgres.Tx, organization uuid.UUID, s Spec, at time.Time) (Monitor, error) {
	id, err := newID(at)
	if err != nil {
		return Monitor{}, err
	}
	at = at.UTC().Truncate(time.Microsecond)
	m := s.draft(organization, id, at)
	if err := k.complete(&m, s.Secrets, Config{}, Secrets{}); err != nil {
		return Monitor{}, err
	}
	if m.Kind == Heartbeat {
		if err := m.expect(at); err != nil {
			return Monitor{}, err
		}
	}
	if err := room(ctx, tx, m); err != nil {
		return Monitor{}, err
	}
	return m, m.insert(ctx, tx)
}

// complete checks a monitor and seals what is confidential.
func (k Keeper) complete(m *Monitor, given Confidential, had Config, kept Secrets) error {
	if err := m.checkKind(); err != nil {
		return refused(err)
	}
	secrets, err := m.arrange(given, had, kept, k.Guard)
	if err != nil {
		return refused(err)
	}
	if err := m.check(secrets, k.Guard); err != nil {
		return refused(err)
	}
	return m.seal(k.Sealer, secrets)
}

// room refuses a monitor of a project that is not the organization's, and one more than there may be. The organization's row
// is locked, so that of many who create one at once the last are refused.
func room(ctx context.Context, tx postgres.Tx, m Monitor) error {
	if _, err := tx.Exec(ctx, `select from mesher.organizations where id = $1::uuid for no key update`, m.OrganizationID); err != nil {
		return fmt.Errorf("create a monitor: %w", err)
	}
	var n int
	var known, taken bool
	err := tx.QueryRow(ctx, `
		select (select count(*) from mesher.monitors where organization_id = $1::uuid),
			$2::uuid is null or exists (
				select from mesher.projects where organization_id = $1::uuid and id = $2::uuid and status <> 'deleting'),
			exists (select from mesher.monitors where project_id = $2::uuid and slug = $3::text and environment = $4::text)
				or $5::text <> '' and exists (
				select from mesher.monitors where organization_id = $1::uuid and kind = 'platform' and config -> 'platform' ->> 'part' = $5::text)`,
		m.OrganizationID, postgres.OrNull(m.ProjectID), m.Slug, m.Environment, m.Config.part()).Scan(&n, &known, &taken)
	switch {
	case err != nil:
		return fmt.Errorf("create a monitor: %w", err)
	case !known:
		return fault.New(fault.Invalid, "project_id: the organization has no project with the id %s", m.ProjectID)
	case taken && m.Kind == Platform:
		return fault.New(fault.Conflict, "the organization has a monitor of this part already").Named("part_taken")
	case taken:
		return errSlugTaken(m.Slug)
	case n >= Most:
		return fault.New(fault.Conflict, "the organization has %d monitors, which is the most; delete some that are not needed", Most).
			Named("too_many_monitors")
	}
	return nil
}

func errSlugTaken(slug string) error {
	return fault.New(fault.Conflict, "slug: the project has a monitor called %s already", slug).Named("slug_taken")
}

// part returns which part of the platform is looked at; "": none.
func (c Config) part() string {
	if c.Platform == nil {
		return ""
	}
	return string(c.Platform.Part)
}

func (m *Monitor) insert(ctx context.Context, tx postgres.Tx) error {
	config, mute, err := m.texts()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		insert into mesher.monitors (id, organization_id, project_id, name, kind, config, secret, slug, environment, interval_s,
			timeout_ms, failures, failures_of, recoveries, mute, enabled, status, status_since, alerted, due_at, expected_at,
			created_at, updated_at)
		values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::text, $6::text::jsonb, $7::bytea, nullif($8::text, ''), $9::text,
			$10::integer, $11::integer, $12::integer, $13::integer, $14::integer, $15::text::jsonb, $16::boolean, $17::text,
			$18::timestamptz, $19::text, $20::timestamptz, $21::timestamptz, $22::timestamptz, $22::timestamptz)`,
		m.ID, m.OrganizationID, postgres.OrNull(m.ProjectID), m.Name, string(m.Kind), config, m.sealed, m.Slug, m.Environment,
		max(m.IntervalS, intervalLeast), m.TimeoutMS, m.Failures, m.FailuresOf, m.Recoveries, mute, m.Enabled, string(m.Status),
		m.StatusSince, string(m.alerted), m.DueAt, postgres.TimeOrNull(m.ExpectedAt), m.CreatedAt)
	if err != nil {
		return fmt.Errorf("create a monitor: %w", err)
	}
	return nil
}

// texts returns what is kept as JSON.
func (m *Monitor) texts() (config, mute string, err error) {
	c, err := json.Marshal(m.Config)
	if err != nil {
		return "", "", fmt.Errorf("encode a monitor's configuration: %w", err)
	}
	w, err := json.Marshal(m.Mute)
	if err != nil {
		return "", "", fmt.Errorf("encode when a monitor is muted: %w", err)
	}
	return string(c), string(w), nil
}

// setToken gives a heartbeat another token and returns it.
func setToken(ctx context.Context, db DB, id uuid.UUID) (string, error) {
	token := secret.Heartbeat.New()
	hash, err := secret.Heartbeat.Hash(token)
	if err != nil {
		return "", err
	}
	if _, err := db.Exec(ctx, `update mesher.monitors set token_hash = $2::bytea where id = $1::uuid`, id, hash[:]); err != nil {
		return "", fmt.Errorf("give a heartbeat a token: %w", err)
	}
	return token, nil
}

// newID returns an id whose first 48 bits are the milliseconds of a time.
func newID(at time.Time) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return id, fmt.Errorf("make an id: %w", err)
	}
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return id, nil
}
