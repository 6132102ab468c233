package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/postgres"
)

// Rules about new issues and regressions are seen here, in the transaction that opens or reopens the issue. Which issues it
// will be is decided by the statements before; so what may be raised is a list of candidates, each with an id that exists
// only if it came true: the issue's own, or that of the activity which says that it regressed.

// candidatesMost is how many alerts one transaction may raise. Each is told to up to twenty channels, so a transaction that
// opens very many issues at once would take longer than it may: its rows are then stored in parts, each with its alerts. What a
// single row may raise, one alert for each rule, always fits.
const candidatesMost = 100

// errCrowded says that rows may raise more alerts than one transaction takes. Nothing of them is stored.
var errCrowded = errors.New("more alerts than one transaction raises")

// candidate is an alert that is raised if the issue is opened, or the activity written.
type candidate struct {
	Rule     uuid.UUID `json:"r"`
	Issue    uuid.UUID `json:"i,omitzero"`
	Activity uuid.UUID `json:"a,omitzero"`
	Facts    facts     `json:"f"`
}

// facts is what is known of the event that opens or reopens an issue.
type facts struct {
	EventID     uuid.UUID `json:"event_id"`
	Level       string    `json:"level"`
	Culprit     string    `json:"culprit,omitempty"`
	Environment string    `json:"environment,omitempty"`
	Release     string    `json:"release,omitempty"`
	ReceivedAt  time.Time `json:"received_at"`
}

func factsOf(r *row) facts {
	return facts{r.eventID, string(r.level), r.culprit, r.environment, r.release, r.receivedAt}
}

// openings returns what may be raised because of new issues. The event that opens an issue is its first of rows.
func (w *watches) openings(rows []row, s sums, found look) []candidate {
	if len(w.opened) == 0 {
		return nil
	}
	var (
		all   []candidate
		first = make(map[uuid.UUID]*row)
	)
	for i := range rows {
		if r := &rows[i]; found.of(r.fingerprint).unbound && first[r.fingerprint] == nil {
			first[r.fingerprint] = r
		}
	}
	for _, c := range s.issues {
		r := first[c.Fingerprint]
		if r == nil {
			continue
		}
		for n := range w.opened {
			if w.opened[n].passes(r) {
				all = append(all, candidate{Rule: w.opened[n].ID, Issue: c.IssueID, Facts: factsOf(r)})
			}
		}
	}
	return all
}

// returns returns what may be raised because of regressions.
func (w *watches) returns(rows []row, seen []sighting) []candidate {
	if len(w.regressed) == 0 || len(seen) == 0 {
		return nil
	}
	var (
		all []candidate
		at  = make(map[uuid.UUID]*row, len(rows))
	)
	for i := range rows {
		at[rows[i].eventID] = &rows[i]
	}
	for _, s := range seen {
		r := at[s.EventID]
		for n := range w.regressed {
			if w.regressed[n].passes(r) {
				all = append(all, candidate{Rule: w.regressed[n].ID, Activity: s.ActivityID, Facts: factsOf(r)})
			}
		}
	}
	return all
}

// raiseSQL returns the statement that raises the candidates that came true. It gives the notifications to be published.
func raiseSQL(project uuid.UUID, all []candidate, at time.Time) (string, error) {
	text, err := hexJSON(all)
	if err != nil {
		return "", err
	}
	return strings.NewReplacer("$project", project.String(), "$all", text, "$now", at.UTC().Format(time.RFC3339Nano)).Replace(`
with candidates as materialized (
	select c.* from json_to_recordset(convert_from(decode('$all', 'hex'), 'utf8')::json) as c (r uuid, i uuid, a uuid, f jsonb)),
due as materialized (
	select c.r, c.f, i.id, i.title, false as regressed
	from candidates c join mesher.issues i on i.project_id = '$project' and i.id = c.i
	union all
	select c.r, c.f, i.id, i.title, true
	from candidates c join mesher.issue_activity a on a.id = c.a and a.project_id = '$project' and a.action = 'regressed'
	join mesher.issues i on i.project_id = '$project' and i.id = a.issue_id
	order by 1, 3)
select n from due d, lateral mesher.issue_alert(d.r, d.id, d.title, d.regressed,
	d.f || jsonb_build_object('title', left(d.title, 500)), '$now') n`), nil
}

// raised reads the answer to raiseSQL.
func raised(result *pgconn.Result) ([]uuid.UUID, error) {
	all := make([]uuid.UUID, len(result.Rows))
	for i, r := range result.Rows {
		var err error
		if all[i], err = uuid.ParseBytes(r[0]); err != nil {
			return nil, fmt.Errorf("read a notification's id: %w", err)
		}
	}
	return all, nil
}

// alertApart counts rows that are inserted by the minute and raises alerts, and returns what is done of it. Should the
// database refuse that, it is no reason to refuse an event: it is left out.
func alertApart(ctx context.Context, pg *pgconn.PgConn, project uuid.UUID, rows []row, w work, found look, known *memory) (work, error) {
	statements, users := minutesOf(project, rows, found, known)
	if len(w.candidates) > 0 {
		sql, err := raiseSQL(project, w.candidates, found.at)
		if err != nil {
			return work{}, err
		}
		statements = append(statements, sql)
	}
	if len(statements) == 0 {
		return work{}, nil
	}
	results, err := pg.Exec(ctx, "savepoint alerts; "+strings.Join(statements, "; ")+"; release alerts").ReadAll()
	switch {
	case err == nil && len(w.candidates) > 0:
		all, err := raised(results[len(statements)])
		return work{ruleUsers: users, raised: all}, err
	case err == nil:
		return work{ruleUsers: users}, nil
	case !postgres.Data(err):
		return work{}, fmt.Errorf("count by the minute: %w", err)
	}
	if _, err := pg.Exec(ctx, "rollback to alerts").ReadAll(); err != nil {
		return work{}, fmt.Errorf("leave alerts out: %w", err)
	}
	return work{refusedAlerts: err}, nil
}
