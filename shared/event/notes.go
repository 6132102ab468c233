package event

import (
	"strconv"
	"time"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// note says how long a field was, or how many of its entries were dropped.
type note struct {
	field string
	n     int
}

// notes collects what Meta tells about an event:
//
//	{"trimmed":[{"field":"message","length":20000}],   the length before, in characters
//	 "trimmed_more":7,                                 fields beyond the 100 that are listed
//	 "dropped":[{"field":"breadcrumbs","count":20}],
//	 "replaced":3,                                     pieces of text that Postgres refuses
//	 "clock_skew":-7200}                               seconds from received to occurred, when implausible
type notes struct {
	trimmed, dropped []note
	unlisted         int // trimmed fields beyond mostTrimmed
	replaced         int
	skew             time.Duration
}

// Meta must not outgrow the event it is about.
const (
	mostTrimmed = 100
	longestName = 64 // of a field, in characters
)

// reset forgets everything but the number of replacements.
func (n *notes) reset(replaced int) {
	*n = notes{trimmed: n.trimmed[:0], dropped: n.dropped[:0], replaced: replaced}
}

// trim notes that field was cut, and how long it was.
func (n *notes) trim(field string, length int) {
	if len(n.trimmed) >= mostTrimmed {
		n.unlisted++
		return
	}
	field, _ = Trim(field, longestName)
	n.trimmed = append(n.trimmed, note{field, length})
}

// drop notes that count entries of field were dropped. There are a handful of such fields, and each is listed
// once.
func (n *notes) drop(field string, count int) {
	if count <= 0 {
		return
	}
	for i := range n.dropped {
		if n.dropped[i].field == field {
			n.dropped[i].n += count
			return
		}
	}
	n.dropped = append(n.dropped, note{field, count})
}

// appendTo appends the notes as JSON to dst, or nothing if there are none.
func (n *notes) appendTo(dst []byte) []byte {
	start := len(dst)
	dst = appendNotes(dst, `"trimmed":[`, `,"length":`, n.trimmed)
	if n.unlisted > 0 {
		dst = strconv.AppendInt(append(dst, `,"trimmed_more":`...), int64(n.unlisted), 10)
	}
	dst = appendNotes(dst, `"dropped":[`, `,"count":`, n.dropped)
	if n.replaced > 0 {
		dst = strconv.AppendInt(append(dst, `,"replaced":`...), int64(n.replaced), 10)
	}
	if n.skew != 0 {
		dst = strconv.AppendInt(append(dst, `,"clock_skew":`...), int64(n.skew/time.Second), 10)
	}
	if len(dst) == start {
		return dst
	}
	dst[start] = '{' // in place of the first comma
	return append(dst, '}')
}

func appendNotes(dst []byte, open, number string, list []note) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(append(dst, ','), open...)
	for i, item := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = rawjson.AppendString(append(dst, `{"field":`...), item.field)
		dst = strconv.AppendInt(append(dst, number...), int64(item.n), 10)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
