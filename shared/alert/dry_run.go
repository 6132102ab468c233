package alert

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

const (
	// dryRunSpan is how far a dry run looks back.
	dryRunSpan = 7 * 24 * time.Hour
	// firingsMost is how many of the latest firings a dry run lists.
	firingsMost = 100
	// dryRunIssues bounds the issues that a dry run by issue looks at: those that were active last.
	dryRunIssues = 10_000
	// dryRunRows bounds the rows of users and the hours of issues that a dry run reads.
	dryRunRows = 200_000
	// dryRunMonitors bounds the monitors that a dry run looks at.
	dryRunMonitors = 100
)

// Certainty is how far a dry run can be relied on.
type Certainty string

// The certainties.
const (
	Exact       Certainty = "exact"
	Approximate Certainty = "approximate"
	NotKnown    Certainty = "unknown" // what the rule looks at was not counted
)

// DryRun is how often a rule would have fired.
type DryRun struct {
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	Answer  Certainty `json:"answer" enum:"exact,approximate,unknown" doc:"how far fired can be relied on; notes say why"`
	Fired   *int      `json:"fired,omitempty" doc:"how often it would have fired; missing when that is not known"`
	Firings []Firing  `json:"firings" nullable:"false" doc:"when, the latest first; at most 100"`
	Notes   []string  `json:"notes" nullable:"false" doc:"what is not exact, and why"`
}

// Firing is one time that a rule would have fired.
type Firing struct {
	At        time.Time `json:"at" format:"date-time"`
	Value     float64   `json:"value,omitempty" doc:"what the window held: events, users or percent"`
	IssueID   uuid.UUID `json:"issue_id,omitzero" format:"uuid"`
	MonitorID uuid.UUID `json:"monitor_id,omitzero" format:"uuid"`
	What      string    `json:"what,omitempty" doc:"the issue's title, the release, or the monitor's name"`
}

// Try says how often a rule would have fired in the seven days before at, from what was counted then. A rule that exists, which
// has an id, knows more than one that is only proposed.
func Try(ctx context.Context, db DB, r Rule, at time.Time) (DryRun, error) {
	t := &trial{
		rule: r, at: at.UTC(), db: db,
		DryRun: DryRun{From: minuteOf(at).Add(-dryRunSpan), Until: at.UTC(), Answer: Exact, Firings: []Firing{}, Notes: []string{}},
	}
	try := map[Kind]func(context.Context) error{
		NewIssue: t.newIssues, Regression: t.regressions, EventCount: t.eventCounts, UserCount: t.userCounts, Spike: t.spikes,
		ReleaseErrorRate: t.rates, MonitorStatus: t.monitors,
	}[r.Kind]
	if err := try(ctx); err != nil {
		return DryRun{}, fmt.Errorf("try a rule of kind %s: %w", r.Kind, err)
	}
	if t.Answer == NotKnown {
		return t.DryRun, nil
	}
	if t.Fired == nil {
		n := len(t.Firings)
		t.Fired = &n
	}
	slices.SortStableFunc(t.Firings, func(a, b Firing) int { return b.At.Compare(a.At) })
	t.Firings = t.Firings[:min(len(t.Firings), firingsMost)]
	return t.DryRun, nil
}

// trial is one dry run.
type trial struct {
	DryRun
	rule Rule
	at   time.Time
	db   DB
}

// about notes that the answer is not exact.
func (t *trial) about(note string, args ...any) {
	if t.Answer == Exact {
		t.Answer = Approximate
	}
	t.Notes = append(t.Notes, fmt.Sprintf(note, args...))
}

// unknown notes that there is no answer.
func (t *trial) unknown(note string) {
	t.Answer = NotKnown
	t.Notes = append(t.Notes, note)
}

// level is the value of a subject at one minute, and what it has to reach.
type level struct {
	value, needed float64
	known         bool
}

// simulate runs the minutes from the first to the last as Alerts does, and calls fire for each at which it raises an alert.
func (r Rule) simulate(minutes int, at func(minute int) level, fire func(minute int, v float64)) {
	open, held := false, -1
	for m := range minutes {
		v := at(m)
		switch {
		case open:
			open = v.known && v.value >= v.needed*holdShare
		case !v.known || v.value < v.needed:
			held = -1
		default:
			if held < 0 {
				held = m
			}
			if m-held >= r.ForMinutes {
				fire(m, v.value)
				open, held = true, -1
			}
		}
	}
}

// sums are events by the minute, added up: sums[i] are those before minute i.
type sums []int64

func newSums(counts []int64) sums {
	s := make(sums, len(counts)+1)
	for i, n := range counts {
		s[i+1] = s[i] + n
	}
	return s
}

// window returns the events of so many minutes that end with minute m.
func (s sums) window(m, minutes int) int64 {
	end := min(max(m+1, 0), len(s)-1)
	return s[end] - s[min(max(m+1-minutes, 0), end)]
}

// latest returns the most events of the windows that end with minute m and the two before.
func (s sums) latest(m, minutes int) int64 {
	most := int64(0)
	for lag := range lagMinutes + 1 {
		most = max(most, s.window(m-lag, minutes))
	}
	return most
}
