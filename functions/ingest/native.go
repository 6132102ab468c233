package ingest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/batch"
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/web"
)

// idempotencyMost is the longest Idempotency-Key, in bytes.
const idempotencyMost = 255

// native takes events in Mesher's own format.
func (f *Function) native(w http.ResponseWriter, r *http.Request) error {
	in, err := f.receive(w, r, "", func(in *intake, body []byte) error {
		if in.idempotency = r.Header.Get("Idempotency-Key"); len(in.idempotency) > idempotencyMost {
			return fault.New(fault.Invalid, "the Idempotency-Key has %d bytes; at most %d are allowed", len(in.idempotency), idempotencyMost)
		}
		return in.readNative(body, f.cfg.MaxEvents)
	})
	if err != nil {
		return err
	}
	return in.answerNative(w)
}

// readNative decodes the events of a body into items. Invalid ones are noted and leave the others alone; an error is
// returned when the body as a whole cannot be read, or the instance has no memory left.
func (in *intake) readNative(body []byte, most int) error {
	// Most bodies are one event. Only what is not has to be searched for where each event ends.
	var e event.Event
	if err := in.tools.decoder.Decode(body, in.now, &e); err == nil {
		return in.take(&e, 0, body)
	}
	records, err := cutRecords(body, most)
	if err != nil {
		return err
	}
	in.items = make([]batch.Item[line], 0, len(records))
	in.accepted = make([]accepted, 0, len(records))
	for i, raw := range records {
		if err := in.tools.decoder.Decode(raw, in.now, &e); err != nil {
			in.reject(i, err)
			continue
		}
		if err := in.take(&e, i, raw); err != nil {
			return err
		}
	}
	return nil
}

// idempotentID derives an event's id from the client's Idempotency-Key and the event's own text, so that an
// event that is sent again is stored once, be it with all of its request or with the part that was not taken.
// Equal events of one request are told apart by their number (RFC 9562, version 8).
func (in *intake) idempotentID(raw []byte) uuid.UUID {
	text := sha256.Sum256(bytes.TrimSpace(raw))
	if in.twins == nil {
		in.twins = make(map[[sha256.Size]byte]int)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "idempotency %s %x %d %s", in.access.ProjectID, text, in.twins[text], in.idempotency))
	in.twins[text]++
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// answerNative tells the client what was accepted and what was not: 202 if anything was.
func (in *intake) answerNative(w http.ResponseWriter) error {
	if len(in.accepted) == 0 {
		return in.refusal()
	}
	if in.rejected == nil {
		in.rejected = []rejected{}
	}
	return web.JSON(w, http.StatusAccepted, struct {
		Accepted []accepted `json:"accepted"`
		Rejected []rejected `json:"rejected"`
	}{in.accepted, in.rejected})
}
