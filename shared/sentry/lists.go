package sentry

import "github.com/mesherhq/mesher/shared/rawjson"

// values returns the array of a list in any of the forms that SDKs send: an array, an object that holds one under
// "values", or a single object. Others says that the object has more members. A list that is none is not ok; an empty
// one is ok and nil. The elements are not looked at.
func (c *Converter) values(raw []byte) (list []byte, others, ok bool) {
	switch rawjson.KindOf(raw) {
	case rawjson.Invalid:
		return nil, false, true
	case rawjson.ArrayKind:
		return raw, false, true
	case rawjson.ObjectKind:
	default:
		return nil, false, false
	}
	for key, value := range rawjson.Object(raw) {
		if string(key) == "values" {
			list = value
		} else if rawjson.KindOf(value) != rawjson.Null {
			others = true
		}
	}
	switch rawjson.KindOf(list) {
	case rawjson.Invalid:
		if !others {
			return nil, false, true
		}
		return c.write(func(dst []byte) []byte { return append(append(append(dst, '['), raw...), ']') }), false, true
	case rawjson.Null:
		return nil, others, true
	case rawjson.ArrayKind:
		return list, others, true
	}
	return nil, false, false
}

// moveOthers moves those members of a list's object that are not its values to extra.
func (c *Converter) moveOthers(name string, raw []byte) {
	c.move(name, c.write(func(dst []byte) []byte {
		dst = append(dst, '{')
		for key, value := range rawjson.Object(raw) {
			if string(key) != "values" {
				dst = append(appendKey(dst, key), value...)
			}
		}
		return append(dst, '}')
	}))
}

// write returns what text appends to the spare buffer. It stays where it is when the buffer grows.
func (c *Converter) write(text func(dst []byte) []byte) []byte {
	start := len(c.spare)
	c.spare = text(c.spare)
	return c.spare[start:len(c.spare):len(c.spare)]
}

// list writes threads or breadcrumbs. Their elements may hold anything.
func (c *Converter) list(name string, raw []byte) {
	list, others, ok := c.values(raw)
	if !ok || list != nil && !isList(list) {
		c.move(name, raw)
		return
	}
	if len(list) > len("[]") {
		c.field(name, list)
	}
	if others {
		c.moveOthers(name, raw)
	}
}

// fingerprint writes the client's own grouping. A part that is an array or object becomes its JSON text.
func (c *Converter) fingerprint(raw []byte) {
	switch rawjson.KindOf(raw) {
	case rawjson.Invalid:
	case rawjson.String, rawjson.Number, rawjson.Bool:
		c.dst = append(appendText(append(appendKey(c.dst, "fingerprint"), '['), raw), ']')
	case rawjson.ArrayKind:
		c.dst = append(appendKey(c.dst, "fingerprint"), '[')
		for _, part := range rawjson.Array(raw) {
			if rawjson.KindOf(part) != rawjson.Null {
				c.dst = appendText(appendComma(c.dst), part)
			}
		}
		c.dst = append(c.dst, ']')
	default:
		c.move("fingerprint", raw)
	}
}

// user writes the user. Its id becomes text, whatever it is: a large number would lose digits on its way to a
// browser. An address of {{auto}} stays, for who knows the client's address to replace.
func (c *Converter) user(raw []byte) {
	id := rawjson.Lookup(raw, "id")
	if kind := rawjson.KindOf(id); kind == rawjson.Invalid || kind == rawjson.Null || kind == rawjson.String {
		c.object("user", raw)
		return
	}
	c.dst = append(appendKey(c.dst, "user"), '{')
	for key, value := range rawjson.Object(raw) {
		c.dst = appendKey(c.dst, key)
		if string(key) == "id" && rawjson.KindOf(value) != rawjson.Null {
			c.dst = appendText(c.dst, value)
		} else {
			c.dst = append(c.dst, value...)
		}
	}
	c.dst = append(c.dst, '}')
}
