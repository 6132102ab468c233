package grouping_test

import (
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/grouping"
)

// texts returns the parts of an explanation.
func texts(x grouping.Explanation) []string {
	list := make([]string, len(x.Parts))
	for i, part := range x.Parts {
		list[i] = part.Text
	}
	return list
}

// explained returns the parts of an event.
func explained(e event.Event) []string { return texts(grouping.Explain(project, &e, nil)) }
