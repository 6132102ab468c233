package event

import (
	"fmt"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// exception reads the exception: one entry, an array of entries, or an object that holds one under "values".
// The canonical form is the array; where the client sent that, it is taken as it is.
func (d *Decoder) exception(raw []byte, e *Event) error {
	if rawjson.KindOf(raw) == rawjson.ObjectKind && rawjson.Lookup(raw, "values") == nil {
		d.items = append(d.items[:0], raw)
		if string(raw) == "{}" {
			return nil
		}
		raw = nil
	} else {
		var err error
		if raw, err = d.elements("exception", raw, d.limits.Exceptions, d.limits.Exceptions/2); err != nil {
			return err
		}
	}
	for i, item := range d.items {
		canonical, err := d.checkEntry(i, item)
		if err != nil {
			return err
		}
		if !canonical {
			raw = nil
		}
	}
	if len(d.items) == 0 {
		return nil
	}
	e.ExceptionType = d.cut("exception.type", rawjson.Unquote(d.last.kind), d.limits.ExceptionType)
	e.ExceptionValue = d.cut("exception.value", rawjson.Unquote(d.last.value), d.limits.ExceptionValue)
	if raw != nil {
		e.Exception = raw
		return nil
	}
	e.Exception = d.written(d.appendChain(d.scratch))
	return nil
}

// head is what of an entry has columns of its own, as quoted strings or nil.
type head struct{ kind, value []byte }

// checkEntry checks the types within entry i of the chain, keeps its head in d.last, and reports whether it is
// in canonical form.
func (d *Decoder) checkEntry(i int, entry []byte) (canonical bool, err error) {
	canonical, d.last = true, head{}
	for key, value := range rawjson.Object(entry) {
		kind := rawjson.KindOf(value)
		if kind == rawjson.Null {
			continue
		}
		switch string(key) {
		case "type", "value", "module":
			if kind != rawjson.String {
				return false, mustBe(fmt.Sprintf("exception[%d].%s", i, key), "a string", value)
			}
			switch key[0] {
			case 't':
				d.last.kind = value
			case 'v':
				d.last.value = value
			}
		case "mechanism":
			if kind != rawjson.ObjectKind {
				return false, mustBe(fmt.Sprintf("exception[%d].mechanism", i), "an object", value)
			}
		case "stacktrace":
			ok, err := d.checkStack(i, value)
			if err != nil {
				return false, err
			}
			canonical = canonical && ok
		}
	}
	if len(d.last.kind) <= len(`""`) && len(d.last.value) <= len(`""`) {
		return false, fault.New(fault.Invalid, "exception[%d] needs a type or a value", i)
	}
	return canonical, nil
}

// checkStack checks the stack trace of entry i, and reports whether it is in canonical form.
func (d *Decoder) checkStack(i int, stack []byte) (canonical bool, err error) {
	frames, direct := framesOf(stack)
	switch kind := rawjson.KindOf(frames); {
	case kind == rawjson.Invalid && rawjson.KindOf(stack) != rawjson.ObjectKind:
		return false, mustBe(fmt.Sprintf("exception[%d].stacktrace", i), "an object with frames, or an array of frames", stack)
	case kind == rawjson.Invalid || kind == rawjson.Null:
		return true, nil
	case kind != rawjson.ArrayKind:
		return false, mustBe(fmt.Sprintf("exception[%d].stacktrace.frames", i), "an array", frames)
	}
	canonical, count := !direct, 0
	for j, frame := range rawjson.Array(frames) {
		count++
		switch rawjson.KindOf(frame) {
		case rawjson.Null:
			canonical = false
		case rawjson.ObjectKind:
			if name, want, value := wrongInFrame(frame); name != "" {
				return false, mustBe(fmt.Sprintf("exception[%d].stacktrace.frames[%d].%s", i, j, name), want, value)
			}
		default:
			return false, mustBe(fmt.Sprintf("exception[%d].stacktrace.frames[%d]", i, j), "an object", frame)
		}
	}
	return canonical && count <= d.limits.Frames, nil
}

// framesOf returns the frames of a stack trace, and whether the stack trace is the array itself.
func framesOf(stack []byte) (frames []byte, direct bool) {
	if rawjson.KindOf(stack) == rawjson.ArrayKind {
		return stack, true
	}
	return rawjson.Lookup(stack, "frames"), false
}

// wrongInFrame returns the name, wanted type and value of a field of frame that has the wrong type, if any.
func wrongInFrame(frame []byte) (name, want string, wrong []byte) {
	for key, value := range rawjson.Object(frame) {
		kind := rawjson.KindOf(value)
		if kind == rawjson.Null {
			continue
		}
		switch string(key) {
		case "filename", "abs_path", "function", "module", "package", "context_line":
			if kind != rawjson.String {
				return string(key), "a string", value
			}
		case "lineno", "colno":
			if kind != rawjson.Number || !isWhole(value) {
				return string(key), "a whole number", value
			}
		case "in_app":
			if kind != rawjson.Bool {
				return string(key), "true or false", value
			}
		case "pre_context", "post_context":
			if kind != rawjson.ArrayKind {
				return string(key), "an array of lines", value
			}
		}
	}
	return "", "", nil
}

// isWhole reports whether a number has neither fraction nor exponent.
func isWhole(raw []byte) bool {
	for _, b := range raw {
		if b != '-' && b-'0' > 9 {
			return false
		}
	}
	return true
}
