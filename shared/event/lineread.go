package event

import (
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// lineDepth is how deeply a line may be nested. Canonical form adds three levels to Limits.Depth at most,
// which is at most 500.
const lineDepth = 512

// The members that each line must have, as bits.
const (
	hasSchema = 1 << iota
	hasID
	hasEventID
	hasFingerprint
	hasReceived
	hasOccurred
	hasLevel
	hasTags
	hasExtra
	hasAll = 1<<iota - 1
)

// required are the names of those members, in the order of their bits.
var required = [...]string{"v", "id", "eid", "fp", "rcv", "occ", "lvl", "tags", "extra"}

// DecodeLine reads a line that AppendLine wrote, without its newline, into e. The []byte fields of e alias
// line; the texts are copies. Fields it does not know are passed over.
//
// Whatever the bytes are, it does not panic, and e is fit for the database when the error is nil. An error is
// a *fault.Error of kind Invalid: the line is wrong and stays so.
func DecodeLine(line []byte, e *Event) error {
	if err := rawjson.Check(line, lineDepth); err != nil {
		return fault.Wrap(err, fault.Invalid, "not a line of clean JSON")
	}
	if kind := rawjson.KindOf(line); kind != rawjson.ObjectKind {
		return fault.New(fault.Invalid, "a line must be an object, not %s", kind)
	}
	*e = Event{}
	seen := 0
	for key, value := range rawjson.Object(line) {
		bit, ok := e.readMember(key, value)
		if !ok {
			return fault.New(fault.Invalid, "member %q of a line is not valid", key)
		}
		if bit != 0 && seen&bit != 0 {
			return fault.New(fault.Invalid, "member %q of a line occurs twice", key)
		}
		seen |= bit
	}
	if seen != hasAll {
		var missing []string
		for i, name := range required {
			if seen&(1<<i) == 0 {
				missing = append(missing, name)
			}
		}
		return fault.New(fault.Invalid, "a line lacks %s", strings.Join(missing, ", "))
	}
	if e.ID.Version() != 7 || idMillis(e.ID) != e.ReceivedAt.UnixMilli() {
		return fault.New(fault.Invalid, "id %s of a line does not match its time of receipt", e.ID)
	}
	return nil
}

// readMember reads one member of a line into e. It returns the bit of a required one, and whether the value
// is valid.
func (e *Event) readMember(key, value []byte) (bit int, ok bool) {
	switch string(key) {
	case "v":
		return hasSchema, string(value) == strconv.Itoa(Schema)
	case "id":
		return hasID, readUUID(value, &e.ID)
	case "eid":
		return hasEventID, readUUID(value, &e.EventID)
	case "fp":
		return hasFingerprint, readUUID(value, &e.Fingerprint)
	case "rcv":
		return hasReceived, readTime(value, time.UnixMilli, &e.ReceivedAt)
	case "occ":
		return hasOccurred, readTime(value, time.UnixMicro, &e.OccurredAt)
	case "lvl":
		e.Level, ok = ParseLevel(rawjson.Unquote(value))
		return hasLevel, ok && len(value) == len(e.Level)+len(`""`)
	case "was":
		return 0, readUUID(value, &e.Former)
	case "tags":
		bit = hasTags
	case "extra":
		bit = hasExtra
	}
	for i := range pieces {
		if piece := &pieces[i]; piece.name == string(key) {
			*piece.of(e) = value
			return bit, rawjson.KindOf(value) == piece.kind
		}
	}
	for i := range texts {
		if text := &texts[i]; text.name == string(key) {
			*text.of(e) = rawjson.Unquote(value)
			return 0, rawjson.KindOf(value) == rawjson.String
		}
	}
	return 0, true
}

// readUUID reads an id that is not nil.
func readUUID(raw []byte, id *uuid.UUID) bool {
	if len(raw) != 38 {
		return false
	}
	var err error
	*id, err = uuid.ParseBytes(raw[1:37])
	return err == nil && *id != uuid.Nil
}

// readTime reads a whole number of units since the epoch.
func readTime(raw []byte, from func(int64) time.Time, t *time.Time) bool {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	*t = from(n).UTC()
	return err == nil && storable(*t)
}
