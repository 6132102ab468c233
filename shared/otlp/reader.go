package otlp

import (
	"iter"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// reader cuts messages into fields, whatever their encoding.
type reader struct {
	json   bool
	arena  []byte // text and bytes that JSON has in another form
	nested []byte // arrays and maps, as clean JSON
	broken bool   // something was not as the encoding wants it
}

// reset makes room for the next message. What was read is valid no more.
func (r *reader) reset() {
	r.arena, r.nested, r.broken = r.arena[:0], r.nested[:0], false
}

// field is a field of a message.
type field struct {
	number protowire.Number
	bytes  []byte // a text, bytes, or a message in its encoding
	bits   uint64 // a number: signed as two's complement, a float as IEEE 754 has it
}

// fields yields the fields of a message that shape knows, an element of a repeated one at a time. Where the
// message is broken they end, and r.broken is set. Their bytes alias raw and the arena.
func (r *reader) fields(raw []byte, s shape) iter.Seq[field] {
	return func(yield func(field) bool) { // so small that no memory is taken for it
		if r.json {
			r.members(raw, s, yield)
		} else {
			r.binary(raw, s, yield)
		}
	}
}

// binary is fields for protobuf.
func (r *reader) binary(raw []byte, s shape, yield func(field) bool) {
	for len(raw) > 0 {
		number, wire, n := protowire.ConsumeTag(raw)
		if n < 0 {
			r.broken = true
			return
		}
		raw = raw[n:]
		f := field{number: number}
		known := s.byNumber(number)
		if known != nil && known.kind.wire() == wire {
			n = f.consume(raw, wire)
		} else {
			known, n = nil, protowire.ConsumeFieldValue(number, wire, raw)
		}
		if n < 0 {
			r.broken = true
			return
		}
		raw = raw[n:]
		if known != nil && !yield(f) {
			return
		}
	}
}

// consume reads the value of a field. It returns its length, or a negative number.
func (f *field) consume(raw []byte, wire protowire.Type) (n int) {
	switch wire {
	case protowire.VarintType:
		f.bits, n = protowire.ConsumeVarint(raw)
	case protowire.Fixed64Type:
		f.bits, n = protowire.ConsumeFixed64(raw)
	case protowire.Fixed32Type:
		var bits uint32
		bits, n = protowire.ConsumeFixed32(raw)
		f.bits = uint64(bits)
	default:
		f.bytes, n = protowire.ConsumeBytes(raw)
	}
	return n
}

// members is fields for JSON. Null is no field.
func (r *reader) members(raw []byte, s shape, yield func(field) bool) {
	if rawjson.KindOf(raw) != rawjson.ObjectKind {
		r.broken = r.broken || raw != nil
		return
	}
	for key, value := range rawjson.Object(raw) {
		known := s.byName(key)
		if known == nil || rawjson.KindOf(value) == rawjson.Null {
			continue
		}
		if !known.repeated {
			if f, ok := r.member(known, value); !ok || !yield(f) {
				return
			}
			continue
		}
		if rawjson.KindOf(value) != rawjson.ArrayKind {
			r.broken = true
			return
		}
		for _, element := range rawjson.Array(value) {
			if f, ok := r.member(known, element); !ok || !yield(f) {
				return
			}
		}
	}
}

// member reads the value of a field from JSON, leniently: a number may be a string and the other way round.
func (r *reader) member(known *name, value []byte) (f field, ok bool) {
	f.number = known.number
	switch known.kind {
	case recordKind:
		f.bytes, ok = value, true
	case messageKind:
		f.bytes, ok = value, rawjson.KindOf(value) == rawjson.ObjectKind
	case boolKind:
		text := string(r.text(value))
		f.bits, ok = 0, text == "false"
		if text == "true" {
			f.bits, ok = 1, true
		}
	case doubleKind:
		var x float64
		x, ok = parseDouble(r.text(value))
		f.bits = math.Float64bits(x)
	case signedKind:
		var n int64
		n, ok = parseSigned(r.text(value))
		f.bits = uint64(n)
	case fixed64Kind, fixed32Kind, varintKind:
		f.bits, ok = parseUnsigned(r.text(value))
	case severityKind:
		f.bits, ok = parseEnum(r.text(value)), true
	case idKind:
		f.bytes, ok = r.id(value), true
	case bytesKind:
		f.bytes, ok = r.base64(value)
	default:
		f.bytes = r.text(value)
		ok = f.bytes != nil
	}
	r.broken = r.broken || !ok
	return f, ok
}
