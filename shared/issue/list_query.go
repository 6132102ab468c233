package issue

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// statement is a query that is put together.
type statement struct {
	where []string
	args  []any
}

// arg adds an argument and returns what stands for it, cast to a type.
func (s *statement) arg(v any, kind string) string {
	s.args = append(s.args, v)
	return fmt.Sprintf("$%d::%s", len(s.args), kind)
}

// and adds a condition; each %s of it is an argument, given as value and type.
func (s *statement) and(condition string, args ...any) {
	placed := make([]any, 0, len(args)/2)
	for pair := range slices.Chunk(args, 2) {
		placed = append(placed, s.arg(pair[0], pair[1].(string)))
	}
	s.where = append(s.where, fmt.Sprintf(condition, placed...))
}

// order is how a list is sorted: the key as a number, the order by clause within a status, and that of the whole.
type order struct{ key, inner, outer string }

var orders = map[Sort]order{
	// No index has last_seen, and active_hour is its hour: of an hour's issues all are read and sorted.
	ByLastSeen:  {"(extract(epoch from i.last_seen) * 1000000)::bigint", "i.active_hour desc, i.last_seen desc, i.id desc", "i.last_seen desc, i.id desc"},
	ByFirstSeen: {"(extract(epoch from i.first_seen) * 1000000)::bigint", "i.first_seen desc, i.id", "i.first_seen desc, i.id"},
	ByEvents:    {"i.event_count", "i.event_count desc, i.id desc", "i.event_count desc, i.id desc"},
	ByUsers:     {"i.user_count", "i.user_count desc, i.id desc", "i.user_count desc, i.id desc"},
}

// query returns the statement that reads limit rows behind c, with what scanIssue takes, the key, and what a cursor has to know of
// the moment.
func (w walk) query(c cursor, limit int) (string, []any) {
	s := new(statement)
	s.and("i.project_id = %s", w.project, "uuid")
	s.and("i.merged_into is null")
	w.filter.narrow(s, w.project)
	o := orders[w.sort]
	if c.again {
		o.inner, o.outer = "i.id desc", "i.id desc"
		w.changed(s, c)
	} else if !c.start() {
		w.behind(s, c)
	}
	most := s.arg(limit, "bigint")
	branch := func(status string) string {
		return fmt.Sprintf("(select i.*, %s as key from mesher.issues i where %s%s order by %s limit %s)",
			o.key, strings.Join(s.where, "\n\tand "), status, o.inner, most)
	}
	var from string
	switch {
	case w.filter.Status != AnyStatus:
		from = branch(" and i.status = " + s.arg(string(w.filter.Status), "text"))
	case w.sort == ByLastSeen && !c.again:
		// The index is sorted within a status: each gives its first rows.
		var all []string
		for _, status := range []Status{Unresolved, Resolved, Ignored, Discarded} {
			all = append(all, branch(" and i.status = "+s.arg(string(status), "text")))
		}
		from = "(" + strings.Join(all, "\nunion all\n") + ")"
	default:
		from = branch("")
	}
	return fmt.Sprintf(`select %s, i.key, (extract(epoch from now()) * 1000000)::bigint,
			pg_snapshot_xmin(pg_current_snapshot())::text::bigint
		from %s i left join mesher.users u on u.id = i.assignee_id
		order by %s limit %s`, issueColumns, from, o.outer, most), s.args
}

// behind adds the condition that a row stands behind c.
func (w walk) behind(s *statement, c cursor) {
	at := time.UnixMicro(c.key).UTC()
	switch w.sort {
	case ByFirstSeen:
		s.and("i.first_seen <= %s and (i.first_seen < %s or i.id > %s)", at, "timestamptz", at, "timestamptz", c.id, "uuid")
	case ByEvents:
		s.and("(i.event_count, i.id) < (%s, %s)", c.key, "bigint", c.id, "uuid")
	case ByUsers:
		s.and("(i.user_count, i.id) < (%s, %s)", c.key, "bigint", c.id, "uuid")
	case ByLastSeen:
		s.and("i.active_hour <= %s and (i.last_seen, i.id) < (%s, %s)", at.Truncate(time.Hour), "timestamptz", at, "timestamptz", c.id, "uuid")
	}
}

