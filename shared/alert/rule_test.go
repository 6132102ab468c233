package alert_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

// usual are conditions that are good.
func usual(k alert.Kind) alert.Condition {
	switch k {
	case alert.EventCount, alert.UserCount:
		return alert.Condition{WindowMinutes: 5, Threshold: 10}
	case alert.Spike:
		return alert.Condition{WindowMinutes: 5, Factor: 2, Minimum: 10}
	case alert.ReleaseErrorRate:
		return alert.Condition{WindowMinutes: 5, Percent: 10, Minimum: 10}
	}
	return alert.Condition{}
}

func kinds() []alert.Kind {
	return []alert.Kind{
		alert.NewIssue, alert.Regression, alert.EventCount, alert.UserCount, alert.Spike, alert.ReleaseErrorRate, alert.MonitorStatus,
	}
}

// Every field, and what is said of a value that is wrong.
func TestProposeRule_RefusesWhatIsWrong(t *testing.T) {
	t.Parallel()
	condition := func(change func(*alert.Condition)) func(alert.Kind, *alert.RuleChange) {
		return func(k alert.Kind, c *alert.RuleChange) {
			v := usual(k)
			change(&v)
			c.Condition = &v
		}
	}
	filter := func(f alert.Filter) func(alert.Kind, *alert.RuleChange) {
		return func(_ alert.Kind, c *alert.RuleChange) { c.Filter = &f }
	}
	field := func(change func(*alert.RuleChange)) func(alert.Kind, *alert.RuleChange) {
		return func(_ alert.Kind, c *alert.RuleChange) { change(c) }
	}
	many := make([]string, 21)
	tags := make([]alert.Tag, 21)
	for i := range many {
		many[i] = fmt.Sprint(i)
		tags[i] = alert.Tag{Key: fmt.Sprint(i), Value: "v"}
	}
	for _, tt := range []struct {
		kind   alert.Kind
		change func(alert.Kind, *alert.RuleChange)
		says   string
	}{
		{alert.NewIssue, field(func(c *alert.RuleChange) { c.Name = ptr("") }), "the rule's name is empty"},
		{alert.NewIssue, field(func(c *alert.RuleChange) { c.Name = ptr(strings.Repeat("x", 201)) }), "at most 200"},
		{alert.NewIssue, field(func(c *alert.RuleChange) { c.Name = ptr("a\x00") }), "cannot be shown"},
		{"errors", field(func(*alert.RuleChange) {}), "kind: expected new_issue"},
		{alert.NewIssue, field(func(c *alert.RuleChange) { c.Severity = ptr(alert.Severity("bad")) }), "severity: expected critical"},
		{alert.EventCount, condition(func(c *alert.Condition) { c.WindowMinutes = 0 }), "1 to 1440 minutes, not 0"},
		{alert.EventCount, condition(func(c *alert.Condition) { c.WindowMinutes = -1 }), "1 to 1440 minutes, not -1"},
		{alert.Spike, condition(func(c *alert.Condition) { c.WindowMinutes = 1441 }), "1 to 1440 minutes, not 1441"},
		{alert.EventCount, condition(func(c *alert.Condition) { c.Threshold = 0 }), "expected 1 to 1000000000 events, not 0"},
		{alert.EventCount, condition(func(c *alert.Condition) { c.Threshold = -5 }), "not -5"},
		{alert.EventCount, condition(func(c *alert.Condition) { c.Threshold = 1_000_000_001 }), "not 1000000001"},
		{alert.UserCount, condition(func(c *alert.Condition) { c.Threshold = 50_001 }), "expected 1 to 50000 users, not 50001"},
		{alert.EventCount, condition(func(c *alert.Condition) { c.Scope = "release" }), "condition.scope: expected project or issue"},
		{alert.Spike, condition(func(c *alert.Condition) { c.Factor = 1 }), "above 1 and at most 1000"},
		{alert.Spike, condition(func(c *alert.Condition) { c.Factor = math.NaN() }), "above 1 and at most 1000"},
		{alert.Spike, condition(func(c *alert.Condition) { c.Factor = 1001 }), "above 1 and at most 1000"},
		{alert.Spike, condition(func(c *alert.Condition) { c.Minimum = 0 }), "condition.minimum"},
		{alert.ReleaseErrorRate, condition(func(c *alert.Condition) { c.Minimum = 1_000_000_001 }), "condition.minimum"},
		{alert.ReleaseErrorRate, condition(func(c *alert.Condition) { c.Percent = 0 }), "above 0 and at most 100, not 0"},
		{alert.ReleaseErrorRate, condition(func(c *alert.Condition) { c.Percent = 100.1 }), "at most 100, not 100.1"},
		{alert.ReleaseErrorRate, condition(func(c *alert.Condition) { c.Releases = "last" }), "expected newest or each"},
		{alert.MonitorStatus, condition(func(c *alert.Condition) { c.Statuses = []string{"healthy"} }), "expected down or degraded"},
		{alert.MonitorStatus, condition(func(c *alert.Condition) { c.Monitors = []uuid.UUID{uuid.Nil} }), "the id of no monitor"},
		{alert.MonitorStatus, condition(func(c *alert.Condition) {
			for range 101 {
				c.Monitors = append(c.Monitors, uuid.New())
			}
		}), "at most 100 can be named"},

		// Fields of other kinds.
		{alert.NewIssue, condition(func(c *alert.Condition) { c.WindowMinutes = 5 }), "condition.window_minutes belongs to rules of kind event_count"},
		{alert.Spike, condition(func(c *alert.Condition) { c.Scope = alert.ByProject }), "condition.scope belongs to"},
		{alert.Regression, condition(func(c *alert.Condition) { c.Threshold = 5 }), "condition.threshold belongs to"},
		{alert.EventCount, condition(func(c *alert.Condition) { c.Factor = 5 }), "condition.factor belongs to"},
		{alert.EventCount, condition(func(c *alert.Condition) { c.Minimum = 5 }), "condition.minimum belongs to"},
		{alert.EventCount, condition(func(c *alert.Condition) { c.Percent = 5 }), "condition.percent belongs to"},
		{alert.EventCount, condition(func(c *alert.Condition) { c.Releases = "each" }), "condition.releases belongs to"},
		{alert.EventCount, condition(func(c *alert.Condition) { c.Statuses = []string{"down"} }), "condition.statuses belongs to"},
		{alert.EventCount, condition(func(c *alert.Condition) { c.Monitors = []uuid.UUID{uuid.New()} }), "condition.monitors belongs to"},

		// Times.
		{alert.EventCount, field(func(c *alert.RuleChange) { c.ForMinutes = ptr(-1) }), "for_minutes: expected 0 to 1440"},
		{alert.EventCount, field(func(c *alert.RuleChange) { c.ForMinutes = ptr(1441) }), "for_minutes: expected 0 to 1440"},
		{alert.NewIssue, field(func(c *alert.RuleChange) { c.ForMinutes = ptr(1) }), "happens at a moment"},
		{alert.Regression, field(func(c *alert.RuleChange) { c.ForMinutes = ptr(1) }), "happens at a moment"},
		{alert.MonitorStatus, field(func(c *alert.RuleChange) { c.ForMinutes = ptr(1) }), "set the monitor's failures"},
		{alert.EventCount, field(func(c *alert.RuleChange) { c.CooldownMinutes = ptr(-1) }), "cooldown_minutes: expected 0 to 10080"},
		{alert.EventCount, field(func(c *alert.RuleChange) { c.CooldownMinutes = ptr(10081) }), "cooldown_minutes: expected 0 to 10080"},
		{alert.NewIssue, field(func(c *alert.RuleChange) { c.CooldownMinutes = ptr(1) }), "new only once"},
		{alert.EventCount, field(func(c *alert.RuleChange) { c.MuteMinutes = ptr(-1) }), "mute_minutes: expected"},
		{alert.EventCount, field(func(c *alert.RuleChange) { c.MuteMinutes = ptr(525_601) }), "mute_minutes: expected"},

		// Filters.
		{alert.NewIssue, filter(alert.Filter{Levels: []string{"warn"}}), "filter.levels: expected fatal"},
		{alert.NewIssue, filter(alert.Filter{Levels: []string{""}}), "filter.levels: expected fatal"},
		{alert.NewIssue, filter(alert.Filter{Environments: many}), "filter.environments: at most 20"},
		{alert.NewIssue, filter(alert.Filter{Environments: []string{""}}), "filter.environments is empty"},
		{alert.NewIssue, filter(alert.Filter{Environments: []string{strings.Repeat("ü", 65)}}), "filter.environments has 65 characters; events have at most 64"},
		{alert.NewIssue, filter(alert.Filter{Releases: many}), "filter.releases: at most 20"},
		{alert.NewIssue, filter(alert.Filter{Releases: []string{strings.Repeat("x", 251)}}), "events have at most 250"},
		{alert.NewIssue, filter(alert.Filter{Releases: []string{"a\x00"}}), "a character that no event has"},
		{alert.NewIssue, filter(alert.Filter{Releases: []string{"a\xff"}}), "a character that no event has"},
		{alert.NewIssue, filter(alert.Filter{Tags: tags}), "filter.tags: at most 20"},
		{alert.NewIssue, filter(alert.Filter{Tags: []alert.Tag{{Key: "", Value: "v"}}}), "the key of filter.tags is empty"},
		{alert.NewIssue, filter(alert.Filter{Tags: []alert.Tag{{Key: strings.Repeat("x", 201), Value: "v"}}}), "events have at most 200"},
		{alert.NewIssue, filter(alert.Filter{Tags: []alert.Tag{{Key: "k", Value: ""}}}), "the value of k is empty"},
		{alert.NewIssue, filter(alert.Filter{Tags: []alert.Tag{{Key: "k", Value: strings.Repeat("x", 201)}}}), "events have at most 200"},
		{alert.NewIssue, filter(alert.Filter{Tags: []alert.Tag{{Key: "level", Value: "error"}}}), "use filter.levels"},
		{alert.NewIssue, filter(alert.Filter{Tags: []alert.Tag{{Key: "k", Value: "1"}, {Key: "a", Value: "1"}, {Key: "k", Value: "2"}}}), "no event has two values of the tag k"},
		{alert.MonitorStatus, filter(alert.Filter{Levels: []string{"error"}}), "a rule about monitors is about no events"},
		{alert.Spike, filter(alert.Filter{Tags: []alert.Tag{{Key: "k", Value: "1"}}}), "a spike takes neither tags nor releases"},
		{alert.Spike, filter(alert.Filter{Releases: []string{"1"}}), "a spike takes neither tags nor releases"},
		{alert.ReleaseErrorRate, filter(alert.Filter{Levels: []string{"error"}}), "among events of all levels"},
		{alert.ReleaseErrorRate, filter(alert.Filter{Releases: []string{"1"}}), "set condition.releases to each"},

		// What the project, which takes 100 events a minute and 10,000 a month, never lets happen.
		{alert.EventCount, condition(func(c *alert.Condition) { c.Threshold = 501 }), "501 can never be reached: the project takes 100 events a minute, which is 500 in 5 minutes"},
		{alert.UserCount, condition(func(c *alert.Condition) { c.Threshold = 501 }), "can never be reached"},
		{alert.Spike, condition(func(c *alert.Condition) { c.Minimum = 501 }), "condition.minimum: 501 can never be reached"},
		{alert.ReleaseErrorRate, condition(func(c *alert.Condition) { c.Minimum = 501 }), "can never be reached"},
		{alert.EventCount, condition(func(c *alert.Condition) { c.WindowMinutes, c.Threshold = 1440, 10_001 }), "takes 10000 events a month"},
	} {
		t.Run(fmt.Sprintf("%s %s", tt.kind, tt.says), func(t *testing.T) {
			t.Parallel()
			good := usual(tt.kind)
			c := alert.RuleChange{Name: ptr("rule"), Condition: &good}
			tt.change(tt.kind, &c)
			place := alert.Place{OrganizationID: uuid.New(), ProjectID: uuid.New()}
			_, err := alert.ProposeRule(place, tt.kind, c, alert.Bounds{RateLimit: 100, MonthlyBudget: 10_000}, noon)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want an Invalid fault that says %q", err, tt.says)
			}
		})
	}
	t.Run("a rule of the organization about events", func(t *testing.T) {
		t.Parallel()
		for _, k := range kinds() {
			c := usual(k)
			_, err := alert.ProposeRule(alert.Place{OrganizationID: uuid.New()}, k, alert.RuleChange{Name: ptr("r"), Condition: &c}, alert.Bounds{}, noon)
			if (err == nil) != (k == alert.MonitorStatus) {
				t.Errorf("%s: %v", k, err)
			}
		}
	})
}

