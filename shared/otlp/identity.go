package otlp

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"
)

// EventID returns the id of the event that the record becomes: a UUID of version 8, the hash of the record with
// its resource and scope as they came. An export that is sent again gives the same ids, whatever else it is
// sent with; records of one request that are alike to the last bit are told apart by their order.
func (rec *Record) EventID() uuid.UUID {
	if rec.id != uuid.Nil {
		return rec.id
	}
	h := sha256.New()
	h.Write(rec.scope.prefix)
	if rec.span != nil {
		h.Write(rec.span.digest)
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(rec.index)))
	}
	h.Write(rec.raw)
	id := asUUID(h.Sum(nil))
	twin := rec.request.seen[id]
	rec.request.seen[id]++
	if twin > 0 {
		id = asUUID(sum(binary.LittleEndian.AppendUint64(id[:], uint64(twin))))
	}
	rec.id = id
	return id
}

// sum returns the hash of data.
func sum(data []byte) []byte {
	hash := sha256.Sum256(data)
	return hash[:]
}

// asUUID makes a hash a UUID of version 8.
func asUUID(hash []byte) (id uuid.UUID) {
	copy(id[:], hash)
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}
