package sentry

import "github.com/mesherhq/mesher/shared/rawjson"

// tags writes the tags: an object, or the pairs that old clients send. The Decoder turns numbers and booleans
// into text and drops null; a tag that holds an array or an object moves to extra, and so does what is no pair.
func (c *Converter) tags(raw []byte) {
	kind := rawjson.KindOf(raw)
	switch {
	case kind == rawjson.Invalid:
	case kind == rawjson.ObjectKind && allTags(raw), kind == rawjson.ArrayKind && allPairs(raw):
		c.field("tags", raw)
	case kind == rawjson.ObjectKind:
		c.field("tags", c.write(func(dst []byte) []byte { return appendTags(dst, raw, true) }))
		c.move("tags", c.write(func(dst []byte) []byte { return appendTags(dst, raw, false) }))
	case kind == rawjson.ArrayKind:
		c.field("tags", c.write(func(dst []byte) []byte { return appendPairs(dst, raw, true) }))
		c.move("tags", c.write(func(dst []byte) []byte { return appendPairs(dst, raw, false) }))
	default:
		c.move("tags", raw)
	}
}

// isTag reports whether value can be that of a tag, or is null.
func isTag(value []byte) bool {
	return isScalar(value) || rawjson.KindOf(value) == rawjson.Null
}

func allTags(raw []byte) bool {
	for _, value := range rawjson.Object(raw) {
		if !isTag(value) {
			return false
		}
	}
	return true
}

// appendTags appends an object of those members of raw that are tags, or of those that are not.
func appendTags(dst, raw []byte, tags bool) []byte {
	dst = append(dst, '{')
	for key, value := range rawjson.Object(raw) {
		if isTag(value) == tags {
			dst = append(appendKey(dst, key), value...)
		}
	}
	return append(dst, '}')
}

// isPair reports whether raw is an array of a key and a value, or null.
func isPair(raw []byte) bool {
	count, ok := 0, true
	for i, item := range rawjson.Array(raw) {
		count++
		ok = ok && (i > 0 || rawjson.KindOf(item) == rawjson.String) && isTag(item)
	}
	return rawjson.KindOf(raw) == rawjson.Null || ok && count == 2
}

func allPairs(raw []byte) bool {
	for _, pair := range rawjson.Array(raw) {
		if !isPair(pair) {
			return false
		}
	}
	return true
}

// appendPairs appends an array of those elements of raw that are pairs, or of those that are not.
func appendPairs(dst, raw []byte, pairs bool) []byte {
	dst = append(dst, '[')
	for _, pair := range rawjson.Array(raw) {
		if isPair(pair) == pairs {
			dst = append(appendComma(dst), pair...)
		}
	}
	return append(dst, ']')
}
