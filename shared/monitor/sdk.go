package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// texts returns what is kept as text and may be missing.
func (c CheckIn) texts() (run, schedule *string, err error) {
	if c.ID != uuid.Nil {
		text := c.ID.String()
		run = &text
	}
	if c.Schedule != nil {
		b, err := json.Marshal(c.Schedule)
		if err != nil {
			return nil, nil, fmt.Errorf("encode the schedule of a check-in: %w", err)
		}
		text := string(b)
		schedule = &text
	}
	return run, schedule, nil
}

func readSchedule(config *string) (*SDKSchedule, error) {
	if config == nil {
		return nil, nil
	}
	s := new(SDKSchedule)
	if err := json.Unmarshal([]byte(*config), s); err != nil {
		return nil, fmt.Errorf("read the schedule of a check-in: %w", err)
	}
	return s, nil
}

// spec returns the monitor that an SDK describes. Where it says nothing of a margin it means a minute.
func (s SDKSchedule) spec(u unknown) Spec {
	name := u.slug
	if u.environment != "" {
		name += " (" + u.environment + ")"
	}
	return Spec{
		ProjectID: u.project, Name: name, Kind: Heartbeat, Slug: u.slug, Environment: u.environment, IntervalS: s.IntervalS,
		Failures: s.Failures, FailuresOf: s.Failures, Recoveries: s.Recoveries,
		Config: Config{Heartbeat: &HeartbeatConfig{
			Cron: s.Cron, Timezone: s.Timezone, GraceS: s.GraceS, MaxRuntimeS: s.MaxRuntimeS, FromSDK: true,
		}},
	}
}

// follow has a monitor that an SDK made follow what it says now. What it does not say stays, and so does everything where
// what it says makes no sense.
func (m *Monitor) follow(s *SDKSchedule, at time.Time) {
	if s == nil || m.Config.Heartbeat == nil || !m.Config.Heartbeat.FromSDK {
		return
	}
	was := m.Config.Heartbeat
	says := *s
	says.GraceS, says.MaxRuntimeS = or(s.GraceS, was.GraceS), or(s.MaxRuntimeS, was.MaxRuntimeS)
	says.Failures, says.Recoveries = or(s.Failures, m.Failures), or(s.Recoveries, m.Recoveries)
	draft := says.spec(unknown{project: m.ProjectID, slug: m.Slug, environment: m.Environment}).draft(m.OrganizationID, m.ID, at)
	if err := draft.check(Secrets{}, nil); err != nil {
		return
	}
	is := draft.Config.Heartbeat
	anew := was.Cron != is.Cron || was.Timezone != is.Timezone || m.IntervalS != draft.IntervalS
	m.Config, m.IntervalS = draft.Config, draft.IntervalS
	m.Failures, m.FailuresOf, m.Recoveries = draft.Failures, draft.FailuresOf, draft.Recoveries
	if anew {
		m.endRun()
		_ = m.expect(at) // draft was checked: there is a next time
	}
}

// unknown is what check-ins call a monitor that there is not.
type unknown struct {
	project, organization uuid.UUID
	slug, environment     string
	schedule              *SDKSchedule
	since                 time.Time
}

// unknownMost is how many of them one run looks at.
const unknownMost = 500

// Adopted is what became of check-ins whose monitor was not known.
type Adopted struct {
	Created int64
	Ignored int64           // check-ins of monitors that there are not, and that nobody described
	Refused map[string]bool // why monitors were not made
}

// Adopt finds the monitors that check-ins of SDKs mean, and makes those that there are not, as the SDKs describe them.
// Check-ins that mean none are ignored, as are those of monitors that are gone.
func (k Keeper) Adopt(ctx context.Context, db *postgres.Pool, now time.Time) (Adopted, error) {
	out := Adopted{Refused: map[string]bool{}}
	for range 2 {
		if err := assign(ctx, db); err != nil {
			return out, err
		}
		missing, err := missing(ctx, db)
		if err != nil || len(missing) == 0 {
			return out, err
		}
		for _, u := range missing {
			err := k.adopt(ctx, db, u)
			switch {
			case err == nil:
				out.Created++
			case fault.Is(err, fault.Invalid), fault.Is(err, fault.Conflict):
				out.Refused[err.Error()] = true
			default:
				return out, fmt.Errorf("make the monitor of a check-in: %w", err)
			}
		}
		if err := assign(ctx, db); err != nil {
			return out, err
		}
		n, err := ignore(ctx, db, missing, now)
		if out.Ignored += n; err != nil || len(missing) < unknownMost {
			return out, err
		}
	}
	return out, nil
}

