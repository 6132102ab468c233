package event

import (
	"iter"
	"slices"
	"strconv"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// lists reads breadcrumbs and threads. The exception has a file of its own.
func (d *Decoder) lists(e *Event) error {
	var err error
	if e.Breadcrumbs, err = d.list("breadcrumbs", d.sent.breadcrumbs, d.limits.Breadcrumbs, 0); err != nil {
		return err
	}
	e.Threads, err = d.list("threads", d.sent.threads, d.limits.Threads, d.limits.Threads)
	return err
}

// list reads an array of objects, or an object that holds one under "values". Of more than limit elements
// it keeps head from the start and the rest from the end. An empty list is nil.
func (d *Decoder) list(name string, raw []byte, limit, head int) ([]byte, error) {
	raw, err := d.elements(name, raw, limit, head)
	if err != nil || raw != nil || len(d.items) == 0 {
		return raw, err
	}
	dst := append(d.scratch, '[')
	for i, item := range d.items {
		dst = append(appendComma(dst, i), item...)
	}
	return d.written(append(dst, ']')), nil
}

// listForms says in which forms a list may be sent.
func listForms(name string) string {
	if name == "exception" {
		return `an object, an array of objects, or {"values": […]}`
	}
	return `an array of objects, or {"values": […]}`
}

// elements fills d.items with the elements of a list that are kept. It returns the text of the array if that
// holds exactly those, else nil.
func (d *Decoder) elements(name string, raw []byte, limit, head int) ([]byte, error) {
	d.items = d.items[:0]
	path := name
	if rawjson.KindOf(raw) == rawjson.ObjectKind {
		values := rawjson.Lookup(raw, "values")
		if values == nil && len(raw) > len("{}") {
			return nil, mustBe(name, listForms(name), raw)
		}
		path += ".values"
		raw = values
	}
	switch rawjson.KindOf(raw) {
	case rawjson.ArrayKind:
	case rawjson.Invalid, rawjson.Null:
		return nil, nil
	default:
		want := "an array of objects"
		if path == name {
			want = listForms(name)
		}
		return nil, mustBe(path, want, raw)
	}
	count, complete := 0, true
	for i, item := range rawjson.Array(raw) {
		switch rawjson.KindOf(item) {
		case rawjson.ObjectKind:
			if count++; count <= limit {
				d.items = append(d.items, item)
			}
		case rawjson.Null:
			complete = false
		default:
			return nil, mustBe(path+"["+strconv.Itoa(i)+"]", "an object", item)
		}
	}
	if w := (window{count, limit, head}); w.dropped() > 0 {
		d.notes.drop(name, w.dropped())
		d.items = slices.AppendSeq(d.items[:0], w.of(raw))
		return nil, nil
	}
	if !complete || count == 0 {
		return nil, nil
	}
	return raw, nil
}

// window says which of the count elements of a list are kept: head from its start, the rest of limit from its
// end. It is worked out before anything is collected, because a megabyte can hold a great many elements.
type window struct{ count, limit, head int }

// dropped returns how many elements are not kept.
func (w window) dropped() int { return max(0, w.count-w.limit) }

// of yields the kept ones of the elements of list that are not null.
func (w window) of(list []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		i := 0
		for _, item := range rawjson.Array(list) {
			if rawjson.KindOf(item) == rawjson.Null {
				continue
			}
			if (i < w.head || i >= w.head+w.dropped()) && !yield(item) {
				return
			}
			i++
		}
	}
}

// appendComma appends a comma before every element but the first.
func appendComma(dst []byte, i int) []byte {
	if i > 0 {
		dst = append(dst, ',')
	}
	return dst
}
