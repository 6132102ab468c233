package grouping

import (
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
)

// Algorithm returns the fingerprint that a version of the rules gives e. It does not change e.
type Algorithm func(rules *Rules, projectID uuid.UUID, e *event.Event) uuid.UUID

// Grouper groups events by Version. Where a version came before, it tells the fingerprint of that one as well, so
// that events keep going to the issues that they went to: Store binds a fingerprint that has no issue to that of the
// former one.
//
// A change that gives some events another fingerprint makes a version:
//
//   - Version goes up by one,
//   - what the change replaces is kept as an Algorithm that hashes with the former version's number,
//   - Current names it as Former, in the place of the one before.
//
// Each version knows its last one only. Whatever came in meanwhile is bound by then; an issue that had no event under
// a whole version opens anew.
type Grouper struct {
	Former Algorithm // of the version before; nil when there is none
}

// Current returns the grouper that Group and GroupWith use.
func Current() Grouper { return Grouper{} }

// Group sets the fingerprint, former fingerprint, title and culprit of e. The rules may be nil.
func (g Grouper) Group(rules *Rules, projectID uuid.UUID, e *event.Event) {
	p := newParts()
	defer p.release()
	reason := p.collect(rules, e)
	e.Fingerprint = p.hash(Version, projectID, reason)
	e.Former = uuid.Nil
	if g.Former != nil {
		if former := g.Former(rules, projectID, e); former != e.Fingerprint {
			e.Former = former
		}
	}
	e.Title = p.title(e)
	e.Culprit = p.culprit(e.Transaction)
}
