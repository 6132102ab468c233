package otlp

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// text returns the text of a JSON string, number or boolean, or nil.
func (r *reader) text(value []byte) []byte {
	switch rawjson.KindOf(value) {
	case rawjson.String:
		inner := value[1 : len(value)-1]
		if bytes.IndexByte(inner, '\\') < 0 {
			return inner[:len(inner):len(inner)]
		}
		start := len(r.arena)
		r.arena = rawjson.AppendUnquoted(r.arena, value)
		return r.arena[start:len(r.arena):len(r.arena)]
	case rawjson.Number, rawjson.Bool:
		return value
	default:
		return nil
	}
}

// id returns the bytes of an id, which is hexadecimal, or base64 from those who took it for other bytes. What is
// neither is no id.
func (r *reader) id(value []byte) []byte {
	text := r.text(value)
	start := len(r.arena)
	var id [16]byte
	switch len(text) {
	case 32, 16:
		if n, err := hex.Decode(id[:], text); err == nil {
			r.arena = append(r.arena, id[:n]...)
		}
	case 24, 12:
		var wide [18]byte
		if n, err := base64.StdEncoding.Decode(wide[:], text); err == nil {
			r.arena = append(r.arena, wide[:n]...)
		}
	}
	return r.arena[start:len(r.arena):len(r.arena)]
}

// base64 returns the bytes of a base64 string, in either alphabet and with or without padding.
func (r *reader) base64(value []byte) ([]byte, bool) {
	if rawjson.KindOf(value) != rawjson.String {
		return nil, false
	}
	text := bytes.TrimRight(r.text(value), "=")
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	start := len(r.arena)
	var err error
	r.arena, err = encoding.AppendDecode(r.arena, text)
	return r.arena[start:len(r.arena):len(r.arena)], err == nil
}

// parseUnsigned reads a whole number, which may be written as a float.
func parseUnsigned(text []byte) (uint64, bool) {
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err == nil {
		return n, true
	}
	x, ok := parseDouble(text)
	if !ok || x < 0 || x >= math.MaxUint64 {
		return 0, false
	}
	return uint64(x), true
}

// parseSigned is parseUnsigned for numbers with a sign. One with a fraction is refused.
func parseSigned(text []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err == nil {
		return n, true
	}
	x, ok := parseDouble(text)
	if !ok || x != math.Trunc(x) || math.Abs(x) >= math.MaxInt64 {
		return 0, false
	}
	return int64(x), true
}

// parseDouble reads a number, NaN, Infinity or -Infinity.
func parseDouble(text []byte) (float64, bool) {
	switch string(text) {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	for _, b := range text { // ParseFloat takes words and hexadecimal digits as well
		if b-'0' > 9 && b != '.' && b != '-' && b != '+' && b|0x20 != 'e' {
			return 0, false
		}
	}
	x, err := strconv.ParseFloat(string(text), 64)
	if math.IsInf(x, 0) { // too large for a float, as protobuf rounds it
		return x, true
	}
	return x, err == nil
}

// parseEnum reads the number of an enumeration's value, or its name, which should not be sent. What is unknown is 0.
func parseEnum(text []byte) uint64 {
	if n, ok := parseUnsigned(text); ok {
		return n
	}
	switch string(text) {
	case "STATUS_CODE_OK", "SPAN_KIND_INTERNAL":
		return 1
	case "STATUS_CODE_ERROR", "SPAN_KIND_SERVER":
		return 2
	case "SPAN_KIND_CLIENT":
		return 3
	case "SPAN_KIND_PRODUCER":
		return 4
	case "SPAN_KIND_CONSUMER":
		return 5
	}
	if word, ok := bytes.CutPrefix(text, []byte("SEVERITY_NUMBER_")); ok {
		step := uint64(0)
		if last := word[max(0, len(word)-1):]; len(last) == 1 && last[0] >= '2' && last[0] <= '4' {
			step, word = uint64(last[0]-'1'), word[:len(word)-1]
		}
		if n := severityOf(string(word)); n > 0 {
			return uint64(n) + step
		}
	}
	return 0
}
