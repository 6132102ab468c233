package event

import (
	"bytes"
	"math/bits"
	"strings"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// clashes is the member of extra that holds the unknown top-level fields whose names the client's extra has.
const clashes = "event"

// member is a field that this version does not know. The key is still escaped and without quotes.
type member struct {
	key, value []byte
	clash      bool // the client's extra has a member of this name
}

// keep adds an unknown top-level field. Of several with the same name the last counts, as it does in jsonb.
func (d *Decoder) keep(key, value []byte) {
	name := d.plain(key)
	if i, ok := d.places[string(name)]; ok {
		d.unknown[i].value = value
		return
	}
	if len(d.unknown) >= d.limits.UnknownFields {
		d.notes.drop("unknown fields", 1)
		return
	}
	d.places[string(name)] = len(d.unknown)
	d.unknown = append(d.unknown, member{key: key, value: value})
}

// plain returns a key without its escapes. The result is valid until the next call.
func (d *Decoder) plain(key []byte) []byte {
	if bytes.IndexByte(key, '\\') < 0 {
		return key
	}
	d.name = rawjson.AppendUnquoted(d.name[:0], key)
	return d.name
}

// extra joins the client's extra and the unknown top-level fields, so that nothing is thrown away. The client's
// extra wins: unknown fields whose names it uses become members of one object next to them, so that
//
//	{"order":1,"extra":{"order":2}}   becomes   {"order":2,"event":{"order":1}}
//
// The object is called "event_" if "event" is a member already, and so on with up to 63 underscores. Each
// field is written once, and its name never grows.
func (d *Decoder) extra(e *Event) error {
	raw := d.sent.extra
	if raw != nil && rawjson.KindOf(raw) != rawjson.ObjectKind {
		return mustBe("extra", "an object", raw)
	}
	if len(raw) > len("{}") {
		e.Extra = raw
	}
	if len(d.unknown) == 0 {
		return nil
	}
	count, name := d.findClashes(e.Extra)
	dst := append(d.scratch, e.Extra[:len(e.Extra)-1]...)
	first := len(dst) == len(d.scratch)+len("{")
	for _, field := range d.unknown {
		if !field.clash {
			dst, first = append(appendKey(dst, field.key, first), field.value...), false
		}
	}
	switch {
	case count > 0 && name == "":
		d.notes.drop("unknown fields", count)
	case count > 0:
		dst = append(appendKey(dst, []byte(name), first), '{')
		first = true
		for _, field := range d.unknown {
			if field.clash {
				dst, first = append(appendKey(dst, field.key, first), field.value...), false
			}
		}
		dst = append(dst, '}')
	}
	e.Extra = d.written(append(dst, '}'))
	return nil
}

// findClashes marks the unknown fields whose names the object extra has. It returns how many there are and
// what the member that holds them can be called: "" if all its names are taken.
func (d *Decoder) findClashes(extra []byte) (count int, name string) {
	var taken uint64 // bit n: "event" with n underscores
	take := func(name []byte) {
		tail, ok := bytes.CutPrefix(name, []byte(clashes))
		if ok && len(tail) < 64 && len(bytes.TrimLeft(tail, "_")) == 0 {
			taken |= 1 << len(tail)
		}
	}
	for key := range rawjson.Object(extra) {
		name := d.plain(key)
		take(name)
		if i, ok := d.places[string(name)]; ok && !d.unknown[i].clash {
			d.unknown[i].clash = true
			count++
		}
	}
	for _, field := range d.unknown {
		take(d.plain(field.key))
	}
	underscores := bits.TrailingZeros64(^taken)
	if underscores == 64 {
		return count, ""
	}
	return count, clashes + strings.Repeat("_", underscores)
}
