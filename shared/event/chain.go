package event

import "github.com/mesherhq/mesher/shared/rawjson"

// appendChain appends the entries in d.items, which were checked, to dst in canonical form.
func (d *Decoder) appendChain(dst []byte) []byte {
	dst = append(dst, '[')
	for i, entry := range d.items {
		dst = d.appendEntry(appendComma(dst, i), entry)
	}
	return append(dst, ']')
}

// appendEntry appends one entry with its stack trace in canonical form: the last one, should there be several,
// for canonical form can be longer than what was sent.
func (d *Decoder) appendEntry(dst, entry []byte) []byte {
	dst = append(dst, '{')
	first, stack := true, rawjson.Lookup(entry, "stacktrace")
	for key, value := range rawjson.Object(entry) {
		if string(key) != "stacktrace" {
			dst, first = append(appendKey(dst, key, first), value...), false
		} else if stack != nil {
			dst, first = d.appendStack(appendKey(dst, key, first), stack), false
			stack = nil
		}
	}
	return append(dst, '}')
}

// appendStack appends a stack trace, which may be null, as an object with frames, none of which is null.
func (d *Decoder) appendStack(dst, stack []byte) []byte {
	if rawjson.KindOf(stack) == rawjson.Null {
		return append(dst, stack...)
	}
	frames, direct := framesOf(stack)
	if direct {
		return append(d.appendFrames(append(dst, `{"frames":`...), frames), '}')
	}
	dst = append(dst, '{')
	first := true
	for key, value := range rawjson.Object(stack) {
		dst, first = appendKey(dst, key, first), false
		if string(key) == "frames" && rawjson.KindOf(value) == rawjson.ArrayKind {
			dst = d.appendFrames(dst, value)
		} else {
			dst = append(dst, value...)
		}
	}
	return append(dst, '}')
}

// appendFrames appends the frames that are not null, without the middle of those over the limit: where the
// program began and where it failed matter most.
func (d *Decoder) appendFrames(dst, frames []byte) []byte {
	count := 0
	for _, frame := range rawjson.Array(frames) {
		if rawjson.KindOf(frame) != rawjson.Null {
			count++
		}
	}
	w := window{count, d.limits.Frames, d.limits.Frames / 2}
	d.notes.drop("exception.stacktrace.frames", w.dropped())
	dst = append(dst, '[')
	i := 0
	for frame := range w.of(frames) {
		dst = append(appendComma(dst, i), frame...)
		i++
	}
	return append(dst, ']')
}

// appendKey appends a key that is still escaped, and the comma before it unless it is the first.
func appendKey(dst, key []byte, first bool) []byte {
	if !first {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), key...), '"', ':')
}
