package grouping_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/grouping"
)

// What the corpus must reach, as shares of the pairs of its events.
const (
	leastPrecision = 0.99 // of the pairs put together, those that belong together
	leastRecall    = 0.95 // of the pairs that belong together, those put together
)

// sample is an event of the corpus with the group it belongs to.
type sample struct {
	Group   string          `json:"group"`
	HeldOut bool            `json:"held_out"` // not looked at while the rules were made
	Event   json.RawMessage `json:"event"`
	file    string
}

// corpus reads all samples, in the order of their files.
func corpus(t testing.TB) []sample {
	t.Helper()
	files, err := filepath.Glob("testdata/corpus/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	var samples []sample
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			s := sample{file: filepath.Base(name)}
			if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			samples = append(samples, s)
		}
	}
	return samples
}

// take decodes an event of the corpus as Ingest does.
func take(t testing.TB, raw []byte) event.Event {
	t.Helper()
	at := time.Unix(1769860800, 0)
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	if members["timestamp"] == nil {
		members["timestamp"] = at.Unix() - 1
	}
	whole, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	e, err := event.Decode(whole, event.DefaultLimits(), at)
	if err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return e
}

// fingerprint groups one event of the corpus.
func fingerprint(t testing.TB, raw []byte) uuid.UUID {
	t.Helper()
	e := take(t, raw)
	grouping.Group(project, &e)
	return e.Fingerprint
}

// count counts pairs of events.
type count struct{ right, merged, split int }

func (c count) precision() float64 { return share(c.right, c.right+c.merged) }
func (c count) recall() float64    { return share(c.right, c.right+c.split) }

func share(part, whole int) float64 {
	if whole == 0 {
		return 1
	}
	return float64(part) / float64(whole)
}

// TestCorpus measures how often grouping decides as a person would.
func TestCorpus(t *testing.T) {
	t.Parallel()
	samples := corpus(t)
	if len(samples) < 220 {
		t.Fatalf("only %d events", len(samples))
	}
	sets := []struct {
		name string
		in   func(*sample) bool
	}{
		{"tuning", func(s *sample) bool { return !s.HeldOut }},
		{"held out", func(s *sample) bool { return s.HeldOut }},
		{"all", func(*sample) bool { return true }},
	}
	for _, set := range sets {
		t.Run(set.name, func(t *testing.T) {
			t.Parallel()
			var chosen []sample
			for _, s := range samples {
				if set.in(&s) {
					chosen = append(chosen, s)
				}
			}
			c := measure(t, chosen)
			t.Logf("%d events: precision %.4f, recall %.4f (%d pairs together, %d merged wrongly, %d split wrongly)",
				len(chosen), c.precision(), c.recall(), c.right, c.merged, c.split)
			if c.precision() < leastPrecision || c.recall() < leastRecall {
				t.Errorf("below precision %.2f or recall %.2f", leastPrecision, leastRecall)
			}
		})
	}
}

// measure counts the pairs of samples, and logs the pairs of groups that were merged or split most.
func measure(t *testing.T, samples []sample) count {
	t.Helper()
	ids := make([]uuid.UUID, len(samples))
	for i := range samples {
		ids[i] = fingerprint(t, samples[i].Event)
	}
	var c count
	worst := map[string]int{}
	for i := range samples {
		for j := range i {
			switch same, together := samples[i].Group == samples[j].Group, ids[i] == ids[j]; {
			case same && together:
				c.right++
			case same:
				c.split++
				worst[fmt.Sprintf("split   %s", samples[i].Group)]++
			case together:
				c.merged++
				worst[fmt.Sprintf("merged  %s + %s", samples[j].Group, samples[i].Group)]++
			}
		}
	}
	names := make([]string, 0, len(worst))
	for name := range worst {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(worst[b]-worst[a], cmp.Compare(a, b)) })
	for _, name := range names[:min(len(names), 100)] {
		t.Logf("%3d %s", worst[name], name)
	}
	return c
}
