package eventtest_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/event/eventtest"
	"github.com/mesherhq/mesher/shared/grouping"
)

func TestRealistic(t *testing.T) {
	t.Parallel()
	const count = 20 * eventtest.Issues
	rng := rand.New(rand.NewPCG(1, 2))
	size, ids, issues := 0, map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	for i := range count {
		raw := eventtest.Realistic(rng, i)
		e, err := event.Decode(raw, event.DefaultLimits(), time.Now())
		if err != nil {
			t.Fatalf("%v in %s", err, raw)
		}
		if e.Meta != nil {
			t.Fatalf("meta %s of %s", e.Meta, raw)
		}
		grouping.Group(uuid.Nil, &e)
		size, ids[e.EventID], issues[e.Fingerprint] = size+len(raw), true, true
	}
	if len(ids) != count || len(issues) != eventtest.Issues {
		t.Errorf("%d event ids of %d, %d issues of %d", len(ids), count, len(issues), eventtest.Issues)
	}
	if mean := size / count; mean < 2300 || mean > 2900 {
		t.Errorf("an event has %d bytes on average, want about 2500", mean)
	}
}
