package ingest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/batch"
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/tenant"
	"github.com/mesherhq/mesher/shared/web"
)

// intake is the events of one request on their way to the batcher, and what becomes of each. Events of all formats go the
// same way from where they are decoded: take.
type intake struct {
	access tenant.Access
	now    time.Time
	from   *http.Request
	hops   int // Config.Hops
	lease  *web.Lease
	tools  *tools
	treat  treatment

	idempotency string
	twins       map[[sha256.Size]byte]int // how often an event's text was seen, when idempotency is set

	refuse  *refusal // why no event of the request can be taken, as it looked when the body was read
	limited *refusal // why some were not
	shed    int      // events that were refused at once
	unread  bool     // the limits are not known before the usage report ends

	items    []batch.Item[line]
	accepted []accepted
	indexes  []int      // the record that accepted[i] came from
	filtered []accepted // taken and not kept, as the project wants it
	passed   []int      // the record that filtered[i] came from
	rejected []rejected
	failure  *fault.Error // why valid events were not published
	tooLarge int
	usage    tenant.Usage
	others   map[string]int64 // what came besides events, by type
	checkIns []monitor.CheckIn

	release  func() // of the lease
	reported func() // waits for the usage report that the request makes
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

// take makes an item of an event that was decoded. Raw is what it came as, where an Idempotency-Key is to name it. An
// event that is refused is noted; an error is returned only when the instance has no memory left.
func (in *intake) take(e *event.Event, index int, raw []byte) error {
	in.complete(e, index, raw)
	switch {
	case !sampled(&in.access, e.EventID):
		in.filter(e, index)
		return nil
	case in.refuse != nil:
		in.shed++
		in.limit(index, in.refuse)
		return nil
	}
	in.fillAddress(e)
	in.treat.apply(e)
	if discarded(&in.access, e.Fingerprint) {
		in.filter(e, index)
		return nil
	}
	size := e.LineSize() + len("\n")
	if most := in.tools.limits.LineBytes(); size > most+len("\n") {
		in.reject(index, fault.New(fault.TooLarge, "the event has %d bytes in the form it is stored in, the limit is %d", size, most))
		return nil
	}
	if err := in.lease.Take(int64(size)); err != nil {
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
}

// other counts what is no event and not kept.
func (in *intake) other(kind string, n int64) {
	if in.others == nil {
		in.others = make(map[string]int64)
	}
	in.others[kind] += n
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
	kept, indexes := in.accepted[:0], in.indexes
	in.indexes = in.indexes[:0]
	for i, err := range errs {
		if err == nil {
			kept = append(kept, in.accepted[i])
			in.indexes = append(in.indexes, indexes[i])
			in.usage.Accepted++
			continue
		}
		in.failure = dropped(err)
		in.rejected = append(in.rejected, rejected{Index: indexes[i], Error: in.failure.Detail, Retryable: true})
		in.usage.Dropped++
	}
	in.accepted = kept
}

// refusal is the answer to a request of which nothing was taken.
func (in *intake) refusal() error {
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
