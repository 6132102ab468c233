// Package grouping decides which issue an event belongs to.
//
// Events with the same fingerprint belong together. A fingerprint is a hash of parts, and the parts come from
// the first of these that an event has:
//
//   - custom: what the client sent as fingerprint, where "{{ default }}" stands for the parts below,
//   - frames: the types of the exception chain and their in-app frames (all frames if none is in-app),
//   - exception: the types of the chain and the normalised value of the last,
//   - message: the normalised message.
//
// Line numbers, counters in the names of anonymous functions and the depth of a recursion are left out, so
// that an issue survives a deployment.
package grouping

import (
	"crypto/sha256"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
)

// Version is the version of the rules. It is hashed with the parts, so that rules can change without two
// generations of fingerprints meeting by chance.
const Version = 1

// Reason says which parts decided. It is hashed with them.
type Reason string

// The reasons, in their order of precedence.
const (
	Custom    Reason = "custom"
	Frames    Reason = "frames"
	Exception Reason = "exception"
	Message   Reason = "message"
)

// Result is how an event is grouped, and why.
type Result struct {
	Fingerprint uuid.UUID
	Title       string // at most 200 characters, one line, never empty
	Culprit     string // at most 500 characters; empty when nothing is known
	Reason      Reason
	Parts       []string
}

// Group sets the fingerprint, title and culprit of e. The same event of the same project always gets the
// same ones.
func Group(projectID uuid.UUID, e *event.Event) {
	p := newParts()
	defer p.release()
	reason := p.collect(e)
	e.Fingerprint = p.hash(projectID, reason)
	e.Title = title(e)
	e.Culprit = p.culprit(e.Transaction)
}

// Explain returns what Group sets, with the parts and the reason. It does not change e.
func Explain(projectID uuid.UUID, e *event.Event) Result {
	p := newParts()
	defer p.release()
	reason := p.collect(e)
	return Result{
		Fingerprint: p.hash(projectID, reason),
		Title:       title(e),
		Culprit:     p.culprit(e.Transaction),
		Reason:      reason,
		Parts:       p.strings(),
	}
}

// hash returns the fingerprint: the first 16 bytes of a SHA-256 with the marks of a UUID of version 8, which
// is the one for values of one's own making.
func (p *parts) hash(projectID uuid.UUID, reason Reason) uuid.UUID {
	copy(p.text, projectID[:])
	p.text[len(projectID)] = Version
	p.text[len(projectID)+1] = reason[0] // the initials differ
	sum := sha256.Sum256(p.text)
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}
