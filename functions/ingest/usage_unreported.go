package ingest

import (
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/tenant"
)

// minuteOfProject is what events are counted by.
type minuteOfProject struct {
	project uuid.UUID
	minute  int64 // since 1970
}

// hourOfItem is what everything else is counted by.
type hourOfItem struct {
	project uuid.UUID
	hour    int64 // since 1970
	kind    string
}

// unreported is what was counted since the last report. Each kind is bounded: what there is no room for is counted with an
// earlier count of the project, or not at all when there is none.
type unreported struct {
	events map[minuteOfProject]tenant.Usage
	others map[hourOfItem]int64
	keys   map[uuid.UUID]time.Time // when each was used last
}

func newUnreported() unreported {
	return unreported{
		events: make(map[minuteOfProject]tenant.Usage), others: make(map[hourOfItem]int64), keys: make(map[uuid.UUID]time.Time),
	}
}

func (u unreported) empty() bool { return len(u.events) == 0 && len(u.others) == 0 }

// backMost is how many minutes are looked through for an earlier count of a project.
const backMost = 60

func (u unreported) count(at minuteOfProject, n tenant.Usage) {
	sum, ok := u.events[at]
	for back := at; !ok && len(u.events) >= unreportedMost && at.minute-back.minute < backMost; {
		back.minute--
		if sum, ok = u.events[back]; ok {
			at = back
		}
	}
	if ok || len(u.events) < unreportedMost {
		sum.Add(n)
		u.events[at] = sum
	}
}

func (u unreported) item(at hourOfItem, n int64) {
	if _, ok := u.others[at]; ok || len(u.others) < unreportedMost {
		u.others[at] += n
	}
}

// note keeps the last use of a key.
func (u unreported) note(key uuid.UUID, at time.Time) {
	last, ok := u.keys[key]
	if ok && at.After(last) || !ok && len(u.keys) < unreportedMost {
		u.keys[key] = at
	}
}

func (u unreported) add(other unreported) {
	for at, n := range other.events {
		u.count(at, n)
	}
	for at, n := range other.others {
		u.item(at, n)
	}
	for key, at := range other.keys {
		u.note(key, at)
	}
}

func (u unreported) report() tenant.UsageReport {
	r := tenant.UsageReport{Keys: u.keys}
	for at, n := range u.events {
		r.Minutes = append(r.Minutes, tenant.MinuteUsage{Project: at.project, At: time.Unix(at.minute*60, 0).UTC(), Usage: n})
	}
	for at, n := range u.others {
		r.Items = append(r.Items, tenant.ItemUsage{Project: at.project, At: time.Unix(at.hour*3600, 0).UTC(), Type: at.kind, Items: n})
	}
	return r
}
