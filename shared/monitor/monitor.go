package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// DB is what a query needs: a pool, a connection or a transaction.
type DB = postgres.DB

// Monitor is one service that is watched. What of it is secret is not in it: of headers only the names, of a database only
// where it is.
type Monitor struct {
	ID             uuid.UUID `json:"id" format:"uuid"`
	OrganizationID uuid.UUID `json:"organization_id" format:"uuid"`
	ProjectID      uuid.UUID `json:"project_id,omitzero" format:"uuid" doc:"missing: it is the organization's"`
	Name           string    `json:"name"`
	Kind           Kind      `json:"kind" enum:"http,tcp,dns,tls,postgres,heartbeat,platform"`
	Config         Config    `json:"config" doc:"what is looked at and expected; the field of its kind is set"`
	Slug           string    `json:"slug,omitempty" doc:"what check-ins of SDKs call it"`
	Environment    string    `json:"environment,omitempty" doc:"whose check-ins it takes; missing: those of every environment"`
	IntervalS      int       `json:"interval_s,omitempty" doc:"seconds between two looks, or between two runs of a job; missing where a cron expression is the schedule"`
	TimeoutMS      int       `json:"timeout_ms" doc:"milliseconds that a look may take"`
	Failures       int       `json:"failures" doc:"it is down after so many failures"`
	FailuresOf     int       `json:"failures_of" doc:"among so many looks"`
	Recoveries     int       `json:"recoveries" doc:"it is healthy again after so many good looks in a row"`
	Mute           []Mute    `json:"mute" doc:"when it raises no alerts"`
	Enabled        bool      `json:"enabled"`
	Status         Status    `json:"status" enum:"unknown,healthy,degraded,down"`
	StatusSince    time.Time `json:"status_since"`
	CheckedAt      time.Time `json:"checked_at,omitzero" doc:"the last look; missing: there was none"`
	DueAt          time.Time `json:"due_at" doc:"when it is looked at next, or when a heartbeat is judged"`
	ExpectedAt     time.Time `json:"expected_at,omitzero" doc:"of a heartbeat: when the job is to run next"`
	RunningSince   time.Time `json:"running_since,omitzero" doc:"of a heartbeat: when the run began that is under way"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`

	recent       string
	alerted      Status
	sealed       []byte
	runningID    uuid.UUID
	runningUntil time.Time
}

// state returns how the monitor stands, for the next look to be judged by.
func (m *Monitor) state() State {
	return State{Status: m.Status, Since: m.StatusSince, Recent: m.recent, Alerted: m.alerted}
}

// rules returns how its looks are judged.
func (m *Monitor) rules() Rules {
	return Rules{Failures: m.Failures, Of: m.FailuresOf, Recoveries: m.Recoveries}
}

// cron reports whether the schedule is a cron expression.
func (m *Monitor) cron() bool { return m.Config.Heartbeat != nil && m.Config.Heartbeat.Cron != "" }

const columns = `m.id, m.organization_id, m.project_id, m.name, m.kind, m.config::text, m.secret, coalesce(m.slug, ''), m.environment,
	m.interval_s, m.timeout_ms, m.failures, m.failures_of, m.recoveries, m.mute::text, m.enabled, m.status, m.status_since,
	m.alerted, m.recent, m.checked_at, m.due_at, m.expected_at, m.running_since, m.running_id, m.running_until, m.created_at,
	m.updated_at`

func scan(row pgx.CollectableRow) (Monitor, error) {
	var m Monitor
	var project, running *uuid.UUID
	var config, mute string
	err := row.Scan(&m.ID, &m.OrganizationID, &project, &m.Name, &m.Kind, &config, &m.sealed, &m.Slug, &m.Environment,
		&m.IntervalS, &m.TimeoutMS, &m.Failures, &m.FailuresOf, &m.Recoveries, &mute, &m.Enabled, &m.Status,
		(*postgres.Time)(&m.StatusSince), &m.alerted, &m.recent, (*postgres.Time)(&m.CheckedAt), (*postgres.Time)(&m.DueAt),
		(*postgres.Time)(&m.ExpectedAt), (*postgres.Time)(&m.RunningSince), &running, (*postgres.Time)(&m.runningUntil),
		(*postgres.Time)(&m.CreatedAt), (*postgres.Time)(&m.UpdatedAt))
	if err != nil {
		return m, err
	}
	if project != nil {
		m.ProjectID = *project
	}
	if running != nil {
		m.runningID = *running
	}
	if err := json.Unmarshal([]byte(config), &m.Config); err != nil {
		return m, fmt.Errorf("read the configuration of monitor %s: %w", m.ID, err)
	}
	if err := json.Unmarshal([]byte(mute), &m.Mute); err != nil {
		return m, fmt.Errorf("read when monitor %s is muted: %w", m.ID, err)
	}
	if m.cron() {
		m.IntervalS = 0
	}
	return m, nil
}

// Find returns an organization's monitor. Another's is as unknown as one that does not exist: a fault.NotFound.
func Find(ctx context.Context, db DB, organization, id uuid.UUID) (Monitor, error) {
	return find(ctx, db, organization, id, "")
}

// lock returns a monitor that nobody else changes until the transaction ends.
func lock(ctx context.Context, tx postgres.Tx, organization, id uuid.UUID) (Monitor, error) {
	return find(ctx, tx, organization, id, " for no key update")
}

func find(ctx context.Context, db DB, organization, id uuid.UUID, locking string) (Monitor, error) {
	rows, err := db.Query(ctx, `select `+columns+` from mesher.monitors m
		where m.organization_id = $1::uuid and m.id = $2::uuid`+locking, organization, id)
	if err != nil {
		return Monitor{}, fmt.Errorf("find a monitor: %w", err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Monitor{}, fault.New(fault.NotFound, "the organization has no monitor with the id %s", id)
	}
	if err != nil {
		return Monitor{}, fmt.Errorf("find a monitor: %w", err)
	}
	return m, nil
}

// Filter narrows a list of monitors; empty fields do not.
type Filter struct {
	ProjectID uuid.UUID
	Kind      Kind
	Status    Status
	Search    string // part of the name, in any case
}

// pageMost is the most rows of a page, whatever is asked for.
const pageMost = 1000

// List returns an organization's monitors, the newest first.
func List(ctx context.Context, db DB, organization uuid.UUID, f Filter, r page.Request) (page.Of[Monitor], error) {
	r.Limit = min(max(r.Limit, 1), pageMost)
	at, after := r.After.Args()
	rows, err := db.Query(ctx, `select `+columns+` from mesher.monitors m
		where m.organization_id = $1::uuid and ($5::uuid is null or m.project_id = $5::uuid)
		  and ($6::text = '' or m.kind = $6::text) and ($7::text = '' or m.status = $7::text)
		  and position(lower($8::text) in lower(m.name)) > 0
		  and ($2::timestamptz is null or (m.created_at, m.id) < ($2::timestamptz, $3::uuid))
		order by m.created_at desc, m.id desc limit $4::bigint`, organization, at, after, r.Limit+1,
		postgres.OrNull(f.ProjectID), string(f.Kind), string(f.Status), f.Search)
	if err != nil {
		return page.Of[Monitor]{}, fmt.Errorf("list monitors: %w", err)
	}
	found, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return page.Of[Monitor]{}, fmt.Errorf("list monitors: %w", err)
	}
	return page.Cut(r, found, func(m Monitor) page.Mark { return page.Mark{At: m.CreatedAt, ID: m.ID} }), nil
}

// violates reports whether the server refused a row because of a constraint or a unique index.
func violates(err error, constraint string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.ConstraintName == constraint
}
