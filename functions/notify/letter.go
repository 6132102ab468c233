package notify

import (
	"github.com/mesherhq/mesher/shared/alert"
)

// page is what the texts about alerts may mention.
type page struct {
	Site string
	message
}

// mailKind returns which text tells a story.
func mailKind(s alert.Story) kind {
	switch {
	case s.Event == "resolved" || s.Combined:
		return alertResolved
	case s.Event == "fired":
		return alertFired
	case s.Event == "digest":
		return alertDigest
	case s.Event == "budget":
		return alertBudget
	}
	return alertTest
}

// inMail returns a message in which mail programs find no link but ours: what caused an alert may have been written by
// anybody.
func (m message) inMail() message {
	m.Title, m.Text = unlinked(m.Title), oneLine(m.Text)
	facts := make([]fact, 0, len(m.Facts))
	for _, f := range m.Facts {
		if f.Name != "Since" && f.Name != "Resolved" {
			f.Value = unlinked(f.Value)
		}
		facts = append(facts, fact{unlinked(f.Name), f.Value})
	}
	items := make([]item, 0, len(m.Items))
	for _, i := range m.Items {
		i.Title = unlinked(i.Title)
		items = append(items, i)
	}
	m.Facts, m.Items = facts, items
	return m
}
