package otlp

import (
	"strconv"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// objectWriter writes the members of a JSON object whose brace stands at the end of dst.
type objectWriter struct{ dst []byte }

// text writes a member unless its value is empty.
func (w *objectWriter) text(key string, value any) {
	switch value := value.(type) {
	case string:
		if value != "" {
			w.dst = rawjson.AppendString(appendKey(w.dst, key), value)
		}
	case []byte:
		if len(value) > 0 {
			w.dst = rawjson.AppendString(appendKey(w.dst, key), value)
		}
	}
}

// raw writes a member whose value is JSON, unless that is nil.
func (w *objectWriter) raw(key string, json []byte) {
	if json != nil {
		w.dst = append(appendKey(w.dst, key), json...)
	}
}

// number writes a member.
func (w *objectWriter) number(key string, n uint64) {
	w.dst = strconv.AppendUint(appendKey(w.dst, key), n, 10)
}

// id writes an id of that many bytes in hexadecimal digits, if it is one.
func (w *objectWriter) id(key string, id []byte, size int) { w.text(key, hexID(id, size)) }

// appendAttributes appends attributes as a JSON object of at most about most bytes, without those whose meaning
// is skipped. It returns how many had no room.
func appendAttributes(dst []byte, list []attribute, most int, skip func(slot) bool) (out []byte, left uint64) {
	start := len(dst)
	dst = append(dst, '{')
	for i := range list {
		a := &list[i]
		if skip != nil && skip(slotOf(a.key)) {
			continue
		}
		before := len(dst)
		dst = appendValue(appendKey(dst, a.key), a.value)
		if len(dst)-start > most {
			dst = dst[:before]
			left++
		}
	}
	return append(dst, '}'), left
}
