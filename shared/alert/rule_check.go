package alert

import (
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/label"
)

// The limits of rules.
const (
	nameMost          = 200            // characters of a rule's name
	windowMost        = 24 * time.Hour // of a window, which is whole minutes
	forMost           = 24 * time.Hour // of for
	cooldownMost      = 7 * 24 * 60    // minutes of a cooldown
	muteMost          = 365 * 24 * 60  // minutes ahead that a rule is muted at most
	eventsMost        = 1_000_000_000  // of thresholds and minimums, in events
	usersMost         = 50_000         // of thresholds in users: half of what Store keeps for a rule
	factorMost        = 1000           // of a spike
	filterMost        = 20             // environments, releases and tags of a filter
	monitorsMost      = 100            // monitors that a rule names
	ruleChannelsMost  = 20             // channels of a rule
	CountedRulesMost  = 20             // rules of a project that count by issue, or count users: Store writes most for them
	InstantToldMost   = 100            // channels of a project's rules about issues and monitors, of all these rules together: each happening tells all
	UsersKept         = 100_000        // users that are kept for one rule at a time, give or take those of a minute
	environmentLength = 64             // characters, as of events
	releaseLength     = 250            // characters, as of events
	tagLength         = 200            // characters of a tag's key and of its value, as of events
)

// Bounds is what a project lets in: what goes beyond it is never counted.
type Bounds struct {
	RateLimit     int   // events a minute; 0: no limit
	MonthlyBudget int64 // events; 0: no budget
}

// check returns the rule as it is to be stored, with what is usual where nothing was said, or says what is wrong with it.
func (r Rule) check(b Bounds) (Rule, error) {
	if err := label.Check("rule's name", r.Name, 1, nameMost); err != nil {
		return r, err
	}
	if !slices.Contains([]Severity{Critical, Warning, Info}, r.Severity) {
		return r, fault.New(fault.Invalid, "severity: expected critical, warning or info, not %q", r.Severity)
	}
	r.Condition, r.Filter = r.Condition.usual(r.Kind), r.Filter.sorted()
	for _, check := range []func() error{
		r.checkKind, r.checkFields, r.checkValues, r.checkTimes, r.Filter.check, r.checkFilter,
		func() error { return r.checkBounds(b) },
	} {
		if err := check(); err != nil {
			return r, err
		}
	}
	return r, nil
}

// usual fills in what was left out.
func (c Condition) usual(k Kind) Condition {
	switch k {
	case EventCount, UserCount:
		if c.Scope == "" {
			c.Scope = ByProject
		}
	case ReleaseErrorRate:
		if c.Releases == "" {
			c.Releases = NewestRelease
		}
	case MonitorStatus:
		if len(c.Statuses) == 0 {
			c.Statuses = []string{"down"}
		}
	case NewIssue, Regression, Spike:
	}
	c.Statuses = unique(c.Statuses)
	if len(c.Monitors) > 0 {
		c.Monitors = slices.Clone(c.Monitors)
		slices.SortFunc(c.Monitors, func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) })
		c.Monitors = slices.Compact(c.Monitors)
	}
	return c
}

// sorted returns the filter with each value once.
func (f Filter) sorted() Filter {
	f.Levels, f.Environments, f.Releases = unique(f.Levels), unique(f.Environments), unique(f.Releases)
	f.Tags = slices.Clone(f.Tags)
	slices.SortFunc(f.Tags, func(a, b Tag) int {
		if c := strings.Compare(a.Key, b.Key); c != 0 {
			return c
		}
		return strings.Compare(a.Value, b.Value)
	})
	f.Tags = slices.Compact(f.Tags)
	if len(f.Tags) == 0 {
		f.Tags = nil
	}
	return f
}

func unique(values []string) []string {
	if len(values) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(values)))
}

func (r Rule) checkKind() error {
	switch {
	case r.Kind == MonitorStatus:
		return nil
	case r.Kind != NewIssue && r.Kind != Regression && !r.Kind.Windowed():
		return fault.New(fault.Invalid, "kind: expected new_issue, regression, event_count, user_count, spike, release_error_rate or monitor, not %q", r.Kind)
	case r.ProjectID == uuid.Nil:
		return fault.New(fault.Invalid, "kind: a rule of the whole organization is about monitors; make a rule of kind %s for a project", r.Kind)
	}
	return nil
}

