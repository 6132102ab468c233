package store

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/topic"
	"github.com/mesherhq/mesher/shared/web"
)

// parcel is one message, decoded: the rows it asks to store, and the message itself for the case that it
// cannot be.
type parcel struct {
	project uuid.UUID
	message topic.Message
	rows    []row
}

// row is one event, already in the form that COPY takes, and what is counted about it.
type row struct {
	id, eventID, fingerprint uuid.UUID
	former                   uuid.UUID // as of the event
	receivedAt               time.Time
	level                    event.Level
	title, culprit, release  string
	environment              string
	user                     uuid.UUID   // userHash
	newTags                  bool        // a tag has a value that was not known to be written
	tags                     []byte      // as of the event
	tuple                    []byte      // binary COPY tuple
	line                     []byte      // the event's canonical line
	columns                  []alert.Tag // what counts as a tag without being one; nil: no rule has asked for it
}

// decode unpacks a message. An error is fault.Invalid when the message can never be stored, with the reason,
// and fault.Unavailable when there is no memory for it now.
func decode(z *zstd.Decoder, m topic.Message, lease *web.Lease, known *memory) (*parcel, error) {
	if schema := m.Attributes["schema"]; schema != strconv.Itoa(event.Schema) {
		return nil, fault.New(fault.Invalid, "schema %q of the message is not known; this version knows %d", schema, event.Schema)
	}
	project, err := uuid.Parse(m.Attributes["project_id"])
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "the message has no valid project_id")
	}
	raw, err := unpack(z, m.Data, lease)
	if err != nil {
		return nil, err
	}
	lines := bytes.Count(raw, []byte{'\n'}) + 1
	if lines > rowsMost+1 { // the last one ends in a line feed, too
		return nil, fault.New(fault.Invalid, "the message holds over %d lines", rowsMost)
	}
	// Tuples are about as long as the lines they are made of.
	room := len(raw) + len(raw)/4
	if err := lease.Take(int64(room) + int64(lines)*int64(reflect.TypeFor[row]().Size())); err != nil {
		return nil, err
	}
	p := &parcel{project: project, message: m, rows: make([]row, 0, lines)}
	tuples := make([]byte, 0, room)
	for n := 0; len(raw) > 0; n++ {
		line, rest, _ := bytes.Cut(raw, []byte{'\n'})
		raw = rest
		if len(line) == 0 {
			continue
		}
		var e event.Event
		if err := event.DecodeLine(line, &e); err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "event %d of the message cannot be read", n)
		}
		start := len(tuples)
		tuples = AppendTuple(tuples, project, &e)
		p.rows = append(p.rows, row{
			id: e.ID, eventID: e.EventID, fingerprint: e.Fingerprint, former: e.Former, receivedAt: e.ReceivedAt, level: e.Level,
			title: e.Title, culprit: e.Culprit, release: e.Release, environment: e.Environment, tags: e.Tags, user: userHash(project, &e), newTags: known.newTags(&e),
			tuple: tuples[start:len(tuples):len(tuples)], line: line,
		})
	}
	if len(p.rows) == 0 {
		return nil, fault.New(fault.Invalid, "the message holds no event")
	}
	return p, nil
}

// unpack decompresses a message's data, which is one frame, within rawMost. It allocates what lease was charged
// with and no more: the decoder refuses what a second frame would add.
func unpack(z *zstd.Decoder, data []byte, lease *web.Lease) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(data); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "the message is not zstd data")
	}
	size := uint64(rawMost)
	if h.HasFCS {
		size = h.FrameContentSize
	}
	if size > rawMost {
		return nil, fault.New(fault.Invalid, "the message unpacks to over %d bytes", rawMost)
	}
	if err := lease.Take(int64(size)); err != nil {
		return nil, err
	}
	raw, err := z.DecodeAll(data, make([]byte, 0, size))
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "the message is not valid zstd data")
	}
	return raw, nil
}

// newDecoder returns the decoder that all requests share.
func newDecoder() (*zstd.Decoder, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(rawMost),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, fmt.Errorf("make a zstd decoder: %w", err)
	}
	return z, nil
}
