package issue

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
)

// cursor is a place in a list. The zero value is the beginning.
type cursor struct {
	again   bool      // the list is through: what follows are those that changed meanwhile, by id
	key     int64     // of the last row: microseconds or a count
	id      uuid.UUID // of the last row
	began   int64     // when the first page was read, in microseconds
	running int64     // the oldest transaction that was not over then, or else the next one
}

func (c cursor) start() bool { return !c.again && c.id == uuid.Nil }

// cursorVersion is the version of the form.
const cursorVersion = 1

// binding is what tells the lists apart that a cursor may be of.
type binding [8]byte

// bind returns the binding of a list.
func bind(project uuid.UUID, f Filter, s Sort) binding {
	f.Tags = slices.Clone(f.Tags)
	slices.SortFunc(f.Tags, func(a, b TagValue) int { return strings.Compare(a.Key+"\x00"+a.Value, b.Key+"\x00"+b.Value) })
	f.Since, f.Until, f.FirstSeenSince = f.Since.UTC(), f.Until.UTC(), f.FirstSeenSince.UTC()
	text, _ := json.Marshal([]any{project, s, f}) // nothing in it can fail but a year that no parameter takes
	sum := sha256.Sum256(text)
	return binding(sum[:8])
}

// encode returns the cursor as an opaque text: version, binding, again, key, id, began and running.
func (c cursor) encode(to binding) string {
	b := append([]byte{cursorVersion}, to[:]...)
	flag := byte(0)
	if c.again {
		flag = 1
	}
	b = append(b, flag)
	b = binary.AppendVarint(b, c.key)
	b = append(b, c.id[:]...)
	b = binary.AppendVarint(b, c.began)
	b = binary.AppendVarint(b, c.running)
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseCursor reads a cursor of a list. One of another list, or that no list returned, is a fault.Invalid.
func parseCursor(text string, of binding) (cursor, error) {
	if text == "" {
		return cursor{}, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 10 || b[0] != cursorVersion {
		return cursor{}, noCursor()
	}
	if !bytes.Equal(b[1:9], of[:]) {
		return cursor{}, fault.New(fault.Invalid, "the cursor is of a list with another filter or sort; send it with those, or leave it out to begin at the start").
			Named("cursor_of_another_list")
	}
	c := cursor{again: b[9] == 1}
	ok := b[9] <= 1
	rest := number(b[10:], &c.key, &ok)
	if ok = ok && len(rest) >= len(c.id); ok {
		rest = number(rest[copy(c.id[:], rest):], &c.began, &ok)
		rest = number(rest, &c.running, &ok)
	}
	if !ok || len(rest) > 0 || c.start() {
		return cursor{}, noCursor()
	}
	return c, nil
}

// number reads a number from b and returns what follows it. ok turns false when there is none.
func number(b []byte, v *int64, ok *bool) []byte {
	n := 0
	*v, n = binary.Varint(b)
	if n <= 0 || *v < 0 || *v > keyMost {
		*ok = false
		return nil
	}
	return b[n:]
}

// keyMost is beyond every count, time and transaction, and within what Postgres takes for a time.
const keyMost = 99999999999 * 1000000 // in the year 5138, in microseconds

func noCursor() error {
	return fault.New(fault.Invalid, "the cursor is not one that this list returned; leave it out to begin at the start")
}
