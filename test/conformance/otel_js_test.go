//go:build conformance

package conformance

import (
	"encoding/json"
	"testing"
)

func TestOpenTelemetryJavaScript(t *testing.T) {
	t.Parallel()
	var said struct {
		Events []struct {
			Case string `json:"case"`
			Name string `json:"name"`
			Want object `json:"want"`
			Top  string `json:"top"`
		} `json:"events"`
		Never []string `json:"never"`
	}
	out := run(t, "js", "node", "otel.mjs")
	if err := json.Unmarshal(out, &said); err != nil || len(said.Events) == 0 {
		t.Fatalf("the driver wrote no list of events: %v\n%s", err, short(out))
	}
	wants := map[string]want{}
	for _, e := range said.Events {
		wants[e.Case] = want{e.Name, e.Want, e.Top, 1}
	}
	checkCases(t, wants, said.Never)
}
