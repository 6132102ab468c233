package grouping_test

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/grouping"
)

// object is a decoded JSON object, changed in place by a change.
type object = map[string]any

// change makes two variants of an event differ: it is called with 0 for one and 1 for the other. It reports
// whether it makes sense for this event.
type change struct {
	name string
	make func(e object, variant int) bool
}

// entries returns the exception chain.
func entries(e object) []object {
	list, _ := e["exception"].([]any)
	out := make([]object, len(list))
	for i, entry := range list {
		out[i] = entry.(object)
	}
	return out
}

// frames returns the frames of an entry.
func frames(entry object) []object {
	stack, _ := entry["stacktrace"].(object)
	list, _ := stack["frames"].([]any)
	out := make([]object, len(list))
	for i, f := range list {
		out[i] = f.(object)
	}
	return out
}

// eachFrame calls f for each frame, and reports whether it changed any.
func eachFrame(e object, f func(frame object) bool) bool {
	changed := false
	for _, entry := range entries(e) {
		for _, frame := range frames(entry) {
			changed = f(frame) || changed
		}
	}
	return changed
}

// say appends to the message and the values.
func say(e object, text string) bool {
	if m, ok := e["message"].(string); ok {
		e["message"] = m + text
	}
	for _, entry := range entries(e) {
		v, _ := entry["value"].(string)
		entry["value"] = v + text
	}
	return true
}

// edit sets a text of an object to what f makes of it, if f changes it.
func edit(o object, key string, f func(string) string) bool {
	text, ok := o[key].(string)
	if !ok {
		return false
	}
	o[key] = f(text)
	return o[key] != text
}

// words makes a change that appends one of two texts to what the event says.
func words(name, a, b string) change {
	return change{name, func(e object, i int) bool { return say(e, []string{a, b}[i]) }}
}

// variant returns the fingerprint of a changed event, and whether the change makes sense.
func variant(t *testing.T, raw []byte, c change, i int) (id uuid.UUID, parts []string, ok bool) {
	t.Helper()
	var e object
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	if !c.make(e, i) {
		return id, nil, false
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	got := take(t, text)
	grouping.Group(project, &got)
	return got.Fingerprint, explained(got), true
}

// TestChanges changes each event of the corpus in what must not and in what must matter.
func TestChanges(t *testing.T) {
	t.Parallel()
	samples := corpus(t)
	for _, set := range []struct {
		name    string
		changes []change
		same    bool
	}{{"must not matter", neutral(), true}, {"must matter", telling(), false}} {
		for _, c := range set.changes {
			t.Run(set.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				tried, wrong := 0, 0
				for _, s := range samples {
					a, first, ok := variant(t, s.Event, c, 0)
					b, second, also := variant(t, s.Event, c, 1)
					if !ok || !also {
						continue
					}
					if tried++; (a == b) != set.same {
						wrong++
						t.Errorf("%s: %q and %q", s.Group, first, second)
					}
				}
				if tried == 0 {
					t.Error("no event to try it on")
				}
				t.Logf("%d of %d right", tried-wrong, tried)
			})
		}
	}
}
