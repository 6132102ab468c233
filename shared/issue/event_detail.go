package issue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
)

// Event is everything that is stored of an event.
type Event struct {
	EventSummary
	Fingerprint       uuid.UUID       `json:"fingerprint" format:"uuid"`
	Platform          string          `json:"platform,omitempty"`
	ServerName        string          `json:"server_name,omitempty"`
	Logger            string          `json:"logger,omitempty"`
	TraceID           string          `json:"trace_id,omitempty"`
	Tags              json.RawMessage `json:"tags" doc:"object of strings"`
	Extra             json.RawMessage `json:"extra" doc:"object: whatever else the client sent"`
	Exception         json.RawMessage `json:"exception,omitempty" doc:"the chain, innermost first, each with type, value and stacktrace; frames oldest first, with lines of context"`
	Threads           json.RawMessage `json:"threads,omitempty"`
	Breadcrumbs       json.RawMessage `json:"breadcrumbs,omitempty" doc:"oldest first"`
	User              json.RawMessage `json:"user,omitempty"`
	Contexts          json.RawMessage `json:"contexts,omitempty"`
	Request           json.RawMessage `json:"request,omitempty"`
	SDK               json.RawMessage `json:"sdk,omitempty"`
	ClientFingerprint json.RawMessage `json:"client_fingerprint,omitempty" doc:"how the client wants the event grouped"`
	Meta              json.RawMessage `json:"meta,omitempty" doc:"what was trimmed, dropped or replaced, and why"`
	Previous          uuid.UUID       `json:"previous,omitzero" format:"uuid" doc:"id of the issue's event before; missing on the oldest"`
	Next              uuid.UUID       `json:"next,omitzero" format:"uuid" doc:"id of the issue's event after; missing on the latest"`
}

const eventColumns = summaryColumns + `, e.fingerprint, coalesce(e.platform, ''), coalesce(e.server_name, ''),
	coalesce(e.logger, ''), coalesce(e.trace_id, ''), e.tags::text, e.extra::text, coalesce(e.exception::text, ''),
	coalesce(e.threads::text, ''), coalesce(e.breadcrumbs::text, ''), coalesce(e.user_info::text, ''), coalesce(e.contexts::text, ''),
	coalesce(e.request::text, ''), coalesce(e.sdk::text, ''), coalesce(e.client_fingerprint::text, ''), coalesce(e.meta::text, '')`

const bindingOf = ` left join mesher.issue_fingerprints b on b.project_id = e.project_id and b.fingerprint = e.fingerprint`

func scanEvent(row pgx.CollectableRow) (Event, error) {
	var e Event
	var parts [11]string
	err := row.Scan(append(e.fields(), &e.Fingerprint, &e.Platform, &e.ServerName, &e.Logger, &e.TraceID, &parts[0], &parts[1],
		&parts[2], &parts[3], &parts[4], &parts[5], &parts[6], &parts[7], &parts[8], &parts[9], &parts[10])...)
	for n, to := range []*json.RawMessage{
		&e.Tags, &e.Extra, &e.Exception, &e.Threads, &e.Breadcrumbs, &e.User, &e.Contexts, &e.Request, &e.SDK,
		&e.ClientFingerprint, &e.Meta,
	} {
		if parts[n] != "" {
			*to = json.RawMessage(parts[n])
		}
	}
	return e, err
}

// FindEvent returns an event by its id, or by the id that the client gave it: then the newest with it. at may say when it was
// received, by a day or so, which spares looking at other partitions; zero: it is not known. fault.NotFound when there is
// none.
func FindEvent(ctx context.Context, db DB, project, id uuid.UUID, at time.Time) (Event, error) {
	e, err := lookUp(ctx, db, project, id, at)
	if err != nil {
		return Event{}, err
	}
	return e, addNeighbours(ctx, db, project, &e)
}

