package event

import (
	"strconv"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// fingerprint reads the client's own grouping: a string, or an array of strings, numbers and booleans.
func (d *Decoder) fingerprint(e *Event) error {
	raw := d.sent.fingerprint
	if raw == nil {
		return nil
	}
	dst, count := append(d.scratch, '['), 0
	add := func(i int, part []byte) error {
		switch rawjson.KindOf(part) {
		case rawjson.Null:
			return nil
		case rawjson.String, rawjson.Number, rawjson.Bool:
		default:
			return mustBe(partName(i), "a string", part)
		}
		if count++; count <= d.limits.Fingerprint {
			text := rawjson.Unquote(part) // a number or a boolean has no quotes to lose
			dst = rawjson.AppendString(appendComma(dst, count-1), d.cut(partName(i), text, d.limits.FingerprintPart))
		}
		return nil
	}
	if rawjson.KindOf(raw) != rawjson.ArrayKind {
		if rawjson.KindOf(raw) != rawjson.String {
			return mustBe("fingerprint", "an array of strings", raw)
		}
		if err := add(0, raw); err != nil {
			return err
		}
	}
	for i, part := range rawjson.Array(raw) {
		if err := add(i, part); err != nil {
			return err
		}
	}
	if count == 0 {
		return nil
	}
	d.notes.drop("fingerprint", count-d.limits.Fingerprint)
	e.ClientFingerprint = d.written(append(dst, ']'))
	return nil
}

// partName returns the path of a part of the fingerprint.
func partName(i int) string { return "fingerprint[" + strconv.Itoa(i) + "]" }
