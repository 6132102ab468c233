package issue

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Subject is a person whose events are to be erased, by the id or the e-mail address in events; with both, events that have
// either.
type Subject struct{ UserID, Email string }

// Pseudonym returns what stands for the subject where neither id nor address may.
func (s Subject) Pseudonym(project uuid.UUID) uuid.UUID {
	return UserHash(project, cmp.Or(s.UserID, strings.ToLower(s.Email)))
}

// Erasure is how far erasing has come.
type Erasure struct {
	DaysDone       int    `json:"days_done" doc:"days whose events were looked through by this call"`
	DaysLeft       int    `json:"days_left" doc:"older days that are still to be looked through"`
	Events         int64  `json:"events" doc:"how many events this call erased"`
	Traces         int64  `json:"traces" doc:"how much else it erased that was kept of the user: that issues affected the user, and tags"`
	Done           bool   `json:"done"`
	ContinueBefore string `json:"continue_before,omitempty" format:"date" doc:"unless done: send it as before to go on"`
}

// Erase erases the events of a person, a day (UTC) at a time, the newest first, until budget is used up: then the day before
// which to go on is in the answer. before is the day that an earlier call ended at; zero: begin at the newest. At least one
// day is done. What was erased stays so when an error ends the call, and erasing again finds nothing more.
//
// Each day is a transaction of its own, so that no lock is held for long: db has to be a pool.
func Erase(ctx context.Context, db DB, project uuid.UUID, who Subject, before time.Time, budget time.Duration) (Erasure, error) {
	if who.UserID == "" && who.Email == "" {
		return Erasure{}, fault.New(fault.Invalid, "say whose events are to be erased: user_id, email or both")
	}
	days, err := eventDays(ctx, db, project, before)
	if err != nil {
		return Erasure{}, err
	}
	e := eraser{db: db, project: project, who: who, known: map[string]bool{}}
	began := time.Now()
	for e.DaysDone < len(days) && (e.DaysDone == 0 || time.Since(began) < budget) {
		if err := e.day(ctx, days[e.DaysDone]); err != nil {
			return e.Erasure, err
		}
		e.DaysDone++
	}
	e.DaysLeft = len(days) - e.DaysDone
	if e.Done = e.DaysLeft == 0; !e.Done {
		e.ContinueBefore = days[e.DaysDone-1].Format(time.DateOnly)
	}
	return e.Erasure, e.traces(ctx, who.UserID, who.Email)
}

// eraser is one call of Erase.
type eraser struct {
	db      DB
	project uuid.UUID
	who     Subject
	known   map[string]bool // ids whose traces are gone
	Erasure
}

// eventDays returns the days between a project's first and last event, the newest first, those before a day only unless it
// is zero.
func eventDays(ctx context.Context, db DB, project uuid.UUID, before time.Time) ([]time.Time, error) {
	var first, last time.Time
	err := db.QueryRow(ctx, `
		select (select min(e.received_at) from mesher.events e where e.project_id = $1::uuid),
			(select max(e.received_at) from mesher.events e where e.project_id = $1::uuid)`, project).
		Scan((*postgres.Time)(&first), (*postgres.Time)(&last))
	if err != nil {
		return nil, fmt.Errorf("look up a project's first and last event: %w", err)
	}
	if first.IsZero() {
		return nil, nil
	}
	if !before.IsZero() {
		last = earlier(last, before.UTC().Truncate(day).Add(-time.Microsecond))
	}
	var days []time.Time
	for d := last.Truncate(day); !d.Before(first.Truncate(day)); d = d.Add(-day) {
		days = append(days, d)
	}
	return days, nil
}

// day erases a day's events. What else is kept of those who are known by the address only goes first, by their id or IP
// address: without the events nothing says any more whose they are.
func (e *eraser) day(ctx context.Context, on time.Time) error {
	date := on.Format(time.DateOnly)
	if e.who.Email != "" {
		ids, err := e.addressed(ctx, on)
		if err != nil {
			return fmt.Errorf("look for a user's events of %s: %w", date, err)
		}
		if err := e.traces(ctx, ids...); err != nil {
			return err
		}
	}
	var n int64
	err := e.db.QueryRow(ctx, "select mesher.erase_user($1::uuid, $2::text::date, $3::text, $4::text)",
		e.project, date, e.who.UserID, e.who.Email).Scan(&n)
	if err != nil {
		return fmt.Errorf("erase a user's events of %s: %w", date, err)
	}
	e.Events += n
	return nil
}

// addressed returns by which ids or IP addresses those of a day's events are counted that have the address.
func (e *eraser) addressed(ctx context.Context, on time.Time) ([]string, error) {
	rows, err := e.db.Query(ctx, `
		select distinct coalesce(nullif(e.user_id, ''), e.user_info ->> 'ip_address', '') from mesher.events e
		where e.project_id = $1::uuid and e.received_at >= $2::timestamptz and e.received_at < $3::timestamptz
		  and lower(e.user_info ->> 'email') = lower($4::text)`, e.project, on, on.Add(day), e.who.Email)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says what failed
	}
	return pgx.CollectRows(rows, pgx.RowTo[string]) //nolint:wrapcheck // as above
}

// traces erases what else is kept of users, once for each.
func (e *eraser) traces(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		if id == "" || e.known[id] {
			continue
		}
		n, err := e.trace(ctx, id)
		if err != nil {
			return fmt.Errorf("erase what is kept of a user: %w", err)
		}
		e.known[id] = true
		e.Traces += n
	}
	return nil
}

// trace erases what else is kept of a user. It is tried again when it and a batch of events wait for each other's issues.
func (e *eraser) trace(ctx context.Context, id string) (n int64, err error) {
	for range 4 {
		err = e.db.QueryRow(ctx, "select mesher.erase_user_traces($1::uuid, $2::uuid, $3::text)", e.project, UserHash(e.project, id), id).Scan(&n)
		if postgres.SQLState(err) != "40P01" {
			break
		}
	}
	return n, err //nolint:wrapcheck // the caller says what failed
}
