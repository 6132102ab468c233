package ingest

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/tenant"
)

// sampled reports whether the event is one of those that the project keeps. That follows from its id alone: one that is
// sent again fares as before, whichever instance takes it.
func sampled(a *tenant.Access, event uuid.UUID) bool {
	if a.SampleRate >= 1 {
		return true
	}
	// Ids need not be random in all of their bits, so all of them are mixed (the finisher of SplitMix64).
	x := binary.BigEndian.Uint64(event[:8]) ^ binary.BigEndian.Uint64(event[8:])*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11)/(1<<53) < a.SampleRate
}

// discarded reports whether the event belongs to an issue whose events the project does not want. Its former fingerprint
// is none of its business: the event's own may have an issue that is wanted, and where it has none, Store binds it to the
// discarded one, as it must before there is yet another version of grouping. From then on it is found here.
func discarded(a *tenant.Access, fingerprint uuid.UUID) bool {
	if len(a.Discarded) == 0 {
		return false
	}
	_, found := slices.BinarySearchFunc(a.Discarded, fingerprint, func(x, y uuid.UUID) int { return bytes.Compare(x[:], y[:]) })
	return found
}
