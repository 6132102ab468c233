package event

import (
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// tags reads the tags: a flat object, or an array of [key, value] pairs. An object of strings within the
// limits is taken as it is; numbers and booleans become strings, and null is no tag.
func (d *Decoder) tags(e *Event) error {
	raw := d.sent.tags
	if raw == nil || d.plainTags(raw) {
		if raw != nil {
			e.Tags = raw
		}
		return nil
	}
	w := tagWriter{d: d, dst: append(d.scratch, '{')}
	switch rawjson.KindOf(raw) {
	case rawjson.ObjectKind:
		for key, value := range rawjson.Object(raw) {
			if err := w.add(key, value); err != nil {
				return err
			}
		}
	case rawjson.ArrayKind:
		for i, pair := range rawjson.Array(raw) {
			key, value, ok := pairOf(pair)
			if !ok {
				return fault.New(fault.Invalid, `tags[%d] must be a pair such as ["region","eu"]`, i)
			}
			if err := w.add(key, value); err != nil {
				return err
			}
		}
	default:
		return mustBe("tags", "an object of strings", raw)
	}
	d.notes.drop("tags", w.count-d.limits.Tags)
	e.Tags = d.written(append(w.dst, '}'))
	return nil
}

// plainTags reports whether raw is in canonical form already, as it nearly always is.
func (d *Decoder) plainTags(raw []byte) bool {
	count := 0
	for key, value := range rawjson.Object(raw) {
		count++
		if rawjson.KindOf(value) != rawjson.String || len(key) > d.limits.TagKey || len(value) > d.limits.TagValue+len(`""`) {
			return false
		}
	}
	return rawjson.KindOf(raw) == rawjson.ObjectKind && count <= d.limits.Tags
}

// pairOf returns the key, without quotes, and the value of a pair. A pair that is null, or has a null key, is
// a nil value.
func pairOf(pair []byte) (key, value []byte, ok bool) {
	count := 0
	for i, item := range rawjson.Array(pair) {
		switch count++; i {
		case 0:
			key = item
		case 1:
			value = item
		}
	}
	if rawjson.KindOf(pair) == rawjson.Null || count == 2 && rawjson.KindOf(key) == rawjson.Null {
		return nil, nil, true
	}
	if count != 2 || rawjson.KindOf(key) != rawjson.String {
		return nil, nil, false
	}
	return key[1 : len(key)-1], value, true
}

// tagWriter writes tags anew, one by one.
type tagWriter struct {
	d     *Decoder
	dst   []byte
	count int // those over the limit included
}

// add adds a tag unless its value is null. The key is escaped and without quotes.
func (w *tagWriter) add(key, value []byte) error {
	switch rawjson.KindOf(value) {
	case rawjson.Invalid, rawjson.Null:
		return nil
	case rawjson.String, rawjson.Number, rawjson.Bool:
	default:
		name, _ := Trim(rawjson.Unquote(key), longestName)
		return mustBe("tags."+name, "a string", value)
	}
	if w.count++; w.count > w.d.limits.Tags {
		return nil
	}
	text := rawjson.Unquote(value) // a number or a boolean has no quotes to lose
	name := w.d.cut("tags key", rawjson.Unquote(key), w.d.limits.TagKey)
	w.dst = append(rawjson.AppendString(appendComma(w.dst, w.count-1), name), ':')
	w.dst = rawjson.AppendString(w.dst, w.d.cut("tags."+name, text, w.d.limits.TagValue))
	return nil
}