// lateness is how long a change may take from its own time to its commit.
const lateness = 10 * time.Minute

// changed adds the condition that a row was written after the first page was read, and stands behind c in the order of ids.
// A row that was written shortly before, while an older transaction still ran, is taken for one too: parts of that
// transaction may have higher numbers.
//
// What wrote a row is told by its transaction: times would not do, because events are stored a while after they came, and
// in any order. The server keeps 32 bits of the transaction's number; the rest follows from the current one.
func (w walk) changed(s *statement, c cursor) {
	const writer = `(select pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
		- mod((select pg_snapshot_xmax(pg_current_snapshot())::text::bigint) - i.xmin::text::bigint + 4294967296, 4294967296)`
	s.and("i.id < %s", c.id, "uuid")
	s.and(writer+" >= %s", c.running, "bigint")
	if w.sort == ByFirstSeen {
		// Events let an issue begin earlier at most, where it is met further down. Only people let it begin later.
		s.and("i.updated_at >= %s", time.UnixMicro(c.began).UTC().Add(-lateness), "timestamptz")
	}
}

// narrow adds the conditions of f, but that on the status.
func (f Filter) narrow(s *statement, project uuid.UUID) {
	if f.Level != "" {
		s.and("i.level = %s", f.Level, "text")
	}
	if f.Unassigned {
		s.and("i.assignee_id is null")
	}
	if f.Assignee != uuid.Nil {
		s.and("i.assignee_id = %s", f.Assignee, "uuid")
	}
	if f.Search != "" {
		s.and("i.search @@ websearch_to_tsquery('simple', %s)", f.Search, "text")
	}
	f.narrowTimes(s)
	f.narrowEvents(s, project)
}

func (f Filter) narrowTimes(s *statement) {
	hour := f.Since.UTC().Truncate(time.Hour)
	if !f.Since.IsZero() {
		s.and("i.active_hour >= %s and i.last_seen >= %s", hour, "timestamptz", f.Since, "timestamptz")
	}
	if !f.Until.IsZero() {
		s.and("i.first_seen < %s", f.Until, "timestamptz")
	}
	if !f.Since.IsZero() && !f.Until.IsZero() {
		s.and(`exists (select from mesher.issue_fingerprints f
			join mesher.issue_hourly_counts h on h.project_id = f.project_id and h.fingerprint = f.fingerprint
			where f.project_id = i.project_id and f.issue_id = i.id and h.hour >= %s and h.hour < %s
				and h.hour >= date_trunc('hour', i.first_seen, 'UTC'))`, hour, "timestamptz", f.Until, "timestamptz")
	}
	if !f.FirstSeenSince.IsZero() {
		s.and("i.first_seen >= %s", f.FirstSeenSince, "timestamptz")
	}
}

func (f Filter) narrowEvents(s *statement, project uuid.UUID) {
	tags := f.Tags
	if f.Environment != "" {
		tags = append(tags[:len(tags):len(tags)], TagValue{"environment", f.Environment})
	}
	if f.Release != "" {
		tags = append(tags[:len(tags):len(tags)], TagValue{"release", f.Release})
	}
	for _, t := range tags {
		s.and(`exists (select from mesher.issue_tags t
			join mesher.issue_fingerprints f on f.project_id = t.project_id and f.fingerprint = t.fingerprint
			where t.project_id = i.project_id and f.issue_id = i.id and t.key = %s and t.value = %s)`, t.Key, "text", t.Value, "text")
	}
	if f.User != "" {
		s.and(`exists (select from mesher.issue_users a
			join mesher.issue_fingerprints f on f.project_id = a.project_id and f.fingerprint = a.fingerprint
			where a.project_id = i.project_id and f.issue_id = i.id and a.user_hash = %s)`, UserHash(project, f.User), "uuid")
	}
}

// UserHash returns what stands for a user of a project in issue_users: the start of a SHA-256 of the project's id, as 16
// bytes, and the user's id, or else IP address.
func UserHash(project uuid.UUID, user string) uuid.UUID {
	var room [256]byte // Store asks for every event
	sum := sha256.Sum256(append(append(room[:0], project[:]...), user...))
	return uuid.UUID(sum[:16])
}