// checkFields refuses fields of the condition that other kinds have: they would do nothing.
func (r Rule) checkFields() error {
	c := r.Condition
	for _, f := range []struct {
		name string
		set  bool
		of   []Kind
	}{
		{"window_minutes", c.WindowMinutes != 0, []Kind{EventCount, UserCount, Spike, ReleaseErrorRate}},
		{"scope", c.Scope != "", []Kind{EventCount, UserCount}},
		{"threshold", c.Threshold != 0, []Kind{EventCount, UserCount}},
		{"factor", c.Factor != 0, []Kind{Spike}},
		{"minimum", c.Minimum != 0, []Kind{Spike, ReleaseErrorRate}},
		{"percent", c.Percent != 0, []Kind{ReleaseErrorRate}},
		{"releases", c.Releases != "", []Kind{ReleaseErrorRate}},
		{"statuses", len(c.Statuses) > 0, []Kind{MonitorStatus}},
		{"monitors", len(c.Monitors) > 0, []Kind{MonitorStatus}},
	} {
		if f.set && !slices.Contains(f.of, r.Kind) {
			kinds := make([]string, len(f.of))
			for i, k := range f.of {
				kinds[i] = string(k)
			}
			return fault.New(fault.Invalid, "condition.%s belongs to rules of kind %s, not to %s; leave it out", f.name, strings.Join(kinds, ", "), r.Kind)
		}
	}
	return nil
}

// checkValues checks the fields of the condition that the kind has.
func (r Rule) checkValues() error {
	c := r.Condition
	if r.Kind.Windowed() {
		if most := int(windowMost / time.Minute); c.WindowMinutes < 1 || c.WindowMinutes > most {
			return fault.New(fault.Invalid, "condition.window_minutes: a window has 1 to %d minutes, not %d", most, c.WindowMinutes)
		}
	}
	switch r.Kind {
	case EventCount, UserCount:
		return c.checkCount(r.Kind)
	case Spike:
		if !(c.Factor > 1 && c.Factor <= factorMost) { // so that what is not a number is refused too
			return fault.New(fault.Invalid, "condition.factor: a spike is above 1 and at most %d times as much as usual, not %g", factorMost, c.Factor)
		}
		return c.checkMinimum()
	case ReleaseErrorRate:
		if !(c.Percent > 0 && c.Percent <= 100) {
			return fault.New(fault.Invalid, "condition.percent: a share of errors is above 0 and at most 100, not %g", c.Percent)
		}
		if c.Releases != NewestRelease && c.Releases != EachRelease {
			return fault.New(fault.Invalid, "condition.releases: expected newest or each, not %q", c.Releases)
		}
		return c.checkMinimum()
	case MonitorStatus:
		return c.checkMonitors()
	case NewIssue, Regression:
	}
	return nil
}

func (c Condition) checkCount(k Kind) error {
	if c.Scope != ByProject && c.Scope != ByIssue {
		return fault.New(fault.Invalid, "condition.scope: expected project or issue, not %q", c.Scope)
	}
	what, most := "events", int64(eventsMost)
	if k == UserCount {
		what, most = "users", usersMost
	}
	if c.Threshold < 1 || c.Threshold > most {
		return fault.New(fault.Invalid, "condition.threshold: expected 1 to %d %s, not %d", most, what, c.Threshold)
	}
	return nil
}

func (c Condition) checkMinimum() error {
	if c.Minimum < 1 || c.Minimum > eventsMost {
		return fault.New(fault.Invalid, "condition.minimum: expected 1 to %d events, not %d; without it, a single event could raise an alert", eventsMost, c.Minimum)
	}
	return nil
}

func (c Condition) checkMonitors() error {
	for _, s := range c.Statuses {
		if s != "down" && s != "degraded" {
			return fault.New(fault.Invalid, "condition.statuses: expected down or degraded, not %q", s)
		}
	}
	if len(c.Monitors) > monitorsMost {
		return fault.New(fault.Invalid, "condition.monitors: at most %d can be named, not %d; name none for all", monitorsMost, len(c.Monitors))
	}
	if slices.Contains(c.Monitors, uuid.Nil) {
		return fault.New(fault.Invalid, "condition.monitors: %s is the id of no monitor", uuid.Nil)
	}
	return nil
}

func (r Rule) checkTimes() error {
	switch most := int(forMost / time.Minute); {
	case r.ForMinutes < 0 || r.ForMinutes > most:
		return fault.New(fault.Invalid, "for_minutes: expected 0 to %d, not %d", most, r.ForMinutes)
	case r.ForMinutes > 0 && r.Kind == MonitorStatus:
		return fault.New(fault.Invalid, "for_minutes: a monitor says itself how many failures make it down; set the monitor's failures instead")
	case r.ForMinutes > 0 && !r.Kind.Windowed():
		return fault.New(fault.Invalid, "for_minutes: %s happens at a moment, so it cannot hold for %d minutes; leave it out", r.Kind, r.ForMinutes)
	case r.CooldownMinutes < 0 || r.CooldownMinutes > cooldownMost:
		return fault.New(fault.Invalid, "cooldown_minutes: expected 0 to %d, not %d", cooldownMost, r.CooldownMinutes)
	case r.CooldownMinutes > 0 && r.Kind == NewIssue:
		return fault.New(fault.Invalid, "cooldown_minutes: an issue is new only once, so there is nothing to wait for; leave it out")
	}
	return nil
}

