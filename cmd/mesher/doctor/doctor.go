// Package doctor looks at an installation from end to end and says, for whatever is wrong with it, what to do.
//
// Each check is a function that asks one question and returns what it found; none of them changes anything.
package doctor

import (
	"context"
	"errors"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/scheduler"
	"github.com/mesherhq/mesher/shared/topic"
)

// Level says how bad a finding is.
type Level string

// The levels. A warning is something to look at; what is wrong loses data, lets somebody in, or soon will.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Wrong   Level = "wrong"
	Unknown Level = "unknown" // it could not be looked at
)

// Finding is one answer of a check.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	What  string `json:"what"`
	Fix   string `json:"fix,omitempty"` // what to do about it
}

// Route is a topic and the subscription that its messages are delivered by.
type Route struct{ Topic, Subscription string }

// Installation is what is known of an installation. Only the database has to be.
type Installation struct {
	Database postgres.Config   // as the one who migrates
	Roles    map[string]string // connection strings of the functions, by role
	Queue    *topic.Config
	Routes   []Route
	Schedule *scheduler.Config
	Local    bool // the platform on this machine, where nothing is in between
	Now      func() time.Time
}

// Report is what all checks found, in their order.
type Report struct {
	OK       bool      `json:"ok"` // nothing is wrong, and everything could be looked at
	Findings []Finding `json:"findings"`
}

// Code returns the exit code: 1 when something is wrong, 2 when something could not be looked at, else 0.
func (r Report) Code() int {
	code := 0
	for _, f := range r.Findings {
		switch f.Level {
		case Wrong:
			return 1
		case Unknown:
			code = 2
		}
	}
	return code
}

// checkMost bounds one check.
const checkMost = 20 * time.Second

// check is one question. Without needs it is asked even when the database does not answer.
type check struct {
	name  string
	needs bool // the database
	ask   func(context.Context, *exam) []Finding
}

func checks() []check {
	return []check{
		{"connection", false, connection},
		{"pooler", true, pooler},
		{"tls", true, encryption},
		{"server", true, version},
		{"extensions", true, extensions},
		{"clock", true, clock},
		{"migrations", true, schema},
		{"row level security", true, rowSecurity},
		{"strangers", true, strangers},
		{"roles", true, roles},
		{"timeouts", true, timeouts},
		{"grants", true, grants},
		{"logins", true, logins},
		{"partitions", true, partitions},
		{"queue", false, queue},
		{"schedule", true, jobs},
		{"dead letters", true, deadLetters},
		{"notifications", true, notifications},
		{"secrets", true, secrets},
	}
}

// exam is one look at an installation.
type exam struct {
	Installation
	pool *postgres.Pool // nil: the database does not answer
}

// Examine asks every question there is.
func Examine(ctx context.Context, in Installation) Report {
	if in.Now == nil {
		in.Now = time.Now
	}
	e := &exam{Installation: in}
	defer func() {
		if e.pool != nil {
			e.pool.Close()
		}
	}()
	var r Report
	for _, c := range checks() {
		if c.needs && e.pool == nil {
			continue // what keeps it from being asked is a finding already
		}
		found := func() []Finding {
			ctx, cancel := context.WithTimeout(ctx, checkMost)
			defer cancel()
			return c.ask(ctx, e)
		}()
		for _, f := range found {
			f.Check = c.name
			r.Findings = append(r.Findings, f)
		}
	}
	r.OK = r.Code() == 0
	return r
}

func ok(what string) []Finding { return []Finding{{Level: OK, What: what}} }

// unknown is the finding of a check that cannot find out.
func unknown(err error, fix string) []Finding {
	return []Finding{{Level: Unknown, What: explain(err), Fix: fix}}
}

// explain shortens an error that was written for a client, whose cause says more than people want to know.
func explain(err error) string {
	var known *fault.Error
	if errors.As(err, &known) {
		return known.Detail
	}
	return err.Error()
}

// strings reads the one column of a query.
func (e *exam) strings(ctx context.Context, sql string, args ...any) ([]string, error) {
	rows, err := e.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// each makes a finding of every row of a query, or says that there is none.
func (e *exam) each(ctx context.Context, level Level, fix, fine, sql string, args ...any) []Finding {
	found, err := e.strings(ctx, sql, args...)
	if err != nil {
		return unknown(err, asOwner)
	}
	if len(found) == 0 {
		return ok(fine)
	}
	var out []Finding
	for _, what := range found {
		out = append(out, Finding{Level: level, What: what, Fix: fix})
	}
	return out
}

const asOwner = "connect as the one who migrates: set DATABASE_URL to that user's"
