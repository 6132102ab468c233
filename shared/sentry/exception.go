package sentry

import "github.com/mesherhq/mesher/shared/rawjson"

// asSent ends the name of a field inside an exception whose value the native format does not take.
const asSent = "_as_sent"

// exception writes the chain, and reports whether there is one. Usually it is copied whole.
func (c *Converter) exception(raw []byte) bool {
	list, others, ok := c.values(raw)
	fine, count := true, 0
	for _, entry := range rawjson.Array(list) {
		switch kind := rawjson.KindOf(entry); {
		case kind == rawjson.Null || string(entry) == "{}":
			fine = false
		case kind == rawjson.ObjectKind:
			count++
			fine = fine && fineEntry(entry)
		default:
			ok = false
		}
	}
	if !ok {
		c.move("exception", raw)
		return false
	}
	if others {
		c.moveOthers("exception", raw)
	}
	switch {
	case count == 0:
	case fine:
		c.field("exception", list)
	default:
		c.dst = append(appendKey(c.dst, "exception"), '[')
		for _, entry := range rawjson.Array(list) {
			if rawjson.KindOf(entry) != rawjson.Null && string(entry) != "{}" {
				c.dst = appendEntry(appendComma(c.dst), entry)
			}
		}
		c.dst = append(c.dst, ']')
	}
	return count > 0
}

// fineEntry reports whether the native format takes an entry of a chain as it is.
func fineEntry(entry []byte) bool {
	var h head
	for key, value := range rawjson.Object(entry) {
		kind := rawjson.KindOf(value)
		if kind == rawjson.Null {
			continue
		}
		switch string(key) {
		case "type", "value", "module":
			if kind != rawjson.String {
				return false
			}
			h.read(key, value)
		case "mechanism":
			if kind != rawjson.ObjectKind {
				return false
			}
		case "stacktrace":
			if !fineStack(value) {
				return false
			}
		}
	}
	return !h.bare()
}

// head is what an entry is called by: one of both must be there.
type head struct{ kind, value []byte }

// read takes a member of an entry.
func (h *head) read(key, value []byte) {
	switch string(key) {
	case "type":
		h.kind = value
	case "value":
		h.value = value
	}
}

// bare reports whether an entry has neither type nor value.
func (h *head) bare() bool {
	return len(h.kind) <= len(`""`) && len(h.value) <= len(`""`)
}

// isBare reports whether an entry has neither a type nor a value once it is repaired.
func isBare(entry []byte) bool {
	var h head
	for key, value := range rawjson.Object(entry) {
		switch rawjson.KindOf(value) {
		case rawjson.Null:
		case rawjson.String:
			h.read(key, value)
		default:
			h.read(key, []byte(noMessage)) // becomes text that is not empty
		}
	}
	return h.bare()
}

// appendEntry appends an entry with what is wrong in it repaired: a type or value that is no text becomes its
// JSON text, and an entry with neither says so.
func appendEntry(dst, entry []byte) []byte {
	dst = append(dst, '{')
	bare := isBare(entry)
	for key, value := range rawjson.Object(entry) {
		kind := rawjson.KindOf(value)
		switch name := string(key); {
		case bare && (name == "type" || name == "value"):
		case kind == rawjson.Null:
			dst = append(appendKey(dst, key), value...)
		case name == "type" || name == "value" || name == "module":
			dst = appendText(appendKey(dst, key), value)
		case name == "mechanism" && kind == rawjson.String:
			dst = append(append(append(appendKey(dst, key), `{"type":`...), value...), '}')
		case name == "mechanism" && kind != rawjson.ObjectKind, name == "stacktrace" && !hasFrames(value):
			dst = append(appendKey(dst, name+asSent), value...)
		case name == "stacktrace" && !fineStack(value):
			dst = appendStack(appendKey(dst, key), value)
		default:
			dst = append(appendKey(dst, key), value...)
		}
	}
	if bare {
		dst = append(appendKey(dst, "value"), noMessage...)
	}
	return append(dst, '}')
}
