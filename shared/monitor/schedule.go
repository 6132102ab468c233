package monitor

import (
	"slices"
	"strings"
	"time"
	// The machines that functions run on may have no time zones of their own.
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
)

// zone returns a time zone by its name; empty: UTC. What the machine is set to is none.
func zone(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, errZone
	}
	where, err := time.LoadLocation(name)
	if err != nil {
		return nil, errZone
	}
	return where, nil
}

var errZone = invalid("timezone", "is not the name of a time zone")

// schedule is when the job of a heartbeat is to run.
type schedule struct {
	every time.Duration // without a cron expression
	cron  cron.Schedule
	zone  *time.Location
	hours bool // the cron expression names hours, by the clock on the wall
}

// schedule returns the schedule of a heartbeat whose interval is so many seconds.
func (c *HeartbeatConfig) schedule(interval int) (schedule, error) {
	if c.Cron == "" {
		return schedule{every: time.Duration(interval) * time.Second}, nil
	}
	where, err := zone(c.Timezone)
	if err != nil {
		return schedule{}, invalid("timezone", "there is no time zone %q; use a name such as Europe/Berlin", clip(c.Timezone))
	}
	if len(c.Cron) > cronMost {
		return schedule{}, invalid("cron", "has %d characters; at most %d are allowed", len(c.Cron), cronMost)
	}
	expression := strings.Join(strings.Fields(c.Cron), " ")
	if strings.Contains(expression, "=") || strings.HasPrefix(expression, "@every") {
		return schedule{}, invalid("cron", "is not five fields such as 0 3 * * *; a time zone stands in timezone, and an interval in interval_s")
	}
	expression = sundays(expression)
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor).Parse(expression)
	if err != nil {
		return schedule{}, invalid("cron", "cannot be read: it is five fields within their bounds (minute 0-59, hour 0-23, day of month 1-31, month 1-12, day of week 0-7) such as 0 3 * * *, or one of @hourly, @daily, @weekly, @monthly and @yearly")
	}
	fields := strings.Fields(expression)
	return schedule{
		cron: parsed, zone: where,
		hours: len(fields) == 1 && expression != "@hourly" || len(fields) == 5 && !strings.HasPrefix(fields[1], "*"),
	}, nil
}

// sundays writes Sunday as 0 where it is 7, which cron takes as well.
func sundays(expression string) string {
	fields := strings.Fields(expression)
	if len(fields) != 5 {
		return expression
	}
	days := strings.Split(fields[4], ",")
	for i, d := range days {
		if d == "7" {
			days[i] = "0"
		}
	}
	fields[4] = strings.Join(days, ",")
	return strings.Join(fields, " ")
}

// next returns when the job is to run next after t; the zero time: never.
//
// By the clock on the wall an hour comes twice when it is put back. A job that names hours runs in the first of them, as cron
// has it; one that runs each hour runs in both. An hour that is left out when the clock is put forward has no runs.
func (s schedule) next(t time.Time) time.Time {
	if s.cron == nil {
		return t.Add(s.every).UTC()
	}
	for at := s.cron.Next(t.In(s.zone)); !at.IsZero(); at = s.cron.Next(at) {
		if !s.hours || !repeated(at) {
			return at.UTC()
		}
	}
	return time.Time{}
}

// repeated reports whether the clock on the wall showed the same some time before.
func repeated(t time.Time) bool {
	_, offset := t.Zone()
	// The clock is put back by an hour nearly everywhere, and by less in a few places.
	return slices.ContainsFunc([]time.Duration{30 * time.Minute, time.Hour, 2 * time.Hour}, func(d time.Duration) bool {
		_, before := t.Add(-d).Zone()
		return before-offset == int(d.Seconds())
	})
}

// check checks when a job must say that it ran. interval is that of its monitor.
func (c *HeartbeatConfig) check(interval int) error {
	s, err := c.schedule(interval)
	switch {
	case err != nil:
		return err
	case c.Cron == "" && c.Timezone != "":
		return invalid("timezone", "is of a cron expression; an interval needs none")
	case s.next(fixedTime()).IsZero():
		return invalid("cron", "names a day that never comes, so the job could never be in time")
	case c.GraceS < 0 || c.GraceS > graceMost:
		return invalid("grace_s", "%d is not from 0 to %d seconds", c.GraceS, graceMost)
	case c.MaxRuntimeS < 0 || c.MaxRuntimeS > runtimeMost:
		return invalid("max_runtime_s", "%d is not from 1 to %d seconds; 0: any time", c.MaxRuntimeS, runtimeMost)
	}
	return nil
}

// fixedTime is when it is looked whether a schedule has any times at all: from a leap year's first day on.
func fixedTime() time.Time { return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC) }
