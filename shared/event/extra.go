package event

import "github.com/mesherhq/mesher/shared/rawjson"

// topLevel goes before the name of an unknown top-level field when extra has a member of that name.
const topLevel = "event."

// extra joins the client's extra and every unknown top-level field, so that nothing is thrown away. The
// client's extra wins: an unknown field whose name it uses is called "event.<name>" instead, with as many
// prefixes as it takes.
func (d *Decoder) extra(e *Event) error {
	raw := d.sent.extra
	if raw != nil && rawjson.KindOf(raw) != rawjson.ObjectKind {
		return mustBe("extra", "an object", raw)
	}
	if raw == nil || len(raw) == len("{}") {
		raw = nil
	} else {
		e.Extra = raw
	}
	if len(d.unknown) == 0 {
		return nil
	}
	var taken map[string]bool
	dst := append(d.scratch, '{')
	if raw != nil {
		dst = append(dst, raw[1:len(raw)-1]...)
		taken = make(map[string]bool)
		for key := range rawjson.Object(raw) {
			taken[rawjson.Unquote(key)] = true
		}
	}
	for i, field := range d.unknown {
		if i > 0 || raw != nil {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		if taken != nil {
			for name := rawjson.Unquote(field.key); taken[name]; name = topLevel + name {
				dst = append(dst, topLevel...)
			}
		}
		dst = append(append(dst, field.key...), '"', ':')
		dst = append(dst, field.value...)
	}
	e.Extra = d.written(append(dst, '}'))
	return nil
}
