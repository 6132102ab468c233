package sentry

import (
	"bytes"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// MaxItems is how many items of an envelope are read.
const MaxItems = 1000

// Lengths of headers in bytes, and how deeply they may be nested. The envelope's holds the trace besides.
const (
	maxHeader     = 64 << 10
	maxItemHeader = 8 << 10
	headerDepth   = 20
)

// Envelope is a request of a Sentry SDK: a header and items.
type Envelope struct {
	EventID uuid.UUID // of the event in it; uuid.Nil unless the header has a valid one
	DSN     string    // as the client has it, with its key and perhaps a secret: not to be logged
	Items   []Item
	Broken  int  // runs of lines that belong to no item
	More    bool // there is more than MaxItems items, which was not read
}

// Item is one thing in an envelope.
type Item struct {
	Type      string // see Types; anything may stand here
	Payload   []byte // aliases the body
	ItemCount int    // how many logs, spans or metrics the client says are in it; 0 if it says nothing
}

// ReadEnvelope cuts an envelope into its items. Only a header that is no JSON object is an error, of kind
// fault.Invalid; nothing that is wrong in one item takes another with it:
//
//   - An item begins with a line that is a JSON object with a type. Its payload has the length given there; without
//     one it is the next line, which must not look like a header itself: then the payload is missing.
//   - A length is believed if a newline or the end of the body follows what it covers. Otherwise, or if it is no
//     whole number, the payload is what lies before the next line that can only be a header.
//   - A line that should be a header and is none counts as broken, together with all lines up to the next one that can
//     only be a header.
//
// A line can only be a header if it has no members but those that are known of headers, and what follows bears it out:
// its length ends at a newline or the end, or the line after it does not look like a header. Once something was wrong,
// no line with other members is taken for a header any more. Empty lines between items are passed over.
func ReadEnvelope(body []byte) (Envelope, error) {
	r := reader{body: body}
	env, err := r.header()
	if err != nil {
		return env, err
	}
	for r.skipEmpty(); r.at < len(body); r.skipEmpty() {
		if len(env.Items) == MaxItems {
			env.More = true
			break
		}
		item, ok := r.item()
		if !ok {
			env.Broken++
			r.wary = true
			r.at = r.resync(r.at)
			continue
		}
		env.Items = append(env.Items, item)
	}
	return env, nil
}

// reader walks over the body of an envelope.
type reader struct {
	body  []byte
	at    int
	wary  bool   // something was wrong
	clean []byte // of a header
}

// header reads the first line.
func (r *reader) header() (Envelope, error) {
	var env Envelope
	end := r.lineEnd(0)
	clean, ok := r.object(r.body[:end], maxHeader)
	if !ok {
		return env, fault.New(fault.Invalid, "an envelope must begin with a line that is a JSON object, such as {}, "+
			"of at most %d bytes", maxHeader)
	}
	for key, value := range rawjson.Object(clean) {
		switch string(key) {
		case "event_id":
			env.EventID, _ = parseID(value)
		case "dsn":
			if rawjson.KindOf(value) == rawjson.String {
				env.DSN = rawjson.Unquote(value)
			}
		}
	}
	r.at = min(end+1, len(r.body))
	return env, nil
}

// item reads the item that begins at r.at and leaves r.at after it; it moves nothing if there is none.
func (r *reader) item() (Item, bool) {
	end := r.lineEnd(r.at)
	h, ok := r.itemHeader(r.body[r.at:end])
	start := min(end+1, len(r.body))
	if !ok || r.wary && h.strange || !h.hasLength && r.looksLikeHeader(start) {
		return Item{}, false
	}
	next := r.payloadEnd(start, &h)
	payload := r.body[start:next]
	if h.wrong {
		payload = bytes.TrimRight(payload, "\r\n")
	}
	r.at = next
	return Item{Type: h.kind, Payload: payload[:len(payload):len(payload)], ItemCount: h.count}, true
}

// payloadEnd returns where the payload ends that begins at start. It notes a length that is not believed.
func (r *reader) payloadEnd(start int, h *itemHeader) int {
	switch {
	case h.wrong:
	case !h.hasLength:
		return r.lineEnd(start)
	case h.length <= len(r.body)-start && r.atEnd(start+h.length):
		return start + h.length
	}
	h.wrong, r.wary = true, true
	if r.isHeader(start) { // no payload at all
		return start
	}
	return r.resync(start)
}

// atEnd reports whether i is the end of the body or of a line.
func (r *reader) atEnd(i int) bool {
	return i == len(r.body) || r.body[i] == '\n' || bytes.HasPrefix(r.body[i:], []byte("\r\n"))
}

// lineEnd returns the index of the newline at or after i, or the end.
func (r *reader) lineEnd(i int) int {
	if n := bytes.IndexByte(r.body[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(r.body)
}

// skipEmpty passes over empty lines.
func (r *reader) skipEmpty() {
	for r.at < len(r.body) && (r.body[r.at] == '\n' || r.body[r.at] == '\r') {
		r.at++
	}
}