// assign writes into check-ins which monitor they mean: that of their environment, else that of all.
func assign(ctx context.Context, db DB) error {
	_, err := db.Exec(ctx, `
		update mesher.check_ins c set monitor_id = (
			select m.id from mesher.monitors m
			where m.project_id = c.project_id and m.slug = c.slug and m.environment in (c.environment, '')
			order by m.environment = c.environment desc limit 1)
		where c.digested_at is null and c.monitor_id is null and exists (
			select from mesher.monitors m
			where m.project_id = c.project_id and m.slug = c.slug and m.environment in (c.environment, ''))`)
	if err != nil {
		return fmt.Errorf("find the monitors of check-ins: %w", err)
	}
	return nil
}

// missing returns monitors that check-ins mean and that there are not, each as it was described last. All projects get their
// turn: one whose check-ins name ever new monitors does not keep those of others from being made.
func missing(ctx context.Context, db DB) ([]unknown, error) {
	rows, err := db.Query(ctx, `
		select n.project_id, n.organization_id, n.slug, n.environment, n.config::text, n.since
		from (
			select distinct on (c.project_id, c.slug, c.environment) c.project_id, p.organization_id, c.slug, c.environment, c.config,
				min(c.received_at) over (partition by c.project_id, c.slug, c.environment) as since
			from mesher.check_ins c join mesher.projects p on p.id = c.project_id
			where c.digested_at is null and c.monitor_id is null
			order by c.project_id, c.slug, c.environment, c.config is null, c.received_at desc, c.id desc) n
		order by row_number() over (partition by n.project_id order by n.since, n.slug, n.environment), n.project_id
		limit $1::bigint`, unknownMost)
	if err != nil {
		return nil, fmt.Errorf("look for monitors to make: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (unknown, error) {
		var u unknown
		var config *string
		err := row.Scan(&u.project, &u.organization, &u.slug, &u.environment, &config, (*postgres.Time)(&u.since))
		if err != nil {
			return u, err
		}
		u.schedule, err = readSchedule(config)
		return u, err
	})
	if err != nil {
		return nil, fmt.Errorf("look for monitors to make: %w", err)
	}
	return found, nil
}

// adopt makes a monitor as an SDK describes it. It exists from its first check-in on.
func (k Keeper) adopt(ctx context.Context, db *postgres.Pool, u unknown) error {
	if u.schedule == nil {
		return fault.New(fault.Invalid, "a check-in names a monitor that there is not, and does not describe it")
	}
	return postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		if _, err := tx.Exec(ctx, `select from mesher.organizations where id = $1::uuid for no key update`, u.organization); err != nil {
			return err
		}
		var n int
		err := tx.QueryRow(ctx, `
			select count(*) from mesher.monitors
			where project_id = $1::uuid and (config -> 'heartbeat' ->> 'from_sdk')::boolean`, u.project).Scan(&n)
		if err != nil {
			return err
		}
		if n >= SDKMost {
			return fault.New(fault.Conflict, "the project has %d monitors that check-ins made, which is the most", SDKMost)
		}
		_, err = k.create(ctx, tx, u.organization, u.schedule.spec(u), u.since)
		return err
	})
}

// ignore marks check-ins as digested whose monitors were looked for and not found, and those of monitors that are gone. It
// returns how many.
func ignore(ctx context.Context, db DB, looked []unknown, now time.Time) (int64, error) {
	var projects, slugs, environments []string
	for _, u := range looked {
		projects, slugs, environments = append(projects, u.project.String()), append(slugs, u.slug), append(environments, u.environment)
	}
	tag, err := db.Exec(ctx, `
		update mesher.check_ins c set digested_at = $4::timestamptz
		from unnest($1::uuid[], $2::text[], $3::text[]) as n (project_id, slug, environment)
		where c.digested_at is null and c.monitor_id is null and c.project_id = n.project_id and c.slug = n.slug
		  and c.environment = n.environment and c.received_at <= $4::timestamptz`, projects, slugs, environments, now)
	if err != nil {
		return 0, fmt.Errorf("ignore check-ins: %w", err)
	}
	return tag.RowsAffected(), nil
}
