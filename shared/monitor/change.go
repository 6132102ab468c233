package monitor

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Change is what is to be changed of a monitor; nil fields are not. A configuration is replaced as a whole; of what is
// confidential, what is not given stays.
type Change struct {
	Name       *string
	Config     *Config
	Secrets    Confidential
	Slug       *string
	IntervalS  *int
	TimeoutMS  *int
	Failures   *int
	FailuresOf *int
	Recoveries *int
	Mute       *[]Mute
	Enabled    *bool
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// apply returns the monitor as it is to be, not checked yet.
func (c Change) apply(m Monitor) Monitor {
	set(&m.Name, c.Name)
	set(&m.Slug, c.Slug)
	set(&m.TimeoutMS, c.TimeoutMS)
	set(&m.Failures, c.Failures)
	set(&m.FailuresOf, c.FailuresOf)
	set(&m.Recoveries, c.Recoveries)
	set(&m.Mute, c.Mute)
	set(&m.Enabled, c.Enabled)
	was := m.cron()
	if c.Config != nil {
		m.Config = c.Config.clone()
		m.Config.usual()
	} else {
		// What follows from what is confidential follows from what is given.
		m.Config = m.Config.clone()
		if m.Config.HTTP != nil && c.Secrets.Headers != nil {
			m.Config.HTTP.Headers = nil
		}
		if m.Config.Postgres != nil && c.Secrets.URL != "" {
			m.Config.Postgres.Address = ""
		}
	}
	if was && !m.cron() {
		m.IntervalS = usualInterval
	}
	if !was && m.cron() {
		m.IntervalS = 0
	}
	set(&m.IntervalS, c.IntervalS)
	m.Mute = append([]Mute{}, m.Mute...)
	return m
}

// Change changes an organization's monitor, with the errors of Create, and returns it as it was and as it is, and the
// notifications to hand to outbox.Publish once that is committed: one that is disabled has no status any more, so its alerts
// end.
func (k Keeper) Change(ctx context.Context, tx postgres.Tx, organization, id uuid.UUID, c Change, at time.Time) (was, is Monitor, told []uuid.UUID, err error) {
	if was, err = lock(ctx, tx, organization, id); err != nil {
		return was, is, nil, err
	}
	is = c.apply(was)
	if from := was.Config.Heartbeat; is.Config.Heartbeat != nil && from != nil && is.Config.Heartbeat.FromSDK != from.FromSDK {
		return was, is, nil, fault.New(fault.Invalid, "config.heartbeat.from_sdk: it says who made the monitor and cannot be changed")
	}
	if c.Config != nil || !c.Secrets.empty() {
		kept, err := was.Open(k.Sealer)
		if err != nil && c.Secrets.empty() {
			return was, is, nil, err // when secrets are given, those that no longer open are replaced
		}
		err = k.complete(&is, c.Secrets, was.Config, kept)
		if err != nil {
			return was, is, nil, err
		}
	} else if err := is.check(Secrets{Headers: make([]string, is.headers())}, k.Guard); err != nil {
		return was, is, nil, refused(err)
	}
	at = at.UTC().Truncate(time.Microsecond)
	anew := is.anew(was)
	if told, err = is.turn(ctx, tx, was, anew, at); err != nil {
		return was, is, nil, err
	}
	return was, is, told, is.save(ctx, tx, anew, at)
}

func (m *Monitor) headers() int {
	if m.Config.HTTP == nil {
		return 0
	}
	return len(m.Config.HTTP.Headers)
}

// anew reports whether the monitor looks at something else, or otherwise, than it did.
func (m *Monitor) anew(was Monitor) bool {
	return !reflect.DeepEqual(m.Config, was.Config) || !bytes.Equal(m.sealed, was.sealed) || m.IntervalS != was.IntervalS ||
		m.TimeoutMS != was.TimeoutMS || m.Enabled != was.Enabled
}

// turn has what was changed take effect: what was found before is not of what is looked at now.
func (m *Monitor) turn(ctx context.Context, tx postgres.Tx, was Monitor, anew bool, at time.Time) ([]uuid.UUID, error) {
	if !reflect.DeepEqual(m.Config, was.Config) {
		m.recent = ""
	}
	if anew {
		m.DueAt = at
		if m.Kind == Heartbeat {
			if err := m.reschedule(was, at); err != nil {
				return nil, err
			}
		}
	}
	if !m.Enabled && was.Enabled {
		return m.forget(ctx, tx, at)
	}
	return nil, nil
}

// reschedule waits for the next run of another schedule, or by other times.
func (m *Monitor) reschedule(was Monitor, at time.Time) error {
	from, to := was.Config.Heartbeat, m.Config.Heartbeat
	if from.Cron != to.Cron || from.Timezone != to.Timezone || m.IntervalS != was.IntervalS || m.Enabled && !was.Enabled {
		m.endRun()
		return m.expect(at)
	}
	m.DueAt = m.deadline()
	return nil
}

// forget leaves a monitor without a status, and ends its alerts.
func (m *Monitor) forget(ctx context.Context, tx postgres.Tx, at time.Time) ([]uuid.UUID, error) {
	if m.Status == Unknown && m.alerted == Unknown {
		return nil, nil
	}
	m.Status, m.StatusSince, m.alerted, m.recent = Unknown, at, Unknown, ""
	return alert.MonitorChanged(ctx, tx, m.ID, string(Unknown), map[string]any{"monitor": m.Name, "kind": m.Kind}, at)
}

// save stores what was changed. A look of what it was before, which is under way, is not written any more.
func (m *Monitor) save(ctx context.Context, tx postgres.Tx, anew bool, at time.Time) error {
	config, mute, err := m.texts()
	if err != nil {
		return err
	}
	m.UpdatedAt = at
	err = postgres.InTx(ctx, tx, func(tx postgres.Tx) error {
		_, err := tx.Exec(ctx, `
			update mesher.monitors set name = $2::text, config = $3::text::jsonb, secret = $4::bytea, slug = nullif($5::text, ''),
				interval_s = $6::integer, timeout_ms = $7::integer, failures = $8::integer, failures_of = $9::integer,
				recoveries = $10::integer, mute = $11::text::jsonb, enabled = $12::boolean, status = $13::text,
				status_since = $14::timestamptz, alerted = $15::text, recent = $16::text,
				due_at = case when $23::boolean then $17::timestamptz else due_at end,
				claim = case when $23::boolean then null else claim end, expected_at = $18::timestamptz, running_since = $19::timestamptz, running_id = $20::uuid,
				running_until = $21::timestamptz, updated_at = $22::timestamptz
			where id = $1::uuid`,
			m.ID, m.Name, config, m.sealed, m.Slug, max(m.IntervalS, intervalLeast), m.TimeoutMS, m.Failures, m.FailuresOf, m.Recoveries,
			mute, m.Enabled, string(m.Status), m.StatusSince, string(m.alerted), m.recent, m.DueAt, postgres.TimeOrNull(m.ExpectedAt),
			postgres.TimeOrNull(m.RunningSince), postgres.OrNull(m.runningID), postgres.TimeOrNull(m.runningUntil), at, anew)
		return err
	})
	switch {
	case violates(err, "monitors_slug_key"):
		return errSlugTaken(m.Slug)
	case violates(err, "monitors_part_key"):
		return fault.New(fault.Conflict, "the organization has a monitor of this part already").Named("part_taken")
	case err != nil:
		return fmt.Errorf("change a monitor: %w", err)
	}
	return nil
}

// Delete removes an organization's monitor with its health checks, and returns what it was and the notifications to hand to
// outbox.Publish once that is committed: its alerts end.
func Delete(ctx context.Context, tx postgres.Tx, organization, id uuid.UUID, at time.Time) (Monitor, []uuid.UUID, error) {
	m, err := lock(ctx, tx, organization, id)
	if err != nil {
		return m, nil, err
	}
	was := m
	told, err := m.forget(ctx, tx, at)
	if err != nil {
		return was, nil, err
	}
	if _, err := tx.Exec(ctx, `delete from mesher.monitors where id = $1::uuid`, id); err != nil {
		return was, nil, fmt.Errorf("delete a monitor: %w", err)
	}
	return was, told, nil
}

// Ask has a monitor looked at by the next run of Probe, and a heartbeat judged by what its job has said. One that is disabled
// is a fault.Conflict.
func Ask(ctx context.Context, tx postgres.Tx, organization, id uuid.UUID, at time.Time) (Monitor, error) {
	m, err := lock(ctx, tx, organization, id)
	switch {
	case err != nil:
		return m, err
	case !m.Enabled:
		return m, fault.New(fault.Conflict, "the monitor is disabled; enable it first").Named("monitor_disabled")
	}
	// One that is under way is asked for already.
	err = tx.QueryRow(ctx, `
		update mesher.monitors set due_at = case when claim is null then least(due_at, $2::timestamptz) else due_at end
		where id = $1::uuid returning due_at`, id, at).Scan((*postgres.Time)(&m.DueAt))
	if err != nil {
		return m, fmt.Errorf("ask for a look: %w", err)
	}
	return m, nil
}

// Rotate gives a heartbeat another token, which makes the one before worthless, and returns it. It can be shown now and
// never again.
func Rotate(ctx context.Context, tx postgres.Tx, organization, id uuid.UUID) (Monitor, string, error) {
	m, err := lock(ctx, tx, organization, id)
	if err != nil {
		return m, "", err
	}
	if m.Kind != Heartbeat {
		return m, "", fault.New(fault.Conflict, "only a heartbeat has a token").Named("no_token")
	}
	token, err := setToken(ctx, tx, id)
	return m, token, err
}
