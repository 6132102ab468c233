package ingest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/batch"
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/grouping"
	"github.com/mesherhq/mesher/shared/tenant"
	"github.com/mesherhq/mesher/shared/web"
)

// idempotencyMost is the longest Idempotency-Key, in bytes.
const idempotencyMost = 255

// intake is the events of one request on their way to the batcher, and what becomes of each.
type intake struct {
	access      tenant.Access
	decoder     *event.Decoder
	now         time.Time
	idempotency string
	twins       map[[sha256.Size]byte]int // how often an event's text was seen, when idempotency is set

	items    []batch.Item[line]
	accepted []accepted
	indexes  []int // the record that accepted[i] came from
	rejected []rejected
	failure  *fault.Error // why valid events were not published
	tooLarge int
	usage    tenant.Usage
}

// accepted is what a client is told of a published event.
type accepted struct {
	ID      uuid.UUID `json:"id"`
	EventID uuid.UUID `json:"event_id"`
}

// rejected is what a client is told of an event that was not taken.
type rejected struct {
	Index     int    `json:"index"`
	Error     string `json:"error"`
	Retryable bool   `json:"retryable"`
}

// read decodes the events of a body into items. Invalid ones are noted and leave the others alone; an error is
// returned when the body as a whole cannot be read, or the instance has no memory left.
func (in *intake) read(body []byte, most int, lease *web.Lease) error {
	// Most bodies are one event. Only what is not has to be searched for where each event ends.
	var e event.Event
	if err := in.decoder.Decode(body, in.now, &e); err == nil {
		return in.take(&e, 0, body, lease)
	}
	records, err := cutRecords(body, most)
	if err != nil {
		return err
	}
	in.items = make([]batch.Item[line], 0, len(records))
	in.accepted = make([]accepted, 0, len(records))
	for i, raw := range records {
		if err := in.decoder.Decode(raw, in.now, &e); err != nil {
			in.reject(i, err)
			continue
		}
		if err := in.take(&e, i, raw, lease); err != nil {
			return err
		}
	}
	return nil
}

// take makes an item of an event that was decoded from raw.
func (in *intake) take(e *event.Event, index int, raw []byte, lease *web.Lease) error {
	in.complete(e, index, raw)
	size := e.LineSize() + len("\n")
	if err := lease.Take(int64(size)); err != nil {
		return err
	}
	text := append(e.AppendLine(make([]byte, 0, size)), '\n')
	in.items = append(in.items, batch.Item[line]{Value: line{text, in.access.KeyID}, Count: 1, Bytes: len(text)})
	in.accepted = append(in.accepted, accepted{e.ID, e.EventID})
	in.indexes = append(in.indexes, index)
	return nil
}

// complete gives the event what is fixed at ingest, besides its id and time: redelivering its message then stores
// the same row.
func (in *intake) complete(e *event.Event, index int, raw []byte) {
	// The twelve random bits behind the time and the version become the event's place in its request, so that ids
	// of one request sort like its events (RFC 9562, 6.2, method 1).
	binary.BigEndian.PutUint16(e.ID[6:], 0x7000|uint16(index)&0xfff)
	if e.EventID == uuid.Nil {
		e.EventID = e.ID
		if in.idempotency != "" {
			e.EventID = in.idempotentID(raw)
		}
	}
	if e.Environment == "" {
		e.Environment = in.access.Environment
	}
	grouping.Group(in.access.ProjectID, e)
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

func (in *intake) reject(index int, err error) {
	text := "the event cannot be read"
	var e *fault.Error
	if errors.As(err, &e) {
		text = e.Detail
	}
	if fault.Is(err, fault.TooLarge) {
		in.tooLarge++
	}
	in.rejected = append(in.rejected, rejected{Index: index, Error: text})
	in.usage.Rejected++
}

// settle takes what the batcher made of the items; nil errs means all are published.
func (in *intake) settle(errs []error) {
	if errs == nil {
		in.usage.Accepted = int64(len(in.items))
		return
	}
	kept := in.accepted[:0]
	for i, err := range errs {
		if err == nil {
			kept = append(kept, in.accepted[i])
			in.usage.Accepted++
			continue
		}
		in.failure = dropped(err)
		in.rejected = append(in.rejected, rejected{Index: in.indexes[i], Error: in.failure.Detail, Retryable: true})
		in.usage.Dropped++
	}
	in.accepted = kept
}

// answer tells the client what was accepted and what was not: 202 if anything was.
func (in *intake) answer(w http.ResponseWriter) error {
	if in.rejected == nil {
		in.rejected = []rejected{}
	}
	if len(in.accepted) > 0 {
		return web.JSON(w, http.StatusAccepted, struct {
			Accepted []accepted `json:"accepted"`
			Rejected []rejected `json:"rejected"`
		}{in.accepted, in.rejected})
	}
	extra := map[string]any{"rejected": in.rejected}
	switch {
	case in.failure != nil:
		return &web.Problem{Err: in.failure, Extra: extra}
	case in.tooLarge == len(in.rejected):
		return &web.Problem{Err: fault.New(fault.TooLarge, "%s", in.rejected[0].Error), Extra: extra}
	case len(in.rejected) == 1:
		return &web.Problem{Err: fault.New(fault.Invalid, "%s", in.rejected[0].Error), Extra: extra}
	}
	return &web.Problem{Err: fault.New(fault.Invalid,
		"none of the %d events is valid; the first: %s", len(in.rejected), in.rejected[0].Error), Extra: extra}
}
