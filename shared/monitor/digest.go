package monitor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/postgres"
)

const (
	// digestPage is how many heartbeats one transaction judges, and digestTime how long it may take.
	digestPage = 50
	digestTime = 3 * time.Second
	// digestLater is how long heartbeats that could not be judged let others go before.
	digestLater = time.Minute
)

// brokenFor is how long a heartbeat whose schedule cannot be read is left alone.
const brokenFor = time.Hour

// Digested is what judging heartbeats came to.
type Digested struct {
	Finished
	CheckIns  int64 // that were judged
	Monitors  int64
	Remaining int64 // monitors that are left for the next run
}

// Digest judges heartbeats, in transactions of a few each: what their jobs said since, and what they were to say and did not.
// Of several that digest at once each judges others. It stops when ctx ends, or when most monitors were judged. A heartbeat that
// cannot be judged, or only in longer than there is, keeps no other from being judged; the error tells of it.
func Digest(ctx context.Context, db *postgres.Pool, now time.Time, most int) (Digested, error) {
	var out Digested
	if err := forgetGone(ctx, db, now); err != nil {
		return out, err
	}
	ids, err := toJudge(ctx, db, now, most+1)
	if err != nil {
		return out, err
	}
	if len(ids) > most {
		ids, out.Remaining = ids[:most], 1
	}
	var failed []error
	for page := range slices.Chunk(ids, digestPage) {
		one, err := digestWithin(ctx, db, page, now)
		if err != nil && ctx.Err() == nil && !lost(err) {
			one, err = digestApart(ctx, db, page, now)
		}
		out.add(one)
		if err == nil {
			continue
		}
		failed = append(failed, err)
		if ctx.Err() != nil || lost(err) {
			out.Remaining += int64(len(ids)) - out.Monitors
			break
		}
	}
	if len(failed) > 0 {
		return out, fmt.Errorf("judge heartbeats: %w", errors.Join(failed...))
	}
	return out, nil
}

// lost reports that the database cannot be reached, so that asking for other heartbeats does not help. Took too long is not
// lost.
func lost(err error) bool {
	return postgres.Transient(err) && postgres.SQLState(err) == "" && !errors.Is(err, context.DeadlineExceeded)
}

// digestWithin is digest with an end of its own.
func digestWithin(ctx context.Context, db *postgres.Pool, ids []string, now time.Time) (Digested, error) {
	ctx, cancel := context.WithTimeout(ctx, digestTime)
	defer cancel()
	d, err := digest(ctx, db, ids, now)
	if err != nil {
		return Digested{}, err
	}
	return d, nil
}

// digestApart judges each heartbeat of a page that cannot be judged together by itself. Those for which there is no time, or
// that cannot be judged at all, come after the others next time.
func digestApart(ctx context.Context, db *postgres.Pool, ids []string, now time.Time) (Digested, error) {
	var out Digested
	if _, err := db.Exec(ctx, `
		update mesher.monitors set due_at = $2::timestamptz where id in (
			select m.id from mesher.monitors m where m.id = any($1::uuid[]) and m.kind = 'heartbeat' for no key update skip locked)`,
		ids, now.Add(digestLater)); err != nil {
		return out, err
	}
	var failed []error
	for i, id := range ids {
		one, err := digestWithin(ctx, db, []string{id}, now)
		out.add(one)
		if err == nil {
			continue
		}
		failed = append(failed, fmt.Errorf("heartbeat %s: %w", id, err))
		if ctx.Err() != nil || lost(err) {
			out.Remaining += int64(len(ids) - i)
			break
		}
		out.Remaining++
	}
	return out, errors.Join(failed...)
}

func (d *Digested) add(n Digested) {
	d.Add(n.Finished)
	d.CheckIns += n.CheckIns
	d.Monitors += n.Monitors
	d.Remaining += n.Remaining
}

// forgetGone marks check-ins as digested whose monitor is gone, disabled, or of an organization or project that is.
func forgetGone(ctx context.Context, db DB, now time.Time) error {
	_, err := db.Exec(ctx, `
		update mesher.check_ins c set digested_at = $1::timestamptz
		where c.digested_at is null and c.monitor_id is not null and not exists (
			select from mesher.monitors m where m.id = c.monitor_id and m.enabled and `+alive+`)`, now)
	if err != nil {
		return fmt.Errorf("forget check-ins of monitors that are gone: %w", err)
	}
	return nil
}

