package monitor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/secret"
)

// Beat is a call of a heartbeat's URL.
type Beat struct {
	Token  secret.Hash
	Status CheckInStatus
	At     time.Time
}

// RecordBeats stores calls of heartbeats' URLs in one statement, and reports of each whether its token is known. Of one
// heartbeat and status one call a second is kept; of those that are disabled none is.
func RecordBeats(ctx context.Context, db DB, beats []Beat) ([]bool, error) {
	var ids, statuses []string
	var tokens [][]byte
	var times []time.Time
	for _, b := range beats {
		id, err := newID(b.At)
		if err != nil {
			return nil, err
		}
		ids, statuses = append(ids, id.String()), append(statuses, string(b.Status))
		tokens, times = append(tokens, b.Token[:]), append(times, b.At)
	}
	rows, err := db.Query(ctx, `
		with called as (
			select n.place, n.id, n.status, n.at, m.id as monitor_id, m.enabled
			from unnest($1::uuid[], $2::bytea[], $3::text[], $4::timestamptz[]) with ordinality as n (id, token, status, at, place)
			join mesher.monitors m on m.token_hash = n.token and m.kind = 'heartbeat'),
		kept as (
			insert into mesher.check_ins (id, monitor_id, status, received_at)
			select id, monitor_id, status, at from called where enabled order by place
			on conflict do nothing)
		select place from called`, ids, tokens, statuses, times)
	if err != nil {
		return nil, fmt.Errorf("keep the calls of heartbeats: %w", err)
	}
	places, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("keep the calls of heartbeats: %w", err)
	}
	known := make([]bool, len(beats))
	for _, p := range places {
		known[p-1] = true
	}
	return known, nil
}

// CheckIn is what an SDK says of a run of a job.
type CheckIn struct {
	ProjectID   uuid.UUID
	Slug        string
	Environment string
	ID          uuid.UUID // of the run; uuid.Nil: that which is under way
	Status      CheckInStatus
	Duration    time.Duration
	Schedule    *SDKSchedule // nil: the SDK says nothing of it
	At          time.Time
}

// SDKSchedule is what an SDK says of a job's monitor. Its fields are in the units in which they are kept; 0: as usual.
type SDKSchedule struct {
	Cron        string `json:"cron,omitempty"`
	Timezone    string `json:"timezone,omitempty"`
	IntervalS   int    `json:"interval_s,omitempty"`
	GraceS      int    `json:"grace_s,omitempty"`
	MaxRuntimeS int    `json:"max_runtime_s,omitempty"`
	Failures    int    `json:"failures,omitempty"`
	Recoveries  int    `json:"recoveries,omitempty"`
}

// check refuses what the database would not take.
func (c CheckIn) check() error {
	switch {
	case c.ProjectID == uuid.Nil:
		return errors.New("a check-in without a project")
	case c.Slug == "" || Slug(c.Slug) != c.Slug:
		return fault.New(fault.Invalid, "monitor_slug: %q is not lower-case letters, digits, - and _, at most %d", clip(c.Slug), slugMost)
	case c.Status != Began && c.Status != Ok && c.Status != Error:
		return fault.New(fault.Invalid, "status: %q is none of in_progress, ok and error", clip(string(c.Status)))
	case c.Duration < 0:
		return fault.New(fault.Invalid, "duration: it is below 0")
	}
	if err := checkText("environment", c.Environment, environmentMost); err != nil {
		return refused(err)
	}
	return nil
}

// RecordCheckIns stores check-ins of SDKs, all of them or none, but for those of projects that have sent CheckInsMinute within
// the last minute, and for those that came before: of a run each status is kept once. It returns how many it stored.
func RecordCheckIns(ctx context.Context, db DB, checkIns []CheckIn) (int64, error) {
	var ids, projects, slugs, environments, statuses []string
	var runs, schedules []*string
	var durations []*int64
	var times []time.Time
	for _, c := range checkIns {
		if err := c.check(); err != nil {
			return 0, err
		}
		id, err := newID(c.At)
		if err != nil {
			return 0, err
		}
		run, schedule, err := c.texts()
		if err != nil {
			return 0, err
		}
		ids, projects, slugs = append(ids, id.String()), append(projects, c.ProjectID.String()), append(slugs, c.Slug)
		environments, statuses, times = append(environments, c.Environment), append(statuses, string(c.Status)), append(times, c.At)
		runs, schedules = append(runs, run), append(schedules, schedule)
		ms := min(c.Duration.Milliseconds(), math.MaxInt32)
		durations = append(durations, &ms)
	}
	tag, err := db.Exec(ctx, `
		with sent as (
			select n.*, row_number() over (partition by n.project_id order by n.at, n.id) as place
			from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::bigint[], $8::text[], $9::timestamptz[])
				as n (id, project_id, slug, environment, check_in_id, status, duration_ms, config, at)),
		before as (
			select p.project_id, (select count(*) from mesher.check_ins c
				where c.project_id = p.project_id and c.received_at > p.at - interval '1 minute') as n
			from (select project_id, min(at) as at from sent group by project_id) p)
		insert into mesher.check_ins (id, project_id, slug, environment, check_in_id, status, duration_ms, config, received_at)
		select s.id, s.project_id, s.slug, s.environment, s.check_in_id, s.status, s.duration_ms, s.config::jsonb, s.at
		from sent s join before b on b.project_id = s.project_id
		where s.place + b.n <= $10::bigint
		on conflict do nothing`, ids, projects, slugs, environments, runs, statuses, durations, schedules, times, CheckInsMinute)
	if err != nil {
		return 0, fmt.Errorf("keep check-ins: %w", err)
	}
	return tag.RowsAffected(), nil
}

// received is a check-in as it stands in the database.
type received struct {
	id, monitor uuid.UUID
	signal      signal
	schedule    *SDKSchedule
}

// pendingMost is how many check-ins one transaction digests.
const pendingMost = 5_000

// pending returns check-ins that were not digested, of monitors that are locked, in the order in which they came.
func pending(ctx context.Context, tx postgres.Tx, monitors []string) ([]received, error) {
	rows, err := tx.Query(ctx, `
		select c.id, c.monitor_id, c.check_in_id, c.status, coalesce(c.duration_ms, 0), c.config::text, c.received_at,
			c.status = 'in_progress' and c.check_in_id is not null and exists (
				select from mesher.check_ins e
				where e.project_id = c.project_id and e.check_in_id = c.check_in_id and e.status <> 'in_progress'
				  and (e.received_at, e.id) < (c.received_at, c.id))
		from mesher.check_ins c
		where c.monitor_id = any($1::uuid[]) and c.digested_at is null
		order by c.received_at, c.id limit $2::bigint`, monitors, pendingMost)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanReceived)
}

func scanReceived(row pgx.CollectableRow) (received, error) {
	var r received
	var run *uuid.UUID
	var ms int64
	var config *string
	err := row.Scan(&r.id, &r.monitor, &run, &r.signal.Status, &ms, &config, (*postgres.Time)(&r.signal.At), &r.signal.Ended)
	if err != nil {
		return r, err
	}
	r.signal.Duration = time.Duration(ms) * time.Millisecond
	if run != nil {
		r.signal.ID = *run
	}
	r.schedule, err = readSchedule(config)
	return r, err
}
