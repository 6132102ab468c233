package issue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

const (
	day = 24 * time.Hour
	// examinedMost is how many events one page of a list looks at when its filter leaves most of them out.
	examinedMost = 5000
	// chunkSize is how many events are looked at for one that is asked for, and by how much that grows.
	chunkSize = 4
)

// span is a time from one moment on and before another.
type span struct{ from, to time.Time }

// newestFirst cuts a span into ever longer ones of whole days (UTC), the newest first: 2 days, 8, 32 and so on. The rows
// that are asked for are mostly in the first, whose query has two partitions to think of instead of hundreds.
func (s span) newestFirst() []span {
	var out []span
	for days, to := time.Duration(2), s.to; to.After(s.from); days *= 4 {
		from := later(to.Add(-time.Microsecond).Truncate(day).Add(-(days-1)*day), s.from)
		out = append(out, span{from, to})
		to = from
	}
	return out
}

// oldestFirst is newestFirst from the other end.
func (s span) oldestFirst() []span {
	var out []span
	for days, from := time.Duration(2), s.from; from.Before(s.to); days *= 4 {
		to := earlier(from.Truncate(day).Add(days*day), s.to)
		out = append(out, span{from, to})
		from = to
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// scan finds events of a project, or of one issue of it, by time. It reads nothing but an index, and what the filter needs.
type scan struct {
	db      DB
	project uuid.UUID
	issue   uuid.UUID // uuid.Nil: all events of the project
	prints  int       // how many fingerprints the issue has
	within  span
	filter  EventFilter
	forward bool // the oldest first
}

// scanOf returns the scan of an issue's events; of one that was merged, that of the issue it was merged into. Events from
// before the issue was first seen are another's, which was deleted.
func scanOf(ctx context.Context, db DB, project, id uuid.UUID, f EventFilter) (scan, error) {
	root, err := Follow(ctx, db, project, id)
	if err != nil {
		return scan{}, err
	}
	s := scan{db: db, project: project, issue: root, filter: f}
	err = db.QueryRow(ctx, `
		select date_trunc('hour', i.first_seen, 'UTC'), date_trunc('hour', i.last_seen, 'UTC') + interval '1 hour',
			(select count(*) from mesher.issue_fingerprints f where f.project_id = i.project_id and f.issue_id = i.id)
		from mesher.issues i where i.project_id = $1::uuid and i.id = $2::uuid`, project, root).
		Scan((*postgres.Time)(&s.within.from), (*postgres.Time)(&s.within.to), &s.prints)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return scan{}, errNoIssue(id)
	case err != nil:
		return scan{}, fmt.Errorf("look up an issue: %w", err)
	}
	s.within = s.within.narrow(f.Since, f.Until)
	return s, nil
}

// narrow returns the part of s that is not before since, nor at until or after it; zero times do not narrow.
func (s span) narrow(since, until time.Time) span {
	if !since.IsZero() {
		s.from = later(s.from, since.UTC())
	}
	if !until.IsZero() {
		s.to = earlier(s.to, until.UTC())
	}
	return s
}

// read returns the marks of at most limit events behind after, and where the next page begins; zero: there is nothing more.
// A page is cut short when the filter left out so much that examinedMost events were looked at. It looks at few events first,
// and at more of them the fewer it finds.
func (s scan) read(ctx context.Context, after page.Mark, limit int) (page.Of[page.Mark], error) {
	var found []page.Mark
	left, chunk := examinedMost, chunkSize*(limit+1)
	for spans := s.spans(after); len(spans) > 0; {
		part, err := s.readSpan(ctx, spans[0], after, limit+1-len(found), min(chunk, left))
		if err != nil {
			return page.Of[page.Mark]{}, err
		}
		found = append(found, part.marks...)
		if len(found) > limit {
			return page.Cut(page.Request{Limit: limit}, found, func(m page.Mark) page.Mark { return m }), nil
		}
		after, left = part.cut, left-part.examined
		if part.cut == (page.Mark{}) {
			after, spans = page.Mark{At: spans[0].from}, spans[1:] // nothing is before an id of zeros
		}
		if left <= 0 && len(spans) > 0 {
			return page.Of[page.Mark]{Rows: found, Next: after}, nil
		}
		chunk *= chunkSize
	}
	return page.Of[page.Mark]{Rows: found}, nil
}

// first returns the first event behind after; false when there is none. It is for scans without a filter.
func (s scan) first(ctx context.Context, after page.Mark) (page.Mark, bool, error) {
	for _, in := range s.spans(after) {
		part, err := s.readSpan(ctx, in, after, 1, 1)
		if err != nil {
			return page.Mark{}, false, err
		}
		if len(part.marks) > 0 {
			return part.marks[0], true, nil
		}
	}
	return page.Mark{}, false, nil
}

func (s scan) spans(after page.Mark) []span {
	in := s.within
	if s.forward {
		if after != (page.Mark{}) {
			in = in.narrow(after.At, time.Time{})
		}
		return in.oldestFirst()
	}
	if after != (page.Mark{}) {
		in = in.narrow(time.Time{}, after.At.Add(time.Microsecond))
	}
	return in.newestFirst()
}

// found is what was found in one span.
type found struct {
	marks    []page.Mark
	examined int
	cut      page.Mark // what lies behind it was not looked at; zero: everything was
}

// readSpan returns the first want events of a span. Of each fingerprint so many are looked at that all of them together are
// about budget; those behind the last one of a fingerprint that has more are left for the next page.
func (s scan) readSpan(ctx context.Context, in span, after page.Mark, want, budget int) (found, error) {
	sql, args := s.query(in, after, want, budget)
	read := each(s.db.Query(ctx, sql, args...))
	var (
		out       found
		at, cutAt time.Time
		id, cutID pgtype.UUID
	)
	err := read([]any{(*postgres.Time)(&at), &id, &out.examined, (*postgres.Time)(&cutAt), &cutID}, func() {
		if id.Valid {
			out.marks = append(out.marks, page.Mark{At: at, ID: id.Bytes})
		}
		if cutID.Valid {
			out.cut = page.Mark{At: cutAt, ID: cutID.Bytes}
		}
	})
	if err != nil {
		return found{}, fmt.Errorf("find events: %w", err)
	}
	return out, nil
}

// query returns the statement of readSpan. It looks up each fingerprint by itself, in the partitions of the span, from its
// end: the server stops there as soon as it has enough.
func (s scan) query(in span, after page.Mark, want, budget int) (string, []any) {
	q := new(statement)
	project, direction, than := q.arg(s.project, "uuid"), "desc", "<"
	if s.forward {
		direction, than = "asc", ">"
	}
	q.where = append(q.where, "e.project_id = "+project)
	q.and("e.received_at >= %s and e.received_at < %s", in.from, "timestamptz", in.to, "timestamptz")
	if after != (page.Mark{}) {
		q.and("(e.received_at, e.id) "+than+" (%s, %s)", after.At, "timestamptz", after.ID, "uuid")
	}
	prints, per := "select null::uuid as fingerprint", budget
	if s.issue != uuid.Nil {
		prints = "select f.fingerprint from mesher.issue_fingerprints f where f.project_id = " + project + " and f.issue_id = " + q.arg(s.issue, "uuid")
		q.where = append(q.where, "e.fingerprint = f.fingerprint")
		per = budget / max(s.prints, 1)
	}
	hit := s.filter.condition(q)
	if hit == "true" {
		per = want
	}
	most, limit := q.arg(max(per, want), "bigint"), q.arg(want, "bigint")
	return strings.NewReplacer("$prints", prints, "$hit", hit, "$where", strings.Join(q.where, "\n\tand "), "$most", most,
		"$limit", limit, "$dir", direction, "$than", map[string]string{"<": ">", ">": "<"}[than]).Replace(`
		with seen as materialized (
			select f.fingerprint, e.received_at, e.id, e.hit
			from ($prints) f
			cross join lateral (
				select e.received_at, e.id, $hit as hit from mesher.events e
				where $where
				order by e.received_at $dir, e.id $dir limit $most) e),
		cut as (
			select n.received_at, n.id from (
				select s.received_at, s.id, row_number() over (partition by s.fingerprint order by s.received_at $dir, s.id $dir) as nth
				from seen s) n
			where n.nth = $most order by n.received_at $dir, n.id $dir limit 1),
		hits as (
			select s.received_at, s.id from seen s
			where s.hit and not exists (select from cut c where (c.received_at, c.id) $than (s.received_at, s.id))
			order by s.received_at $dir, s.id $dir limit $limit)
		select h.received_at, h.id, (select count(*) from seen), c.received_at, c.id
		from (select) one left join hits h on true left join cut c on true
		order by h.received_at $dir, h.id $dir`), q.args
}