// toJudge returns heartbeats whose jobs said something, and those that were to.
func toJudge(ctx context.Context, db DB, now time.Time, most int) ([]string, error) {
	rows, err := db.Query(ctx, `
		select m.id::text from mesher.monitors m
		where m.kind = 'heartbeat' and m.enabled and `+alive+`
		  and (m.due_at <= $1::timestamptz or exists (
			select from mesher.check_ins c where c.monitor_id = m.id and c.digested_at is null))
		order by m.due_at, m.id limit $2::bigint`, now, most)
	if err != nil {
		return nil, fmt.Errorf("look for heartbeats to judge: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for heartbeats to judge: %w", err)
	}
	return ids, nil
}

// digest judges some heartbeats in one transaction. Those that others are judging are left to them.
func digest(ctx context.Context, db *postgres.Pool, ids []string, now time.Time) (Digested, error) {
	var out Digested
	err := postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		out = Digested{}
		monitors, err := lockAll(ctx, tx, ids)
		if err != nil || len(monitors) == 0 {
			return err
		}
		said, err := pending(ctx, tx, idsOf(monitors))
		if err != nil {
			return err
		}
		// What more was said than can be taken at once leaves no room for judging what was not said.
		until := now.Add(-Settle)
		if len(said) == pendingMost {
			out.Remaining = 1
			until = earlier(until, said[len(said)-1].signal.At)
		}
		w := write{at: now}
		if err := w.heartbeats(monitors, said, until); err != nil {
			return err
		}
		out.Checks, out.Changed, out.CheckIns, out.Monitors = int64(len(w.checks)), w.changed, int64(len(said)), int64(len(monitors))
		if err := digested(ctx, tx, said, now); err != nil {
			return err
		}
		if err := saveSchedules(ctx, tx, w.monitors); err != nil {
			return err
		}
		out.Told, err = w.commit(ctx, tx)
		return err
	})
	return out, err
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func lockAll(ctx context.Context, tx postgres.Tx, ids []string) ([]Monitor, error) {
	rows, err := tx.Query(ctx, `select `+columns+` from mesher.monitors m
		where m.id = any($1::uuid[]) and m.kind = 'heartbeat' and m.enabled order by m.id for no key update skip locked`, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

func idsOf(monitors []Monitor) []string {
	out := make([]string, len(monitors))
	for i, m := range monitors {
		out[i] = m.ID.String()
	}
	return out
}

// heartbeats judges each monitor by what its job said until a time.
func (w *write) heartbeats(monitors []Monitor, said []received, until time.Time) error {
	of := map[uuid.UUID][]received{}
	for _, r := range said {
		of[r.monitor] = append(of[r.monitor], r)
	}
	for _, m := range monitors {
		var signals []signal
		for _, r := range of[m.ID] {
			m.follow(r.schedule, r.signal.At)
			signals = append(signals, r.signal)
		}
		found, err := m.judge(signals, until)
		if err != nil {
			// It was right when it was made. That it is not any more is its own trouble, not that of the others.
			found = []verdict{{w.at, Look{Status: Down, Details: Details{Code: CodeConfiguration, Error: err.Error()}}}}
			m.DueAt = w.at.Add(brokenFor)
		}
		for _, v := range found {
			if err := w.look(&m, v.Look, v.At); err != nil {
				return err
			}
		}
		w.monitors = append(w.monitors, m)
	}
	return nil
}

func digested(ctx context.Context, tx postgres.Tx, said []received, now time.Time) error {
	if len(said) == 0 {
		return nil
	}
	ids := make([]string, len(said))
	for i, r := range said {
		ids[i] = r.id.String()
	}
	_, err := tx.Exec(ctx, `update mesher.check_ins set digested_at = $2::timestamptz where id = any($1::uuid[])`, ids, now)
	return err
}

// saveSchedules writes what SDKs said of the monitors that they made.
func saveSchedules(ctx context.Context, tx postgres.Tx, monitors []Monitor) error {
	var ids, configs []string
	var intervals, failures, recoveries []int32
	for _, m := range monitors {
		if !m.Config.Heartbeat.FromSDK {
			continue
		}
		config, _, err := m.texts()
		if err != nil {
			return err
		}
		ids, configs = append(ids, m.ID.String()), append(configs, config)
		intervals = append(intervals, int32(max(m.IntervalS, intervalLeast)))
		failures, recoveries = append(failures, int32(m.Failures)), append(recoveries, int32(m.Recoveries))
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		update mesher.monitors m set config = n.config::jsonb, interval_s = n.interval_s, failures = n.failures, failures_of = n.failures,
			recoveries = n.recoveries
		from unnest($1::uuid[], $2::text[], $3::integer[], $4::integer[], $5::integer[]) as n (id, config, interval_s, failures, recoveries)
		where m.id = n.id`, ids, configs, intervals, failures, recoveries)
	return err
}
