// Package grouping decides which issue an event belongs to.
//
// Events with the same fingerprint belong together. A fingerprint is a hash of parts, and the parts come from
// the first of these that an event has:
//
//   - custom: what the client sent as fingerprint, where "{{ default }}" stands for the parts below and other
//     placeholders for what the event says (see Rule),
//   - rule: the fingerprint of the first rule of the project that matches,
//   - frames: the types of the exception chain and their in-app frames,
//   - exception: the types of the chain, the normalised values, and a file or a function where one is known,
//   - message: the normalised message.
//
// Whether a frame is in-app is for the client to say; where it does not, the rules for its platform decide. Left
// out is what changes with a deployment, a machine or an engine: line numbers, counters and hashes in names,
// closures (they count as the function that they stand in), generated classes, folders above a file, and the depth
// of a recursion.
//
// Of a chain all entries count, apart from wrappers that only carry somebody else's error, such as
// CompletionException. The entries of an exception group count as a set. A frame whose function has no name, or a
// minifier's, counts by its line of source; where that is missing too, the value and the file decide. A message
// that a client sent as an exception to give it a stack is grouped as a message. Go's errors are captured far from
// where they arose, so the value of one whose type says nothing counts besides its frames.
package grouping

import (
	"crypto/sha256"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
)

// Version is the version of the rules. It is hashed with the parts, so that rules can change without two
// generations of fingerprints meeting by chance. How it goes up: see Grouper.
const Version = 1

// Reason says which parts decided. It is hashed with them.
type Reason string

// The reasons, in their order of precedence.
const (
	Custom    Reason = "custom"
	ByRule    Reason = "rule"
	Frames    Reason = "frames"
	Exception Reason = "exception"
	Message   Reason = "message"
)

// Group sets the fingerprint, title and culprit of e, without rules of the project. The same event of the same
// project always gets the same ones.
func Group(projectID uuid.UUID, e *event.Event) { GroupWith(nil, projectID, e) }

// GroupWith is Group with the rules of the project, which may be nil.
func GroupWith(rules *Rules, projectID uuid.UUID, e *event.Event) {
	Current().Group(rules, projectID, e)
}

// hash returns the fingerprint of a version: the first 16 bytes of a SHA-256 with the marks of a UUID of version 8,
// which is the one for values of one's own making.
func (p *parts) hash(version byte, projectID uuid.UUID, reason Reason) uuid.UUID {
	copy(p.text, projectID[:])
	p.text[len(projectID)] = version
	p.text[len(projectID)+1] = reason[0] // the initials differ
	sum := sha256.Sum256(p.text)
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}
