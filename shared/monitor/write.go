package monitor

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/postgres"
)

// write is what a transaction writes of monitors that it has locked.
type write struct {
	at       time.Time
	checks   []HealthCheck
	monitors []Monitor
	facts    map[uuid.UUID]map[string]any // of the last look, by monitor
	changed  int64
}

// look takes one look at a monitor: a health check, and how the monitor stands after it.
func (w *write) look(m *Monitor, l Look, began time.Time) error {
	l = fit(l)
	c, err := newCheck(m.ID, l, began)
	if err != nil {
		return err
	}
	was := m.state()
	is := was.After(m.rules(), l.Status, c.CreatedAt)
	m.Status, m.StatusSince, m.recent = is.Status, is.Since, is.Recent
	if c.CreatedAt.After(m.CheckedAt) {
		m.CheckedAt = c.CreatedAt
	}
	if is.Status != was.Status {
		w.changed++
	}
	w.checks = append(w.checks, c)
	w.note(m, l)
	return nil
}

// note keeps what an alert is to say.
func (w *write) note(m *Monitor, l Look) {
	if w.facts == nil {
		w.facts = map[uuid.UUID]map[string]any{}
	}
	w.facts[m.ID] = facts(m, map[string]any{"code": l.Details.Code, "error": l.Details.Error})
}

// facts are what an alert says of a monitor.
func facts(m *Monitor, more map[string]any) map[string]any {
	out := map[string]any{
		"monitor": m.Name, "kind": m.Kind, "status": m.Status, "since": m.StatusSince,
		"failures": m.Failures, "failures_of": m.FailuresOf,
	}
	if m.ProjectID != uuid.Nil {
		out["project_id"] = m.ProjectID
	}
	for name, v := range more {
		if v != "" {
			out[name] = v
		}
	}
	return out
}

// commit writes everything, and returns the notifications of the alerts that follow.
func (w *write) commit(ctx context.Context, tx postgres.Tx) (told []uuid.UUID, err error) {
	if err := insertChecks(ctx, tx, w.checks); err != nil {
		return nil, err
	}
	for i := range w.monitors {
		m := &w.monitors[i]
		s := m.state()
		tell := s.Tell(Muted(m.Mute, w.at))
		m.alerted = s.Alerted
		if !tell {
			continue
		}
		ids, err := alert.MonitorChanged(ctx, tx, m.ID, string(m.Status), w.facts[m.ID], w.at)
		if err != nil {
			return nil, err
		}
		told = append(told, ids...)
	}
	return told, saveStates(ctx, tx, w.monitors)
}

// saveStates writes how monitors stand; their claims end.
func saveStates(ctx context.Context, tx postgres.Tx, monitors []Monitor) error {
	if len(monitors) == 0 {
		return nil
	}
	var ids, statuses, recents, told []string
	var since, due []time.Time
	var checked, expected, running, until []*time.Time
	var runs []*string
	for _, m := range monitors {
		ids, statuses, recents, told = append(ids, m.ID.String()), append(statuses, string(m.Status)), append(recents, m.recent), append(told, string(m.alerted))
		since, due = append(since, m.StatusSince), append(due, m.DueAt)
		checked, expected = append(checked, orNil(m.CheckedAt)), append(expected, orNil(m.ExpectedAt))
		running, until = append(running, orNil(m.RunningSince)), append(until, orNil(m.runningUntil))
		var run *string
		if m.runningID != uuid.Nil {
			text := m.runningID.String()
			run = &text
		}
		runs = append(runs, run)
	}
	_, err := tx.Exec(ctx, `
		update mesher.monitors m set status = n.status, status_since = n.since, recent = n.recent, alerted = n.told,
			checked_at = n.checked, due_at = n.due, claim = null, expected_at = n.expected, running_since = n.running,
			running_id = n.run, running_until = n.until
		from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[],
			$8::timestamptz[], $9::timestamptz[], $10::uuid[], $11::timestamptz[])
			as n (id, status, since, recent, told, checked, due, expected, running, run, until)
		where m.id = n.id`, ids, statuses, since, recents, told, checked, due, expected, running, runs, until)
	if err != nil {
		return fmt.Errorf("keep how monitors stand: %w", err)
	}
	return nil
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// untoldPage is how many monitors one transaction of TellMuted looks at: so few that all their alerts can be told in time.
const untoldPage = 20

// TellMuted raises the alerts that waited for the end of the time in which their monitors were muted. It returns how many
// monitors it told of, and the notifications to hand to outbox.Publish.
func TellMuted(ctx context.Context, db postgres.Beginner, now time.Time) (told int64, notifications []uuid.UUID, err error) {
	for after := uuid.Nil; ; {
		var n int
		var ids []uuid.UUID
		err := postgres.InTx(ctx, db, func(tx postgres.Tx) error {
			found, err := untold(ctx, tx, after)
			if err != nil {
				return err
			}
			w := write{at: now, facts: map[uuid.UUID]map[string]any{}}
			for _, m := range found {
				s := m.state()
				if after = m.ID; s.Tell(Muted(m.Mute, now)) {
					w.facts[m.ID] = facts(&m, map[string]any{"muted_before": true})
					w.monitors = append(w.monitors, m)
				}
			}
			n = len(found)
			ids, err = w.tell(ctx, tx)
			told += int64(len(w.monitors))
			return err
		})
		if err != nil {
			return told, notifications, fmt.Errorf("raise alerts of monitors that were muted: %w", err)
		}
		if notifications = append(notifications, ids...); n < untoldPage {
			return told, notifications, nil
		}
	}
}

func untold(ctx context.Context, tx postgres.Tx, after uuid.UUID) ([]Monitor, error) {
	rows, err := tx.Query(ctx, `select `+columns+` from mesher.monitors m
		where m.alerted <> m.status and m.enabled and m.id > $1::uuid
		order by m.id limit $2::bigint for no key update skip locked`, after, untoldPage)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

// tell has alert rules told of monitors of which nothing else changes: a look may be under way.
func (w *write) tell(ctx context.Context, tx postgres.Tx) (told []uuid.UUID, err error) {
	var ids []string
	for _, m := range w.monitors {
		n, err := alert.MonitorChanged(ctx, tx, m.ID, string(m.Status), w.facts[m.ID], w.at)
		if err != nil {
			return nil, err
		}
		told, ids = append(told, n...), append(ids, m.ID.String())
	}
	if len(ids) == 0 {
		return nil, nil
	}
	_, err = tx.Exec(ctx, `update mesher.monitors set alerted = status where id = any($1::uuid[])`, ids)
	return told, err
}
