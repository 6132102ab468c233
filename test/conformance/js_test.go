//go:build conformance

package conformance

import (
	"encoding/json"
	"slices"
	"testing"
)

// driven is what a driver in another language says it has done.
type driven struct {
	Release string   `json:"release"`
	Events  []sent   `json:"events"`
	Kinds   []string `json:"kinds"` // types of the items that were sent
}

func TestSentryNode(t *testing.T) {
	t.Parallel()
	for _, major := range []string{"8", "10", "11"} {
		t.Run(major, func(t *testing.T) {
			t.Parallel()
			checkDriven(t, run(t, "js", "node", "node.mjs", major), "event", "attachment", "session")
		})
	}
}

// checkDriven compares what a driver says with what is stored.
func checkDriven(t *testing.T, out []byte, kinds ...string) {
	t.Helper()
	var d driven
	if err := json.Unmarshal(out, &d); err != nil {
		t.Fatalf("the driver wrote no list of events: %v\n%s", err, short(out))
	}
	for _, kind := range kinds {
		if !slices.Contains(d.Kinds, kind) {
			t.Errorf("no %s was sent, %v were: the test shows less than it says", kind, d.Kinds)
		}
	}
	for _, e := range d.Events {
		if e.Event == nil {
			t.Errorf("%s: the SDK did not send the event %q", e.Name, e.ID)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	check(t, d.Release, d.Events)
}