func lookUp(ctx context.Context, db DB, project, id uuid.UUID, at time.Time) (Event, error) {
	now := time.Now().UTC()
	stored := span{from: now.Add(-oldest), to: now.Add(ahead)}
	if made := madeAt(id); id.Version() == 7 && stored.holds(made) {
		e, err := readEvent(ctx, db, "e.id = $2::uuid and e.received_at = $3::timestamptz", project, id, made)
		if !fault.Is(err, fault.NotFound) {
			return e, err
		}
		if at.IsZero() {
			at = made // clients make such ids, too, and send the event at once
		}
	}
	all := stored.newestFirst()
	if stored.holds(at) {
		about := at.UTC().Truncate(day)
		all = append([]span{{from: about.Add(-day), to: about.Add(2 * day)}}, all...)
	}
	for _, in := range all {
		e, err := readEvent(ctx, db, "e.event_id = $2::uuid and e.received_at >= $3::timestamptz and e.received_at < $4::timestamptz",
			project, id, in.from, in.to)
		if !fault.Is(err, fault.NotFound) {
			return e, err
		}
	}
	return Event{}, fault.New(fault.NotFound, "there is no event with the id %s in the project", id)
}

// oldest is how old an event may be: the longest retention there is, and some days.
const oldest = 3660 * day

func (s span) holds(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// madeAt returns when a UUID of version 7 was made: for an event's id, when the event was received.
func madeAt(id uuid.UUID) time.Time {
	sec, nsec := id.Time().UnixTime()
	return time.Unix(sec, nsec).UTC().Truncate(time.Millisecond)
}

// readEvent returns the newest event of a project that meets a condition, which the unique indexes of the partitions serve:
// each has one such event at most.
func readEvent(ctx context.Context, db DB, condition string, args ...any) (Event, error) {
	rows, err := db.Query(ctx, `
		with e as materialized (select e.* from mesher.events e where e.project_id = $1::uuid and `+condition+`)
		select `+eventColumns+` from e`+bindingOf+` order by e.received_at desc limit 1`, args...)
	if err != nil {
		return Event{}, fmt.Errorf("look up an event: %w", err)
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEvent)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Event{}, fault.New(fault.NotFound, "there is no such event")
	case err != nil:
		return Event{}, fmt.Errorf("look up an event: %w", err)
	}
	return e, nil
}

// addNeighbours sets Previous and Next.
func addNeighbours(ctx context.Context, db DB, project uuid.UUID, e *Event) error {
	if e.IssueID == uuid.Nil {
		return nil
	}
	s, err := scanOf(ctx, db, project, e.IssueID, EventFilter{})
	if fault.Is(err, fault.NotFound) {
		return nil // deleted in this moment
	}
	if err != nil {
		return err
	}
	at := page.Mark{At: e.ReceivedAt, ID: e.ID}
	before, _, err := s.first(ctx, at)
	if err != nil {
		return err
	}
	s.forward = true
	after, _, err := s.first(ctx, at)
	e.Previous, e.Next = before.ID, after.ID
	return err
}

// LatestEvent returns the newest event of an issue, OldestEvent the oldest that is still stored. fault.NotFound when there is
// no such issue, or no event of it any more.
func LatestEvent(ctx context.Context, db DB, project, id uuid.UUID) (Event, error) {
	return endEvent(ctx, db, project, id, false)
}

// OldestEvent is described with LatestEvent.
func OldestEvent(ctx context.Context, db DB, project, id uuid.UUID) (Event, error) {
	return endEvent(ctx, db, project, id, true)
}

func endEvent(ctx context.Context, db DB, project, id uuid.UUID, forward bool) (Event, error) {
	s, err := scanOf(ctx, db, project, id, EventFilter{})
	if err != nil {
		return Event{}, err
	}
	s.forward = forward
	m, ok, err := s.first(ctx, page.Mark{})
	if err != nil {
		return Event{}, err
	}
	if !ok {
		return Event{}, fault.New(fault.NotFound, "no event of the issue %s is stored any more", id)
	}
	e, err := readEvent(ctx, db, "e.id = $2::uuid and e.received_at = $3::timestamptz", project, m.ID, m.At)
	if err != nil {
		return Event{}, err
	}
	return e, addNeighbours(ctx, db, project, &e)
}
