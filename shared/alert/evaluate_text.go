package alert

import (
	"fmt"
	"math"
	"strconv"
)

// title says in one line what was found.
func (v reading) title(r Rule) string {
	in := span(r.Condition.WindowMinutes)
	switch r.Kind {
	case EventCount:
		return v.of(r, fmt.Sprintf("%s in %s", count(v.value, "event"), in))
	case UserCount:
		return v.of(r, fmt.Sprintf("%s affected in %s", count(v.value, "user"), in))
	case Spike:
		return fmt.Sprintf("%s: %s in %s, usual are %s", r.Name, count(v.value, "event"), in, number(v.usual))
	case ReleaseErrorRate:
		return fmt.Sprintf("%s: %s %% of %s of %s in %s are errors", r.Name, number(v.value), count(float64(v.events), "event"), v.label, in)
	case NewIssue, Regression, MonitorStatus:
	}
	return r.Name
}

// of names the issue, if the rule is about each by itself, or else the rule.
func (v reading) of(r Rule, what string) string {
	if r.Condition.Scope == ByIssue {
		return what + ": " + v.label
	}
	return r.Name + ": " + what
}

// snapshot is what is kept of a reading.
func (v reading) snapshot(r Rule) map[string]any {
	out := map[string]any{"value": tenth(v.value), "needed": tenth(v.needed), "window_minutes": r.Condition.WindowMinutes}
	switch r.Kind {
	case EventCount, UserCount:
		out["scope"] = r.Condition.Scope
		if r.Condition.Scope == ByIssue {
			out["title"] = v.label
		}
	case Spike:
		out["usual"], out["factor"] = tenth(v.usual), r.Condition.Factor
	case ReleaseErrorRate:
		out["release"], out["events"] = v.label, v.events
	case NewIssue, Regression, MonitorStatus:
	}
	return out
}

func tenth(f float64) float64 { return math.Round(f*10) / 10 }

// number writes a value with one digit behind the point, if it is not 0.
func number(f float64) string { return strconv.FormatFloat(tenth(f), 'f', -1, 64) }

func count(n float64, what string) string {
	if tenth(n) == 1 {
		return "1 " + what
	}
	return number(n) + " " + what + "s"
}

// span names a window in its largest unit.
func span(minutes int) string {
	if minutes%60 == 0 {
		return count(float64(minutes/60), "hour")
	}
	return count(float64(minutes), "minute")
}
