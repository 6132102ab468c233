// Package page is how long lists are read: a page at a time, each beginning where the one before ended, so that
// nothing is shown twice or left out while rows are added.
package page

import (
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
)

// Mark is a place in a list that is sorted by time and id, the newest first: that of the last row of a page. The
// zero value is the beginning.
type Mark struct {
	At time.Time // with microseconds, as Postgres keeps it
	ID uuid.UUID
}

// Request is what part of a list is asked for.
type Request struct {
	Limit int  // most rows
	After Mark // rows that stand behind it
}

// Of is one page of a list. Next is zero when there are no more rows.
type Of[T any] struct {
	Rows []T
	Next Mark
}

// Cut makes a page of the rows that were found when one more than Limit was asked for. With a Limit below 1 the page is
// empty and the next one begins where it did.
func Cut[T any](r Request, rows []T, mark func(T) Mark) Of[T] {
	if len(rows) <= r.Limit {
		return Of[T]{Rows: rows}
	}
	if r.Limit < 1 {
		return Of[T]{Next: r.After}
	}
	rows = rows[:r.Limit]
	return Of[T]{Rows: rows, Next: mark(rows[len(rows)-1])}
}

// start reports whether m is the beginning of a list.
func (m Mark) start() bool { return m.At.IsZero() && m.ID == uuid.Nil }

// Args returns the two arguments of a condition such as
//
//	($1::timestamptz is null or (created_at, id) < ($1, $2::uuid))
//
// which are null for the first page.
func (m Mark) Args() (at, id any) {
	if m.start() {
		return nil, nil
	}
	return m.At, m.ID
}

const markBytes = 8 + 16

// String returns the mark as an opaque cursor, "" for the zero value.
func (m Mark) String() string {
	if m.start() {
		return ""
	}
	b := make([]byte, 0, markBytes)
	b = binary.BigEndian.AppendUint64(b, uint64(m.At.UnixMicro()))
	return base64.RawURLEncoding.EncodeToString(append(b, m.ID[:]...))
}

// Parse reads a cursor. One that String did not return is a fault.Invalid.
func Parse(cursor string) (Mark, error) {
	if cursor == "" {
		return Mark{}, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) != markBytes {
		return Mark{}, noCursor()
	}
	m := Mark{At: time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC(), ID: uuid.UUID(b[8:])}
	// Postgres keeps other years too, but no row of ours has one. The decoder overlooks line breaks.
	if m.At.Year() < 2000 || m.At.Year() > 9999 || m.String() != cursor {
		return Mark{}, noCursor()
	}
	return m, nil
}

func noCursor() error {
	return fault.New(fault.Invalid, "the cursor is not one that a list returned; leave it out to begin at the start")
}