// check checks each value of the filter.
func (f Filter) check() error {
	for _, l := range f.Levels {
		if level, ok := event.ParseLevel(l); !ok || string(level) != l {
			return fault.New(fault.Invalid, "filter.levels: expected fatal, error, warning, info or debug, not %q", l)
		}
	}
	for _, part := range []struct {
		name   string
		values []string
		length int
	}{
		{"environments", f.Environments, environmentLength}, {"releases", f.Releases, releaseLength},
	} {
		if len(part.values) > filterMost {
			return fault.New(fault.Invalid, "filter.%s: at most %d values are possible, not %d", part.name, filterMost, len(part.values))
		}
		for _, v := range part.values {
			if err := checkValue("filter."+part.name, v, part.length); err != nil {
				return err
			}
		}
	}
	return f.checkTags()
}

func (f Filter) checkTags() error {
	if len(f.Tags) > filterMost {
		return fault.New(fault.Invalid, "filter.tags: at most %d tags are possible, not %d", filterMost, len(f.Tags))
	}
	for i, t := range f.Tags {
		if err := checkValue("the key of filter.tags", t.Key, tagLength); err != nil {
			return err
		}
		if err := checkValue("filter.tags: the value of "+t.Key, t.Value, tagLength); err != nil {
			return err
		}
		switch t.Key {
		case "level", "environment", "release":
			return fault.New(fault.Invalid, "filter.tags: %s is not looked for among tags; use filter.%ss", t.Key, t.Key)
		}
		if i > 0 && f.Tags[i-1].Key == t.Key {
			return fault.New(fault.Invalid, "filter.tags: no event has two values of the tag %s, so none would pass; name one", t.Key)
		}
	}
	return nil
}

func checkValue(what, value string, most int) error {
	switch n := utf8.RuneCountInString(value); {
	case n == 0:
		return fault.New(fault.Invalid, "%s is empty", what)
	case n > most:
		return fault.New(fault.Invalid, "%s has %d characters; events have at most %d, so none would pass", what, n, most)
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return fault.New(fault.Invalid, "%s holds a character that no event has", what)
	}
	return nil
}

// checkFilter refuses filters that the kind cannot have.
func (r Rule) checkFilter() error {
	f := r.Filter
	switch {
	case f.Empty():
	case r.Kind == MonitorStatus:
		return fault.New(fault.Invalid, "filter: a rule about monitors is about no events; leave it out, and name monitors in condition.monitors")
	case r.Kind == Spike && (len(f.Tags) > 0 || len(f.Releases) > 0):
		return fault.New(fault.Invalid, "filter: what is usual is known by level and environment only; a spike takes neither tags nor releases")
	case r.Kind == ReleaseErrorRate && len(f.Levels) > 0:
		return fault.New(fault.Invalid, "filter.levels: the rate is the share of errors among events of all levels; leave it out")
	case r.Kind == ReleaseErrorRate && len(f.Releases) > 0 && r.Condition.Releases == NewestRelease:
		return fault.New(fault.Invalid, "filter.releases: the rule looks at the newest release only, whatever it is called; set condition.releases to each")
	}
	return nil
}

// checkBounds refuses what can never be reached, because the project does not let as much in.
func (r Rule) checkBounds(b Bounds) error {
	field, needed := "threshold", r.Condition.Threshold
	if r.Kind == Spike || r.Kind == ReleaseErrorRate {
		field, needed = "minimum", r.Condition.Minimum
	}
	if !r.Kind.Windowed() {
		return nil
	}
	if most := int64(b.RateLimit) * int64(r.Condition.WindowMinutes); b.RateLimit > 0 && needed > most && most < math.MaxInt64 {
		return fault.New(fault.Invalid, "condition.%s: %d can never be reached: the project takes %d events a minute, which is %d in %d minutes",
			field, needed, b.RateLimit, most, r.Condition.WindowMinutes)
	}
	if b.MonthlyBudget > 0 && needed > b.MonthlyBudget {
		return fault.New(fault.Invalid, "condition.%s: %d can never be reached: the project takes %d events a month", field, needed, b.MonthlyBudget)
	}
	return nil
}
