package otlp

import (
	"bytes"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// MaxTags is how many tags an event is given. Attributes that are no tags any more are still in extra.
const MaxTags = 200

// tag is a tag of a resource or span, which its events repeat.
type tag struct {
	key  []byte
	json []byte // its value, a JSON string
}

// newTag returns the tag for an attribute. It shares memory with nobody.
func newTag(a *attribute) tag {
	return tag{key: bytes.Clone(a.key), json: appendTag(nil, &a.value)}
}

// appendTag appends the value of a tag as a JSON string.
func appendTag(dst []byte, v *value) []byte {
	if v.kind == stringValue {
		return rawjson.AppendString(dst, v.bytes)
	}
	return append(appendValue(append(dst, '"'), *v), '"')
}

// tagWriter writes the tags of an event. Of several with the same key the first counts.
type tagWriter struct {
	dst  []byte
	keys [][]byte
	room [32][]byte // keys of most events, without an allocation
}

// takes reports whether there is room for a tag of that key, and notes it.
func (w *tagWriter) takes(key []byte) bool {
	if len(w.keys) >= MaxTags || len(key) == 0 {
		return false
	}
	for _, other := range w.keys {
		if bytes.Equal(key, other) {
			return false
		}
	}
	if w.keys == nil {
		w.keys = w.room[:0]
	}
	w.keys = append(w.keys, key)
	return true
}

// repeat writes the tags of a resource or span.
func (w *tagWriter) repeat(tags []tag) {
	for i := range tags {
		if w.takes(tags[i].key) {
			w.dst = append(appendKey(w.dst, tags[i].key), tags[i].json...)
		}
	}
}

// appendTags appends the member "tags", unless there are none.
func (rec *Record) appendTags(dst []byte) []byte {
	start := len(dst)
	w := tagWriter{dst: append(appendKey(dst, "tags"), '{')}
	for i := range rec.attributes {
		a := &rec.attributes[i]
		if slotOf(a.key).isTag() && a.value.isTag() && w.takes(a.key) {
			w.dst = appendTag(appendKey(w.dst, a.key), &a.value)
		}
	}
	if rec.span != nil {
		w.repeat(rec.span.tags)
	}
	w.repeat(rec.resource.tags)
	if len(w.keys) == 0 {
		return w.dst[:start]
	}
	return append(w.dst, '}')
}
