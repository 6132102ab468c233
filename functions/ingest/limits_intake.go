package ingest

import (
	"net/http"
	"sort"

	"github.com/mesherhq/mesher/shared/event"
)

// filter takes an event that the project does not want to keep: its client is told that it is accepted.
func (in *intake) filter(e *event.Event, index int) {
	in.filtered = append(in.filtered, accepted{e.ID, e.EventID})
	in.passed = append(in.passed, index)
	in.usage.Filtered++
}

// limit refuses an event that is more than a limit allows.
func (in *intake) limit(index int, why *refusal) {
	if in.limited == nil {
		in.limited = why
	}
	in.rejected = append(in.rejected, rejected{Index: index, Error: why.fault().Detail, Retryable: true})
	in.usage.Add(why.usage(1))
}

// cut refuses all items but the first n.
func (in *intake) cut(n int, why *refusal) {
	if n == len(in.items) {
		return
	}
	for _, index := range in.indexes[n:] {
		in.limit(index, why)
	}
	in.items, in.accepted, in.indexes = in.items[:n], in.accepted[:n], in.indexes[:n]
}

// conclude says what the limits did, and puts what was not kept back among what was accepted, in the order of the request.
func (in *intake) conclude(h http.Header) {
	if len(in.filtered) > 0 {
		in.accepted = append(in.accepted, in.filtered...)
		in.indexes = append(in.indexes, in.passed...)
		sort.Sort((*byIndex)(in))
	}
	if in.limited == nil {
		return
	}
	in.limited.announce(h)
	if in.failure == nil && len(in.accepted) == 0 {
		in.failure = in.limited.fault()
	}
}

// byIndex sorts what was accepted by where it stood in the request.
type byIndex intake

func (in *byIndex) Len() int           { return len(in.indexes) }
func (in *byIndex) Less(i, j int) bool { return in.indexes[i] < in.indexes[j] }
func (in *byIndex) Swap(i, j int) {
	in.accepted[i], in.accepted[j] = in.accepted[j], in.accepted[i]
	in.indexes[i], in.indexes[j] = in.indexes[j], in.indexes[i]
}
