package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/alert"
)

// The two round trips of a transaction are simple-protocol strings, so that they need no prepared statement
// behind a pooler. Nothing but UUIDs, timestamps and integers stands in them.

// A transaction that waits for a lock keeps a connection from other projects, so that it soon gives up and its
// messages wait in the queue instead. The first limit is for the project's lock, which up to sixteen instances
// ask for, one for each of the project's ordering keys; the second is for an issue that somebody edits. It lies
// above deadlock_timeout, so that a deadlock is told as one.
const (
	projectLockWait = "set local lock_timeout = '1s'"
	lockWait        = "set local lock_timeout = '2s'"
)

// begin opens the transaction, takes the project's lock and returns which event ids of rows are stored already,
// how long the project keeps events, its alert rules, and what is special about the fingerprints. The lock is a statement of its
// own, so that the next ones see everything that its last holder committed. Writers of one project thereby follow
// each other, across all instances, until they commit.
func begin(ctx context.Context, pg *pgconn.PgConn, project uuid.UUID, rows []row, known *memory) (look, error) {
	results, err := pg.Exec(ctx, beginSQL(project, rows, known)).ReadAll()
	if err != nil {
		return look{}, fmt.Errorf("begin to store events: %w", err)
	}
	const statements = 7
	if len(results) != statements {
		return look{}, fmt.Errorf("begin to store events: %d results instead of %d", len(results), statements)
	}
	retention, stored, standings := results[4], results[5], results[6]
	if len(retention.Rows) == 0 {
		return look{}, errNoProject
	}
	days, err := strconv.Atoi(string(retention.Rows[0][0]))
	if err != nil {
		return look{}, fmt.Errorf("read the project's retention: %w", err)
	}
	found := look{retention: time.Duration(days) * day, stored: make(map[uuid.UUID]bool, len(rows))}
	for _, r := range stored.Rows {
		id, err := uuid.ParseBytes(r[0])
		if err != nil {
			return look{}, fmt.Errorf("read a stored event id: %w", err)
		}
		found.stored[id] = true
	}
	found.watches, found.unread = known.watches.read(project, retention.Rows[0][1])
	found.standings, err = readStandings(standings, rows, known)
	return found, err
}

// beginSQL looks each event id up by itself in the unique index on event ids. A planner that was free to choose
// would read all of the project's rows instead while a partition has no statistics, which each day's has not for
// its first minute or more. Hence a subquery for each id, and the time in two halves: such a condition still
// prunes partitions, but the primary key's index is no good for it.
func beginSQL(project uuid.UUID, rows []row, known *memory) string {
	const idLength = 37
	from, to := span(rows)
	var b strings.Builder
	b.Grow(2*len(rows)*idLength + 2048)
	fmt.Fprintf(&b, "begin; %s; select pg_advisory_xact_lock(%d); %s; ", projectLockWait, lockKey(project), lockWait)
	fmt.Fprintf(&b, `select retention_days, %s from mesher.projects where id = '%s' and status <> 'deleting'; `,
		strings.ReplaceAll(alert.WatchesSQL, "$project", project.String()), project)
	ids := make([]uuid.UUID, len(rows))
	for i := range rows {
		ids[i] = rows[i].eventID
	}
	fmt.Fprintf(&b, `select k.id from unnest('{%[5]s}'::uuid[]) as k (id), lateral (
		select from mesher.events e where e.project_id = '%[1]s' and e.event_id = k.id
			and (e.received_at >= '%[2]s' and e.received_at < '%[3]s' or e.received_at >= '%[3]s' and e.received_at < '%[4]s')
		limit 1) e; `,
		project, from.Format(time.RFC3339), from.Add(day).Format(time.RFC3339), to.Format(time.RFC3339), commas(distinct(ids)))
	b.WriteString(standingsSQL(project, rows, known))
	return b.String()
}

// distinct sorts ids and returns each once. In the order of an index, each look-up finds the pages of the last one
// at hand.
func distinct(ids []uuid.UUID) []uuid.UUID {
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}

// commas returns ids as the inside of an array.
func commas(ids []uuid.UUID) string {
	const length = 37
	b := make([]byte, 0, len(ids)*length)
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, id.String()...)
	}
	return string(b)
}

// lockKey is the advisory lock of everything that writes a project's events and issues: the first eight bytes
// of a UUIDv7 would be a time that many projects share, the last eight are random.
func lockKey(project uuid.UUID) int64 {
	return int64(binary.BigEndian.Uint64(project[8:]))
}

// commit copies rows, does the work about them, counts what became of all, in the minute of at, and commits. COPY stands
// first in its string: the driver streams rows without waiting for the server to ask for them, so a statement that failed
// before COPY would leave row bytes on the wire to be read as protocol messages. It returns the notifications to be
// published: of what comes after COPY the driver gives no rows, so where alerts may be raised there is one round trip more.
func commit(ctx context.Context, pg *pgconn.PgConn, project uuid.UUID, rows []row, n outcome, at time.Time, w work) ([]uuid.UUID, error) {
	end := []string{usageSQL(project, n, at), "commit"}
	if len(rows) == 0 {
		if _, err := pg.Exec(ctx, strings.Join(append(w.statements, end...), "; ")).ReadAll(); err != nil {
			return nil, fmt.Errorf("count events: %w", err)
		}
		return nil, nil
	}
	statements := append([]string{CopySQL}, w.statements...)
	if len(w.candidates) == 0 {
		statements = append(statements, end...)
	}
	if _, err := pg.CopyFrom(ctx, &tupleReader{next: CopyHeader, rows: rows}, strings.Join(statements, "; ")); err != nil {
		return nil, fmt.Errorf("store events: %w", err)
	}
	if len(w.candidates) == 0 {
		return nil, nil
	}
	sql, err := raiseSQL(project, w.candidates, at)
	if err != nil {
		return nil, err
	}
	results, err := pg.Exec(ctx, strings.Join(append([]string{sql}, end...), "; ")).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("raise alerts: %w", err)
	}
	return raised(results[0])
}

// tupleReader streams rows as binary COPY, filling whatever buffer it is given: a read a row would be a write
// to the socket a row.
type tupleReader struct {
	next string // what is to be read before the tuples of rows
	left []byte // the rest of the tuple at hand
	rows []row
	done bool
}

// Read implements io.Reader.
func (t *tupleReader) Read(p []byte) (int, error) {
	n := copy(p, t.next)
	t.next = t.next[n:]
	for n < len(p) && t.next == "" {
		if len(t.left) > 0 {
			k := copy(p[n:], t.left)
			t.left = t.left[k:]
			n += k
			continue
		}
		if len(t.rows) > 0 {
			t.left, t.rows = t.rows[0].tuple, t.rows[1:]
			continue
		}
		if t.done {
			break
		}
		t.next, t.done = CopyTrailer, true
		k := copy(p[n:], t.next)
		t.next = t.next[k:]
		n += k
	}
	if n == 0 && t.done && t.next == "" {
		return 0, io.EOF
	}
	return n, nil
}
