package grouping_test

import (
	"math/rand/v2"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/event/eventtest"
	"github.com/mesherhq/mesher/shared/grouping"
)

func FuzzGroup(f *testing.F) {
	f.Add(eventtest.Realistic(rand.New(rand.NewPCG(1, 2)), 1))
	f.Add([]byte(`{"message":"a 1 'b' 0x1f 10.0.0.1","level":"error","timestamp":1,"fingerprint":["{{ default }}","x"]}`))
	f.Add([]byte(`{"exception":{"type":"E","value":"v","stacktrace":[{"abs_path":"/a/b.go","function":"f.func1"},{"filename":"a.1234567.js"}]},"level":"error","timestamp":1}`))
	at := time.Unix(1769860800, 0)
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := event.Decode(raw, event.DefaultLimits(), at)
		if err != nil {
			return
		}
		first := grouping.Explain(project, &e, nil)
		grouping.Group(project, &e)
		if e.Fingerprint != first.Fingerprint || e.Title != first.Title || e.Culprit != first.Culprit {
			t.Fatalf("%s, %q, %q differs from %+v", e.Fingerprint, e.Title, e.Culprit, first)
		}
		if len(first.Parts) == 0 || e.Title == "" || !utf8.ValidString(e.Title) || !utf8.ValidString(e.Culprit) ||
			utf8.RuneCountInString(e.Title) > 200 || utf8.RuneCountInString(e.Culprit) > 500 {
			t.Fatalf("%+v", first)
		}
		e.EventID = e.ID
		var again event.Event
		if err := event.DecodeLine(e.AppendLine(nil), &again); err != nil {
			t.Fatal(err)
		}
		if after := grouping.Explain(project, &again, nil); after.Fingerprint != first.Fingerprint {
			t.Fatalf("the line groups otherwise: %+v, %+v", first, after)
		}
	})
}

func FuzzNormalise(f *testing.F) {
	f.Add("took 12ms for a@b.c at 10.0.0.1:80 'x' https://e.x/ 2026-01-31T12:00:00Z 0xff -5 3.5")
	f.Fuzz(func(t *testing.T, message string) {
		e := event.Event{Message: message}
		first := grouping.Explain(project, &e, nil)
		if second := grouping.Explain(project, &e, nil); first.Fingerprint != second.Fingerprint || first.Title == "" {
			t.Fatalf("%+v, then %+v", first, second)
		}
	})
}
