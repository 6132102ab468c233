package sentry

import (
	"bytes"
	"math"
	"strconv"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// hasFrames reports whether a stack trace is an object, or an array of frames.
func hasFrames(stack []byte) bool {
	return rawjson.KindOf(stack) == rawjson.ObjectKind || isList(stack)
}

// isList reports whether raw is an array of objects; some may be null.
func isList(raw []byte) bool {
	for _, item := range rawjson.Array(raw) {
		if kind := rawjson.KindOf(item); kind != rawjson.ObjectKind && kind != rawjson.Null {
			return false
		}
	}
	return rawjson.KindOf(raw) == rawjson.ArrayKind
}

// fineStack reports whether the native format takes a stack trace as it is.
func fineStack(stack []byte) bool {
	switch rawjson.KindOf(stack) {
	case rawjson.ArrayKind:
		return fineFrames(stack)
	case rawjson.ObjectKind:
	default:
		return false
	}
	for key, value := range rawjson.Object(stack) {
		if string(key) == "frames" && rawjson.KindOf(value) != rawjson.Null && !fineFrames(value) {
			return false
		}
	}
	return true
}

// fineFrames reports whether the native format takes an array of frames as it is.
func fineFrames(frames []byte) bool {
	for _, frame := range rawjson.Array(frames) {
		switch rawjson.KindOf(frame) {
		case rawjson.Null:
		case rawjson.ObjectKind:
			for key, value := range rawjson.Object(frame) {
				if !fineInFrame(key, value) {
					return false
				}
			}
		default:
			return false
		}
	}
	return rawjson.KindOf(frames) == rawjson.ArrayKind
}

// wanted returns the kind that the native format wants of a field of a frame; Invalid is any.
func wanted(key []byte) rawjson.Kind {
	switch string(key) {
	case "filename", "abs_path", "function", "module", "package", "context_line":
		return rawjson.String
	case "lineno", "colno":
		return rawjson.Number
	case "in_app":
		return rawjson.Bool
	case "pre_context", "post_context":
		return rawjson.ArrayKind
	}
	return rawjson.Invalid
}

// fineInFrame reports whether the native format takes a field of a frame as it is.
func fineInFrame(key, value []byte) bool {
	switch want, kind := wanted(key), rawjson.KindOf(value); {
	case want == rawjson.Invalid, kind == rawjson.Null:
		return true
	case want == rawjson.Number:
		return kind == rawjson.Number && !bytes.ContainsAny(value, ".eE+")
	default:
		return kind == want
	}
}

// appendStack appends a stack trace that has frames, repaired.
func appendStack(dst, stack []byte) []byte {
	if rawjson.KindOf(stack) == rawjson.ArrayKind {
		return appendFrames(dst, stack)
	}
	dst = append(dst, '{')
	for key, value := range rawjson.Object(stack) {
		switch {
		case string(key) != "frames" || rawjson.KindOf(value) == rawjson.Null:
			dst = append(appendKey(dst, key), value...)
		case isList(value):
			dst = appendFrames(appendKey(dst, key), value)
		default:
			dst = append(appendKey(dst, "frames"+asSent), value...)
		}
	}
	return append(dst, '}')
}

// appendFrames appends an array of frames, repaired.
func appendFrames(dst, frames []byte) []byte {
	dst = append(dst, '[')
	for _, frame := range rawjson.Array(frames) {
		dst = appendComma(dst)
		if rawjson.KindOf(frame) == rawjson.Null {
			dst = append(dst, frame...)
			continue
		}
		dst = append(dst, '{')
		for key, value := range rawjson.Object(frame) {
			if fineInFrame(key, value) {
				dst = append(appendKey(dst, key), value...)
			} else {
				dst = appendRepaired(dst, key, value)
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendRepaired appends a field of a frame in the kind that is wanted, or under another name.
func appendRepaired(dst, key, value []byte) []byte {
	switch want := wanted(key); {
	case want == rawjson.String && isScalar(value):
		return rawjson.AppendString(appendKey(dst, key), value)
	case want == rawjson.Number && isScalar(value):
		n, err := strconv.ParseFloat(rawjson.Unquote(value), 64)
		if err == nil && n == math.Trunc(n) && math.Abs(n) < 1<<53 {
			return strconv.AppendInt(appendKey(dst, key), int64(n), 10)
		}
	case want == rawjson.Bool:
		switch string(value) {
		case "1", `"true"`:
			return append(appendKey(dst, key), "true"...)
		case "0", `"false"`:
			return append(appendKey(dst, key), "false"...)
		}
	}
	return append(appendKey(dst, string(key)+asSent), value...)
}
