package grouping_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/event/eventtest"
	"github.com/mesherhq/mesher/shared/grouping"
)

// realistic returns some realistic events as text and their size.
func realistic(b *testing.B) (raws [][]byte, size int64) {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 64 {
		raws = append(raws, eventtest.Realistic(rng, i))
		size += int64(len(raws[i]))
	}
	return raws, size / 64
}

func BenchmarkGroup(b *testing.B) {
	raws, _ := realistic(b)
	events := make([]event.Event, len(raws))
	for i, raw := range raws {
		e, err := event.Decode(raw, event.DefaultLimits(), time.Now())
		if err != nil {
			b.Fatal(err)
		}
		events[i] = e
	}
	project := uuid.New()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		grouping.Group(project, &events[i%len(events)])
	}
}

// BenchmarkUnflagged groups the realistic events as if the client said nothing about its frames, on platforms with
// many rules.
func BenchmarkUnflagged(b *testing.B) {
	raws, _ := realistic(b)
	for _, platform := range []string{"go", "python", "java", "javascript", "csharp", "native"} {
		raw := bytes.ReplaceAll(raws[0], []byte(`,"in_app":true`), nil)
		raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte(`,"in_app":false`), nil), []byte(`"platform":"go"`), []byte(`"platform":"`+platform+`"`))
		e, err := event.Decode(raw, event.DefaultLimits(), time.Now())
		if err != nil {
			b.Fatal(err)
		}
		b.Run(platform, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				grouping.Group(uuid.Nil, &e)
			}
		})
	}
}

// BenchmarkGroupWith groups with as many rules as a project can have, none of which matches.
func BenchmarkGroupWith(b *testing.B) {
	raws, _ := realistic(b)
	e, err := event.Decode(raws[0], event.DefaultLimits(), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	r := rule("type", "Nothing*", "function", "*.never", "path", "*/vendor/*")
	rules := compile(b, slices.Repeat([]grouping.Rule{r}, grouping.MostRules)...)
	project := uuid.New()
	b.ReportAllocs()
	for b.Loop() {
		grouping.GroupWith(rules, project, &e)
	}
}

// BenchmarkHostile groups events whose text is made to be looked at again and again. The time per byte must be
// about the same for each and both sizes.
func BenchmarkHostile(b *testing.B) {
	project := uuid.New()
	for _, unit := range []string{"\"a ", "a-", "~", "/v2", "a.b@", ")=(", "#PID<", "::", "1.", "[", "{{", "3m", "x$1", "<a", "::{", "(", "$$Lambda", ".func1", "\\", "a1-", "`1", "/a "} {
		for _, size := range []int{1 << 10, 1 << 16} {
			text := strings.Repeat(unit, size/len(unit))
			frame := fmt.Sprintf(`{"module":%q,"function":%q,"filename":%q}`, text, text, text)
			for _, platform := range []string{"go", "javascript", "java", "csharp", "rust", "native", "other"} {
				raw := fmt.Sprintf(`{"level":"error","timestamp":1,"platform":%q,"exception":[{"type":%q,"value":%q,"stacktrace":[%s]},{"type":"E","value":%q}]}`,
					platform, text, text, frame, text)
				e, err := event.Decode([]byte(raw), event.DefaultLimits(), time.Unix(1769860800, 0))
				if err != nil {
					b.Fatal(err)
				}
				b.Run(fmt.Sprintf("%s/%s/%d", platform, unit, size), func(b *testing.B) {
					b.SetBytes(int64(len(raw)))
					for b.Loop() {
						grouping.Group(project, &e)
					}
				})
			}
		}
	}
}

// BenchmarkIngest is all that Ingest does to an event between reading and publishing it.
func BenchmarkIngest(b *testing.B) {
	raws, size := realistic(b)
	d := event.NewDecoder(event.DefaultLimits())
	project, now := uuid.New(), time.Now()
	var e event.Event
	var line []byte
	b.SetBytes(size)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := d.Decode(raws[i%len(raws)], now, &e); err != nil {
			b.Fatal(err)
		}
		grouping.Group(project, &e)
		line = e.AppendLine(line[:0])
	}
}
