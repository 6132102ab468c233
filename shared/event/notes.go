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
//	 "dropped":[{"field":"breadcrumbs","count":20}],
//	 "replaced":3,                                     pieces of text that Postgres refuses
//	 "clock_skew":-7200}                               seconds from received to occurred, when implausible
type notes struct {
	trimmed, dropped []note
	replaced         int
	skew             time.Duration
}

// reset forgets everything but the number of replacements.
func (n *notes) reset(replaced int) {
	*n = notes{trimmed: n.trimmed[:0], dropped: n.dropped[:0], replaced: replaced}
}

// drop notes that count entries of field were dropped.
func (n *notes) drop(field string, count int) {
	if count > 0 {
		n.dropped = append(n.dropped, note{field, count})
	}
}

// appendTo appends the notes as JSON to dst, or nothing if there are none.
func (n *notes) appendTo(dst []byte) []byte {
	start := len(dst)
	dst = appendNotes(dst, `"trimmed":[`, `,"length":`, n.trimmed)
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
