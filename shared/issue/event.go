package issue

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// EventSummary is an event as lists show it.
type EventSummary struct {
	ID             uuid.UUID `json:"id" format:"uuid" doc:"made by Mesher; it tells when the event was received"`
	EventID        uuid.UUID `json:"event_id" format:"uuid" doc:"the client's id"`
	IssueID        uuid.UUID `json:"issue_id,omitzero" format:"uuid" doc:"missing when its issue was deleted"`
	ReceivedAt     time.Time `json:"received_at"`
	OccurredAt     time.Time `json:"occurred_at" doc:"by the client's clock"`
	Level          string    `json:"level" enum:"fatal,error,warning,info,debug"`
	Message        string    `json:"message"`
	ExceptionType  string    `json:"exception_type,omitempty"`
	ExceptionValue string    `json:"exception_value,omitempty"`
	Culprit        string    `json:"culprit,omitempty"`
	Environment    string    `json:"environment,omitempty"`
	Release        string    `json:"release,omitempty"`
	UserID         string    `json:"user_id,omitempty"`
	Transaction    string    `json:"transaction,omitempty"`
}

const summaryColumns = `e.id, e.event_id, b.issue_id, e.received_at, e.occurred_at, e.level, e.message,
	coalesce(e.exception_type, ''), coalesce(e.exception_value, ''), coalesce(e.culprit, ''), coalesce(e.environment, ''),
	coalesce(e.release, ''), coalesce(e.user_id, ''), coalesce(e.transaction, '')`

// fields are where summaryColumns are read to.
func (e *EventSummary) fields() []any {
	return []any{
		&e.ID, &e.EventID, (*optional)(&e.IssueID), (*postgres.Time)(&e.ReceivedAt), (*postgres.Time)(&e.OccurredAt), &e.Level, &e.Message,
		&e.ExceptionType, &e.ExceptionValue, &e.Culprit, &e.Environment, &e.Release, &e.UserID, &e.Transaction,
	}
}

// optional reads an id that may be null, which is uuid.Nil.
type optional uuid.UUID

// ScanUUID implements pgtype.UUIDScanner.
func (o *optional) ScanUUID(v pgtype.UUID) error {
	*o = optional(v.Bytes)
	return nil
}

// EventFilter narrows a list of events; zero fields do not.
type EventFilter struct {
	Since, Until time.Time // received from Since on and before Until
	Level        string
	Environment  string
	Release      string
	UserID       string
	TraceID      string // 32 hexadecimal digits, in any case
}

func (f EventFilter) check() error {
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return fault.New(fault.Invalid, "since has to be before until")
	}
	return nil
}

// condition returns what events have to meet, "true" when all are meant. Times are not among it.
func (f EventFilter) condition(q *statement) string {
	var all []string
	for _, c := range []struct{ column, value string }{
		{"level", f.Level},
		{"environment", f.Environment},
		{"release", f.Release},
		{"user_id", f.UserID},
		{"trace_id", strings.ToLower(f.TraceID)},
	} {
		if c.value != "" {
			all = append(all, "e."+c.column+" = "+q.arg(c.value, "text"))
		}
	}
	if all == nil {
		return "true"
	}
	return "(" + strings.Join(all, " and ") + ")"
}

// usualSpan is how far back the list of a project's events goes when nothing says how far.
const usualSpan = 7 * day

// ahead is how far in the future an event may seem to be received: instances have clocks of their own.
const ahead = day

// ListEvents returns a project's events, the newest first: those of the 7 days before Until, or now, unless Since says how
// far back. At most 5,000 events are looked at for a page, so that it may have fewer rows than its limit, or none, while
// Next leads on.
func ListEvents(ctx context.Context, db DB, project uuid.UUID, f EventFilter, r page.Request) (page.Of[EventSummary], error) {
	if err := f.check(); err != nil {
		return page.Of[EventSummary]{}, err
	}
	now := time.Now().UTC()
	within := span{from: now.Add(-usualSpan), to: now.Add(ahead)}
	if !f.Until.IsZero() {
		within = span{from: f.Until.UTC().Add(-usualSpan), to: earlier(f.Until.UTC(), within.to)}
	}
	if !f.Since.IsZero() {
		within.from = f.Since.UTC()
	}
	within.from = later(within.from, now.Add(-oldest)) // nothing is older, and no time too far away for Postgres
	return scan{db: db, project: project, within: within, filter: f}.page(ctx, r)
}

// ListIssueEvents returns the events of an issue, over all of its fingerprints, the newest first; of one that was merged,
// those of the issue it was merged into. Pages may be short as those of ListEvents.
func ListIssueEvents(ctx context.Context, db DB, project, id uuid.UUID, f EventFilter, r page.Request) (page.Of[EventSummary], error) {
	if err := f.check(); err != nil {
		return page.Of[EventSummary]{}, err
	}
	s, err := scanOf(ctx, db, project, id, f)
	if err != nil {
		return page.Of[EventSummary]{}, err
	}
	return s.page(ctx, r)
}

// page returns the summaries of the events that read finds.
func (s scan) page(ctx context.Context, r page.Request) (page.Of[EventSummary], error) {
	marks, err := s.read(ctx, r.After, min(max(r.Limit, 1), 100))
	if err != nil {
		return page.Of[EventSummary]{}, err
	}
	rows, err := s.summaries(ctx, marks.Rows)
	return page.Of[EventSummary]{Rows: rows, Next: marks.Next}, err
}

func (s scan) summaries(ctx context.Context, marks []page.Mark) ([]EventSummary, error) {
	if len(marks) == 0 {
		return nil, nil
	}
	rows, err := s.db.Query(ctx, `
		select `+summaryColumns+` from `+markedEvents+`
		left join mesher.issue_fingerprints b on b.project_id = $1::uuid and b.fingerprint = e.fingerprint
		order by m.n`, markArgs(s.project, marks)...)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (EventSummary, error) {
		var e EventSummary
		err := row.Scan(e.fields()...)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return out, nil
}

// markedEvents are the events at marks, as e, in the order m.n. Each is looked up in the primary key of its partition; the
// limit keeps the server from doing it in another way. Its arguments are those of markArgs.
const markedEvents = `unnest($2::timestamptz[], $3::uuid[]) with ordinality m (at, id, n)
	cross join lateral (
		select e.* from mesher.events e
		where e.project_id = $1::uuid and e.received_at = m.at and e.id = m.id
		  and e.received_at between $4::timestamptz and $5::timestamptz limit 1) e`

// markArgs are the arguments of markedEvents: the project, the marks, and the first and last time of them.
func markArgs(project uuid.UUID, marks []page.Mark) []any {
	times, ids := make([]time.Time, len(marks)), make([]uuid.UUID, len(marks))
	from, to := marks[0].At, marks[0].At
	for n, m := range marks {
		times[n], ids[n] = m.At, m.ID
		from, to = earlier(from, m.At), later(to, m.At)
	}
	return []any{project, times, texts(ids), from, to}
}
