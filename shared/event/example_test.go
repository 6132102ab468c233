package event_test

import (
	"fmt"
	"time"

	"github.com/mesherhq/mesher/shared/event"
)

func ExampleDecode() {
	raw := []byte(`{"message": "disk full", "level": "error", "timestamp": 1769860799, "tags": {"disk": 3}, "free": 0}`)
	e, err := event.Decode(raw, event.DefaultLimits(), time.Now())
	fmt.Println(err)
	fmt.Println(e.Level, e.Message, e.OccurredAt.Format(time.RFC3339))
	fmt.Printf("%s %s\n", e.Tags, e.Extra)

	_, err = event.Decode([]byte(`{"message": "disk full", "level": "loud", "timestamp": 1769860799}`), event.DefaultLimits(), time.Now())
	fmt.Println(err)
	// Output:
	// <nil>
	// error disk full 2026-01-31T11:59:59Z
	// {"disk":"3"} {"free":0}
	// level must be one of fatal, error, warning, info, debug, not "loud"
}

func ExampleLimits_Table() {
	for _, row := range event.DefaultLimits().Table()[:2] {
		fmt.Printf("%s: %s (%s)\n", row.Name, row.Value, row.Doc)
	}
	// Output:
	// event: 1048576 bytes (JSON text of one event; a larger one is refused)
	// nesting: 100 levels (arrays and objects within each other; deeper is refused)
}
