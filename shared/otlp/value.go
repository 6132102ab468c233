package otlp

import (
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// valueKind is what an AnyValue holds. Apart from absent they are the numbers of its fields.
type valueKind uint8

const (
	absentValue valueKind = iota
	stringValue
	boolValue
	intValue
	doubleValue
	arrayValue
	mapValue
	bytesValue
)

// value is an AnyValue.
type value struct {
	kind  valueKind
	bytes []byte // a string or bytes; of an array or a map clean JSON
	bits  uint64 // any other
}

// isNested reports whether v is an array or a map.
func (v *value) isNested() bool { return v.kind == arrayValue || v.kind == mapValue }

// attribute is a KeyValue.
type attribute struct {
	key   []byte
	value value
}

// value reads an AnyValue. What is within arrays and maps is read once, now: each level of them is looked at
// again for the levels above it.
func (r *reader) value(raw []byte) value {
	v := r.outer(raw)
	if v.isNested() {
		start := len(r.nested)
		r.nested = r.appendNested(r.nested, v, 1)
		v.bytes = r.nested[start:len(r.nested):len(r.nested)]
	}
	return v
}

// outer reads an AnyValue whose array or map stays as it is.
func (r *reader) outer(raw []byte) value {
	var v value
	for f := range r.fields(raw, anyShape) {
		v = value{kind: valueKind(f.number), bytes: f.bytes, bits: f.bits}
	}
	return v
}

// attribute reads a KeyValue.
func (r *reader) attribute(raw []byte) attribute {
	key, inner := r.keyValue(raw)
	return attribute{key: key, value: r.value(inner)}
}

// keyValue reads a KeyValue without its AnyValue.
func (r *reader) keyValue(raw []byte) (key, inner []byte) {
	for f := range r.fields(raw, keyValueShape) {
		if f.number == 1 {
			key = f.bytes
		} else {
			inner = f.bytes
		}
	}
	return key, inner
}

// appendNested appends an array or a map that is still in its encoding.
func (r *reader) appendNested(dst []byte, v value, depth int) []byte {
	if depth > MaxNesting {
		return append(dst, `"nested too deeply"`...)
	}
	open, end := byte('['), byte(']')
	if v.kind == mapValue {
		open, end = '{', '}'
	}
	dst = append(dst, open)
	for f := range r.fields(v.bytes, listShape) {
		raw := f.bytes
		if v.kind == mapValue {
			var key []byte
			key, raw = r.keyValue(raw)
			dst = appendKey(dst, key)
		} else if dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		if element := r.outer(raw); element.isNested() {
			dst = r.appendNested(dst, element, depth+1)
		} else {
			dst = appendValue(dst, element)
		}
	}
	return append(dst, end)
}

// appendValue appends v to dst as clean JSON: bytes as base64, and what JSON has no numbers for as strings.
func appendValue(dst []byte, v value) []byte {
	switch v.kind {
	case stringValue:
		return rawjson.AppendString(dst, v.bytes)
	case boolValue:
		return strconv.AppendBool(dst, v.bits != 0)
	case intValue:
		return strconv.AppendInt(dst, int64(v.bits), 10)
	case doubleValue:
		return appendDouble(dst, math.Float64frombits(v.bits))
	case bytesValue:
		return append(base64.StdEncoding.AppendEncode(append(dst, '"'), v.bytes), '"')
	case arrayValue, mapValue:
		return append(dst, v.bytes...)
	default:
		return append(dst, "null"...)
	}
}

// appendDouble appends a float.
func appendDouble(dst []byte, x float64) []byte {
	switch {
	case math.IsNaN(x):
		return append(dst, `"NaN"`...)
	case math.IsInf(x, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(x, -1):
		return append(dst, `"-Infinity"`...)
	}
	return strconv.AppendFloat(dst, x, 'g', -1, 64)
}

// appendKey appends the key of a member, and a comma unless it is the first.
func appendKey[T string | []byte](dst []byte, key T) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(rawjson.AppendString(dst, key), ':')
}

// textOf returns a value as text for people; an array or a map is JSON.
func textOf(v *value) string {
	switch {
	case v == nil || v.kind == absentValue:
		return ""
	case v.kind == stringValue || v.isNested():
		return string(v.bytes)
	}
	text := appendValue(nil, *v)
	if text[0] == '"' {
		return rawjson.Unquote(text)
	}
	return string(text)
}

// longestTag is how many characters the value of a tag may have: a longer one is cut by the event, and then
// worth nothing as a tag.
const longestTag = 200

// isTag reports whether a value is short and of a type that is worth searching for.
func (v *value) isTag() bool {
	switch v.kind {
	case stringValue:
		return len(v.bytes) > 0 && (len(v.bytes) <= longestTag || utf8.RuneCount(v.bytes) <= longestTag)
	case boolValue, intValue:
		return true
	default:
		return false
	}
}
