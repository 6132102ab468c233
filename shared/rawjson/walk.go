package rawjson

import (
	"encoding/binary"
	"iter"
	"math/bits"
)

// Kind is the kind of a JSON value.
type Kind uint8

// The kinds. Invalid is what an empty text is.
const (
	Invalid Kind = iota
	Null
	Bool
	Number
	String
	ArrayKind
	ObjectKind
)

// kindNames are the kinds in words for people, with an article.
var kindNames = [...]string{"nothing", "null", "a boolean", "a number", "a string", "an array", "an object"}

// String returns the kind in words for people: "a string", "an object".
func (k Kind) String() string { return kindNames[k] }

// KindOf returns the kind of the value raw, which is clean, by its first byte.
func KindOf(raw []byte) Kind {
	if len(raw) == 0 {
		return Invalid
	}
	switch raw[0] {
	case '"':
		return String
	case '{':
		return ObjectKind
	case '[':
		return ArrayKind
	case 'n':
		return Null
	case 't', 'f':
		return Bool
	}
	return Number
}

// Object yields the members of the object raw, which is clean, in their order. A key comes as it stands
// between its quotes, still escaped; a value comes whole. Both alias raw. A key that occurs twice is yielded
// twice. A value that is not an object yields nothing.
func Object(raw []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		if len(raw) < 2 || raw[0] != '{' {
			return
		}
		for i := 1; i < len(raw) && raw[i] == '"'; i++ {
			colon := skipText(raw, i)
			end := skipValue(raw, colon+1)
			if end > len(raw) || colon < i+2 || !yield(raw[i+1:colon-1:colon-1], raw[colon+1:end:end]) {
				return
			}
			i = end
		}
	}
}

// Lookup returns the value of the member of object called name, the last one if there are several, or nil.
// The name is printable ASCII, so that it has no escapes in clean text.
func Lookup(object []byte, name string) []byte {
	var found []byte
	for key, value := range Object(object) {
		if string(key) == name {
			found = value
		}
	}
	return found
}

// Array yields the elements of the array raw, which is clean, with their indexes. They alias raw. A value
// that is not an array yields nothing.
func Array(raw []byte) iter.Seq2[int, []byte] {
	return func(yield func(index int, value []byte) bool) {
		if len(raw) < 3 || raw[0] != '[' {
			return
		}
		index := 0
		for i := 1; i < len(raw)-1; i++ {
			end := skipValue(raw, i)
			if end > len(raw) || !yield(index, raw[i:end:end]) {
				return
			}
			i, index = end, index+1
		}
	}
}

// skipText returns the index after the string whose opening quote stands at i, or len(raw).
func skipText(raw []byte, i int) int {
	i++
	for i < len(raw) {
		for i+8 <= len(raw) {
			x := binary.LittleEndian.Uint64(raw[i:])
			quote, slash := x^'"'*ones, x^'\\'*ones
			if m := ((quote-ones)&^quote | (slash-ones)&^slash) & highs; m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(raw) {
			break
		}
		switch raw[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
		i++
	}
	return len(raw)
}

// skipValue returns the index after the value that begins at i, or a greater one than len(raw) if there is
// none.
func skipValue(raw []byte, i int) int {
	if i >= len(raw) {
		return len(raw) + 1
	}
	switch raw[i] {
	case '"':
		return skipText(raw, i)
	case '{', '[':
		return skipNested(raw, i)
	}
	for i < len(raw) && raw[i] != ',' && raw[i] != '}' && raw[i] != ']' {
		i++
	}
	return i
}

// skipNested returns the index after the array or object that begins at i, or len(raw).
func skipNested(raw []byte, i int) int {
	depth := 0
	for i < len(raw) {
		switch raw[i] {
		case '"':
			i = skipText(raw, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return len(raw)
}