func TestProposeRule_TakesWhatIsAtTheLimit(t *testing.T) {
	t.Parallel()
	place := alert.Place{OrganizationID: uuid.New(), ProjectID: uuid.New()}
	values := make([]string, 20)
	tags := make([]alert.Tag, 20)
	for i := range values {
		values[i] = strings.Repeat("ü", 63) + string(rune('a'+i))
		tags[i] = alert.Tag{Key: strings.Repeat("k", 199) + string(rune('a'+i)), Value: strings.Repeat("v", 200)}
	}
	full := alert.Filter{Levels: []string{"fatal", "error", "warning", "info", "debug"}, Environments: values, Releases: []string{strings.Repeat("r", 250)}, Tags: tags}
	for name, tt := range map[string]struct {
		kind alert.Kind
		c    alert.Condition
		f    alert.Filter
		b    alert.Bounds
	}{
		"a full filter":           {alert.NewIssue, alert.Condition{}, full, alert.Bounds{}},
		"the longest window":      {alert.EventCount, alert.Condition{WindowMinutes: 1440, Threshold: 1_000_000_000}, alert.Filter{}, alert.Bounds{}},
		"the shortest window":     {alert.EventCount, alert.Condition{WindowMinutes: 1, Threshold: 1}, alert.Filter{}, alert.Bounds{RateLimit: 1, MonthlyBudget: 1}},
		"all that may come":       {alert.EventCount, alert.Condition{WindowMinutes: 5, Threshold: 500, Scope: alert.ByIssue}, alert.Filter{}, alert.Bounds{RateLimit: 100, MonthlyBudget: 500}},
		"the most users":          {alert.UserCount, alert.Condition{WindowMinutes: 1, Threshold: 50_000}, alert.Filter{}, alert.Bounds{}},
		"the greatest spike":      {alert.Spike, alert.Condition{WindowMinutes: 1, Factor: 1000, Minimum: 1}, alert.Filter{Levels: []string{"error"}, Environments: values}, alert.Bounds{}},
		"all errors":              {alert.ReleaseErrorRate, alert.Condition{WindowMinutes: 1, Percent: 100, Minimum: 1}, alert.Filter{Tags: tags}, alert.Bounds{}},
		"some releases":           {alert.ReleaseErrorRate, alert.Condition{WindowMinutes: 1, Percent: 1, Minimum: 1, Releases: alert.EachRelease}, alert.Filter{Releases: []string{"1"}}, alert.Bounds{}},
		"a monitor that is worse": {alert.MonitorStatus, alert.Condition{Statuses: []string{"degraded", "down"}}, alert.Filter{}, alert.Bounds{}},
	} {
		change := alert.RuleChange{Name: ptr(strings.Repeat("n", 200)), Condition: &tt.c, Filter: &tt.f, MuteMinutes: ptr(525_600)}
		if tt.kind.Windowed() {
			change.ForMinutes = ptr(1440)
		}
		if tt.kind != alert.NewIssue {
			change.CooldownMinutes = ptr(10_080)
		}
		if _, err := alert.ProposeRule(place, tt.kind, change, tt.b, noon); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	b := setup(t)
	t.Run("begin with what is usual", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for _, k := range kinds() {
			c := usual(k)
			r := b.rule(t, k, alert.RuleChange{Condition: &c})
			want := alert.Rule{
				ID: r.ID, OrganizationID: b.org, ProjectID: b.project, Name: "rule", Kind: k, Condition: c, Severity: alert.Warning, Enabled: true,
				ChannelIDs: []uuid.UUID{}, CountsFrom: noon, CreatedAt: noon, UpdatedAt: noon,
			}
			switch k {
			case alert.EventCount, alert.UserCount:
				want.Condition.Scope = alert.ByProject
			case alert.ReleaseErrorRate:
				want.Condition.Releases = alert.NewestRelease
			case alert.MonitorStatus:
				want.Condition.Statuses = []string{"down"}
			}
			if diff := cmp.Diff(want, r); diff != "" {
				t.Errorf("%s (-want +got)\n%s", k, diff)
			}
			found, err := alert.FindRule(t.Context(), b.app, b.org, r.ID)
			if diff := cmp.Diff(want, found); diff != "" || err != nil {
				t.Errorf("%s is found as (-want +got)\n%s%v", k, diff, err)
			}
		}
	})
	t.Run("keep what is set", func(t *testing.T) {
		t.Parallel()
		filter := alert.Filter{Levels: []string{"error", "fatal", "error"}, Environments: []string{"b", "a"}, Tags: []alert.Tag{{Key: "z", Value: `"\`}, {Key: "a", Value: "'"}}}
		r := b.rule(t, alert.EventCount, alert.RuleChange{
			Name: ptr("many errors"), Condition: &alert.Condition{WindowMinutes: 7, Threshold: 8, Scope: alert.ByIssue}, Filter: &filter,
			Severity: ptr(alert.Critical), ForMinutes: ptr(3), CooldownMinutes: ptr(60), Enabled: ptr(false), MuteMinutes: ptr(30), ChannelIDs: &b.channels,
		})
		want := alert.Rule{
			ID: r.ID, OrganizationID: b.org, ProjectID: b.project, Name: "many errors", Kind: alert.EventCount,
			Condition: alert.Condition{WindowMinutes: 7, Threshold: 8, Scope: alert.ByIssue},
			Filter:    alert.Filter{Levels: []string{"error", "fatal"}, Environments: []string{"a", "b"}, Tags: []alert.Tag{{Key: "a", Value: "'"}, {Key: "z", Value: `"\`}}},
			Severity:  alert.Critical, ForMinutes: 3, CooldownMinutes: 60, MutedUntil: noon.Add(30 * time.Minute),
			ChannelIDs: b.channels, CountsFrom: noon, CreatedAt: noon, UpdatedAt: noon,
		}
		if diff := cmp.Diff(want, r); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
	t.Run("change, and count anew when that means something else", func(t *testing.T) {
		t.Parallel()
		c := usual(alert.EventCount)
		r := b.rule(t, alert.EventCount, alert.RuleChange{Condition: &c, ChannelIDs: &b.channels, MuteMinutes: ptr(5)})
		later := noon.Add(90 * time.Second)
		byIssue := c
		byIssue.Scope = alert.ByIssue
		for _, step := range []struct {
			c    alert.RuleChange
			anew bool
		}{
			{alert.RuleChange{Name: ptr("other"), Severity: ptr(alert.Info), ForMinutes: ptr(1), CooldownMinutes: ptr(1), MuteMinutes: ptr(0)}, false},
			{alert.RuleChange{Condition: &alert.Condition{WindowMinutes: 60, Threshold: 20}}, false},
			{alert.RuleChange{ChannelIDs: ptr(b.channels[:1])}, false},
			{alert.RuleChange{Filter: &alert.Filter{Levels: []string{"error"}}}, true},
			{alert.RuleChange{Filter: &alert.Filter{Levels: []string{"error", "error"}}}, false},
			{alert.RuleChange{Condition: &byIssue}, true},
			{alert.RuleChange{Enabled: ptr(false)}, false},
			{alert.RuleChange{Enabled: ptr(true)}, true},
			{alert.RuleChange{ChannelIDs: &[]uuid.UUID{}}, false},
		} {
			was := r
			var err error
			if r, err = b.change(t, r.ID, step.c, later); err != nil {
				t.Fatal(err)
			}
			from := was.CountsFrom
			if step.anew {
				from = later.Truncate(time.Minute).Add(time.Minute)
			}
			if !r.CountsFrom.Equal(from) || !r.UpdatedAt.Equal(later) {
				t.Errorf("%+v: counted from %s, changed at %s", step.c, r.CountsFrom, r.UpdatedAt)
			}
			later = later.Add(time.Hour)
		}
		if r.Name != "other" || !r.MutedUntil.IsZero() || r.Condition.Scope != alert.ByIssue || len(r.ChannelIDs) != 0 || !r.CreatedAt.Equal(noon) {
			t.Errorf("got %+v", r)
		}
		if _, err := b.change(t, r.ID, alert.RuleChange{Condition: &alert.Condition{}}, noon); !fault.Is(err, fault.Invalid) {
			t.Errorf("a change to what is wrong: %v", err)
		}
	})
	t.Run("refuse what others have", func(t *testing.T) {
		t.Parallel()
		monitor, theirs, unassigned := b.monitor(t, b.org, b.project), b.monitor(t, b.other, b.foreign), b.monitor(t, b.org, uuid.Nil)
		whole := alert.Place{OrganizationID: b.org}
		about := func(ids ...uuid.UUID) alert.RuleChange {
			return alert.RuleChange{Condition: &alert.Condition{Monitors: ids}}
		}
		for name, tt := range map[string]struct {
			in   alert.Place
			c    alert.RuleChange
			says string
		}{
			"a channel":                        {b.place(), alert.RuleChange{ChannelIDs: &[]uuid.UUID{b.channels[0], b.foreignChannel}}, b.foreignChannel.String()},
			"no channel at all":                {b.place(), alert.RuleChange{ChannelIDs: &[]uuid.UUID{uuid.New()}}, "the organization has no channel"},
			"a monitor":                        {whole, about(theirs), "the organization has no monitor"},
			"a monitor that the project lacks": {b.place(), about(monitor, unassigned), "the project has no monitor"},
			"too many channels":                {b.place(), alert.RuleChange{ChannelIDs: ptr(slices.Repeat(b.channels, 11))}, "at most 20 channels"},
		} {
			if _, err := b.create(t, tt.in, alert.MonitorStatus, tt.c); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := b.create(t, whole, alert.MonitorStatus, about(monitor, unassigned)); err != nil {
			t.Error(err)
		}
		if _, err := b.create(t, alert.Place{OrganizationID: b.org, ProjectID: b.foreign}, alert.NewIssue, alert.RuleChange{}); !fault.Is(err, fault.NotFound) {
			t.Errorf("a project of others: %v", err)
		}
		r := b.rule(t, alert.NewIssue, alert.RuleChange{})
		if _, err := alert.FindRule(t.Context(), b.app, b.other, r.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("a rule of others: %v", err)
		}
	})
}

func TestRules_AreLimited(t *testing.T) {
	t.Parallel()
	b := setup(t)
	counted := usual(alert.UserCount)
	var first alert.Rule
	for i := range alert.CountedRulesMost {
		if r := b.rule(t, alert.UserCount, alert.RuleChange{Condition: &counted}); i == 0 {
			first = r
		}
	}
	if _, err := b.create(t, b.place(), alert.UserCount, alert.RuleChange{Condition: &counted}); !fault.Is(err, fault.Conflict) {
		t.Errorf("one more that counts users: %v", err)
	}
	project := usual(alert.EventCount)
	r := b.rule(t, alert.EventCount, alert.RuleChange{Condition: &project})
	project.Scope = alert.ByIssue
	if _, err := b.change(t, r.ID, alert.RuleChange{Condition: &project}, noon); !fault.Is(err, fault.Conflict) {
		t.Errorf("one that is to count by issue: %v", err)
	}
	if _, err := b.change(t, first.ID, alert.RuleChange{Name: ptr("x")}, noon); err != nil {
		t.Errorf("one of those that there are is changed: %v", err)
	}
	// However many try at once.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range limits.Rules {
				_, err := b.create(t, b.place(), alert.NewIssue, alert.RuleChange{})
				if fault.Is(err, fault.Conflict) {
					return
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := b.number(t, "select count(*) from mesher.alert_rules"); n != limits.Rules {
		t.Errorf("rules = %d, want %d", n, limits.Rules)
	}
	if _, err := b.create(t, alert.Place{OrganizationID: b.org}, alert.MonitorStatus, alert.RuleChange{}); err != nil {
		t.Errorf("the organization's own: %v", err)
	}
	if _, err := b.create(t, alert.Place{OrganizationID: b.other, ProjectID: b.foreign}, alert.NewIssue, alert.RuleChange{}); err != nil {
		t.Errorf("another project's: %v", err)
	}
}

func TestRules_TellFewAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := b.Pool(t, pgtest.Admin)
	var twenty []uuid.UUID
	for range 20 {
		id := uuid.New()
		_, err := admin.Exec(t.Context(), "insert into mesher.alert_channels (id, organization_id, name, kind) values ($1, $2, 'team', 'email')", id, b.org)
		if err != nil {
			t.Fatal(err)
		}
		twenty = append(twenty, id)
	}
	var last alert.Rule
	for range alert.InstantToldMost / len(twenty) {
		last = b.rule(t, alert.NewIssue, alert.RuleChange{ChannelIDs: &twenty})
	}
	one := twenty[:1]
	if _, err := b.create(t, b.place(), alert.Regression, alert.RuleChange{ChannelIDs: &one}); fault.CodeOf(err) != "rule_limit" {
		t.Errorf("one channel more: %v", err)
	}
	r := b.rule(t, alert.Regression, alert.RuleChange{})
	if _, err := b.change(t, r.ID, alert.RuleChange{ChannelIDs: &one}, noon); fault.CodeOf(err) != "rule_limit" {
		t.Errorf("one channel more by a change: %v", err)
	}
	if _, err := b.change(t, last.ID, alert.RuleChange{Name: ptr("x")}, noon); err != nil {
		t.Errorf("another name: %v", err)
	}
	if _, err := b.create(t, alert.Place{OrganizationID: b.org}, alert.MonitorStatus, alert.RuleChange{ChannelIDs: &one}); err != nil {
		t.Errorf("the organization's own: %v", err)
	}
}

func TestRules_AreListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	count := usual(alert.EventCount)
	var all []uuid.UUID
	for i := range 5 {
		place := b.place()
		if i == 4 {
			place.ProjectID = uuid.Nil
		}
		kind, c := alert.MonitorStatus, alert.RuleChange{Enabled: ptr(i != 1)}
		if i < 2 {
			kind, c.Condition = alert.EventCount, &count
		}
		r, err := b.create(t, place, kind, c)
		if err != nil {
			t.Fatal(err)
		}
		b.exec(t, "update mesher.alert_rules set created_at = $2 where id = $1", r.ID, noon.Add(time.Duration(i)*time.Second))
		all = append([]uuid.UUID{r.ID}, all...)
	}
	if _, err := b.create(t, alert.Place{OrganizationID: b.other}, alert.MonitorStatus, alert.RuleChange{}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		f    alert.RuleFilter
		want []uuid.UUID
	}{
		"all":          {alert.RuleFilter{}, all},
		"a project's":  {alert.RuleFilter{ProjectID: b.project}, all[1:]},
		"of a kind":    {alert.RuleFilter{Kind: alert.EventCount}, all[3:]},
		"enabled":      {alert.RuleFilter{Enabled: ptr(true), Kind: alert.EventCount}, all[4:]},
		"not enabled":  {alert.RuleFilter{Enabled: ptr(false)}, all[3:4]},
		"none of them": {alert.RuleFilter{ProjectID: b.foreign}, nil},
	} {
		var got []uuid.UUID
		for after := (page.Mark{}); ; {
			p, err := alert.ListRules(t.Context(), b.app, b.org, tt.f, page.Request{Limit: 2, After: after})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Rows {
				got = append(got, r.ID)
			}
			if after = p.Next; after == (page.Mark{}) {
				break
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

func TestRules_AreDeleted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.rule(t, alert.NewIssue, alert.RuleChange{ChannelIDs: &b.channels})
	if _, err := alert.Create(t.Context(), b.app, alert.New{RuleID: r.ID, Subject: uuid.New(), Title: "t", At: noon}); err != nil {
		t.Fatal(err)
	}
	remove := func(org uuid.UUID) error {
		return postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) error {
			_, err := alert.DeleteRule(t.Context(), tx, org, r.ID)
			return err
		})
	}
	if err := remove(b.other); !fault.Is(err, fault.NotFound) {
		t.Errorf("by others: %v", err)
	}
	if err := remove(b.org); err != nil {
		t.Error(err)
	}
	if err := remove(b.org); !fault.Is(err, fault.NotFound) {
		t.Errorf("again: %v", err)
	}
	if n := b.number(t, "select count(*) from mesher.alert_rule_channels") + 10*b.number(t, "select count(*) from mesher.alert_events"); n != 10 {
		t.Errorf("%d channels and alerts are left, want no channel and one alert", n)
	}
	// Nobody raises an alert of it any more.
	if ids, err := alert.Create(t.Context(), b.app, alert.New{RuleID: r.ID, Subject: uuid.New(), Title: "t", At: noon}); err != nil || len(ids) > 0 {
		t.Errorf("raised %v, %v", ids, err)
	}
}
