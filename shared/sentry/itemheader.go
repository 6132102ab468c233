package sentry

import (
	"bytes"
	"strconv"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// itemHeader is the line before a payload.
type itemHeader struct {
	kind          string
	length, count int
	hasLength     bool
	wrong         bool // the length is not one
	strange       bool // has members that item headers do not have
}

// object returns the clean text of line if that is one JSON object of at most most bytes. It is valid until the
// next call.
func (r *reader) object(line []byte, most int) (clean []byte, ok bool) {
	if len(line) > most {
		return nil, false
	}
	clean, n, _, err := rawjson.Clean(r.clean[:0], line, headerDepth, most)
	r.clean = clean[:0]
	if err != nil || rawjson.KindOf(clean) != rawjson.ObjectKind || len(bytes.TrimLeft(line[n:], " \t\r")) > 0 {
		return nil, false
	}
	return clean, true
}

// itemHeader reads line as the header of an item.
func (r *reader) itemHeader(line []byte) (h itemHeader, ok bool) {
	clean, ok := r.object(line, maxItemHeader)
	if !ok {
		return h, false
	}
	for key, value := range rawjson.Object(clean) {
		switch string(key) {
		case "type":
			if rawjson.KindOf(value) == rawjson.String {
				h.kind = rawjson.Unquote(value)
			}
		case "length":
			if rawjson.KindOf(value) == rawjson.Null {
				continue
			}
			length, err := strconv.ParseUint(string(value), 10, 62)
			h.length, h.hasLength, h.wrong = int(length), true, err != nil
		case "item_count":
			if n, err := strconv.ParseInt(string(value), 10, 32); err == nil {
				h.count = int(max(n, 0))
			}
		}
		h.strange = h.strange || !isHeaderMember(key)
	}
	return h, h.kind != ""
}

// resync returns the start of the first line after the one at i that can only be a header, or the end.
func (r *reader) resync(i int) int {
	for i = r.nextLine(i); i < len(r.body); i = r.nextLine(i) {
		if r.isHeader(i) {
			return i
		}
	}
	return i
}

// nextLine returns the start of the line after the one at i, or the end.
func (r *reader) nextLine(i int) int { return min(r.lineEnd(i)+1, len(r.body)) }

// isHeader reports whether the line at i can only be a header. Each line is read at most twice for this: for itself,
// and as the line after another.
func (r *reader) isHeader(i int) bool {
	h, ok := r.plainHeader(i)
	if !ok {
		return false
	}
	next := r.nextLine(i)
	if h.hasLength {
		return !h.wrong && h.length <= len(r.body)-next && r.atEnd(next+h.length)
	}
	return !r.looksLikeHeader(next)
}

// looksLikeHeader reports whether the line at i has the members of a header and no others.
func (r *reader) looksLikeHeader(i int) bool {
	_, ok := r.plainHeader(i)
	return ok
}

// plainHeader reads the line at i as a header, and refuses it if it has members that headers do not have. Most lines
// fail for the first.
func (r *reader) plainHeader(i int) (itemHeader, bool) {
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(r.body[i:], " \t"), []byte("{"))
	if !ok {
		return itemHeader{}, false
	}
	rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest, " \t"), []byte(`"`))
	end := bytes.IndexByte(rest[:min(len(rest), 20)], '"')
	if !ok || end < 0 || !isHeaderMember(rest[:end]) {
		return itemHeader{}, false
	}
	h, ok := r.itemHeader(r.body[i:r.lineEnd(i)])
	return h, ok && !h.strange
}

// isHeaderMember reports whether key is known of item headers.
func isHeaderMember(key []byte) bool {
	switch string(key) {
	case "type", "length", "item_count", "content_type", "filename", "attachment_type", "platform":
		return true
	}
	return false
}
